package larder

import (
	"context"
	"fmt"

	"github.com/larder-go/larder/internal/clock"
)

// Expire makes the entry of key stale: reads within [KeyspaceOptions.Grace] are
// still served its value while it is refreshed, other reads load. It is for
// values that should be renewed soon but are not wrong; what is wrong is
// invalidated. A load under way is not stored, and none that began before
// Expire returned nil makes the entry fresh again. It costs one round trip. An
// entry of a [MemoryOnly] keyspace with a remote tier is invalidated: Redis has
// no value that could be stale.
//
// After an error it is unknown whether the entry is stale; Expire may be called
// again.
func (k *Keyspace[K, V]) Expire(ctx context.Context, key K) error {
	c := k.cache
	var r request[K, V]
	err := k.request(&r, key, k.hash(key), k.readConfig(clock.Now(), nil))
	switch {
	case c.ctx.Err() != nil:
		return ErrClosed
	case err != nil:
		return fmt.Errorf("larder: expire: %w", err)
	}
	k.stats.expired.Add()
	if c.remote == nil {
		k.expireLocally(&r)
		return nil
	}
	if k.tiers == MemoryOnly {
		return c.Invalidate(ctx, k.Key(key))
	}
	// Twice, as in Cache.remove: memory has it fresh.
	c.board.Kill(r.entry)
	reply := c.doOne(ctx, Op{Kind: OpExpire, Key: r.entry, Token: newToken()})
	c.board.Kill(r.entry)
	if reply.Err != nil {
		return fmt.Errorf("larder: expire %q: %w", r.entry, reply.Err)
	}
	return nil
}

// expireLocally makes the memory entry stale in a cache that has no remote tier.
// Replacing the ticket ends loads and flights, and tells whether the entry was
// invalidated meanwhile: what was, must not come back.
func (k *Keyspace[K, V]) expireLocally(r *request[K, V]) {
	var e *entry[K, V]
	if k.memory != nil {
		e = k.own(k.memory.Get(r.hash), r.key)
	}
	ticket := k.cache.board.Issue(r.entry)
	if e == nil || e.negative || k.grace == 0 || !e.live() {
		k.cache.board.Kill(r.entry)
		return
	}
	ticket, live := k.cache.board.Replace(r.entry, ticket)
	if !live {
		return
	}
	t := terms{ticket: ticket, evidence: always, epoch: e.epoch, tags: e.tags}
	k.age(&t, min(clock.Now(), e.softEnd()), e.end(), 0)
	k.keep(r, &t, e.value, int(e.weight()-weightOf(0, len(e.tags))))
}
