package larder

import (
	"context"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
)

// answer settles an outcome, and sees to the refresh of one that is stale.
func (k *Keyspace[K, V]) answer(ctx context.Context, r *request[K, V], o outcome[V]) (V, error) {
	if !o.stale {
		return k.settle(o)
	}
	waits, err := k.pauses.of(r.entry, clock.Now())
	switch {
	case err != nil:
		o.source = sourceStaleFailed
	case waits: // another process refreshes
	case k.opts.SoftTimeout > 0:
		return k.awaitRefresh(ctx, r, o)
	default:
		k.refreshLater(ctx, r.key, r.hash, r.load)
	}
	return k.settle(o)
}

// awaitRefresh waits for the refresh of a stale value for the soft time-out, and
// takes the stale value if nothing better came.
func (k *Keyspace[K, V]) awaitRefresh(ctx context.Context, r *request[K, V], o outcome[V]) (V, error) {
	m, leads := k.openRefresh(r.key, r.hash)
	if m == nil {
		return k.settle(o)
	}
	if leads {
		k.launch(ctx, []*member[K, V]{m}, oneByOne(r.load))
	} else {
		k.stats.localWaits.Add()
	}
	within, cancel := context.WithTimeout(ctx, k.opts.SoftTimeout)
	defer cancel()
	fresh, ok, err := m.f.Wait(within)
	switch {
	case err != nil:
		o.source = sourceStaleSlow
	case !ok: // another process refreshes
	case fresh.err != nil && !fresh.negative:
		o.source = sourceStaleFailed
	case fresh.admits(m.place, r.floor, r.exact) && fresh.trusts(k.cache.honours(r.token)):
		return k.settle(fresh)
	}
	return k.settle(o)
}

// refreshDue reports whether a read of a memory entry that is due starts its
// refresh.
func (k *Keyspace[K, V]) refreshDue(e *entry[K, V], now int64) bool {
	if now < e.late().soft && !k.draws(time.Duration(e.late().soft-now), k.cache.heat.hurried(k.hash(e.key), time.Duration(e.late().load))) {
		return false
	}
	return e.late().claim(now)
}

// settleLate counts and returns a memory entry that is due.
func (k *Keyspace[K, V]) settleLate(e *entry[K, V], now int64) (V, error) {
	switch {
	case now < e.late().soft:
		k.stats.memoryHits.Add()
	case e.late().failing.Load():
		k.stats.count(sourceStaleFailed)
	default:
		k.stats.count(sourceStale)
	}
	return k.hand(e.value, e.negative)
}

// serveLate answers a read from a memory entry that is due: it is fresh and
// perhaps refreshed early, or it is stale.
func (k *Keyspace[K, V]) serveLate(ctx context.Context, e *entry[K, V], load Loader[K, V], config readConfig) (V, error) {
	now := clock.Now()
	stale := now >= e.late().soft
	if stale && k.opts.SoftTimeout > 0 && !e.late().failing.Load() {
		r := &request[K, V]{key: e.key, hash: k.hash(e.key), load: load, readConfig: config}
		return k.awaitRefresh(ctx, r, outcome[V]{value: e.value, source: sourceStale, stale: true})
	}
	if k.refreshDue(e, now) {
		k.refreshLater(ctx, e.key, k.hash(e.key), load)
	}
	return k.settleLate(e, now)
}

// waitContext bounds how long a read waits for a load.
func (k *Keyspace[K, V]) waitContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if k.opts.HardTimeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, k.opts.HardTimeout, ErrLoadTimeout)
}

// leave takes a reader whose wait ended with err from a flight. At the hard
// time-out it stays a member, so that the load goes on.
func leave[K comparable, V any](ctx context.Context, f *flight.Flight[K, guard, outcome[V]], err error) error {
	if waitError(ctx, err) == ErrLoadTimeout {
		return ErrLoadTimeout
	}
	f.Leave()
	return err
}

// waitError names the reason when a wait ended by the hard time-out.
func waitError(ctx context.Context, err error) error {
	if context.Cause(ctx) == ErrLoadTimeout {
		return ErrLoadTimeout
	}
	return err
}
