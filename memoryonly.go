package larder

import (
	"context"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
	"github.com/larder-go/larder/internal/ticket"
)

// capture is one key of a [MemoryOnly] keyspace on its way: Redis holds a
// generation for the key itself beside those of its tags, and a memory entry
// is current if it was loaded under the generations that Redis has now.
type capture[K comparable, V any] struct {
	r      *request[K, V]
	f      *flight.Flight[K, guard, outcome[V]]
	ticket ticket.Ticket
	epoch  *Epoch
	gens   []*generation // as request.deps
	least  int64         // their evidence
	proof  int
	copied bool // gens come from copies

	force   bool // a refresh that loads whatever there is
	refresh bool // it loads also if the entry is current but stale, or soon will be

	found outcome[V] // set if p is nil
	p     *permit
}

// refuse decides that the key is loaded and why nothing is captured for it.
func (k *Keyspace[K, V]) refuse(a *capture[K, V], why bypass) { a.p = k.plainPermit(a.r, why) }

// consultGenerations is consult for [MemoryOnly] keyspaces.
func (k *Keyspace[K, V]) consultGenerations(ctx context.Context, f *flight.Flight[K, guard, outcome[V]], r *request[K, V]) (found outcome[V], _ *permit, err error) {
	a := capture[K, V]{r: r, f: f}
	k.captureGenerations(ctx, []*capture[K, V]{&a}, true)
	if a.p != nil && a.p.kind == bypassError && ctx.Err() != nil {
		return found, nil, ctx.Err()
	}
	return a.found, a.p, nil
}

// captureGenerations finds the generations of all keys in one round trip,
// creates in another those that are missing if create is set, and decides
// about each key.
func (k *Keyspace[K, V]) captureGenerations(ctx context.Context, captures []*capture[K, V], create bool) {
	sent := clock.Now()
	var asked []*capture[K, V]
	for _, a := range captures {
		if k.openCapture(a, sent) {
			asked = append(asked, a)
		}
	}
	if !k.readCaptures(ctx, asked, sent) {
		return
	}
	e := ensuring{cache: k.cache}
	if create {
		for _, a := range asked {
			e.add(a.r.entry, a.r.deps, a.gens)
		}
		if k.dynamic && len(asked) > 0 {
			e.addHeads()
		}
	}
	failed := e.send(ctx) != nil
	for _, a := range asked {
		if failed || !a.epoch.Alive() {
			k.refuse(a, bypassError)
			continue
		}
		e.fill(a.r.deps, a.gens)
		k.closeCapture(a, e.heads)
	}
}

// openCapture issues the ticket of a key and reports whether Redis can be
// asked about it. What copies prove is set.
func (k *Keyspace[K, V]) openCapture(a *capture[K, V], sent int64) bool {
	c := k.cache
	a.ticket = c.board.Issue(a.r.entry)
	if c.pending.has(a.r.entry, a.r.deps) {
		k.refuse(a, bypassPending)
		return false
	}
	if a.epoch = c.usableEpoch(a.r.entry, sent); a.epoch == nil {
		k.refuse(a, bypassError)
		return false
	}
	if !c.honours(a.r.token) { // after the epoch: another server ends it
		k.refuse(a, bypassPending)
		return false
	}
	a.gens = make([]*generation, len(a.r.deps))
	a.proof = a.f.Prove()
	if a.least, a.copied = c.gens.proven(a.r.deps, a.r.floor, a.gens); a.copied {
		a.least, a.proof = min(sent, a.least), 0
	} else {
		a.least = sent
	}
	return true
}

// readCaptures reads the generations that copies do not prove.
func (k *Keyspace[K, V]) readCaptures(ctx context.Context, asked []*capture[K, V], sent int64) bool {
	var deps []string
	for _, a := range asked {
		if !a.copied {
			deps = append(deps, a.r.deps...)
		}
	}
	if len(deps) == 0 {
		return true
	}
	gens := make([]*generation, len(deps))
	reply := k.cache.gens.read(k.cache.readContext(ctx, sent), deps, gens, "")
	k.cache.observe(reply.Err, sent)
	if reply.Err != nil {
		for _, a := range asked {
			k.refuse(a, bypassError)
		}
		return false
	}
	for _, a := range asked {
		if !a.copied {
			gens = gens[copy(a.gens, gens):]
		}
	}
	return true
}

// closeCapture decides whether the memory entry of a key is current.
func (k *Keyspace[K, V]) closeCapture(a *capture[K, V], heads heads) {
	if anyHeld(a.gens) {
		k.refuse(a, bypassHeld)
		return
	}
	e := k.sameGenerations(a.r, a.gens)
	if e == nil {
		a.p = &permit{kind: bypassMemory, epoch: a.epoch, gens: a.gens, ticket: a.ticket, least: a.least, heads: heads}
		return
	}
	t := terms{ticket: a.ticket, epoch: a.epoch, evidence: a.least, tags: a.gens, due: e.due, negative: e.negative}
	if e.aged {
		t.aged, t.life = true, e.late().life
	}
	k.keep(a.r, &t, e.value, int(e.weight()-weightOf(0, len(e.tags))))
	a.found = outcome[V]{value: e.value, negative: e.negative, source: sourceRemote, shared: true,
		evidence: a.least, proof: a.proof}
	if clock.Now() >= e.softEnd() {
		a.found.stale, a.found.source = true, sourceStale
	}
	if a.refresh && (a.force || clock.Now() >= e.due) {
		a.p = &permit{kind: bypassMemory, epoch: a.epoch, gens: a.gens, ticket: a.ticket, least: a.least, heads: heads}
	}
}

// sameGenerations returns the memory entry of the key, live or not, if it was
// loaded under gens.
func (k *Keyspace[K, V]) sameGenerations(r *request[K, V], gens []*generation) *entry[K, V] {
	if k.memory == nil {
		return nil
	}
	e := k.own(k.memory.Get(r.hash), r.key)
	if e == nil || e.epoch == nil || clock.Now() >= e.end() || len(e.tags) != len(gens) {
		return nil
	}
	for i, g := range e.tags {
		if gens[i] == nil || g.key != gens[i].key || g.value != gens[i].value {
			return nil
		}
	}
	return e
}
