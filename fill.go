package larder

import (
	"bytes"
	"context"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/ticket"
)

// landing is a loaded value on its way into Redis.
type landing[K comparable, V any] struct {
	f *flight.Flight[K, guard, outcome[V]]
	r *request[K, V]
	p *permit
	o *outcome[V]

	from    int64 // monotonic, when its life begins
	size    int
	dropped bool // it cannot be encoded
	sent    int64
	proof   int
	ticket  ticket.Ticket
	epoch   *Epoch
}

// fill stores loaded values under their leases and reads their generations
// again in the same round trip. A value that Redis accepted under generations
// that still hold has the evidence of this request and may be kept in memory;
// one that was refused keeps the evidence it has.
func (k *Keyspace[K, V]) fill(ctx context.Context, landings []*landing[K, V]) {
	c := k.cache
	ops := make([]Op, 0, len(landings)+2)
	var landed []*landing[K, V]
	again := ensuring{cache: c}
	for _, l := range landings {
		op, ok := k.fillOp(l)
		if !ok {
			continue
		}
		ops, landed = append(ops, op), append(landed, l)
		again.reread(l.r.deps)
	}
	if len(landed) == 0 {
		return
	}
	ctx, span := c.span(ctx, SpanFill, k.name, len(landed))
	sent := clock.Now()
	for _, l := range landed {
		l.sent, l.proof = sent, l.f.Prove()
	}
	replies := make([]Reply, len(ops)+len(again.ops))
	if again.err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.opts.WriteTimeout)
		c.send(ctx, append(ops, again.ops...), replies)
		cancel()
		c.observe(replies[0].Err, sent)
		again.adoptFound(replies[len(ops):], sent)
	}
	outcome := SpanOK
	for i, l := range landed {
		if !k.land(l, replies[i], &again) {
			outcome = SpanRefused
		}
	}
	span.EndSpan(outcome)
}

// fillOp encodes a landing. What cannot be stored gives its lease back.
func (k *Keyspace[K, V]) fillOp(l *landing[K, V]) (op Op, ok bool) {
	l.ticket = k.cache.board.Issue(l.r.entry)
	// After the ticket, as in look: a load that began before an invalidation
	// that is pending now must not come back through its lease.
	if k.cache.pending.has(l.r.entry, l.r.deps) {
		k.stats.refused(refusedError)
		k.release(l.r.entry, l.p)
		return op, false
	}
	now := clock.Now()
	if l.epoch = k.cache.usableEpoch(l.r.entry, now); l.epoch == nil {
		k.stats.refused(refusedError)
		return op, false
	}
	l.from = now
	value, size, err := k.encode(l.r, l.p, l.o, l.epoch.serverTime(now))
	if err != nil {
		l.dropped = true
		k.stats.refused(refusedEncoding)
		k.release(l.r.entry, l.p)
		return op, false
	}
	l.size = size
	op = Op{Kind: OpFill, Key: l.r.entry, Token: l.p.token, Value: value, TTL: l.o.life.total()}
	if l.p.kind == bypassRefresh {
		op.Kind, op.Expect = OpRefill, l.p.expect
	}
	return op, true
}

// land reads the reply to one fill and reports whether it was accepted.
func (k *Keyspace[K, V]) land(l *landing[K, V], reply Reply, again *ensuring) bool {
	// An own write outdates what others of this process read before it.
	own, live := k.cache.board.Replace(l.r.entry, l.ticket)
	if reason := landed(l.p, l.r.deps, reply, again); reason != fillAccepted {
		k.stats.refused(reason)
		if k.cache.watched() {
			k.tellEntry(EventRefused, l.r.key, reason.String(), 0)
		}
		return false
	}
	l.o.evidence, l.o.proof = l.sent, l.proof
	if k.memory == nil || !live || !l.epoch.Alive() {
		return true
	}
	gens := make([]*generation, len(l.r.deps))
	again.fill(l.r.deps, gens)
	t := terms{evidence: l.sent, ticket: own, epoch: l.epoch, tags: gens, negative: l.o.negative}
	k.age(&t, clock.Add(l.from, l.o.life.fresh), clock.Add(l.from, l.o.life.total()), k.measured(l.o.took, l.o.life))
	k.keep(l.r, &t, l.o.value, l.size)
	return true
}

// landed says whether a fill was accepted under generations that still hold.
func landed(p *permit, deps []string, reply Reply, again *ensuring) refusal {
	switch {
	case reply.Err != nil || again.err != nil:
		return refusedError
	case reply.State != Done:
		return refusedLease
	}
	for i, dep := range deps {
		if g := again.of(dep); g == nil || g.value != p.gens[i].value {
			return refusedGeneration
		}
	}
	return fillAccepted
}

// reread asks for the present generations of deps.
func (e *ensuring) reread(deps []string) {
	for _, dep := range deps {
		if e.of(dep) != nil {
			continue
		}
		g, err := e.cache.gens.draft(dep)
		if err != nil {
			e.err = firstOf(e.err, err)
			return
		}
		e.append(g, Op{Kind: OpGet, Key: dep})
	}
}

// adoptFound completes the drafts by the replies to ops and forgets those that
// Redis has no generation for.
func (e *ensuring) adoptFound(replies []Reply, sent int64) {
	found := e.drafts[:0]
	for i, g := range e.drafts {
		g.evidence.Store(sent)
		present, err := e.cache.gens.accept(g, replies[i])
		e.err = firstOf(e.err, err)
		if present != nil {
			found = append(found, present)
			if e.index != nil {
				e.index[present.key] = present
			}
		} else if e.index != nil {
			delete(e.index, g.key)
		}
	}
	e.drafts = found
}

// encode returns the bytes of an entry whose life begins at now, in ms of its
// server, and the size of its encoded value.
func (k *Keyspace[K, V]) encode(r *request[K, V], p *permit, o *outcome[V], now int64) (data []byte, size int, err error) {
	e := frame.Entry{ID: newToken().ID(), Negative: o.negative, Version: o.version,
		Soft: now + o.life.fresh.Milliseconds(), Hard: now + o.life.total().Milliseconds(),
		Namespace: p.gens[0].value}
	if !o.negative {
		e.LoadMillis = uint64(k.measured(o.took, o.life).Milliseconds())
	}
	room := borrowScratch()
	defer room.giveBack()
	room.encoded = room.encoded[:0]
	if !o.negative {
		if room.encoded, err = k.opts.Codec.Append(room.encoded, o.value); err != nil {
			k.stats.codecErrors.Add()
			k.cache.opts.Logger.Warn("larder: value cannot be encoded", "keyspace", k.name, "error", err)
			return nil, 0, err
		}
	}
	if size = len(room.encoded); size > k.packing.maxValue {
		k.stats.tooLarge.Add()
		return nil, 0, ErrTooLarge
	}
	k.stats.valueBytes.Observe(uint64(size))
	if k.packing.plain {
		return bytes.Clone(room.encoded), size, nil
	}
	e.Pairs = r.pairs(p.gens)
	k.packing.pack(&e, r.entry, now, room, &k.stats)
	data, err = frame.Append(make([]byte, 0, len(e.Payload)+64), &e)
	return data, size, err
}

// pairs returns the tags of a request with the generations captured for them.
func (r *request[K, V]) pairs(gens []*generation) []frame.Pair {
	if len(r.tags) == 0 {
		return nil
	}
	first := r.tagAt()
	pairs := make([]frame.Pair, len(r.tags))
	for i, tag := range r.tags {
		pairs[i] = frame.Pair{Tag: tag, Generation: gens[first+i].value}
	}
	return pairs
}
