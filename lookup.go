package larder

import (
	"context"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/glob"
)

// Lookup returns the value of key if it is cached, and never loads.
// [ErrNotFound] means that the source is known to have none, [ErrMiss] that
// nothing usable is cached. An error of Redis is returned as it is; a miss
// is not concluded from it. It costs what a hit of Get costs.
func (k *Keyspace[K, V]) Lookup(ctx context.Context, key K, opts ...ReadOption) (V, error) {
	hash := k.hash(key)
	e, now := k.recall(key, hash, opts)
	if e != nil {
		k.stats.memoryHits.Add()
		return k.hand(e.value, e.negative)
	}
	config := k.readConfig(now, opts)
	if e := k.overdue(key, hash, now, config.floor); e != nil {
		k.stats.slowReads.Observe(elapsed(now))
		return k.settleLate(e, now)
	}
	ctx, span := k.cache.span(ctx, SpanGet, k.name, 1)
	found, err := k.peek(ctx, key, hash, config)
	span.EndSpan(outcomeOfSpan(err))
	k.stats.slowReads.Observe(elapsed(now))
	if err != nil {
		if err == ErrMiss {
			k.stats.count(sourceMiss)
		} else {
			k.stats.count(sourceError)
		}
		var none V
		return none, err
	}
	return k.settle(found)
}

// peek looks for key in Redis once, without asking for a lease.
func (k *Keyspace[K, V]) peek(ctx context.Context, key K, hash uint64, config readConfig) (found outcome[V], err error) {
	if err := k.usable(ctx, false); err != nil {
		return found, err
	}
	var w attempt[K, V]
	r, l := &w.r, &w.l
	if err := k.request(r, key, hash, config); err != nil {
		return found, err
	}
	if k.cache.remote == nil {
		return found, ErrMiss
	}
	if o, ok := k.outlasting(r); ok && k.cache.cutOff(r.entry) {
		return o, nil
	}
	f := w.f.Begin(guard{})
	if k.tiers == MemoryOnly {
		a := capture[K, V]{r: r, f: f}
		k.captureGenerations(ctx, []*capture[K, V]{&a}, false)
		switch {
		case a.p == nil:
			return a.found, nil
		case a.p.kind == bypassError:
			return found, firstOf(ctx.Err(), ErrUnavailable)
		}
		return found, ErrMiss
	}
	k.look(ctx, f, r, l)
	switch {
	case l.err != nil:
		return found, firstOf(ctx.Err(), l.err)
	case l.pending || l.reply.State != Present:
		return found, ErrMiss
	}
	switch k.judge(ctx, r, l, &found) {
	case verdictHit, verdictStale:
		return found, nil
	case verdictError:
		return found, firstOf(ctx.Err(), ErrUnavailable)
	}
	return found, ErrMiss
}

// Exists reports whether key has a cached value. The answer "not found" is
// none. It costs what [Keyspace.Lookup] costs.
func (k *Keyspace[K, V]) Exists(ctx context.Context, key K, opts ...ReadOption) (bool, error) {
	_, err := k.Lookup(ctx, key, opts...)
	switch err {
	case nil:
		return true, nil
	case ErrMiss, ErrNotFound:
		return false, nil
	}
	return false, err
}

// TTL returns how long the entry of key, a cached "not found" included, stays
// fresh unless it is invalidated, zero when it is stale already. [ErrMiss] means that there is none. It costs
// one round trip, two at the most, also when the value is in memory.
func (k *Keyspace[K, V]) TTL(ctx context.Context, key K) (time.Duration, error) {
	now := clock.Now()
	hash := k.hash(key)
	if k.cache.remote != nil && k.tiers != MemoryOnly {
		return k.remoteTTL(ctx, key, hash)
	}
	floor := now - k.cache.tolerance.Load()
	if e := k.remembered(key, hash, now, floor); e != nil {
		return time.Duration(e.softEnd() - now), nil
	}
	if e := k.overdue(key, hash, now, floor); e != nil {
		return time.Duration(max(0, e.softEnd()-now)), nil
	}
	return 0, ErrMiss
}

func (k *Keyspace[K, V]) remoteTTL(ctx context.Context, key K, hash uint64) (time.Duration, error) {
	found, err := k.peek(ctx, key, hash, readConfig{floor: clock.Now() + 1, exact: true})
	if err != nil || found.stale {
		return 0, err
	}
	var r request[K, V]
	if err := k.request(&r, key, hash, readConfig{}); err != nil {
		return 0, err
	}
	reply := k.cache.doOne(ctx, Op{Kind: OpInspect, Key: r.entry})
	switch {
	case reply.Err != nil:
		return 0, reply.Err
	case reply.State != Present:
		return 0, ErrMiss
	}
	return k.freshFor(&r, reply), nil
}

// freshFor returns how long what Redis has of an entry is fresh.
func (k *Keyspace[K, V]) freshFor(r *request[K, V], reply Reply) time.Duration {
	var e frame.Entry
	epoch := k.cache.remote.Epoch(r.entry)
	if epoch == nil || frame.Parse(reply.Data, &e) != nil || e.Soft == e.Hard {
		return reply.TTL
	}
	return max(0, time.Duration(e.Soft-epoch.serverTime(clock.Now()))*time.Millisecond)
}

// forget removes the memory entries whose names match pattern from a cache
// that has no remote tier.
func (c *Cache) forget(pattern string) (n int) {
	if c.memory == nil {
		return 0
	}
	for hash, h := range c.memory.All() {
		if name := h.owner.nameOf(h); h.live() && glob.Match(pattern, name) {
			c.board.Kill(name)
			c.memory.Delete(hash)
			n++
		}
	}
	return n
}
