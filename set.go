package larder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
)

// Set replaces the entry of key. It promises nothing against concurrent loads
// and other Sets: after a change of the source use [Cache.Invalidate]. It
// costs one round trip, two when the generations of its tags are not known.
//
// An error that matches [ErrPending] means it is unknown what Redis holds; the
// entry is then treated like an invalidation that is pending. Other errors,
// such as [ErrTooLarge], [ErrHeld] and those of the codec, mean the value was
// refused and the old entry is gone.
func (k *Keyspace[K, V]) Set(ctx context.Context, key K, value V) error {
	return k.SetTTL(ctx, key, value, 0)
}

// SetTTL is Set with a TTL of its own; zero means that of the keyspace.
func (k *Keyspace[K, V]) SetTTL(ctx context.Context, key K, value V, ttl time.Duration) error {
	err := k.setMany(ctx, map[K]V{key: value}, ttl)
	if each, ok := err.(*BatchError); ok {
		return each.Failed[0].Err
	}
	return err
}

// SetMany is Set for several entries, a thousand in one pipeline. A
// [*BatchError] tells which failed; the others are set. Another error means
// that none is.
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
	ctx, span := k.cache.span(ctx, SpanSet, k.name, len(values))
	failed := k.storeAll(ctx, values, ttl)
	if len(failed) > 0 {
		span.EndSpan(outcomeOfSpan(failed[0].Err))
		return &BatchError{Failed: failed}
	}
	span.EndSpan(SpanOK)
	return nil
}

// storeAll stores values, batchKeys at a time, and returns those that failed.
func (k *Keyspace[K, V]) storeAll(ctx context.Context, values map[K]V, ttl time.Duration) (failed []KeyError) {
	store := k.setRemotely
	switch {
	case k.cache.remote == nil:
		store = k.setLocally
	case k.tiers == MemoryOnly:
		store = k.setCaptured
	}
	writes := make([]write[K, V], 0, min(len(values), batchKeys))
	for key, value := range values {
		writes = append(writes, write[K, V]{value: value, life: k.spanOf(ttl, false)}) // there is room: none is moved
		w := &writes[len(writes)-1]
		if err := k.request(&w.r, key, k.hash(key), readConfig{floor: clock.Add(clock.Now(), -k.cache.opts.MaxStaleness)}); err != nil {
			failed = append(failed, KeyError{key, err})
			writes = writes[:len(writes)-1]
		}
		if len(writes) == cap(writes) {
			failed = append(failed, store(ctx, writes)...)
			clear(writes)
			writes = writes[:0]
		}
	}
	if len(writes) > 0 {
		failed = append(failed, store(ctx, writes)...)
	}
	return failed
}

// write is one entry of a SetMany.
type write[K comparable, V any] struct {
	r     request[K, V]
	value V
	life  span
	gens  []*generation // as request.deps
	data  []byte
}

// setLocally stores values in a cache that has no remote tier.
func (k *Keyspace[K, V]) setLocally(_ context.Context, writes []write[K, V]) []KeyError {
	for i := range writes {
		w := &writes[i]
		k.cache.board.Kill(w.r.entry)
		if k.memory == nil {
			continue
		}
		k.keepWrite(terms{ticket: k.cache.board.Issue(w.r.entry), evidence: always,
			tags: k.cache.ticketsOf(w.r.deps)}, w)
	}
	return nil
}

// setCaptured stores values of a [MemoryOnly] keyspace: other processes load
// their own copy, so theirs is invalidated.
func (k *Keyspace[K, V]) setCaptured(ctx context.Context, writes []write[K, V]) (failed []KeyError) {
	ops := make([]Op, len(writes))
	for i := range writes {
		ops[i] = k.cache.removal(writes[i].r.entry, k.holdOff)
	}
	for i := range writes {
		k.cache.noteInvalidation(targetKey, writes[i].r.entry)
	}
	if err := k.cache.remove(ctx, ops); err != nil {
		var pending *PendingError
		errors.As(err, &pending)
		for i := range writes {
			if pending == nil || slices.Contains(pending.Keys, ops[i].Key) {
				failed = append(failed, KeyError{writes[i].r.key, err})
			}
		}
		return failed
	}
	for i := range writes {
		w := &writes[i]
		_, p, err := k.consultGenerations(ctx, flight.New[K, guard, outcome[V]](guard{}), &w.r)
		if err != nil || p == nil || p.kind != bypassMemory || k.memory == nil {
			continue // not kept; the next read loads
		}
		k.keepWrite(terms{ticket: p.ticket, epoch: p.epoch, evidence: p.least, tags: p.gens}, w)
	}
	return nil
}

// keepWrite keeps a value that was set in memory.
func (k *Keyspace[K, V]) keepWrite(t terms, w *write[K, V]) {
	now := clock.Now()
	k.age(&t, clock.Add(now, w.life.fresh), clock.Add(now, w.life.total()), 0)
	k.keep(&w.r, &t, w.value, -1)
}

// setRemotely stores values in Redis. What was kept in memory dies before and
// after, like in an invalidation; the next read brings the new value.
func (k *Keyspace[K, V]) setRemotely(ctx context.Context, writes []write[K, V]) (failed []KeyError) {
	c := k.cache
	for i := range writes {
		c.board.Kill(writes[i].r.entry)
	}
	unknown := k.captureAll(ctx, writes)
	var ops []Op
	var sent []*write[K, V] // one for each op
	for i := range writes {
		w := &writes[i]
		err := unknown
		if err == nil {
			err = k.prepare(w)
		}
		switch {
		case errors.Is(err, errRefused):
			err = errors.Join(fmt.Errorf("larder: set %q: %w", w.r.entry, err), c.remove(ctx, []Op{c.removal(w.r.entry, k.holdOff)}))
			failed = append(failed, KeyError{w.r.key, err})
		case err != nil:
			failed = append(failed, KeyError{w.r.key, c.unknown(w.r.entry, err)})
		default:
			ops = append(ops, Op{Kind: OpSet, Key: w.r.entry, Value: w.data, TTL: w.life.total(), KeepHold: k.holdOff > 0})
			sent = append(sent, w)
		}
	}
	if len(ops) == 0 {
		return failed
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.WriteTimeout)
	defer cancel()
	replies := make([]Reply, len(ops))
	begun := clock.Now()
	c.send(ctx, ops, replies)
	c.observe(replies[0].Err, begun)
	for i := range replies {
		switch {
		case replies[i].Err != nil:
			failed = append(failed, KeyError{sent[i].r.key, c.unknown(ops[i].Key, replies[i].Err)})
		case replies[i].State == Held:
			failed = append(failed, KeyError{sent[i].r.key, fmt.Errorf("larder: set %q: %w", ops[i].Key, ErrHeld)})
		}
	}
	c.kill(ops)
	return failed
}

// unknown treats a key that a failed write may or may not have changed like an
// invalidation that is not confirmed.
func (c *Cache) unknown(key string, err error) error {
	c.pending.add([]Op{c.removal(key, 0)}, c.removeAll())
	c.board.Kill(key)
	return &PendingError{Keys: []string{key}, Err: err}
}

// captureAll finds or creates the present generations of all tags of writes,
// in one round trip at most.
func (k *Keyspace[K, V]) captureAll(ctx context.Context, writes []write[K, V]) error {
	e := ensuring{cache: k.cache}
	for i := range writes {
		w := &writes[i]
		w.gens = make([]*generation, len(w.r.deps))
		if _, ok := k.cache.gens.proven(w.r.deps, w.r.floor, w.gens); !ok {
			clear(w.gens)
		}
		e.add(w.r.entry, w.r.deps, w.gens)
	}
	if err := e.send(ctx); err != nil {
		return err
	}
	for i := range writes {
		e.fill(writes[i].r.deps, writes[i].gens)
	}
	return nil
}

// errRefused marks a value that is not sent to Redis.
var errRefused = errors.New("refused")

// prepare encodes a write under the generations captured for it.
func (k *Keyspace[K, V]) prepare(w *write[K, V]) error {
	now := clock.Now()
	epoch := k.cache.usableEpoch(w.r.entry, now)
	if epoch == nil {
		return ErrUnavailable
	}
	if anyHeld(w.gens) {
		return fmt.Errorf("%w: %w", errRefused, ErrHeld)
	}
	o := outcome[V]{value: w.value, life: w.life}
	var err error
	w.data, _, err = k.encode(&w.r, &permit{gens: w.gens}, &o, epoch.serverTime(now))
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return nil
}
