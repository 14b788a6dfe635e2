package larder

import (
	"context"
	"unsafe"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
)

// consultGenerations serves [MemoryOnly] keyspaces: Redis holds a generation
// for the key itself beside those of its tags, and a memory entry is current
// if it was loaded under the generations that Redis has now.
func (k *Keyspace[K, V]) consultGenerations(ctx context.Context, f *flight.Flight[guard, outcome[V]], r *request[K, V]) (found outcome[V], _ *permit, err error) {
	c := k.cache
	entryTicket := c.board.Issue(r.entry)
	if c.pending.has(r.entry, r.deps) {
		return found, k.plainPermit(r, bypassPending), nil
	}
	sent := clock.Now()
	epoch := c.usableEpoch(r.entry, sent)
	if epoch == nil {
		return found, k.plainPermit(r, bypassError), nil
	}
	if !c.honours(r.token) { // after the epoch: another server ends it
		return found, k.plainPermit(r, bypassPending), nil
	}
	gens := make([]*generation, len(r.deps))
	proof := f.Prove()
	least, copies := c.gens.proven(r.deps, r.floor, gens)
	if copies {
		least, proof = min(sent, least), 0
	} else {
		least = sent
		reply := c.gens.read(c.readContext(ctx, sent), r.deps, gens, "")
		c.observe(reply.Err)
		if reply.Err != nil {
			return k.plainUnlessEnded(ctx, r)
		}
	}
	heads, err := k.ensureAll(ctx, r, gens)
	if err != nil || !epoch.Alive() {
		return k.plainUnlessEnded(ctx, r)
	}
	if anyHeld(gens) {
		return found, k.plainPermit(r, bypassHeld), nil
	}
	h := head{ticket: entryTicket, epoch: epoch, evidence: least, tags: gens}
	if e := k.sameGenerations(r, gens); e != nil {
		h.hard, h.negative = e.hard, e.negative
		k.keep(r, h, e.value, int(e.weight-weightOf(0, len(e.tags))))
		return outcome[V]{value: e.value, negative: e.negative, source: sourceMemory, shared: true,
			evidence: least, proof: proof}, nil, nil
	}
	return found, &permit{kind: bypassMemory, epoch: epoch, gens: gens, ticket: entryTicket, least: least, heads: heads}, nil
}

func (k *Keyspace[K, V]) plainUnlessEnded(ctx context.Context, r *request[K, V]) (found outcome[V], _ *permit, err error) {
	if ctx.Err() != nil {
		return found, nil, ctx.Err()
	}
	return found, k.plainPermit(r, bypassError), nil
}

// ensureAll creates the generations that are missing or due for renewal, and
// captures the heads of the logs if loaders may add tags.
func (k *Keyspace[K, V]) ensureAll(ctx context.Context, r *request[K, V], gens []*generation) (heads, error) {
	e := ensuring{cache: k.cache}
	e.add(r.deps, gens)
	if k.dynamic {
		e.addHeads()
	}
	err := e.send(ctx)
	if err == nil {
		e.fill(r.deps, gens)
	}
	return e.heads, err
}

// sameGenerations returns the memory entry of the key, live or not, if it was
// loaded under gens.
func (k *Keyspace[K, V]) sameGenerations(r *request[K, V], gens []*generation) *entry[K, V] {
	if k.memory == nil {
		return nil
	}
	h := k.memory.Get(r.hash)
	if h == nil || h.owner != &k.space || h.epoch == nil || clock.Now() >= h.hard || len(h.tags) != len(gens) {
		return nil
	}
	for i, g := range h.tags {
		if g.key != gens[i].key || g.value != gens[i].value {
			return nil
		}
	}
	if e := (*entry[K, V])(unsafe.Pointer(h)); e.key == r.key { // sound as in remembered
		return e
	}
	return nil
}
