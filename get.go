package larder

import (
	"context"
	"errors"
	"hash/maphash"
	"math/bits"
	"unsafe"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
	"github.com/larder-go/larder/internal/ticket"
)

type liveTicket = ticket.Ticket

// Get returns the value of key, loading it if nothing usable is cached.
//
// A memory hit costs no round trip and no allocation, a hit in Redis one round
// trip, a miss two or three and the load. Concurrent Gets of a key share one
// load, in this process and among all. Errors of the loader are returned as
// they are and not cached, except [ErrNotFound]. Errors of Redis are not
// returned: the value is loaded instead. When ctx ends, Get returns its error,
// while the load goes on for those who still wait.
func (k *Keyspace[K, V]) Get(ctx context.Context, key K, load Loader[K, V], opts ...ReadOption) (V, error) {
	hash := k.hash(key)
	e, now := k.recall(key, hash, opts)
	if e != nil {
		k.stats.memoryHits.Add()
		if k.auditor != nil && !e.negative {
			k.audit(key, e.value, now)
		}
		return k.hand(e.value, e.negative)
	}
	value, err := k.getTraced(ctx, key, hash, load, k.readConfig(now, opts))
	k.stats.slowReads.Observe(elapsed(now))
	return value, err
}

// recall returns the usable memory entry of key, and a time at which it was
// looked for: of an entry, at most [clock.Slack] later.
func (k *Keyspace[K, V]) recall(key K, hash uint64, opts []ReadOption) (e *entry[K, V], now int64) {
	now = clock.Soon()
	if e = k.remembered(key, hash, now, k.floor(now, opts)); e == nil {
		now = clock.Now()
		e = k.remembered(key, hash, now, k.floor(now, opts))
	}
	return e, now
}

// floor returns what evidence a read that begins at now demands.
func (k *Keyspace[K, V]) floor(now int64, opts []ReadOption) int64 {
	if len(opts) > 0 {
		return k.readConfig(now, opts).floor
	}
	return now - k.cache.tolerance.Load()
}

// hash spreads keys over memory entries and flights. Integers of 64 bits are
// folded once with a random number, which costs a fourth of maphash; the
// engine of the memory tier hashes the result again.
func (k *Keyspace[K, V]) hash(key K) uint64 {
	if k.word {
		high, low := bits.Mul64(*(*uint64)(unsafe.Pointer(&key))^k.mixer, 0x9E3779B97F4A7C15)
		return high ^ low
	}
	return maphash.Comparable(k.seed, key)
}

// remembered returns the usable memory entry of key.
func (k *Keyspace[K, V]) remembered(key K, hash uint64, now, floor int64) *entry[K, V] {
	if k.memory == nil {
		return nil
	}
	dice := diceOf(now)
	h, stripe := k.cache.front.Get(hash)
	k.cache.board.Touch(stripe)
	if e := k.own(h, key); e != nil && !dice.one(tellOneIn) && now < e.due && e.proves(floor) {
		return e
	}
	// Also when the front has an unusable one: it may be late.
	e := k.own(k.memory.Get(hash), key)
	if e == nil || now >= e.due || !e.proves(floor) {
		return nil
	}
	if dice.one(frontOneIn) {
		k.cache.front.Put(hash, &e.head, e.stub.Stripe())
		if dice.one(heatOneIn) {
			k.heated(key, hash, 1<<heatOneIn)
		}
	}
	return e
}

// own returns the entry that h is the head of if it is key's.
//
// The conversion is sound: entries of this owner are made by keep alone, as
// *entry[K, V], whose first field is the head.
func (k *Keyspace[K, V]) own(h *head, key K) *entry[K, V] {
	if h == nil || h.owner != &k.space {
		return nil
	}
	if e := (*entry[K, V])(unsafe.Pointer(h)); e.key == key {
		return e
	}
	return nil
}

// hand gives a cached value to a caller.
func (k *Keyspace[K, V]) hand(value V, negative bool) (V, error) {
	if negative {
		var none V
		return none, ErrNotFound
	}
	if k.opts.Clone != nil {
		value = k.opts.Clone(value)
	}
	return value, nil
}

// maxRefusals is how often a Get accepts to be refused by flights of others
// before it works for itself.
const maxRefusals = 2

// attempt is what a Get works with that memory does not answer, allocated at
// once.
type attempt[K comparable, V any] struct {
	r request[K, V]
	l look
	f flight.Flight[K, guard, outcome[V]]
}

// newAttempt returns a zero attempt.
func (k *Keyspace[K, V]) newAttempt() *attempt[K, V] {
	if w, ok := k.attempts.Get().(*attempt[K, V]); ok {
		return w
	}
	return new(attempt[K, V])
}

// recycle takes back an attempt that was a hit at its first look and that no
// other read joined, or that joined another: nothing of it has left its Get.
func (k *Keyspace[K, V]) recycle(w *attempt[K, V]) {
	if w.r.spent {
		*w = attempt[K, V]{}
		k.attempts.Put(w)
	}
}

func (k *Keyspace[K, V]) getSlow(ctx context.Context, key K, hash uint64, load Loader[K, V], config readConfig) (V, error) {
	var none V
	if err := k.usable(ctx, load == nil); err != nil {
		k.stats.count(sourceError)
		return none, err
	}
	if e := k.overdue(key, hash, config.began, config.floor); e != nil {
		return k.serveLate(ctx, e, load, config)
	}
	w := k.newAttempt()
	defer k.recycle(w)
	r := &w.r
	if err := k.request(r, key, hash, config); err != nil {
		k.stats.count(sourceError)
		return none, err
	}
	r.load = load
	k.heatedSlowly(key, hash, config.began)
	if r.outage > 0 && k.cache.cutOff(r.entry) {
		if o, ok := k.outlasting(r); ok {
			return k.settle(o)
		}
	}
	ctx, cancel := k.waitContext(ctx)
	defer cancel()
	for refusals := 0; ; {
		if refusals == maxRefusals {
			return k.lead(ctx, flight.New[K, guard, outcome[V]](guard{}), r, &w.l)
		}
		honoured := k.cache.honours(r.token)
		f, place, leads := k.flights.Join(key, hash, func() *flight.Flight[K, guard, outcome[V]] { return w.f.Begin(r.guard(k.cache)) })
		if leads {
			return k.lead(ctx, f, r, &w.l)
		}
		o, ok, err := k.waitLocally(ctx, f)
		if err != nil {
			k.stats.count(sourceError)
			return none, leave(ctx, f, err)
		}
		if !ok {
			continue // its leader gave up; one of us leads the next
		}
		if o.admits(place, r.floor, r.exact) && o.trusts(honoured && k.cache.honours(r.token)) {
			r.spent = !o.stale
			return k.answer(ctx, r, o)
		}
		refusals++
	}
}

// usable refuses reads that cannot do anything.
func (k *Keyspace[K, V]) usable(ctx context.Context, noLoader bool) error {
	if noLoader {
		return errors.New("larder: Get without a loader")
	}
	if k.cache.ctx.Err() != nil {
		return ErrClosed
	}
	return ctx.Err()
}

// lead does the work of a flight: look into Redis here, load elsewhere if it
// comes to that. l is room for the look.
func (k *Keyspace[K, V]) lead(ctx context.Context, f *flight.Flight[K, guard, outcome[V]], r *request[K, V], l *look) (V, error) {
	consulted := false
	defer func() {
		if !consulted { // a codec panicked: nobody may wait for this flight
			k.flights.Remove(f)
			f.Abandon()
		}
	}()
	found, permit, err := k.consult(ctx, f, r, l)
	consulted = true
	if permit != nil && permit.kind != bypassLease {
		if o, instead := k.insteadOfLoading(r, permit); instead {
			found, permit = o, nil
		}
	}
	switch {
	case err != nil: // the caller's context
		k.flights.Remove(f)
		f.Abandon()
		k.stats.count(sourceError)
		var none V
		return none, waitError(ctx, err)
	case permit == nil:
		shared := k.endFlight(f, found)
		r.spent = r.spent && !shared
		if found.early {
			k.refreshLater(ctx, r.key, r.hash, r.load)
		}
		return k.answer(ctx, r, found)
	}
	if !k.cache.goRun(func() { k.runLoad(context.WithoutCancel(ctx), f, r, permit) }) {
		k.release(r.entry, permit)
		k.flights.Remove(f)
		f.End(outcome[V]{err: ErrClosed})
	}
	o, _, err := f.Wait(ctx)
	if err != nil {
		k.stats.count(sourceError)
		var none V
		return none, leave(ctx, f, err)
	}
	o.panicAgain()
	return k.settle(o)
}

// maxRounds is how many times a Get looks again after others were faster
// before it loads without storing. Waiting for a lease does not count.
const maxRounds = 8

// consult looks for key in Redis until it has a value, or a permit to load. It
// fails only when ctx ends.
func (k *Keyspace[K, V]) consult(ctx context.Context, f *flight.Flight[K, guard, outcome[V]], r *request[K, V], l *look) (found outcome[V], _ *permit, err error) {
	if k.cache.remote == nil {
		return found, k.plainPermit(r, bypassNone), nil
	}
	if k.tiers == MemoryOnly {
		return k.consultGenerations(ctx, f, r)
	}
	for round := 0; round < maxRounds; round++ {
		k.look(ctx, f, r, l)
		if l.err != nil {
			if ctx.Err() != nil {
				return found, nil, ctx.Err()
			}
			return found, k.plainPermit(r, bypassError), nil
		}
		if l.pending {
			return found, k.plainPermit(r, bypassPending), nil
		}
		verdict := verdictAbsent
		if anyHeld(l.gens) {
			verdict = verdictHeld
		} else if l.reply.State == Present {
			verdict = k.judge(ctx, r, l, &found)
		}
		switch verdict {
		case verdictHit, verdictStale:
			r.spent = round == 0 && verdict == verdictHit
			return found, nil, nil
		case verdictHeld:
			return found, k.plainPermit(r, bypassHeld), nil
		case verdictError:
			return found, k.plainPermit(r, bypassError), nil
		case verdictUnfit:
			return found, k.asidePermit(r, l), nil
		}
		if verdict != verdictBusy {
			if err := k.backedOff(r); err != nil {
				return outcome[V]{err: err}, nil, nil //nolint:nilerr // the outcome carries it to all who wait
			}
		}
		r.unlearn(l)
		a := &candidate[K, V]{r: r, l: l, why: verdict}
		if err := k.acquire(ctx, []*candidate[K, V]{a}); err != nil {
			k.giveBack(a)
			return found, nil, err
		}
		if a.p != nil {
			return found, a.p, nil
		}
		if a.wait != nil {
			if err := k.awaitLease(ctx, a.wait); err != nil {
				return found, nil, err
			}
			round = -1
		}
	}
	return found, k.plainPermit(r, bypassContended), nil
}

// keep puts a value into memory under t, unless nobody would tell of its end.
func (k *Keyspace[K, V]) keep(r *request[K, V], t *terms, value V, encoded int) {
	if t.silent() && !k.validates(t) {
		return
	}
	size := encoded
	if k.opts.Size != nil {
		size = k.opts.Size(value)
	} else if encoded < 0 {
		size = sizeOf(value)
	}
	if !t.ticket.Live() {
		return // outdated already; what is there now may be newer
	}
	e := k.entry(t, r.key, value, size)
	if !k.memory.Put(r.hash, &e.head, e.weight()) {
		k.stats.tooHeavy.Add()
	}
}

// entry makes what memory holds of a value.
func (k *Keyspace[K, V]) entry(t *terms, key K, value V, size int) *entry[K, V] {
	if !t.aged {
		return &entry[K, V]{head: k.head(t, weightOf(size, len(t.tags))), key: key, value: value}
	}
	size += int(unsafe.Sizeof(late{}))
	a := &agedEntry[K, V]{entry: entry[K, V]{head: k.head(t, weightOf(size, len(t.tags))), key: key, value: value}}
	a.late.life = t.life
	a.late.asked.Store(clock.Never)
	return &a.entry
}
