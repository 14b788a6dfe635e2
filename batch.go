package larder

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
)

// BatchLoader reads several keys from their source at once. Keys that its
// result lacks are taken as not found.
type BatchLoader[K comparable, V any] func(ctx context.Context, keys []K) (map[K]V, error)

// GetMany returns the values of keys, with one round trip for all that is not
// in memory and one load for all that is nowhere. Keys that the source does
// not have are absent from the result. Keys that others are loading are waited
// for after the own ones are stored, so that batches never wait for each
// other in a circle. The first error of any key is returned beside what was
// found.
func (k *Keyspace[K, V]) GetMany(ctx context.Context, keys []K, load BatchLoader[K, V], opts ...ReadOption) (map[K]V, error) {
	now := clock.Now()
	b := &batch[K, V]{k: k, load: load, config: k.readConfig(now, opts), values: make(map[K]V, len(keys))}
	if err := k.usable(ctx, load == nil); err != nil {
		return b.values, err
	}
	seen := make(map[K]struct{}, len(keys))
	for _, key := range keys {
		if _, twice := seen[key]; twice {
			continue
		}
		seen[key] = struct{}{}
		hash := k.hash(key)
		if e := k.remembered(key, hash, now, b.config.floor); e != nil {
			k.stats.memoryHits.Add(hash)
			b.add(key, e.value, e.negative)
			continue
		}
		b.enlist(key, hash)
	}
	b.run(ctx)
	return b.values, b.err
}

// batch is the work of one GetMany.
type batch[K comparable, V any] struct {
	k      *Keyspace[K, V]
	load   BatchLoader[K, V]
	config readConfig
	leads  []*member[K, V] // flights this batch leads
	joins  []*member[K, V] // flights of others
	values map[K]V
	err    error
}

// member is one key of a batch.
type member[K comparable, V any] struct {
	candidate[K, V]
	req   request[K, V]
	seen  look
	f     *flight.Flight[guard, outcome[V]]
	place int
	o     outcome[V]
	ended bool
}

func (b *batch[K, V]) add(key K, value V, negative bool) {
	if value, err := b.k.hand(value, negative); err == nil {
		b.values[key] = value
	}
}

func (b *batch[K, V]) fail(err error) {
	b.k.stats.count(sourceError)
	b.err = firstOf(b.err, err)
}

// enlist joins or leads the flight of a key that is not in memory.
func (b *batch[K, V]) enlist(key K, hash uint64) {
	r, err := b.k.request(key, hash, b.config)
	if err != nil {
		b.fail(err)
		return
	}
	m := &member[K, V]{req: r}
	m.r, m.l = &m.req, &m.seen
	var leads bool
	m.f, m.place, leads = b.k.flights.Join(key, hash, func() guard { return m.r.guard(b.k.cache) })
	if leads {
		b.leads = append(b.leads, m)
	} else {
		b.k.stats.localWaits.Add()
		b.joins = append(b.joins, m)
	}
}

// run looks, acquires, loads and fills for all flights the batch leads, then
// waits for those of others.
func (b *batch[K, V]) run(ctx context.Context) {
	var waiting []*member[K, V]
	if len(b.leads) > 0 {
		var loading []*member[K, V]
		loading, waiting = b.consult(ctx)
		b.loadAll(ctx, loading)
	}
	b.finish(ctx, waiting, true)
	b.finish(ctx, b.joins, false)
}

// end publishes the outcome of a flight the batch leads.
func (b *batch[K, V]) end(m *member[K, V], o outcome[V]) {
	b.k.flights.Remove(m.r.key, m.r.hash, m.f)
	m.f.End(o)
	m.ended = true
}

// take counts an outcome and adds it to the result.
func (b *batch[K, V]) take(m *member[K, V], o outcome[V]) {
	value, err := b.k.settle(o)
	switch {
	case err == nil:
		b.values[m.r.key] = value
	case !errors.Is(err, ErrNotFound):
		b.err = firstOf(b.err, err)
	}
}

// consult looks at all keys in one round trip and asks for the leases of those
// that must be loaded in another. It returns who loads and who must wait.
func (b *batch[K, V]) consult(ctx context.Context) (loading, waiting []*member[K, V]) {
	k := b.k
	var missing []*candidate[K, V]
	k.lookAll(ctx, b.leads)
	for _, m := range b.leads {
		switch {
		case k.cache.remote == nil:
			m.p = k.plainPermit(m.r, bypassNone)
		case k.tiers == MemoryOnly:
			waiting = append(waiting, m)
			continue
		case m.l.err != nil:
			m.p = k.plainPermit(m.r, bypassError)
		case m.l.pending:
			m.p = k.plainPermit(m.r, bypassPending)
		default:
			if b.weigh(ctx, m) {
				missing = append(missing, &m.candidate)
			}
		}
	}
	if len(missing) > 0 {
		k.acquire(ctx, missing) // who left is noticed below
	}
	for _, m := range b.leads {
		switch {
		case m.ended || k.tiers == MemoryOnly && k.cache.remote != nil:
		case m.p != nil:
			loading = append(loading, m)
		default:
			waiting = append(waiting, m)
		}
	}
	return loading, waiting
}

// weigh judges what was found for a key and reports whether it must be
// acquired.
func (b *batch[K, V]) weigh(ctx context.Context, m *member[K, V]) bool {
	m.why = verdictAbsent
	if m.l.reply.State == Present {
		m.why = b.k.judge(ctx, m.r, m.l, &m.o)
	}
	switch m.why {
	case verdictHit:
		b.end(m, m.o)
		b.take(m, m.o)
		return false
	case verdictHeld:
		m.p = b.k.plainPermit(m.r, bypassHeld)
		return false
	case verdictError:
		m.p = b.k.plainPermit(m.r, bypassError)
		return false
	}
	return true
}

// lookAll is [Keyspace.look] for many keys: all entries and all generations
// that copies do not prove, in one round trip.
func (k *Keyspace[K, V]) lookAll(ctx context.Context, members []*member[K, V]) {
	c := k.cache
	if c.remote == nil || k.tiers == MemoryOnly {
		return
	}
	ops := make([]Op, 0, len(members)+2)
	gens := ensuring{cache: c}
	sent := clock.Now()
	var asked []*member[K, V]
	for _, m := range members {
		l := m.l
		l.ticket = c.board.Issue(m.r.entry)
		if l.pending = c.pending.has(m.r.entry, m.r.deps); l.pending {
			continue
		}
		if l.epoch = c.usableEpoch(m.r.entry, sent); l.epoch == nil {
			l.err = ErrUnavailable
			continue
		}
		l.sent, l.least, l.proof = sent, sent, m.f.Prove()
		l.gens = append(l.room[:0], make([]*generation, len(m.r.deps))...)
		if least, ok := c.gens.proven(m.r.deps, m.r.floor, l.gens); ok {
			l.least, l.proof = min(sent, least), 0
		} else {
			clear(l.gens)
			gens.reread(m.r.deps)
		}
		asked, ops = append(asked, m), append(ops, Op{Kind: OpGet, Key: m.r.entry})
	}
	if len(asked) == 0 {
		return
	}
	replies := make([]Reply, len(ops)+len(gens.ops))
	if gens.err == nil {
		c.remote.Do(c.readContext(ctx, sent), append(ops, gens.ops...), replies)
		c.observe(replies[0].Err)
		gens.adoptFound(replies[len(ops):], sent)
	}
	for i, m := range asked {
		l := m.l
		l.reply, l.err = replies[i], firstOf(replies[i].Err, gens.err)
		if l.err == nil && (!l.epoch.Alive() || !c.covered(l.epoch, clock.Now())) {
			l.err = ErrUnavailable
		}
		for j, dep := range m.r.deps {
			if g := gens.of(dep); g != nil && l.gens[j] == nil {
				l.gens[j] = g
			}
		}
	}
}

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
		for _, m := range members {
			b.end(m, outcome[V]{err: ErrClosed})
		}
	}
	for _, m := range members {
		o, _, err := m.f.Wait(ctx)
		if err != nil {
			m.f.Leave()
			b.fail(err)
			continue
		}
		if p, ok := errors.AsType[*PanicError](o.err); ok {
			panic(p.Value)
		}
		b.take(m, o)
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
	leave, err := k.enterLoad(ctx, gate)
	if err == nil {
		defer leave()
	}
	defer context.AfterFunc(ctx, func() {
		if context.Cause(ctx) == ErrLoadTimeout {
			for _, m := range members {
				k.flights.Remove(m.r.key, m.r.hash, m.f)
				m.f.End(outcome[V]{err: ErrLoadTimeout})
			}
		}
	})()
	keys := make([]K, len(members))
	proofs := make([]int, len(members))
	for i, m := range members {
		keys[i], proofs[i] = m.r.key, m.f.Prove()
	}
	start := clock.Now()
	var values map[K]V
	if err == nil {
		stopRenewing := k.renewLeases(ctx, members)
		values, err = b.call(ctx, keys)
		stopRenewing()
	}
	took := time.Duration(clock.Now() - start)
	var landings []*landing[K, V]
	for i, m := range members {
		m.o = outcome[V]{source: sourceLoad, shared: m.p.kind != bypassHeld, evidence: start, proof: proofs[i]}
		l := k.bring(ctx, m, values, err, took)
		if l != nil {
			landings = append(landings, l)
		}
	}
	k.fill(ctx, landings)
	for _, m := range members {
		k.flights.Remove(m.r.key, m.r.hash, m.f)
		m.f.End(m.o)
	}
}

// bring sets the outcome of one key from what a batch load returned. It
// returns a landing if the value is to be stored in Redis.
func (k *Keyspace[K, V]) bring(ctx context.Context, m *member[K, V], values map[K]V, err error, took time.Duration) *landing[K, V] {
	var found bool
	if m.o.value, found = values[m.r.key]; err == nil && !found {
		err = ErrNotFound
		m.o.negative = true
	}
	k.stats.loaded(err, took)
	m.o.err = err
	ttl := k.opts.TTL
	if m.o.negative {
		ttl = k.opts.NegativeTTL
	}
	switch {
	case err != nil && !m.o.negative, ttl < 0:
		k.release(m.r.entry, m.p)
	case m.p.kind == bypassLease:
		return &landing[K, V]{f: m.f, r: m.r, p: m.p, o: &m.o, ttl: ttl}
	default:
		k.store(ctx, m.f, m.r, m.p, &m.o)
	}
	return nil
}

// call runs the batch loader and turns a panic into an error.
func (b *batch[K, V]) call(ctx context.Context, keys []K) (values map[K]V, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		err = &PanicError{Value: recover(), Stack: debug.Stack()}
		b.k.cache.opts.Logger.Error("larder: loader panicked", "keyspace", b.k.name, "error", err)
	}()
	values, err = b.load(ctx, keys)
	returned = true
	return values, err
}

// waitLimit is how many keys of one batch are finished singly at a time.
const waitLimit = 16

// finish gets the keys that others load: leads as leader of a flight that
// found somebody else's lease, joins as members.
func (b *batch[K, V]) finish(ctx context.Context, members []*member[K, V], leads bool) {
	if len(members) == 0 {
		return
	}
	type result struct {
		key   K
		value V
		err   error
	}
	results := make(chan result)
	slots := make(chan struct{}, waitLimit)
	for _, m := range members {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			value, err := b.single(ctx, m, leads)
			results <- result{m.r.key, value, err}
		}()
	}
	for range members {
		r := <-results
		switch {
		case r.err == nil:
			b.values[r.key] = r.value
		case !errors.Is(r.err, ErrNotFound):
			b.err = firstOf(b.err, r.err)
		}
	}
}

// single gets one key with the loader of the batch. A panic of the loader is
// an error here: this is not the goroutine that may panic.
func (b *batch[K, V]) single(ctx context.Context, m *member[K, V], leads bool) (value V, err error) {
	k := b.k
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	m.r.load = func(ctx context.Context, key K) (V, error) {
		values, err := b.load(ctx, []K{key})
		if value, ok := values[key]; ok || err != nil {
			return value, err
		}
		return value, ErrNotFound
	}
	if leads {
		return k.lead(ctx, m.f, m.r)
	}
	o, ok, err := m.f.Wait(ctx)
	if err != nil {
		m.f.Leave()
		k.stats.count(sourceError)
		return value, err
	}
	if ok && o.admits(m.place, m.r.floor, m.r.exact) {
		return k.settle(o)
	}
	return k.getSlow(ctx, m.r.key, m.r.hash, m.r.load, b.config)
}
