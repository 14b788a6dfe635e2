package larder

import (
	"time"

	"github.com/larder-go/larder/internal/clock"
)

// ServeStaleOnOutage lets a read be answered from memory while Redis cannot be
// asked, if the value was proven current at most limit ago: the read gives up the
// bound of [Options.MaxStaleness], and what [Strict] promises, while the outage
// lasts. Changes that this process invalidates are seen all the same. It has no
// effect on reads that are [Exact] or carry a token.
func ServeStaleOnOutage(limit time.Duration) ReadOption {
	return ReadOption{outage: limit, outageSet: true}
}

// outlasting returns the memory entry of r that may be served although Redis
// cannot be asked: beyond MaxStaleness, but not beyond what this process itself
// invalidated.
func (k *Keyspace[K, V]) outlasting(r *request[K, V]) (o outcome[V], ok bool) {
	if r.outage <= 0 || r.exact || k.memory == nil || k.cache.pending.has(r.entry, r.deps) {
		return o, false
	}
	now := clock.Now()
	e := k.own(k.memory.Get(r.hash), r.key)
	if e == nil || now >= e.end() {
		return o, false
	}
	evidence, ok := e.lastProof()
	if !ok || evidence < clock.Add(now, -r.outage) {
		return o, false
	}
	return outcome[V]{value: e.value, negative: e.negative, source: sourceStaleOutage, evidence: evidence}, true
}

// lastProof returns the newest evidence of h, also under connections that have
// ended since, and false if this process knows of a change. Evidence is read
// before tickets, as in [head.proves].
func (h *head) lastProof() (evidence int64, ok bool) {
	if evidence = h.evidence(); h.epoch != nil {
		credit := h.epoch.AsOf()
		for _, g := range h.tags {
			if g.epoch != h.epoch {
				credit = min(credit, max(g.evidence.Load(), g.epoch.AsOf()))
			}
		}
		evidence = max(evidence, credit)
	}
	if !h.live() {
		return 0, false
	}
	for _, g := range h.tags {
		if !g.ticket.Live() {
			return 0, false
		}
	}
	return evidence, true
}

// cutOff reports whether the server of r cannot be asked now.
func (c *Cache) cutOff(entry string) bool {
	return c.remote != nil && c.usableEpoch(entry, clock.Now()) == nil
}
