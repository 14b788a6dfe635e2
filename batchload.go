package larder

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
)

// loadAll loads the keys of members with one call and stores what came. The
// load ends early when everybody who waits for any of the keys has left.
func (b *batch[K, V]) loadAll(ctx context.Context, members []*member[K, V]) {
	if len(members) == 0 {
		return
	}
	var left atomic.Int64
	left.Store(int64(len(members)))
	done := make(chan struct{})
	loadCtx, cancel := b.k.loadContext(context.WithoutCancel(ctx))
	for _, m := range members {
		m.ended = true
		m.f.Loading(sync.OnceFunc(func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		}))
	}
	started := b.k.cache.goRun(func() {
		defer close(done)
		defer cancel()
		b.loadInto(loadCtx, members)
	})
	if !started {
		cancel()
		b.k.releaseAll(members)
		for _, m := range members {
			b.end(m, &outcome[V]{err: ErrClosed})
		}
	}
	for _, m := range members {
		o, _, err := m.f.Wait(ctx)
		if err != nil {
			b.fail(m.r.key, leave(ctx, m.f, err))
			continue
		}
		o.panicAgain()
		b.take(m.r.key, &o)
	}
}

// loadInto calls the loader for members and ends their flights.
func (b *batch[K, V]) loadInto(ctx context.Context, members []*member[K, V]) {
	k := b.k
	gate := members[0].p
	for _, m := range members {
		if m.p.kind == bypassError || m.p.kind == bypassPending {
			gate = m.p
		}
	}
	end := func(outcomeOf func(m *member[K, V]) outcome[V]) {
		for _, m := range members {
			k.endFlight(m.f, outcomeOf(m))
		}
	}
	failed := func(o outcome[V]) { end(func(*member[K, V]) outcome[V] { return o }) }
	leave, err := k.enterLoad(ctx, gate, func() func() { return k.renewLeases(ctx, members) })
	if err != nil {
		k.releaseAll(members)
		failed(outcome[V]{err: loadError(ctx, err)})
		return
	}
	defer leave()
	defer context.AfterFunc(ctx, func() {
		if context.Cause(ctx) == ErrLoadTimeout {
			k.backoffAll(members, ErrLoadTimeout)
			failed(outcome[V]{err: ErrLoadTimeout})
		}
	})()
	finished := false
	defer func() {
		if !finished { // the codec panicked, or the loader ended its goroutine
			o := panicked[V](k.cache, k.name, recover())
			k.releaseAll(members)
			k.backoffAll(members, o.err)
			failed(o)
		}
	}()
	b.carryOut(ctx, members, gate)
	finished = true
	end(func(m *member[K, V]) outcome[V] { return m.o })
}

// carryOut calls the loader for members and stores what it brought; gate is the
// permit that passed the bulkhead.
func (b *batch[K, V]) carryOut(ctx context.Context, members []*member[K, V], gate *permit) {
	k := b.k
	keys := make([]K, len(members))
	proofs := make([]int, len(members))
	for i, m := range members {
		keys[i], proofs[i] = m.r.key, m.f.Prove()
	}
	start := clock.Now()
	stopRenewing := k.renewLeases(ctx, members)
	loadCtx, said := k.handle(ctx)
	said.stale, said.staleByKey = stalesOf(members)
	values, all := b.call(loadCtx, keys)
	gate.loaded(start, all.err)
	stopRenewing()
	all.took = time.Duration(clock.Now() - start)
	var landings []*landing[K, V]
	var landed, unused []*member[K, V]
	for i, m := range members {
		m.o = all
		m.o.source, m.o.shared, m.o.proof = m.p.source(), m.p.kind != bypassHeld, proofs[i]
		m.o.evidence = k.loadEvidence(m.r.entry, start)
		l, keeps := k.bring(ctx, m, values, said)
		switch {
		case l != nil:
			landings, landed = append(landings, l), append(landed, m)
		case !keeps:
			m.unstored, unused = true, append(unused, m)
		}
	}
	k.releaseAll(unused)
	k.fill(ctx, landings)
	for i, m := range landed {
		m.unstored = landings[i].dropped
	}
	for _, m := range members {
		k.backoff(m.r, m.o.err)
	}
}

// stalesOf returns the values that a load of members refreshes, for its handle:
// that of a single one, and all by their keys.
func stalesOf[K comparable, V any](members []*member[K, V]) (single, byKey any) {
	var stale map[K]V
	for _, m := range members {
		if m.stale == nil {
			continue
		}
		if stale == nil {
			stale = make(map[K]V, len(members))
		}
		stale[m.r.key] = *m.stale
		if len(members) == 1 {
			single = *m.stale
		}
	}
	if stale != nil {
		byKey = stale
	}
	return single, byKey
}

func (k *Keyspace[K, V]) backoffAll(members []*member[K, V], err error) {
	for _, m := range members {
		k.backoff(m.r, err)
	}
}

// bring sets the outcome of one key from what a batch load returned. It
// returns a landing if the value is to be stored in Redis, and otherwise
// whether it was stored anywhere: if not, a lease is of no use.
func (k *Keyspace[K, V]) bring(ctx context.Context, m *member[K, V], values map[K]V, said *Load) (l *landing[K, V], keeps bool) {
	if m.o.err != nil {
		return nil, false
	}
	value, found := values[m.r.key]
	switch {
	case leaves(said, m.r.key) && m.stale == nil:
		m.o.err = ErrNothingStale
		return nil, false
	case leaves(said, m.r.key):
		m.o.value = *m.stale
	case found:
		m.o.value = value
	default:
		m.o.negative, m.o.err = true, ErrNotFound
	}
	return k.store(ctx, m.f, m.r, m.p, &m.o, said)
}

// releaseAll gives the leases of members back in one round trip.
func (k *Keyspace[K, V]) releaseAll(members []*member[K, V]) {
	var ops []Op
	for _, m := range members {
		if m.p != nil && m.p.kind == bypassLease {
			ops = append(ops, Op{Kind: OpRelease, Key: m.r.entry, Token: m.p.token})
		}
	}
	if len(ops) == 0 {
		return
	}
	k.cache.do(context.Background(), ops)
	for i := range ops {
		k.cache.board.Kill(ops[i].Key) // as in release
	}
}

// call runs the batch loader and counts a load for each key. A panic becomes
// the outcome's error; runtime.Goexit passes through.
func (b *batch[K, V]) call(ctx context.Context, keys []K) (values map[K]V, o outcome[V]) {
	k := b.k
	start := clock.Now()
	ctx, span := k.cache.span(ctx, SpanLoad, k.name, len(keys))
	k.stats.inFlight.Add(1)
	returned := false
	defer func() {
		if !returned {
			if p := recover(); p != nil {
				o = panicked[V](k.cache, k.name, p)
			} else {
				o.err = &PanicError{}
			}
		}
		span.EndSpan(outcomeOfSpan(o.err))
		k.stats.inFlight.Add(-1)
		took := time.Duration(clock.Now()-start) / time.Duration(len(keys))
		for _, key := range keys {
			err := o.err
			if _, found := values[key]; err == nil && !found && !leaves(LoadFrom(ctx), key) {
				err = ErrNotFound
			}
			k.heatedByLoad(key, k.hash(key))
			k.stats.loaded(err, took)
			if k.cache.watched() {
				k.tellEntry(EventLoad, key, loadOutcome(err), took)
			}
		}
	}()
	values, o.err = b.load(ctx, keys)
	returned = true
	if errors.Is(o.err, ErrNotFound) {
		values, o.err = nil, nil
	}
	o.err = loadError(ctx, o.err)
	return values, o
}
