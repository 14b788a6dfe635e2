package larder

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/ticket"
)

// candidate is a key that is to be loaded.
type candidate[K comparable, V any] struct {
	r   *request[K, V]
	l   *look
	why verdict

	force bool          // of a refresh: also if somebody else does it
	p     *permit       // set: load
	wait  *foreignLease // set: wait for somebody else's load, then look again
	// neither set: the key has changed, look again
}

// acquire asks for the right to fill each candidate, creating the generations
// that are missing in the same round trip: a load must begin after both. It
// fails only when ctx ends.
func (k *Keyspace[K, V]) acquire(ctx context.Context, candidates []*candidate[K, V]) error {
	c := k.cache
	ops := make([]Op, 0, len(candidates)+2)
	var looks []Op // after the locks of refreshers: who had one may just have stored its value
	for _, a := range candidates {
		op := Op{Kind: OpAcquire, Key: a.r.entry, Token: newToken(), TTL: c.opts.LeaseTime}
		if a.why == verdictOutdated {
			op.Kind, op.Expect = OpTakeover, frame.Prefix(a.l.reply.Data)
		}
		if a.why == verdictStale {
			op.Key = c.remote.RefreshKey(a.r.entry)
			looks = append(looks, Op{Kind: OpGet, Key: a.r.entry})
		}
		ops = append(ops, op)
		a.wait = &foreignLease{entry: a.r.entry, ticket: c.board.Issue(a.r.entry)}
	}
	ensured := ensuring{cache: c}
	for _, a := range candidates {
		ensured.add(a.r.entry, a.r.deps, a.l.gens)
	}
	if k.dynamic {
		ensured.addHeads()
	}
	now := clock.Now()
	all := slices.Concat(ops, looks, ensured.ops, ensured.headOps())
	replies := make([]Reply, len(all))
	seen, rest := replies[len(ops):], replies[len(ops)+len(looks):]
	if ensured.err == nil {
		c.send(c.readContext(ctx, now), all, replies)
		c.observe(replies[0].Err, now)
		ensured.adopt(rest, now)
		ensured.adoptHeads(rest[len(ensured.ops):])
	}
	for i, a := range candidates {
		if a.why == verdictStale {
			k.concludeRefresh(a, ops[i], replies[i], seen[0], &ensured)
			seen = seen[1:]
		} else {
			k.conclude(a, ops[i].Token, replies[i], &ensured)
		}
	}
	return ctx.Err()
}

// conclude reads the reply to one candidate.
func (k *Keyspace[K, V]) conclude(a *candidate[K, V], token frame.Token, reply Reply, ensured *ensuring) {
	wait := a.wait
	a.wait = nil
	err := firstOf(reply.Err, ensured.err)
	switch {
	case err == nil && reply.State == Acquired:
		if ensured.fill(a.r.deps, a.l.gens) {
			a.p = &permit{kind: bypassLease, token: token, epoch: a.l.epoch, gens: a.l.gens, ticket: a.l.ticket,
				heads: ensured.heads}
			return
		}
		k.releaseLater(a.r.entry, token)
		a.p = k.plainPermit(a.r, bypassHeld)
	case err != nil:
		// The lease may be ours. Others need not wait until it expires.
		k.releaseLater(a.r.entry, token)
		a.p = k.plainPermit(a.r, bypassError)
	case reply.State == Held:
		a.p = k.plainPermit(a.r, bypassHeld)
	case reply.State == Busy:
		k.stats.clusterWaits.Add()
		a.wait = wait
		a.wait.left = reply.TTL
	}
}

// giveBack releases what a candidate got for a caller who left.
func (k *Keyspace[K, V]) giveBack(a *candidate[K, V]) {
	if a.p != nil && a.p.kind == bypassLease {
		k.releaseLater(a.r.entry, a.p.token)
	}
}

// ensuring collects the generations that must be created or prolonged.
type ensuring struct {
	cache  *Cache
	ops    []Op
	drafts []*generation          // one for each op
	index  map[string]*generation // of drafts, when there are many
	err    error

	heads    heads // of all logs, once they are known
	logs     []string
	logHeads []logHead // one for each of logs
}

// few is how many drafts are searched one by one.
const few = 16

// add asks for those of deps that gens lacks or that are due for renewal. The
// generation of entry itself, which a [MemoryOnly] keyspace has, is of interest
// to no load that learns tags: thousands of them would displace the tags in the
// log of births.
func (e *ensuring) add(entry string, deps []string, gens []*generation) {
	now := clock.Now()
	for i, dep := range deps {
		if e.of(dep) != nil || !e.cache.gens.due(dep, now) && gens[i] != nil {
			continue
		}
		g, err := e.cache.gens.draft(dep)
		if err != nil {
			e.err = firstOf(e.err, err)
			return
		}
		op := e.cache.gens.ensureOp(dep)
		op.Unlisted = dep == entry
		e.append(g, op)
	}
}

func (e *ensuring) append(g *generation, op Op) {
	e.drafts, e.ops = append(e.drafts, g), append(e.ops, op)
	switch {
	case e.index != nil:
		e.index[g.key] = g
	case len(e.drafts) > few:
		e.index = make(map[string]*generation, 4*few)
		for _, g := range e.drafts {
			e.index[g.key] = g
		}
	}
}

func (e *ensuring) of(dep string) *generation {
	if e.index != nil {
		return e.index[dep]
	}
	for _, g := range e.drafts {
		if g.key == dep {
			return g
		}
	}
	return nil
}

// send carries out what add and addHeads asked for, if anything.
func (e *ensuring) send(ctx context.Context) error {
	ops := append(e.ops[:len(e.ops):len(e.ops)], e.headOps()...)
	if e.err != nil || len(ops) == 0 {
		return e.err
	}
	now := clock.Now()
	replies := make([]Reply, len(ops))
	e.cache.send(e.cache.readContext(ctx, now), ops, replies)
	e.cache.observe(replies[0].Err, now)
	e.adopt(replies, now)
	e.adoptHeads(replies[len(e.ops):])
	return e.err
}

// adopt completes the drafts by the replies to ops.
func (e *ensuring) adopt(replies []Reply, sent int64) {
	for i, g := range e.drafts {
		g.evidence.Store(sent)
		found, err := e.cache.gens.accept(g, replies[i])
		if err == nil && found == nil {
			err = fmt.Errorf("larder: generation was not created: %w", frame.ErrCorrupt)
		}
		e.err = firstOf(e.err, err)
		if err != nil {
			continue
		}
		e.drafts[i] = found
		if e.index != nil {
			e.index[found.key] = found
		}
	}
}

// fill completes gens, and reports whether none is missing or held off.
func (e *ensuring) fill(deps []string, gens []*generation) bool {
	for i, dep := range deps {
		if g := e.of(dep); g != nil {
			gens[i] = g
		}
		if gens[i] == nil || gens[i].held {
			return false
		}
	}
	return true
}

// foreignLease is a lease that somebody else holds.
type foreignLease struct {
	entry  string
	ticket ticket.Ticket // taken before the lease was seen
	left   time.Duration
}

// awaitLease waits until the key changes or the lease must have expired. It
// fails when ctx ends.
func (k *Keyspace[K, V]) awaitLease(ctx context.Context, l *foreignLease) (err error) {
	_, span := k.cache.span(ctx, SpanWait, k.name, 1)
	defer func() { span.EndSpan(outcomeOfSpan(err)) }()
	woken, stop := k.cache.board.Wait(l.entry, l.ticket)
	defer stop()
	timer := time.NewTimer(max(l.left, 0) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-woken:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-k.cache.ctx.Done():
		return ErrClosed
	}
}

// renewLease keeps the lease of p alive by thirds of its time until stop is
// called. A lease that is lost anyway is noticed by the fill.
func (k *Keyspace[K, V]) renewLease(ctx context.Context, entry string, p *permit) (stop func()) {
	if p.kind != bypassLease {
		return func() {}
	}
	op := Op{Kind: OpRenew, Key: entry, Token: p.token, TTL: k.cache.opts.LeaseTime}
	return k.cache.renew(ctx, []Op{op}, op.TTL/3)
}

// renewLeases is renewLease for a batch.
func (k *Keyspace[K, V]) renewLeases(ctx context.Context, members []*member[K, V]) (stop func()) {
	var ops []Op
	for _, m := range members {
		if m.p.kind == bypassLease {
			ops = append(ops, Op{Kind: OpRenew, Key: m.r.entry, Token: m.p.token, TTL: k.cache.opts.LeaseTime})
		}
		if m.p.lock != "" {
			ops = append(ops, Op{Kind: OpRenew, Key: m.p.lock, Token: m.p.token, TTL: k.cache.opts.LeaseTime})
		}
	}
	if len(ops) == 0 {
		return func() {}
	}
	return k.cache.renew(ctx, ops, k.cache.opts.LeaseTime/3)
}

// renew sends ops at every interval until stop is called or ctx ends.
func (c *Cache) renew(ctx context.Context, ops []Op, interval time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	c.goRun(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				c.do(ctx, ops)
			}
		}
	})
	return cancel
}

// release gives the lease of p back, so that the next Get loads at once.
func (k *Keyspace[K, V]) release(entry string, p *permit) {
	if p.kind != bypassLease {
		return
	}
	k.cache.doOne(context.Background(), Op{Kind: OpRelease, Key: entry, Token: p.token})
	k.cache.board.Kill(entry) // our own waiters hear of it from nobody else
}

// releaseLater gives a lease back that may be ours, without waiting.
func (k *Keyspace[K, V]) releaseLater(entry string, token frame.Token) {
	k.cache.goRun(func() { k.release(entry, &permit{kind: bypassLease, token: token}) })
}

// doOne sends one operation within the write time-out if the server can be
// asked.
func (c *Cache) doOne(ctx context.Context, op Op) Reply { return c.do(ctx, []Op{op})[0] }

// do sends operations within the write time-out if the server of the first can
// be asked.
func (c *Cache) do(ctx context.Context, ops []Op) []Reply {
	replies := make([]Reply, len(ops))
	if c.usableEpoch(ops[0].Key, clock.Now()) == nil {
		for i := range replies {
			replies[i].Err = ErrUnavailable
		}
		return replies
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.WriteTimeout)
	defer cancel()
	sent := clock.Now()
	c.send(ctx, ops, replies)
	c.observe(replies[0].Err, sent)
	return replies
}
