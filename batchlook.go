package larder

import (
	"context"

	"github.com/larder-go/larder/internal/clock"
)

// consult looks at all keys in one round trip and asks for the leases of those
// that must be loaded in another. It returns who loads and who must wait.
func (b *batch[K, V]) consult(ctx context.Context) (loading, waiting []*member[K, V]) {
	k := b.k
	if k.cache.remote != nil && k.tiers == MemoryOnly {
		return b.consultGenerations(ctx), nil
	}
	var missing []*candidate[K, V]
	found := k.lookAll(ctx, b.seats, b.config.token)
	defer found.giveBack()
	for i := range b.seats {
		s := &b.seats[i]
		if s.f == nil {
			continue
		}
		m := b.present(s)
		s.tell(m.l, k.cache, found)
		if b.weigh(ctx, m) {
			m.r.unlearn(m.l)
			missing = append(missing, &m.candidate)
		}
		if !m.ended {
			b.keep(m)
		}
	}
	if len(missing) > 0 {
		_ = k.acquire(ctx, missing) // who left is noticed below
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
	for i := range b.seats {
		if s := &b.seats[i]; s.f != nil {
			b.keep(b.present(s))
		}
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
	o, ok := b.k.insteadOfLoading(m.r, m.p)
	if ok {
		b.found(m, &o)
	}
	return ok
}

// found finishes a key that need not be loaded.
func (b *batch[K, V]) found(m *member[K, V], o *outcome[V]) {
	if m.ended = b.k.flights.Retire(m.f); !m.ended { // somebody joined
		b.end(m, o)
	}
	if o.early || o.stale {
		b.refresh(m.r.key, m.r.hash)
	}
	if o.stale {
		if _, err := b.k.pauses.of(m.r.entry, clock.Now()); err != nil {
			o.source = sourceStaleFailed
		}
	}
	b.take(m, o)
}

// weigh judges what was found for a key and reports whether it must be
// acquired.
func (b *batch[K, V]) weigh(ctx context.Context, m *member[K, V]) bool {
	switch {
	case b.k.cache.remote == nil:
		m.p = b.k.plainPermit(m.r, bypassNone)
	case m.l.err != nil:
		m.p = b.k.plainPermit(m.r, bypassError)
	case m.l.pending:
		m.p = b.k.plainPermit(m.r, bypassPending)
	default:
		return b.weighLook(ctx, m)
	}
	return false
}

// weighLook is weigh for a look that succeeded.
func (b *batch[K, V]) weighLook(ctx context.Context, m *member[K, V]) bool {
	m.why = verdictAbsent
	if anyHeld(m.l.gens) {
		m.why = verdictHeld
	} else if m.l.reply.State == Present {
		m.why = b.k.judge(ctx, m.r, m.l, &m.o)
	}
	switch m.why {
	case verdictHit, verdictStale:
		b.found(m, &m.o)
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
		b.found(m, &outcome[V]{err: err})
		return false
	}
	return true
}
