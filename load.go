package larder

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/larder-go/larder/internal/bulkhead"
	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/ticket"
)

// bypass says why a load stores nothing in Redis.
type bypass uint8

const (
	bypassNone      bypass = iota // there is no remote tier
	bypassError                   // it cannot be asked
	bypassPending                 // an invalidation is not confirmed
	bypassHeld                    // fills are refused for a while
	bypassContended               // others were faster too often
	bypassLease                   // not a bypass: a lease is held
	bypassMemory                  // not a bypass: generations were captured
	bypassAside                   // another version of the program has its value there
	bypassRefresh                 // not a bypass: a value that is served meanwhile is replaced
)

// permit is the right to load, and what may be done with the value.
type permit struct {
	kind   bypass
	token  frame.Token
	epoch  *Epoch
	gens   []*generation // captured before the load; as request.deps
	ticket ticket.Ticket // taken before the load
	least  int64         // evidence of gens
	until  int64         // bypassAside: the value in Redis ends then, monotonic
	heads  heads         // of the logs of births, captured before the load
	expect string        // how the value begins that a refresh replaces
	lock   string        // the key that token holds in a refresh; empty: none
	// In a cache without remote tier: end with a pattern deletion, and with any
	// invalidation.
	sweep, untagged ticket.Ticket

	took  time.Duration // of the load, and how it ended: for the bulkhead
	ended bulkhead.Outcome
}

// source is where an answer by a load under p came from.
func (p *permit) source() source {
	switch p.kind {
	case bypassNone, bypassLease, bypassMemory, bypassRefresh:
		return sourceLoad
	}
	return sourceBypass
}

// untrackedKey stands for everything that was loaded without a lease or under a
// connection in doubt: no push tells of its changes. It is killed before this
// process acknowledges a strict invalidation, which would otherwise return
// while memory serves such a value, or a load under way brings one:
//
//  1. the connection breaks; a Get loads and keeps the value for T at most
//  2. the connection is made again; nobody has read the key under it
//  3. another process invalidates the key strictly: this one acknowledges
//  4. a Get finds the value of step 1 in memory
const untrackedKey = "#untracked"

// plainPermit allows a load that stores nothing in Redis.
func (k *Keyspace[K, V]) plainPermit(r *request[K, V], why bypass) *permit {
	p := &permit{kind: why, ticket: k.cache.board.Issue(r.entry)}
	if k.cache.remote != nil {
		p.gens = k.cache.ticketsOf(append(r.deps[:len(r.deps):len(r.deps)], untrackedKey))
		return p
	}
	p.gens = k.cache.ticketsOf(r.deps)
	p.sweep, p.untagged = k.cache.board.Issue(sweepKey), k.cache.board.Issue(anyTagKey)
	return p
}

// runLoad calls the loader for a flight, stores what it may and ends the
// flight.
func (k *Keyspace[K, V]) runLoad(ctx context.Context, f *flight.Flight[K, guard, outcome[V]], r *request[K, V], p *permit) {
	ctx, cancel := k.loadContext(ctx)
	defer cancel()
	end := func(o outcome[V]) { k.endFlight(f, o) }
	if !f.Loading(cancel) {
		k.release(r.entry, p)
		end(outcome[V]{err: context.Canceled})
		return
	}
	leave, err := k.enterLoad(ctx, p, func() func() { return k.renewLease(ctx, r.entry, p) })
	if err != nil {
		k.release(r.entry, p)
		end(outcome[V]{err: loadError(ctx, err)})
		return
	}
	defer leave()
	defer context.AfterFunc(ctx, func() {
		if context.Cause(ctx) == ErrLoadTimeout {
			k.backoff(r, ErrLoadTimeout)
			end(outcome[V]{err: ErrLoadTimeout})
		}
	})()
	finished := false
	defer func() {
		if !finished { // the codec panicked, or the loader ended its goroutine
			o := panicked[V](k.cache, k.name, recover())
			k.release(r.entry, p)
			k.backoff(r, o.err)
			end(o)
		}
	}()
	o := k.carryOut(ctx, f, r, p)
	finished = true
	end(o)
}

// carryOut calls the loader and stores what it brought.
func (k *Keyspace[K, V]) carryOut(ctx context.Context, f *flight.Flight[K, guard, outcome[V]], r *request[K, V], p *permit) outcome[V] {
	proof, start := f.Prove(), clock.Now()
	stopRenewing := k.renewLease(ctx, r.entry, p)
	loadCtx, said := k.handle(ctx)
	o := k.call(loadCtx, r)
	p.loaded(start, o.err)
	stopRenewing()
	if o.took = time.Duration(clock.Now() - start); o.err == nil && leaves(said, r.key) {
		o.err = ErrNothingStale
	}
	k.backoff(r, o.err)
	o.source, o.shared, o.evidence, o.proof = p.source(), p.kind != bypassHeld, k.loadEvidence(r.entry, start), proof
	if o.err != nil && !o.negative {
		k.release(r.entry, p)
		return o
	}
	l, keeps := k.store(ctx, f, r, p, &o, said)
	switch {
	case l != nil:
		k.fill(ctx, []*landing[K, V]{l})
	case !keeps:
		k.release(r.entry, p)
	}
	return o
}

// loadEvidence returns what a load that began at start proves by itself. Where
// strict invalidations are acknowledged, a process that is no registered member
// is not asked, so its loads prove nothing to who came after their beginning.
// A member that was heard of within MaxStaleness is asked for as long as what it
// loaded until now may be used.
func (k *Keyspace[K, V]) loadEvidence(entry string, start int64) int64 {
	c := k.cache
	if !c.opts.AcknowledgedStrict || c.remote == nil {
		return start
	}
	if e := c.remote.Epoch(entry); e != nil && c.covered(e, clock.Now()) {
		return start
	}
	return clock.Never
}

// loadContext returns the context of a load: detached from the caller, ended
// by the time-out and by Close.
func (k *Keyspace[K, V]) loadContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(k.cache.ctx, func() { cancel(ErrClosed) })
	cancelTimeout := func() {}
	if k.opts.LoadTimeout > 0 {
		ctx, cancelTimeout = context.WithTimeoutCause(ctx, k.opts.LoadTimeout, ErrLoadTimeout)
	}
	return ctx, func() {
		stop()
		cancelTimeout()
		cancel(nil)
	}
}

// enterLoad passes the bulkhead, keeping the lease alive by renew while it
// waits. The load that follows tells p how it went.
func (k *Keyspace[K, V]) enterLoad(ctx context.Context, p *permit, renew func() (stop func())) (leave func(), err error) {
	how := bulkhead.Normal
	switch past := p.kind == bypassError || p.kind == bypassPending; {
	case ctx.Value(loadKey{}) != nil:
		how = bulkhead.Free // or a loader that loads would wait for its own slot
	case past || k.always:
		how = bulkhead.Guarded
	}
	if p.kind == bypassError || p.kind == bypassPending {
		k.stats.bypassed.Add()
	}
	if !k.loads.Try(how) {
		stop := renew()
		err = k.loads.Enter(ctx, how)
		stop()
	}
	if err == bulkhead.ErrFull {
		err = ErrBusy
	}
	if err != nil {
		k.stats.shed.Add()
		return nil, err
	}
	p.ended = bulkhead.Failed
	return func() { k.loads.Leave(clock.Now(), p.took, p.ended) }, nil
}

// loaded notes for the bulkhead how a load that began at start went.
func (p *permit) loaded(start int64, err error) {
	p.took = time.Duration(clock.Now() - start)
	switch {
	case err == nil || errors.Is(err, ErrNotFound):
		p.ended = bulkhead.Good
	case errors.Is(err, ErrLoadTimeout):
		p.ended = bulkhead.TimedOut
	}
}

// call runs the loader. A panic becomes the outcome's error; runtime.Goexit
// passes through, counted.
func (k *Keyspace[K, V]) call(ctx context.Context, r *request[K, V]) (o outcome[V]) {
	start := clock.Now()
	ctx, span := k.cache.span(ctx, SpanLoad, k.name, 1)
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
		k.heatedByLoad(r.key, r.hash)
		k.stats.inFlight.Add(-1)
		took := time.Duration(clock.Now() - start)
		k.stats.loaded(o.err, took)
		if k.cache.watched() {
			k.tellEntry(EventLoad, r.key, loadOutcome(o.err), took)
		}
	}()
	o.value, o.err = r.load(ctx, r.key)
	returned = true
	if errors.Is(o.err, ErrNotFound) {
		o.negative, o.err = true, ErrNotFound
	}
	o.err = loadError(ctx, o.err)
	return o
}

// loadOutcome names how a load ended.
func loadOutcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrNotFound):
		return "not_found"
	}
	return "error"
}

// panicked returns the outcome of a load that did not return: p is what was
// recovered, nil after runtime.Goexit. Called by the deferred function that
// recovered.
func panicked[V any](c *Cache, name string, p any) outcome[V] {
	err := &PanicError{Value: p, Stack: debug.Stack()}
	c.opts.Logger.Error("larder: loader panicked", "keyspace", name, "error", err)
	return outcome[V]{err: err, raise: p != nil}
}

// loadError names the reason when a loader gave up because its context ended.
func loadError(ctx context.Context, err error) error {
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if cause := context.Cause(ctx); cause == ErrLoadTimeout || cause == ErrClosed {
		return cause
	}
	return err
}

// store puts a loaded value where its permit allows. It returns a landing if
// the value is to be stored in Redis, and otherwise whether it was stored
// anywhere: if not, a lease is of no use.
//
// A value that Redis does not accept keeps the evidence of its load's start: it
// may be used by who waited before the load began.
func (k *Keyspace[K, V]) store(ctx context.Context, f *flight.Flight[K, guard, outcome[V]], r *request[K, V], p *permit, o *outcome[V], said *Load) (l *landing[K, V], keeps bool) {
	tags, ttl, keep := said.read()
	o.version = said.sourceVersion()
	switch {
	case o.negative:
		ttl = k.opts.NegativeTTL
	case ttl == 0:
		ttl = k.opts.TTL
	}
	if ttl < 0 || !keep || p.kind == bypassPending || p.kind == bypassHeld {
		if r.lacks(tags) {
			o.evidence = clock.Never // see endFlight
		}
		return nil, false
	}
	o.life = k.spanOf(ttl, o.negative)
	if len(tags) > 0 && !k.depend(ctx, r, p, tags) {
		k.stats.refused(refusedGeneration)
		o.evidence = clock.Never // see endFlight
		return nil, false
	}
	o.learned = r.learned(p.gens)
	if p.kind == bypassLease || p.kind == bypassRefresh {
		return &landing[K, V]{f: f, r: r, p: p, o: o}, true
	}
	k.keepLocally(r, p, o)
	return nil, true
}

// depend adds what a loader said its value depends on.
func (k *Keyspace[K, V]) depend(ctx context.Context, r *request[K, V], p *permit, tags []string) bool {
	switch p.kind {
	case bypassLease, bypassMemory, bypassRefresh:
		return k.addDynamic(ctx, r, p, tags)
	case bypassNone:
		for _, tag := range tags {
			r.addTag(k.cache, tag)
		}
		p.gens = k.cache.ticketsOf(r.deps)
		return p.untagged.Live() // after the tickets were taken
	}
	return false // nobody knows what was invalidated during the load
}

// keepLocally keeps a value in memory that is not stored in Redis.
func (k *Keyspace[K, V]) keepLocally(r *request[K, V], p *permit, o *outcome[V]) {
	if k.memory == nil {
		return
	}
	t := terms{ticket: p.ticket, evidence: o.evidence, tags: p.gens, negative: o.negative}
	soft, hard := clock.Add(o.evidence, o.life.fresh), clock.Add(o.evidence, o.life.total())
	switch {
	case p.kind == bypassNone:
		t.evidence = always
	case p.kind == bypassMemory:
		t.evidence, t.epoch = p.least, p.epoch
	case p.kind == bypassAside:
		t.evidence, t.epoch = p.least, p.epoch
		hard = min(hard, p.until)
		soft = min(soft, hard)
	case k.holdOff > 0:
		return // the source may lag behind, and Redis cannot say so
	case k.cache.asksAlways(r.entry):
		return // Redis can be asked again
	default: // nothing vouches for it: at most MaxStaleness, by arithmetic
		hard = min(hard, clock.Add(o.evidence, k.cache.opts.MaxStaleness))
		soft = min(soft, hard)
	}
	k.age(&t, soft, hard, k.measured(o.took, o.life))
	k.keep(r, &t, o.value, -1)
	// Looked at after the insertion: a sweep that ended the ticket later finds
	// the entry.
	if p.kind == bypassNone && !p.sweep.Live() {
		k.cache.board.Kill(r.entry)
	}
}
