package larder

import (
	"context"

	"github.com/larder-go/larder/internal/clock"
)

// consult looks at all keys in one round trip, and asks for the leases of those
// that it leads and must load in another. It returns who loads and who must
// wait.
//
// What Redis has needs no flight: a hit takes part in nothing that others could
// wait for. Whoever finds nothing joins or leads before it asks for a lease, so a
// key is loaded once as by [Keyspace.Get]; a value that came between its look and
// its flight lets the lease be refused.
func (b *batch[K, V]) consult(ctx context.Context) (loading, waiting []*member[K, V]) {
	k := b.k
	if k.cache.remote != nil && k.tiers == MemoryOnly {
		return b.consultGenerations(ctx), nil
	}
	found := k.lookAll(ctx, b.seats, b.config.token)
	defer found.giveBack()
	for i := range b.seats {
		s := &b.seats[i]
		m := b.present(s)
		s.tell(m.l, k.cache, found)
		if !b.settled(ctx, m) {
			b.board(m, s)
		}
	}
	b.acquire(ctx)
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

// acquire asks for the leases of all leads that have no permit.
func (b *batch[K, V]) acquire(ctx context.Context) {
	var missing []*candidate[K, V]
	for _, m := range b.leads {
		if m.p != nil {
			continue
		}
		if m.why != verdictBusy {
			if err := b.k.backedOff(m.r); err != nil {
				b.found(m, &outcome[V]{err: err})
				continue
			}
		}
		m.r.unlearn(m.l)
		missing = append(missing, &m.candidate)
	}
	if len(missing) > 0 {
		_ = b.k.acquire(ctx, missing) // who left is noticed when it waits
	}
}

// consultGenerations is consult for [MemoryOnly] keyspaces, where nobody waits
// for another process.
func (b *batch[K, V]) consultGenerations(ctx context.Context) (loading []*member[K, V]) {
	for i := range b.seats {
		s := &b.seats[i]
		b.board(b.present(s), s)
	}
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
		b.found(m, &captures[i].found)
	}
	return loading
}

// instead finishes a key that has something better than a load.
func (b *batch[K, V]) instead(m *member[K, V]) bool {
	if m.p.kind == bypassError && b.remembered(m) {
		return true
	}
	o, ok := b.k.insteadOfLoading(m.r, m.p)
	if ok {
		b.found(m, &o)
	}
	return ok
}

// remembered finishes a key that another read loaded, and kept in memory, while the
// look of this one failed:
//
//  1. a read and this batch ask Redis, which does not answer
//  2. the read gives up, loads, keeps the value in memory, and ends its flight
//  3. this batch gives up and leads the next flight
func (b *batch[K, V]) remembered(m *member[K, V]) bool {
	if b.config.token.demands { // memory knows nothing of what it demands
		return false
	}
	e := b.k.remembered(m.r.key, m.r.hash, clock.Now(), b.config.floor)
	if e == nil {
		return false
	}
	b.abandon(m)
	b.k.stats.memoryHits.Add()
	b.add(m.r.key, e.value, e.negative)
	return true
}

// found ends the flight of a key that need not be loaded.
func (b *batch[K, V]) found(m *member[K, V], o *outcome[V]) {
	b.end(m, o)
	b.settle(m, o)
}

// settle adds what was found for a key to the result.
func (b *batch[K, V]) settle(m *member[K, V], o *outcome[V]) {
	if o.early || o.stale {
		b.refresh(m.r.key, m.r.hash)
	}
	if o.stale {
		if _, err := b.k.pauses.of(m.r.entry, clock.Now()); err != nil {
			o.source = sourceStaleFailed
		}
	}
	b.take(m.r.key, o)
}

// settled judges what a look found for a key, and reports whether that is its
// value. Otherwise m has a permit if no lease is needed.
func (b *batch[K, V]) settled(ctx context.Context, m *member[K, V]) bool {
	k := b.k
	switch {
	case k.cache.remote == nil:
		m.p = k.plainPermit(m.r, bypassNone)
		return false
	case m.l.err != nil:
		if o, ok := k.outlasting(m.r); ok {
			b.settle(m, &o)
			return true
		}
		m.p = k.plainPermit(m.r, bypassError)
		return false
	case m.l.pending:
		m.p = k.plainPermit(m.r, bypassPending)
		return false
	case anyHeld(m.l.gens):
		m.why = verdictHeld
	case m.l.reply.State == Present:
		m.why = k.judge(ctx, m.r, m.l, &m.o)
	default:
		m.why = verdictAbsent
	}
	switch m.why {
	case verdictHit, verdictStale:
		b.settle(m, &m.o)
		return true
	case verdictHeld:
		m.p = k.plainPermit(m.r, bypassHeld)
	case verdictError:
		m.p = k.plainPermit(m.r, bypassError)
	case verdictUnfit:
		m.p = k.asidePermit(m.r, m.l)
	}
	return false
}
