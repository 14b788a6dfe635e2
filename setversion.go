package larder

import (
	"context"
	"errors"
	"fmt"

	"github.com/larder-go/larder/internal/clock"
)

// SetVersion tells the cache of a committed change and what it made of the
// value: it is [Cache.Invalidate] for key, and spares the next load where it
// can. version is the source's number of that change and must grow with every
// change of the key, like a row version or a sequence number; loaders say
// theirs with [Load.Version]. Call it after the commit, as often and as late
// as you like: of two concurrent calls the higher version stays, whichever
// comes last.
//
// The value replaces a cached one of a lower version, which keeps the tags it
// has: if the change alters the tags, use Invalidate. A value at this version
// or above stays. Anything else that is cached goes, as nobody knows whether
// it is older, and so does the right to store of a load under way. Where
// nothing is cached nothing is stored. Keyspaces with
// [KeyspaceOptions.HoldOff] or [KeyspaceOptions.Interop], [MemoryOnly] ones and caches without Redis only
// invalidate.
//
// It costs one round trip. Errors are those of Invalidate; in addition
// [ErrTooLarge] and those of the codec mean that the key was invalidated and
// the value was not stored, and version 0 is refused.
func (k *Keyspace[K, V]) SetVersion(ctx context.Context, key K, value V, version uint64) (err error) {
	if version == 0 {
		return fmt.Errorf("larder: set %s: version 0 says nothing, versions begin with 1", k.name)
	}
	c := k.cache
	if c.remote == nil || k.tiers == MemoryOnly || k.holdOff > 0 || k.packing.plain {
		return c.Invalidate(ctx, k.Key(key))
	}
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	ctx, span := c.span(ctx, SpanSet, k.name, 1)
	defer func() { span.EndSpan(outcomeOfSpan(err)) }()
	var r request[K, V]
	if err := k.request(&r, key, k.hash(key), readConfig{}); err != nil {
		return err
	}
	removal := c.removal(r.entry, 0)
	op, err := k.versionOp(&r, value, version)
	switch {
	case errors.Is(err, ErrUnavailable):
		return c.remove(ctx, []Op{removal})
	case err != nil:
		return errors.Join(fmt.Errorf("larder: set %q: %w", r.entry, err), c.remove(ctx, []Op{removal}))
	}
	return c.supersede(ctx, op, removal)
}

// versionOp encodes a value without generations: those of the value it
// replaces stay.
func (k *Keyspace[K, V]) versionOp(r *request[K, V], value V, version uint64) (Op, error) {
	now := clock.Now()
	epoch := k.cache.usableEpoch(r.entry, now)
	if epoch == nil {
		return Op{}, ErrUnavailable
	}
	o := outcome[V]{value: value, version: version, life: k.spanOf(k.opts.TTL, false)}
	bare := request[K, V]{entry: r.entry}
	data, _, err := k.encode(&bare, &permit{gens: []*generation{{}}}, &o, epoch.serverTime(now))
	return Op{Kind: OpSetNewer, Key: r.entry, Value: data, Version: version, TTL: o.life.total()}, err
}

// supersede carries out an OpSetNewer as an invalidation whose form for retries
// and for replays is removal: what is not confirmed, or lost in a failover, must
// be gone, and nobody keeps values for it.
func (c *Cache) supersede(ctx context.Context, op, removal Op) error {
	removals := []Op{removal}
	c.invalidations.Add(1)
	c.kill(removals)
	c.journal.add(removals)
	err := c.sendBatch(ctx, []Op{op})[0].Err
	if err != nil { // before the tickets die, as in remove
		c.pending.add(removals, c.removeAll())
	}
	c.kill(removals)
	if err != nil {
		return &PendingError{Keys: []string{removal.Key}, Err: err}
	}
	return nil
}
