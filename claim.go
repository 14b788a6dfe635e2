package larder

import (
	"context"
	"strings"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
)

// claimAll finds out what there is of members, and returns those that this
// process may refresh.
func (k *Keyspace[K, V]) claimAll(ctx context.Context, members []*member[K, V]) []*member[K, V] {
	switch {
	case k.cache.remote == nil:
		return k.claimLocally(members)
	case k.tiers == MemoryOnly:
		return k.claimCaptured(ctx, members)
	}
	for round := 0; ; round++ {
		waiting := k.claimRemotely(ctx, members)
		if waiting == nil {
			break
		}
		if round == maxRounds || waiting.wait != nil && k.awaitLease(k.cache.ctx, waiting.wait) != nil {
			waiting.p = k.plainPermit(waiting.r, bypassContended)
			break
		}
	}
	var loading []*member[K, V]
	for _, m := range members {
		// Without the right to store, only who was asked to loads.
		if m.p != nil && (m.force || m.p.kind == bypassLease || m.p.kind == bypassRefresh) {
			loading = append(loading, m)
		}
	}
	return loading
}

// claimLocally allows all refreshes of a cache that has no remote tier.
func (k *Keyspace[K, V]) claimLocally(members []*member[K, V]) []*member[K, V] {
	for _, m := range members {
		m.p = k.plainPermit(m.r, bypassNone)
		k.staleInMemory(m)
	}
	return members
}

// staleInMemory finds what a refresh replaces.
func (k *Keyspace[K, V]) staleInMemory(m *member[K, V]) {
	if k.memory == nil {
		return
	}
	e := k.own(k.memory.Get(m.r.hash), m.r.key)
	now := clock.Now()
	if e == nil || e.negative || now >= e.end() || !e.live() {
		return
	}
	m.stale = &e.value
	m.early = now < e.softEnd() && !m.force
}

// claimCaptured allows the refreshes of a [MemoryOnly] keyspace.
func (k *Keyspace[K, V]) claimCaptured(ctx context.Context, members []*member[K, V]) (loading []*member[K, V]) {
	captures := make([]*capture[K, V], len(members))
	for i, m := range members {
		captures[i] = &capture[K, V]{r: m.r, f: m.f, refresh: true, force: m.force}
	}
	k.captureGenerations(ctx, captures, true)
	for i, m := range members {
		p := captures[i].p
		switch {
		case p == nil:
			k.endRefresh(m, captures[i].found) // it is fresh
		case p.kind == bypassMemory || m.force:
			m.p = p
			if p.kind == bypassMemory {
				k.staleInMemory(m)
			}
			loading = append(loading, m)
		}
	}
	return loading
}

// claimRemotely looks at all members in one round trip and acquires in another
// what is to be loaded. It returns a forced one that has to look again, after
// somebody else's lease or because the key changed, nil if there is none.
func (k *Keyspace[K, V]) claimRemotely(ctx context.Context, members []*member[K, V]) (waiting *member[K, V]) {
	seats := k.seatsOf(members)
	found := k.lookAll(ctx, seats, Token{})
	defer found.giveBack()
	var missing []*candidate[K, V]
	for i, m := range members {
		*m.l = look{}
		seats[i].tell(m.l, k.cache, found)
		if k.weighRefresh(ctx, m) {
			missing = append(missing, &m.candidate)
		}
	}
	if len(missing) > 0 {
		_ = k.acquire(ctx, missing)
	}
	for _, m := range members {
		if m.force && !m.ended && m.p == nil {
			waiting = m
		}
	}
	return waiting
}

// seatsOf returns seats for refreshes.
func (k *Keyspace[K, V]) seatsOf(members []*member[K, V]) []seat[K, V] {
	seats := make([]seat[K, V], len(members))
	var last *needs
	for i, m := range members {
		if !last.equals(m.r.deps, m.r.tags) || last.floor != m.r.floor {
			last = newNeeds(m.r.deps, m.r.tags, m.r.floor)
		}
		seats[i].f, seats[i].entry, seats[i].needs = m.f, m.r.entry, last
		seats[i].ticket = k.board.Issue(m.r.entry)
	}
	return seats
}

// weighRefresh judges what was found for a key and reports whether it is to be
// acquired.
func (k *Keyspace[K, V]) weighRefresh(ctx context.Context, m *member[K, V]) bool {
	plain := func(why bypass) bool {
		if m.force {
			m.p = k.plainPermit(m.r, why)
		}
		return false
	}
	switch {
	case m.l.err != nil:
		return plain(bypassError)
	case m.l.pending:
		return plain(bypassPending)
	case anyHeld(m.l.gens):
		return plain(bypassHeld)
	}
	if m.why = verdictAbsent; m.l.reply.State == Present {
		m.why = k.judge(ctx, m.r, m.l, &m.o)
	}
	switch m.why {
	case verdictHeld:
		return plain(bypassHeld)
	case verdictError:
		return plain(bypassError)
	case verdictUnfit:
		if m.force {
			m.p = k.asidePermit(m.r, m.l)
		}
		return false
	case verdictBusy:
		return m.force // somebody loads already
	case verdictHit:
		if !m.force && !k.soon(m) {
			k.endRefresh(m, m.o) // another process was faster
			return false
		}
		m.early = !m.force
	}
	if m.why == verdictHit || m.why == verdictStale {
		m.why = verdictStale
		if !m.o.negative {
			value := m.o.value
			m.stale = &value
		}
	}
	m.r.unlearn(m.l)
	return true
}

// soon reports whether the value found may be refreshed early.
func (k *Keyspace[K, V]) soon(m *member[K, V]) bool {
	return frame.KindOf(m.l.reply.Data) == frame.Value && m.l.freshFor() <= k.window(loadTime(&m.l.entry))
}

// concludeRefresh reads the replies to one candidate for a refresh: for the
// lock, and what the entry was after that. An entry that changed needs no
// refresh:
//
//  1. A and B find the value stale, A gets the lock
//  2. A loads, stores the new value and releases the lock
//  3. B gets the lock
func (k *Keyspace[K, V]) concludeRefresh(a *candidate[K, V], op Op, reply, seen Reply, ensured *ensuring) {
	a.wait = nil
	err := firstOf(firstOf(reply.Err, seen.Err), ensured.err)
	mine := err == nil && reply.State == Acquired
	expect := frame.Prefix(a.l.reply.Data)
	switch {
	case err != nil || !ensured.fill(a.r.deps, a.l.gens):
		k.releaseLater(op.Key, op.Token)
		if a.force {
			a.p = k.plainPermit(a.r, bypassError)
		}
	case mine && !a.force && !strings.HasPrefix(seen.Data, expect):
		k.releaseLater(op.Key, op.Token)
	case mine || a.force:
		a.p = &permit{kind: bypassRefresh, epoch: a.l.epoch, gens: a.l.gens, ticket: a.l.ticket, heads: ensured.heads,
			expect: expect}
		if mine {
			a.p.lock, a.p.token = op.Key, op.Token
		}
	default:
		left := reply.TTL
		if reply.State != Busy || left <= 0 {
			left = k.cache.opts.LeaseTime
		}
		if k.opts.Backoff > 0 { // should it fail, nobody waits longer than that
			left = min(left, k.opts.Backoff)
		}
		k.pauseRefresh(a.r, left, nil)
	}
}
