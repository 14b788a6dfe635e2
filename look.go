package larder

import (
	"context"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/ticket"
)

// look is one reading of an entry and of the generations it depends on.
type look struct {
	reply   Reply
	err     error
	pending bool
	ticket  ticket.Ticket
	epoch   *Epoch
	sent    int64
	back    int64 // when the reply was there
	least   int64 // evidence of what was looked at: sent, or what copies had
	proof   int
	gens    []*generation  // as request.deps; nil: missing in Redis
	left    time.Duration  // of verdictUnfit: what is there is fresh for so long
	second  *secondLook    // shared by the keys of a batch; nil: none
	entry   frame.Entry    // what reply holds, once it was judged
	room    [4]*generation // of gens
	pairs   [2]frame.Pair  // of entry
}

// look issues tickets, then reads the entry and those generations that copies
// do not prove, in one round trip. What l held before is lost.
func (k *Keyspace[K, V]) look(ctx context.Context, f *flight.Flight[K, guard, outcome[V]], r *request[K, V], l *look) {
	c := k.cache
	*l = look{}
	l.ticket = c.board.Issue(r.entry)
	// After the ticket: see pending and the order of Cache.remove.
	if l.pending = c.pending.has(r.entry, r.deps); l.pending {
		return
	}
	l.sent = clock.Now()
	if l.epoch = c.usableEpoch(r.entry, l.sent); l.epoch == nil {
		l.err = ErrUnavailable
		return
	}
	// After the epoch: another server ends it.
	if l.pending = !c.honours(r.token); l.pending {
		return
	}
	l.proof = f.Prove()
	l.gens = append(l.room[:0], make([]*generation, len(r.deps))...)
	ctx = c.readContext(ctx, l.sent)
	l.least = l.sent
	if least, ok := c.gens.proven(r.deps, r.floor, l.gens); ok {
		l.proof = 0 // the order of requests says nothing about copies
		l.least = min(l.sent, least)
		l.reply, l.back = c.fetch(ctx, r.entry, l.sent)
	} else {
		l.reply = c.gens.read(ctx, r.deps, l.gens, r.entry)
		l.back = clock.Now()
	}
	l.err = l.reply.Err
	c.observed(l.err, l.sent, l.back)
	if l.err == nil && (!l.epoch.Alive() || !c.covered(l.epoch, l.back)) {
		l.err = ErrUnavailable
	}
}

// readContext bounds a remote read that begins at now: by the shared deadline,
// or by the caller's when that comes first.
func (c *Cache) readContext(ctx context.Context, now int64) context.Context {
	if d, ok := ctx.Deadline(); ok && time.Until(d) < c.reads.Timeout() {
		return ctx
	}
	return c.reads.At(now)
}
