package larder

import (
	"context"

	"github.com/larder-go/larder/internal/clock"
)

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
