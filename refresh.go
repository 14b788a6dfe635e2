package larder

import (
	"context"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
)

// A refresh is a load whose value replaces one that is served meanwhile. One
// process of the cluster has it: who acquires a key beside the entry
// ([Remote.RefreshKey]). Losing that key costs a load and nothing else, because
// the value replaces exactly the one that was seen before the load began:
//
//  1. A finds the value stale under id 1 and begins to load
//  2. the entry is invalidated, loaded by B and stored under id 2
//  3. A's refill names id 1 and is refused

// Refresh loads key now, whatever is cached, and returns the value. Until it is
// stored, reads are served what there was, also when the load fails. Unlike an
// invalidation it promises nothing about loads that began before it. It costs
// two round trips, the load and another; when ctx ends it returns, and the load
// goes on.
func (k *Keyspace[K, V]) Refresh(ctx context.Context, key K, load Loader[K, V]) (V, error) {
	var none V
	if err := k.usable(ctx, load == nil); err != nil {
		return none, err
	}
	m := k.newRefresh()
	if err := k.request(m.r, key, k.hash(key), k.readConfig(clock.Now(), nil)); err != nil {
		return none, err
	}
	m.force, m.f = true, &m.own
	if !k.cache.goRun(func() { k.refreshAll(context.WithoutCancel(ctx), []*member[K, V]{m}, oneByOne(load)) }) {
		return none, ErrClosed
	}
	o, ok, err := m.f.Wait(ctx)
	switch {
	case err != nil:
		return none, err
	case !ok:
		return none, firstOf(k.cache.ctx.Err(), ErrUnavailable)
	case o.err != nil && !o.negative:
		return none, o.err
	}
	return k.hand(o.value, o.negative)
}

func (k *Keyspace[K, V]) newRefresh() *member[K, V] {
	m := new(member[K, V])
	m.r, m.l = &m.req, &m.seen
	return m
}

// oneByOne makes a loader one for batches of one key.
func oneByOne[K comparable, V any](load Loader[K, V]) BatchLoader[K, V] {
	return func(ctx context.Context, keys []K) (map[K]V, error) {
		value, err := load(ctx, keys[0])
		if err != nil {
			return nil, err
		}
		return map[K]V{keys[0]: value}, nil
	}
}

// openRefresh returns the refresh of key that is under way, or a new one that
// the caller must launch. It returns nil while the key must not be refreshed.
func (k *Keyspace[K, V]) openRefresh(key K, hash uint64) (m *member[K, V], leads bool) {
	m = k.newRefresh()
	if err := k.request(m.r, key, hash, k.readConfig(clock.Now(), nil)); err != nil {
		return nil, false
	}
	if waits, _ := k.pauses.of(m.r.entry, clock.Now()); waits {
		return nil, false
	}
	m.f, m.place, leads = k.refreshes.Join(key, hash, func() *flight.Flight[K, guard, outcome[V]] {
		return m.own.Begin(m.r.guard(k.cache))
	})
	return m, leads
}

// refreshLater starts the refresh of key if none is under way.
func (k *Keyspace[K, V]) refreshLater(ctx context.Context, key K, hash uint64, load Loader[K, V]) {
	if m, leads := k.openRefresh(key, hash); leads {
		k.launch(ctx, []*member[K, V]{m}, oneByOne(load))
	}
}

// launch carries out refreshes in the background: gathered with others if the
// keyspace has a loader for that, otherwise by load.
func (k *Keyspace[K, V]) launch(ctx context.Context, members []*member[K, V], load BatchLoader[K, V]) {
	switch {
	case len(members) == 0:
	case k.opts.RefreshBatch != nil:
		k.gather(members)
	default:
		k.start(context.WithoutCancel(ctx), members, load)
	}
}

// start carries out refreshes in the background, unless so many run that these
// are left to later reads.
func (k *Keyspace[K, V]) start(ctx context.Context, members []*member[K, V], load BatchLoader[K, V]) {
	running := k.background.Add(1)
	within := k.opts.RefreshLimit < 0 || running <= int64(k.opts.RefreshLimit)
	if within && k.cache.goRun(func() {
		defer k.background.Add(-1)
		k.refreshAll(ctx, members, load)
	}) {
		return
	}
	k.background.Add(-1)
	if !within {
		k.stats.deferred.Uint64.Add(uint64(len(members)))
	}
	for _, m := range members {
		k.abandonRefresh(m)
	}
}

func (k *Keyspace[K, V]) endRefresh(m *member[K, V], o outcome[V]) {
	m.ended = true
	k.refreshes.Remove(m.f)
	o.weigh()
	m.f.End(o)
}

func (k *Keyspace[K, V]) abandonRefresh(m *member[K, V]) {
	m.ended = true
	k.refreshes.Remove(m.f)
	m.f.Abandon()
}

// refreshAll decides who of members is loaded, and loads and stores them. It
// ends all their flights, also when a codec panics.
func (k *Keyspace[K, V]) refreshAll(ctx context.Context, members []*member[K, V], load BatchLoader[K, V]) {
	var loading []*member[K, V]
	finished := false
	defer func() {
		var o outcome[V]
		if !finished {
			o = panicked[V](k.cache, k.name, recover())
			k.backoffAll(loading, o.err)
		}
		k.letGo(loading)
		for _, m := range members {
			switch {
			case m.ended:
			case o.err != nil:
				k.endRefresh(m, o)
			default:
				k.abandonRefresh(m)
			}
		}
	}()
	if loading = k.claimAll(ctx, members); len(loading) > 0 {
		k.loadRefreshes(ctx, loading, load)
	}
	finished = true
}

// loadRefreshes calls the loader and ends the flights, at the latest at the load
// time-out: a loader that ignores its context keeps nobody waiting.
func (k *Keyspace[K, V]) loadRefreshes(ctx context.Context, members []*member[K, V], load BatchLoader[K, V]) {
	ctx, cancel := k.loadContext(ctx)
	defer cancel()
	leave, err := k.enterLoad(ctx, members[0].p, func() func() { return func() {} }) // losing the lock of a refresh costs a load
	if err != nil {
		for _, m := range members {
			k.endRefresh(m, outcome[V]{err: err})
		}
		return
	}
	defer leave()
	flights := make([]*member[K, V], len(members))
	copy(flights, members)
	defer context.AfterFunc(ctx, func() {
		if context.Cause(ctx) != ErrLoadTimeout {
			return
		}
		k.backoffAll(flights, ErrLoadTimeout)
		for _, m := range flights {
			k.refreshes.Remove(m.f)
			m.f.End(outcome[V]{err: ErrLoadTimeout})
		}
	})()
	for _, m := range members {
		k.stats.refreshes.Add()
		if m.early {
			k.stats.early.Add()
		}
	}
	b := batch[K, V]{k: k, load: load}
	b.carryOut(ctx, members, members[0].p)
	for _, m := range members {
		k.conclusion(m)
		k.endRefresh(m, m.o)
	}
}

// conclusion sees to what a refresh leaves behind beside the new value.
func (k *Keyspace[K, V]) conclusion(m *member[K, V]) {
	switch {
	case m.o.err != nil && !m.o.negative:
		k.stats.refreshErrs.Add()
	case m.o.negative && m.unstored && k.opts.NegativeTTL < 0:
		// The source has none any more, and that is not cached.
		if m.p.kind == bypassRefresh {
			k.cache.doOne(context.Background(), Op{Kind: OpDelete, Key: m.r.entry, KeepHold: true})
		}
		k.cache.board.Kill(m.r.entry)
	case m.unstored && k.opts.Backoff > 0:
		k.pauseRefresh(m.r, k.opts.Backoff, nil) // what cannot be stored is not loaded at every read
	}
}

// letGo gives back the keys of refreshers. After a failure they stay for the
// time of the backoff, so that no other process tries either.
func (k *Keyspace[K, V]) letGo(members []*member[K, V]) {
	var ops []Op
	for _, m := range members {
		if m.p == nil || m.p.lock == "" {
			continue
		}
		op := Op{Kind: OpRelease, Key: m.p.lock, Token: m.p.token}
		if waits, err := k.pauses.of(m.r.entry, clock.Now()); waits && (err != nil || m.unstored) {
			op.Kind, op.TTL = OpRenew, k.opts.Backoff
		}
		ops = append(ops, op)
	}
	if len(ops) > 0 {
		k.cache.do(context.Background(), ops)
	}
}
