package larder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
)

// A Target is what an invalidation names: the entry of a key
// ([Keyspace.Key]) or all entries that depend on a tag ([Tag]).
type Target struct {
	cache *Cache
	key   string // remote key, when cache is set
	tag   string
	err   error
}

// Tag names all entries that depend on tag, in every process.
func Tag(tag string) Target { return Target{tag: tag} }

// remoteKey returns the key whose deletion invalidates t.
func (t Target) remoteKey(c *Cache) (string, error) {
	switch {
	case t.err != nil:
		return "", t.err
	case t.cache == nil:
		return c.tagKey(t.tag)
	case t.cache != c:
		return "", fmt.Errorf("%w: it belongs to another cache", ErrInvalidKey)
	}
	return t.key, nil
}

// Invalidate makes every target outdated, in one round trip. Call it after the
// change is committed. When it returns nil, every later [Exact] read anywhere
// and every load it leads to sees the change; other reads see it as soon as
// Redis has told their process, at the latest after [Options.MaxStaleness].
//
// An error that matches [ErrPending] means Redis did not confirm all of it, be
// it that ctx ended: this process stops using memory and Redis for what is
// concerned and retries until Redis confirms; other processes may serve the
// old value until then. Any other error names a target that is invalid, and
// nothing was invalidated. No targets, nothing done.
func (c *Cache) Invalidate(ctx context.Context, targets ...Target) error {
	keys := make([]string, 0, len(targets))
	for _, t := range targets {
		key, err := t.remoteKey(c)
		if err != nil {
			return fmt.Errorf("larder: invalidate: %w", err)
		}
		keys = append(keys, key)
	}
	return c.invalidate(ctx, keys)
}

// Clear makes every entry of the namespace outdated by changing its
// generation: one round trip, whatever the number of entries. Errors are those
// of [Cache.Invalidate].
func (c *Cache) Clear(ctx context.Context) error {
	return c.invalidate(ctx, c.namespaceKeys())
}

func (c *Cache) namespaceKeys() []string {
	if c.remote == nil {
		return []string{c.namespaceKey("")}
	}
	return c.remote.NamespaceKeys()
}

// invalidate deletes remote keys. Everything local that depends on them dies
// twice: before the request is sent, so that nothing old is served or joined
// any more, and at the reply, because until then old state could be read.
func (c *Cache) invalidate(ctx context.Context, keys []string) error {
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	c.invalidations.Add(1)
	c.kill(keys)
	if c.remote == nil || len(keys) == 0 {
		return nil
	}
	errs := c.sendDeletes(ctx, keys)
	var failed []string
	var first error
	for i, err := range errs {
		if err != nil {
			failed, first = append(failed, keys[i]), firstOf(first, err)
		}
	}
	// Marked before the tickets die: a read takes its ticket first and looks
	// here afterwards, so it misses at most one of the two.
	if first != nil {
		c.pending.add(failed, c.namespaceKeys())
	}
	c.kill(keys)
	if first != nil {
		return &PendingError{Keys: failed, Err: first}
	}
	return nil
}

func (c *Cache) kill(keys []string) {
	for _, key := range keys {
		c.board.Kill(key)
	}
}

// deleteBatch is how many deletions go into one pipeline.
const deleteBatch = 1000

// sendDeletes deletes keys and returns what is not confirmed, by index. A
// server that fails already is not asked.
func (c *Cache) sendDeletes(ctx context.Context, keys []string) []error {
	errs := make([]error, len(keys))
	for from := 0; from < len(keys); from += deleteBatch {
		to := min(from+deleteBatch, len(keys))
		c.sendDeleteBatch(ctx, keys[from:to], errs[from:to])
	}
	return errs
}

func (c *Cache) sendDeleteBatch(ctx context.Context, keys []string, errs []error) {
	if c.breaker.open.Load() {
		for i := range errs {
			errs[i] = ErrUnavailable
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.WriteTimeout)
	defer cancel()
	ops := make([]Op, len(keys))
	for i, key := range keys {
		ops[i] = Op{Kind: OpDelete, Key: key}
	}
	replies := make([]Reply, len(ops))
	c.remote.Do(ctx, ops, replies)
	for i := range replies {
		errs[i] = replies[i].Err
	}
	c.observe(errs[0])
}

// Delete removes the entry of key: [Cache.Invalidate] for one key.
func (k *Keyspace[K, V]) Delete(ctx context.Context, key K) error {
	return k.cache.Invalidate(ctx, k.Key(key))
}

// Set replaces the entry of key. It promises nothing against concurrent loads
// and other Sets: after a change of the source use [Cache.Invalidate]. It
// costs one round trip, two when the generations of its tags are not known.
//
// [ErrTooLarge] means the value was refused and the old entry is gone. Other
// errors mean it is unknown what Redis holds; the entry is then treated like
// an invalidation that is pending.
func (k *Keyspace[K, V]) Set(ctx context.Context, key K, value V) error {
	return k.SetTTL(ctx, key, value, 0)
}

// SetTTL is Set with a TTL of its own; zero means that of the keyspace.
func (k *Keyspace[K, V]) SetTTL(ctx context.Context, key K, value V, ttl time.Duration) error {
	return k.setMany(ctx, map[K]V{key: value}, ttl)
}

// SetMany is Set for several entries in one pipeline. Errors of single entries
// are joined; the others are set.
func (k *Keyspace[K, V]) SetMany(ctx context.Context, values map[K]V) error {
	return k.setMany(ctx, values, 0)
}

func (k *Keyspace[K, V]) setMany(ctx context.Context, values map[K]V, ttl time.Duration) error {
	switch {
	case ttl == 0:
		ttl = k.opts.TTL
	case ttl < time.Millisecond || ttl > maxTTL:
		return fmt.Errorf("larder: set: TTL of %v is not between 1ms and %v", ttl, maxTTL)
	}
	if k.cache.ctx.Err() != nil {
		return ErrClosed
	}
	writes := make([]write[K, V], 0, len(values))
	var errs []error
	for key, value := range values {
		r, err := k.request(key, k.hash(key), readConfig{floor: clock.Add(clock.Now(), -k.cache.opts.MaxStaleness)})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		writes = append(writes, write[K, V]{r: r, value: value, ttl: ttl})
	}
	if k.cache.remote == nil {
		k.setLocally(writes)
		return errors.Join(errs...)
	}
	if k.tiers == MemoryOnly {
		return errors.Join(append(errs, k.setCaptured(ctx, writes))...)
	}
	return errors.Join(append(errs, k.setRemotely(ctx, writes))...)
}

// write is one entry of a SetMany.
type write[K comparable, V any] struct {
	r     request[K, V]
	value V
	ttl   time.Duration
	data  []byte
}

// setLocally stores values in a cache that has no remote tier.
func (k *Keyspace[K, V]) setLocally(writes []write[K, V]) {
	for i := range writes {
		w := &writes[i]
		k.cache.board.Kill(w.r.entry)
		if k.memory == nil {
			continue
		}
		k.keep(&w.r, head{ticket: k.cache.board.Issue(w.r.entry), evidence: always,
			hard: clock.Add(clock.Now(), w.ttl), tags: k.cache.ticketsOf(w.r.deps)}, w.value, -1)
	}
}

// setCaptured stores values of a [MemoryOnly] keyspace: other processes load
// their own copy, so theirs is invalidated.
func (k *Keyspace[K, V]) setCaptured(ctx context.Context, writes []write[K, V]) error {
	keys := make([]string, len(writes))
	for i := range writes {
		keys[i] = writes[i].r.entry
	}
	if err := k.cache.invalidate(ctx, keys); err != nil {
		return err
	}
	for i := range writes {
		w := &writes[i]
		_, p, err := k.consultGenerations(ctx, flight.New[guard, outcome[V]](guard{}), &w.r)
		if err != nil || p == nil || p.kind != bypassMemory || k.memory == nil {
			continue // not kept; the next read loads
		}
		k.keep(&w.r, head{ticket: p.ticket, epoch: p.epoch, evidence: p.least, tags: p.gens,
			hard: clock.Add(clock.Now(), w.ttl)}, w.value, -1)
	}
	return nil
}

// setRemotely stores values in Redis. What was kept in memory dies before and
// after, like in an invalidation; the next read brings the new value.
func (k *Keyspace[K, V]) setRemotely(ctx context.Context, writes []write[K, V]) error {
	c := k.cache
	var errs []error
	var ops []Op
	var keys []string
	for i := range writes {
		w := &writes[i]
		c.board.Kill(w.r.entry)
		err := k.prepare(ctx, w)
		switch {
		case errors.Is(err, ErrTooLarge):
			errs = append(errs, fmt.Errorf("larder: set %q: %w", w.r.entry, err), c.invalidate(ctx, []string{w.r.entry}))
		case err != nil:
			errs = append(errs, c.unknown(w.r.entry, err))
		default:
			ops = append(ops, Op{Kind: OpSet, Key: w.r.entry, Value: w.data, TTL: w.ttl})
			keys = append(keys, w.r.entry)
		}
	}
	if len(ops) == 0 {
		return errors.Join(errs...)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.WriteTimeout)
	defer cancel()
	replies := make([]Reply, len(ops))
	c.remote.Do(ctx, ops, replies)
	c.observe(replies[0].Err)
	for i := range replies {
		if replies[i].Err != nil {
			errs = append(errs, c.unknown(keys[i], replies[i].Err))
		}
	}
	c.kill(keys)
	return errors.Join(errs...)
}

// unknown treats a key that a failed write may or may not have changed like an
// invalidation that is not confirmed.
func (c *Cache) unknown(key string, err error) error {
	c.pending.add([]string{key}, c.namespaceKeys())
	c.board.Kill(key)
	return &PendingError{Keys: []string{key}, Err: err}
}

// prepare encodes a write under the present generations of its tags.
func (k *Keyspace[K, V]) prepare(ctx context.Context, w *write[K, V]) error {
	c := k.cache
	now := clock.Now()
	epoch := c.usableEpoch(w.r.entry, now)
	if epoch == nil {
		return ErrUnavailable
	}
	gens := make([]*generation, len(w.r.deps))
	if _, ok := c.gens.proven(w.r.deps, w.r.floor, gens); !ok {
		reply := c.gens.read(c.readContext(ctx, now), w.r.deps, gens, "")
		c.observe(reply.Err)
		if reply.Err != nil {
			return reply.Err
		}
	}
	if err := k.ensureAll(ctx, &w.r, gens); err != nil {
		return err
	}
	o := outcome[V]{value: w.value}
	var err error
	w.data, _, err = k.encode(&w.r, &permit{gens: gens}, &o, epoch.serverTime(clock.Now())+w.ttl.Milliseconds())
	return err
}

// DeletePattern removes every entry whose name matches a glob pattern as in
// Redis's SCAN, such as "suites:*", and outdates what loads in flight bring.
// It reads the whole key space in pages and, with a remote tier, leaves this
// process's memory empty: an administrator's tool; services use [Tag]. It
// returns how many entries it removed.
//
// Names above 512 bytes end in a hash, so only a literal beginning of at most
// 448 bytes with "*" finds them.
func (c *Cache) DeletePattern(ctx context.Context, pattern string) (int, error) {
	switch {
	case c.ctx.Err() != nil:
		return 0, ErrClosed
	case pattern == "":
		return 0, fmt.Errorf("%w: empty pattern", ErrInvalidKey)
	}
	c.invalidations.Add(1)
	if c.remote == nil {
		c.board.Kill(sweepKey) // loads in flight
		return c.forget(pattern), nil
	}
	c.board.KillAll()
	defer c.board.KillAll()
	n, err := c.remote.DeleteMatching(ctx, pattern, c.kill)
	if err != nil {
		return n, fmt.Errorf("larder: delete pattern %q: %w", pattern, err)
	}
	return n, nil
}
