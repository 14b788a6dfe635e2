package larder

import (
	"context"
	"errors"
	"runtime/debug"

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
	b, _ := k.batches.Get().(*batch[K, V])
	if b == nil {
		b = new(batch[K, V])
	}
	b.k, b.load, b.heats = k, load, true
	values, err := b.get(ctx, keys, opts)
	b.giveBack()
	return values, err
}

// batch is the work of one GetMany.
type batch[K comparable, V any] struct {
	k      *Keyspace[K, V]
	load   BatchLoader[K, V]
	heats  bool // the reads count for HotKeys
	config readConfig
	values map[K]V
	over   error // set: nothing more is begun
	failed []KeyError
	counts [sources]uint64 // answers that the keyspace has not counted yet
	left   int             // how many keys may still need a seat

	seats      []seat[K, V]    // keys that are under way
	leads      []*member[K, V] // of these, who are not settled by a look
	joins      []joined[K, V]  // likewise, but others lead their flights
	refreshing []*member[K, V] // of values that were served stale
	loaded     bool            // there were leads

	names   []byte            // the entries of seats
	needs   *needs            // of the last seat
	stripes map[string]*needs // of others, by the namespace
	asking  request[K, V]     // of a key, where their needs differ
	rest    []member[K, V]    // see next
	chunk   int               // how many were made at once
}

func (b *batch[K, V]) get(ctx context.Context, keys []K, opts []ReadOption) (map[K]V, error) {
	k, now := b.k, clock.Now()
	b.config, b.values, b.left = k.readConfig(now, opts), make(map[K]V, len(keys)), len(keys)
	refused := k.usable(ctx, b.load == nil)
	b.over = refused
	seen, finished := borrowKeySet(len(keys)), false
	defer func() {
		seen.giveBack()
		if !finished { // the loader, the codec or an option panicked: nobody may wait for us
			b.quit()
		}
	}()
	hits, slow := 0, 0
	for i, key := range keys {
		hash := k.hash(key)
		if b.left--; !firstOfKind(seen, keys, i, hash) {
			continue
		}
		if b.over != nil {
			b.fail(key, b.over)
			slow++
			continue
		}
		if e := k.remembered(key, hash, now, b.config.floor); e != nil {
			hits++
			b.add(key, e.value, e.negative)
			continue
		}
		slow++
		if e := k.overdue(key, hash, now, b.config.floor); e != nil {
			b.addLate(e, now)
			continue
		}
		if b.enlist(key, hash); len(b.seats) == batchKeys {
			b.flush(ctx)
			b.over = k.usable(ctx, false)
		}
	}
	b.flush(ctx)
	finished = true
	if hits > 0 {
		k.stats.memoryHits.AddN(uint64(hits))
	}
	if slow > 0 {
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
	if len(b.seats) == 0 {
		b.launch(ctx)
		return
	}
	waits, cancel := b.k.waitContext(ctx)
	defer cancel()
	b.runTraced(waits)
}

// launch begins the refreshes that were noted.
func (b *batch[K, V]) launch(ctx context.Context) {
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

// refresh notes a key that is refreshed when all keys were looked for.
func (b *batch[K, V]) refresh(key K, hash uint64) {
	if m, leads := b.k.openRefresh(key, hash); leads {
		b.refreshing = append(b.refreshing, m)
	}
}

// member is one key of a batch, or of a refresh, with all that a load needs.
type member[K comparable, V any] struct {
	candidate[K, V]
	req   request[K, V]
	seen  look
	own   flight.Flight[K, guard, outcome[V]]
	f     *flight.Flight[K, guard, outcome[V]] // own, or that of a refresh that was joined at place
	place int
	o     outcome[V]
	ended bool // the flight is, or a load will see to that

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

// run looks for all keys. Of those that are not settled by that it acquires, loads and
// fills whose flights it leads, then waits for the flights of others.
func (b *batch[K, V]) run(ctx context.Context) {
	loading, waiting := b.consult(ctx)
	b.launch(ctx)
	if err := ctx.Err(); err != nil {
		loading, waiting = nil, nil
		for _, m := range b.drop() {
			b.fail(m.r.key, waitError(ctx, err))
		}
	}
	b.loadAll(ctx, loading)
	if len(waiting) > 0 {
		b.waitForLeases(ctx, waiting)
	}
	if len(b.joins) > 0 {
		b.await(ctx)
	}
	b.letGo()
}

// quit gives up all flights of the batch, but for those that loads end, and what
// it would have loaded and refreshed.
func (b *batch[K, V]) quit() {
	b.tally()
	b.drop()
	for _, j := range b.joins {
		j.f.Leave()
	}
	for _, m := range b.refreshing {
		b.k.abandonRefresh(m)
	}
}

// drop gives up the flights that the batch leads and that no load ends, with their
// leases, and returns whose they were.
func (b *batch[K, V]) drop() (dropped []*member[K, V]) {
	for _, m := range b.leads {
		if !m.ended {
			b.abandon(m)
			dropped = append(dropped, m)
		}
	}
	if k := b.k; len(dropped) > 0 {
		k.cache.goRun(func() { k.releaseAll(dropped) })
	}
	return dropped
}

// end publishes the outcome of a flight the batch leads, and removes it.
func (b *batch[K, V]) end(m *member[K, V], o *outcome[V]) {
	b.k.endFlight(m.f, *o)
	m.ended = true
}

// abandon ends a flight the batch leads without an outcome: who joined starts over.
func (b *batch[K, V]) abandon(m *member[K, V]) {
	if b.k.flights.Remove(m.f) {
		m.f.Abandon()
	}
	m.ended = true
}

// take counts an outcome and adds it to the result.
func (b *batch[K, V]) take(key K, o *outcome[V]) {
	b.counts[o.counts()]++
	value, err := b.k.handOver(o)
	switch {
	case err == nil:
		b.values[key] = value
	case !errors.Is(err, ErrNotFound):
		b.failed = append(b.failed, KeyError{Key: key, Err: err})
	}
}

// tally adds what was counted to the counters of the keyspace.
func (b *batch[K, V]) tally() {
	for from, n := range b.counts {
		if n > 0 {
			b.k.stats.bySource[from].Add(n)
		}
	}
	b.counts = [sources]uint64{}
}

// joined is a key whose flight somebody else leads.
type joined[K comparable, V any] struct {
	key   K
	hash  uint64
	f     *flight.Flight[K, guard, outcome[V]]
	place int

	honoured bool // the token of the batch was, before
}

// await waits for the flights that the batch joined, and gets singly what they
// bring to others alone.
func (b *batch[K, V]) await(ctx context.Context) {
	var refused []joined[K, V]
	var keys []K
	for len(b.joins) > 0 {
		j := b.joins[0]
		o, ok, err := j.f.Wait(ctx)
		b.joins = b.joins[1:] // is left, or has ended
		switch {
		case err != nil:
			b.fail(j.key, leave(ctx, j.f, err))
		case ok && o.admits(j.place, b.config.floor, b.config.exact) && o.trusts(j.honoured && b.k.cache.honours(b.config.token)):
			b.take(j.key, &o)
		default:
			refused, keys = append(refused, j), append(keys, j.key)
		}
	}
	one := oneOf(b.load)
	b.singly(keys, func(i int) (V, error) {
		return b.k.getSlow(ctx, keys[i], refused[i].hash, one, b.config)
	})
}

// waitForLeases gets singly the keys that other processes load.
func (b *batch[K, V]) waitForLeases(ctx context.Context, members []*member[K, V]) {
	keys, one := make([]K, len(members)), oneOf(b.load)
	for i, m := range members {
		keys[i], m.r.load, m.ended = m.r.key, one, true
	}
	b.singly(keys, func(i int) (V, error) {
		m := members[i]
		return b.k.lead(ctx, m.f, m.r, m.l)
	})
}

// waitLimit is how many keys of one batch are got singly at a time.
const waitLimit = 16

// singly adds what get returns for each of keys to the result. A panic of a loader
// is the error of its key: it is not in the goroutine that may panic.
func (b *batch[K, V]) singly(keys []K, get func(i int) (V, error)) {
	type result struct {
		key   K
		value V
		err   error
	}
	results := make(chan result)
	slots := make(chan struct{}, waitLimit)
	for i, key := range keys {
		go func() {
			slots <- struct{}{}
			r := result{key: key, err: &PanicError{}} // unless get returns
			defer func() {
				if p := recover(); p != nil {
					r.err = &PanicError{Value: p, Stack: debug.Stack()}
				}
				<-slots
				results <- r
			}()
			r.value, r.err = get(i)
		}()
	}
	for range keys {
		r := <-results
		switch {
		case r.err == nil:
			b.values[r.key] = r.value
		case !errors.Is(r.err, ErrNotFound):
			b.failed = append(b.failed, KeyError{Key: r.key, Err: r.err})
		}
	}
}

// oneOf makes a loader of a batch one for a key. It knows no batch: a load or a
// refresh that is begun for a key may outlast the one that began it, whose room
// is another's then.
func oneOf[K comparable, V any](load BatchLoader[K, V]) Loader[K, V] {
	return func(ctx context.Context, key K) (V, error) {
		values, err := load(ctx, []K{key})
		value, ok := values[key]
		if !ok && err == nil {
			err = ErrNotFound
		}
		return value, err
	}
}
