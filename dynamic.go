package larder

import (
	"context"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
	"github.com/larder-go/larder/internal/frame"
)

// anyTagKey is killed by every invalidation in a cache without remote tier: a
// load that adds tags may keep its value only if none came meanwhile.
const anyTagKey = "#any"

// heads are the newest births of each log, captured before a load. A tag that
// was not born since had, all through the load, the generation it has now or
// none.
type heads map[string]string

// captureHeads returns the heads that memory copies prove, and the logs that
// must be read.
func (gs *generations) captureHeads() (known heads, unknown []string) {
	logs := gs.cache.remote.LogKeys()
	known = make(heads, len(logs))
	for _, log := range logs {
		gs.mu.Lock()
		h, ok := gs.heads[log]
		gs.mu.Unlock()
		if ok && h.ticket.Live() && h.epoch.Alive() {
			known[log] = h.id
		} else {
			unknown = append(unknown, log)
		}
	}
	return known, unknown
}

// logHead is a copy of the newest birth of a log. It may be old: then more
// births than necessary count as later.
type logHead struct {
	id     string
	ticket liveTicket
	epoch  *Epoch
}

func (gs *generations) keepHead(log string, h logHead) {
	if h.epoch.silent {
		return // no push would end it, and it would leave the log unnoticed
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.heads[log] = h
}

func (gs *generations) forgetHeads() {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	clear(gs.heads)
}

// headsOps appends the reads of logs to a pipeline.
func (e *ensuring) addHeads() {
	var logs []string
	e.heads, logs = e.cache.gens.captureHeads()
	for _, log := range logs {
		epoch := e.cache.usableEpoch(log, clock.Now())
		if epoch == nil {
			e.err = firstOf(e.err, ErrUnavailable)
			return
		}
		e.logs = append(e.logs, log)
		e.logHeads = append(e.logHeads, logHead{ticket: e.cache.board.Issue(log), epoch: epoch})
	}
}

func (e *ensuring) headOps() []Op {
	ops := make([]Op, len(e.logs))
	for i, log := range e.logs {
		ops[i] = Op{Kind: OpBirths, Key: log}
	}
	return ops
}

func (e *ensuring) adoptHeads(replies []Reply) {
	for i, log := range e.logs {
		h := e.logHeads[i]
		if e.err = firstOf(e.err, replies[i].Err); replies[i].Err != nil {
			continue
		}
		h.id = replies[i].Data
		e.heads[log] = h.id
		e.cache.gens.keepHead(log, h)
	}
}

// learned returns, of the generations of r, those of tags that are not declared.
func (r *request[K, V]) learned(gens []*generation) []*generation {
	if extra := len(r.tags) - r.declared; extra > 0 {
		return append([]*generation(nil), gens[len(gens)-extra:]...)
	}
	return nil
}

// endFlight ends a flight with what it brought home. What an invalidation
// outdates that had returned in this process, or a strict one anywhere, nobody
// may be given who came later; of declared tags the guard of the flight sees to
// that, of others it cannot know:
//
//  1. a Get leads a flight; its loader reads the source
//  2. the source changes, and this process invalidates a tag
//  3. another Get joins: nothing that the flight is known to depend on has died
//  4. the loader says that its value depends on the tag
//
// So learned tags are looked at when nobody can join any more. If one has died,
// or its generation was not certain, the value is for those alone who came
// before the request that proved it was sent.
//
// It reports whether others shared the flight.
func (k *Keyspace[K, V]) endFlight(f *flight.Flight[K, guard, outcome[V]], o outcome[V]) (shared bool) {
	if shared = k.flights.Remove(f); shared {
		publish(f, o)
	}
	return shared
}

// publish gives o to who shares f, which cannot be joined any more.
func publish[K comparable, V any](f *flight.Flight[K, guard, outcome[V]], o outcome[V]) {
	o.weigh()
	f.End(o)
}

// weigh takes the evidence of o away if a learned tag has died; see endFlight.
func (o *outcome[V]) weigh() {
	for _, g := range o.learned {
		if !g.live() {
			o.evidence = clock.Never
		}
	}
	o.learned = nil
}

// addDynamic makes a loaded value depend on tags that its loader added, with
// the generations they had before the load. It reports false if these are not
// certain; then it sees to it that they exist for the next load.
func (k *Keyspace[K, V]) addDynamic(ctx context.Context, r *request[K, V], p *permit, tags []string) bool {
	c := k.cache
	byLog := make(map[string][]*generation)
	before := len(r.deps)
	for _, tag := range tags {
		if !r.addTag(c, tag) {
			continue
		}
		g, err := c.gens.draft(r.deps[len(r.deps)-1])
		if err != nil {
			return false
		}
		log := c.remote.LogKey(g.key)
		byLog[log] = append(byLog[log], g)
		p.gens = append(p.gens, g)
	}
	if len(byLog) == 0 {
		return true
	}
	ops := make([]Op, 0, len(byLog))
	for log, gens := range byLog {
		op := Op{Kind: OpTagsSince, Key: log, Expect: p.heads[log]}
		for _, g := range gens {
			op.Keys = append(op.Keys, g.key)
		}
		ops = append(ops, op)
	}
	sent := clock.Now()
	known := true
	for i, reply := range c.do(ctx, ops) {
		known = adoptTags(byLog[ops[i].Key], reply, sent) && known
	}
	if !known {
		c.gens.forgetHeads()
		create := ensuring{cache: c}
		create.add(r.entry, r.deps[before:], make([]*generation, len(r.deps)-before))
		if create.err == nil {
			c.do(ctx, create.ops)
		}
	}
	return known
}

// adoptTags completes drafts by a reply to OpTagsSince.
func adoptTags(gens []*generation, reply Reply, sent int64) bool {
	const size = len(frame.Generation{})
	if reply.Err != nil || reply.State != Present || len(reply.Data) != size*len(gens) {
		return false
	}
	for i, g := range gens {
		copy(g.value[:], reply.Data[i*size:])
		g.evidence.Store(sent)
	}
	return true
}
