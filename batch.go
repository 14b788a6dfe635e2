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
// result lacks are taken as not found; the error [ErrNotFound] says that of all.
type BatchLoader[K comparable, V any] func(ctx context.Context, keys []K) (map[K]V, error)

// batchKeys is how many keys that are not in memory are under way at once in
// one batch, and so how many one call of a loader gets at most.
const batchKeys = 1000

// GetMany returns the values of keys, with one round trip for all that is not
// in memory and one load for all that is nowhere. Keys that the source does
// not have are absent from the result. Keys that others are loading are waited
// for after the own ones are stored, so that batches never wait for each
// other in a circle. Of more than a thousand keys that are not in memory, so
// many at a time are read and loaded.
//
// What was found is returned beside an error. [*BatchError] tells which keys
// failed and why; another error, of the call as a whole, means that nothing was
// looked for.
func (k *Keyspace[K, V]) GetMany(ctx context.Context, keys []K, load BatchLoader[K, V], opts ...ReadOption) (map[K]V, error) {
	b := &batch[K, V]{k: k, load: load, heats: true}
	return b.get(ctx, keys, opts)
}

// batch is the work of one GetMany.
type batch[K comparable, V any] struct {
	k      *Keyspace[K, V]
	load   BatchLoader[K, V]
	heats  bool // the reads count for HotKeys
	config readConfig
	leads  []*member[K, V] // flights this batch leads
	joins  []*member[K, V] // flights of others
	values map[K]V
	over   error // set: nothing more is begun
	failed []KeyError

	rest       []member[K, V]  // not used yet
	left       int             // how many keys may still need one
	refreshing []*member[K, V] // of values that were served stale
}

func (b *batch[K, V]) get(ctx context.Context, keys []K, opts []ReadOption) (map[K]V, error) {
	k, now := b.k, clock.Now()
	b.config, b.values, b.left = k.readConfig(now, opts), make(map[K]V, len(keys)), len(keys)
	seen := make(map[K]struct{}, len(keys))
	refused := k.usable(ctx, b.load == nil)
	b.over = refused
	hits := 0
	for _, key := range keys {
		if _, twice := seen[key]; twice {
			continue
		}
		seen[key] = struct{}{}
		if b.over != nil {
			b.fail(key, b.over)
			continue
		}
		hash := k.hash(key)
		if e := k.remembered(key, hash, now, b.config.floor); e != nil {
			k.stats.memoryHits.Add(hash)
			hits++
			b.add(key, e.value, e.negative)
			continue
		}
		if e := k.overdue(key, hash, now, b.config.floor); e != nil {
			b.addLate(e, now)
			continue
		}
		if b.enlist(key, hash); len(b.leads)+len(b.joins) == batchKeys {
			b.flush(ctx)
			b.over = k.usable(ctx, false)
		}
	}
	b.flush(ctx)
	if slow := len(seen) - hits; slow > 0 {
		k.stats.slowReads.ObserveN(elapsed(now), uint64(slow))
	}
	switch {
	case refused != nil:
		return b.values, refused
	case len(b.failed) > 0:
		return b.values, &BatchError{Failed: b.failed}
	}
	return b.values, nil
}

// flush finishes the keys that are under way.
func (b *batch[K, V]) flush(ctx context.Context) {
	waits, cancel := b.k.waitContext(ctx)
	defer cancel()
	b.run(waits)
	b.k.launch(ctx, b.refreshing, b.load)
	b.refreshing = nil
}

// addLate adds a memory entry that is due.
func (b *batch[K, V]) addLate(e *entry[K, V], now int64) {
	if b.k.refreshDue(e, now) {
		b.refresh(e.key, b.k.hash(e.key))
	}
	if value, err := b.k.settleLate(e, now); err == nil {
		b.values[e.key] = value
	}
}

// refresh notes a key that is refreshed when the batch is done.
func (b *batch[K, V]) refresh(key K, hash uint64) {
	if m, leads := b.k.openRefresh(key, hash); leads {
		b.refreshing = append(b.refreshing, m)
	}
}

// member is one key of a batch.
type member[K comparable, V any] struct {
	candidate[K, V]
	req   request[K, V]
	seen  look
	own   flight.Flight[guard, outcome[V]] // f, if the batch leads it
	f     *flight.Flight[guard, outcome[V]]
	place int
	o     outcome[V]
	ended bool

	stale    *V   // what a refresh replaces; nil: nothing
	early    bool // which is still fresh
	unstored bool // the value was left out of all tiers
}

func (b *batch[K, V]) add(key K, value V, negative bool) {
	if value, err := b.k.hand(value, negative); err == nil {
		b.values[key] = value
	}
}

func (b *batch[K, V]) fail(key K, err error) {
	b.k.stats.count(sourceError)
	b.failed = append(b.failed, KeyError{Key: key, Err: err})
}

// member returns a new member: they are allocated by up to 32.
func (b *batch[K, V]) member() *member[K, V] {
	if len(b.rest) == 0 {
		b.rest = make([]member[K, V], max(1, min(b.left, 32)))
	}
	m := &b.rest[0]
	b.rest = b.rest[1:]
	b.left--
	m.r, m.l = &m.req, &m.seen
	return m
}

// enlist joins or leads the flight of a key that is not in memory.
func (b *batch[K, V]) enlist(key K, hash uint64) {
	m := b.member()
	if err := b.k.request(m.r, key, hash, b.config); err != nil {
		b.fail(key, err)
		return
	}
	if b.heats {
		b.k.heated(key, hash, 1)
	}
	var leads bool
	m.f, m.place, leads = b.k.flights.Join(key, hash, func() *flight.Flight[guard, outcome[V]] {
		return m.own.Begin(m.r.guard(b.k.cache))
	})
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
	done := false
	defer func() {
		if !done { // a panic of the loader or the codec: nobody may wait for us
			b.quit()
		}
	}()
	var waiting []*member[K, V]
	if len(b.leads) > 0 {
		var loading []*member[K, V]
		loading, waiting = b.consult(ctx)
		b.loadAll(ctx, loading)
	}
	done = true
	b.finish(ctx, waiting, true)
	b.finish(ctx, b.joins, false)
	clear(b.leads) // what they hold is let go before the next ones are enlisted
	clear(b.joins)
	b.leads, b.joins = b.leads[:0], b.joins[:0]
}

// quit gives up all flights of the batch.
func (b *batch[K, V]) quit() {
	for _, m := range b.leads {
		b.k.flights.Remove(m.r.key, m.r.hash, m.f)
		m.f.Abandon()
	}
	for _, m := range b.joins {
		m.f.Leave()
	}
}

// end publishes the outcome of a flight the batch leads.
func (b *batch[K, V]) end(m *member[K, V], o outcome[V]) {
	b.k.endFlight(m.f, m.r, o)
	m.ended = true
}

// take counts an outcome and adds it to the result.
func (b *batch[K, V]) take(m *member[K, V], o outcome[V]) {
	value, err := b.k.settle(o)
	switch {
	case err == nil:
		b.values[m.r.key] = value
	case !errors.Is(err, ErrNotFound):
		b.failed = append(b.failed, KeyError{Key: m.r.key, Err: err})
	}
}

// consult looks at all keys in one round trip and asks for the leases of those
// that must be loaded in another. It returns who loads and who must wait.
func (b *batch[K, V]) consult(ctx context.Context) (loading, waiting []*member[K, V]) {
	k := b.k
	var missing []*candidate[K, V]
	if k.cache.remote != nil && k.tiers == MemoryOnly {
		return b.consultGenerations(ctx), nil
	}
	k.lookAll(ctx, b.leads)
	for _, m := range b.leads {
		switch {
		case k.cache.remote == nil:
			m.p = k.plainPermit(m.r, bypassNone)
		case m.l.err != nil:
			m.p = k.plainPermit(m.r, bypassError)
		case m.l.pending:
			m.p = k.plainPermit(m.r, bypassPending)
		default:
			if b.weigh(ctx, m) {
				m.r.unlearn(m.l)
				missing = append(missing, &m.candidate)
			}
		}
	}
	if len(missing) > 0 {
		k.acquire(ctx, missing) // who left is noticed below
	}
	for _, m := range b.leads {
		switch {
		case m.ended:
		case m.p != nil && m.p.kind != bypassLease && b.instead(m):
		case m.p != nil:
			loading = append(loading, m)
		default:
			waiting = append(waiting, m)
		}
	}
	return loading, waiting
}

// consultGenerations is consult for [MemoryOnly] keyspaces, where nobody waits
// for another process.
func (b *batch[K, V]) consultGenerations(ctx context.Context) (loading []*member[K, V]) {
	captures := make([]*capture[K, V], len(b.leads))
	for i, m := range b.leads {
		captures[i] = &capture[K, V]{r: m.r, f: m.f}
	}
	b.k.captureGenerations(ctx, captures, true)
	for i, m := range b.leads {
		if m.p = captures[i].p; m.p != nil {
			if !b.instead(m) {
				loading = append(loading, m)
			}
			continue
		}
		b.found(m, captures[i].found)
	}
	return loading
}

// instead finishes a key that has something better than a load.
func (b *batch[K, V]) instead(m *member[K, V]) bool {
	o, ok := b.k.insteadOfLoading(m.r, m.p)
	if ok {
		b.found(m, o)
	}
	return ok
}

// found finishes a key that need not be loaded.
func (b *batch[K, V]) found(m *member[K, V], o outcome[V]) {
	b.end(m, o)
	if o.early || o.stale {
		b.refresh(m.r.key, m.r.hash)
	}
	if _, err := b.k.pauses.of(m.r.entry, clock.Now()); o.stale && err != nil {
		o.source = sourceStaleFailed
	}
	b.take(m, o)
}

// weigh judges what was found for a key and reports whether it must be
// acquired.
func (b *batch[K, V]) weigh(ctx context.Context, m *member[K, V]) bool {
	m.why = verdictAbsent
	if anyHeld(m.l.gens) {
		m.why = verdictHeld
	} else if m.l.reply.State == Present {
		m.why = b.k.judge(ctx, m.r, m.l, &m.o)
	}
	switch m.why {
	case verdictHit, verdictStale:
		b.found(m, m.o)
		return false
	case verdictHeld:
		m.p = b.k.plainPermit(m.r, bypassHeld)
		return false
	case verdictError:
		m.p = b.k.plainPermit(m.r, bypassError)
		return false
	case verdictUnfit:
		m.p = b.k.asidePermit(m.r, m.l)
		return false
	case verdictBusy:
		return true
	}
	if err := b.k.backedOff(m.r); err != nil {
		b.found(m, outcome[V]{err: err})
		return false
	}
	return true
}

// lookAll is [Keyspace.look] for many keys: all entries and all generations
// that copies do not prove, in one round trip.
func (k *Keyspace[K, V]) lookAll(ctx context.Context, members []*member[K, V]) {
	c := k.cache
	if c.remote == nil {
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
		if l.pending = !c.honours(m.r.token); l.pending {
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
		c.send(c.readContext(ctx, sent), append(ops, gens.ops...), replies)
		c.observe(replies[0].Err, sent)
		gens.adoptFound(replies[len(ops):], sent)
	}
	second := &secondLook{all: func() (deps []string) {
		for _, m := range asked {
			deps = append(deps, m.r.deps...)
		}
		return deps
	}}
	for i, m := range asked {
		l := m.l
		l.second = second
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
		b.k.releaseAll(members)
		for _, m := range members {
			b.end(m, outcome[V]{err: ErrClosed})
		}
	}
	for _, m := range members {
		o, _, err := m.f.Wait(ctx)
		if err != nil {
			b.fail(m.r.key, leave(ctx, m.f, err))
			continue
		}
		o.panicAgain()
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
	end := func(outcomeOf func(m *member[K, V]) outcome[V]) {
		for _, m := range members {
			k.endFlight(m.f, m.r, outcomeOf(m))
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
	if len(members) == 1 && members[0].stale != nil {
		said.stale = *members[0].stale
	}
	values, all := b.call(loadCtx, keys)
	gate.loaded(start, all.err)
	stopRenewing()
	if said.unchanged() && all.err == nil {
		values, all.err = unchanged(members)
	}
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

// unchanged returns what a loader left as it is.
func unchanged[K comparable, V any](members []*member[K, V]) (map[K]V, error) {
	if len(members) != 1 || members[0].stale == nil {
		return nil, ErrNothingStale
	}
	return map[K]V{members[0].r.key: *members[0].stale}, nil
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
	var found bool
	if m.o.value, found = values[m.r.key]; !found {
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
		k.stats.inFlight.Add(-1)
		took := time.Duration(clock.Now()-start) / time.Duration(len(keys))
		for _, key := range keys {
			err := o.err
			if _, found := values[key]; err == nil && !found {
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
			r := result{key: m.r.key, err: &PanicError{}} // unless single returns
			defer func() {
				<-slots
				results <- r
			}()
			r.value, r.err = b.single(ctx, m, leads)
		}()
	}
	for range members {
		r := <-results
		switch {
		case r.err == nil:
			b.values[r.key] = r.value
		case !errors.Is(r.err, ErrNotFound):
			b.failed = append(b.failed, KeyError{Key: r.key, Err: r.err})
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
		found, ok := values[key]
		if !ok && err == nil {
			err = ErrNotFound
		}
		return found, err
	}
	if leads {
		return k.lead(ctx, m.f, m.r, m.l)
	}
	o, ok, err := m.f.Wait(ctx)
	if err != nil {
		k.stats.count(sourceError)
		return value, leave(ctx, m.f, err)
	}
	if ok && o.admits(m.place, m.r.floor, m.r.exact) {
		return k.settle(o)
	}
	return k.getSlow(ctx, m.r.key, m.r.hash, m.r.load, b.config)
}
