package outbox

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// longestWait is the longest time between two polls after errors.
const longestWait = 10 * time.Second

// Run is the relay: it deletes rows that are carried out, and carries out those
// that nobody else does, until ctx ends; then it returns nil. Run it in every
// process that has a cache, and end it before the cache is closed. A second Run
// of the same box returns [ErrRunning].
func (b *Box) Run(ctx context.Context) error {
	if !b.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	var listening sync.WaitGroup
	if b.opts.Listen != nil {
		listening.Go(func() { b.listen(ctx) })
	}
	b.relay(ctx)
	listening.Wait()
	b.running.Store(false)
	_ = b.deleteConfirmed(context.WithoutCancel(ctx)) // told to the log
	return nil
}

// relay is the loop of Run.
func (b *Box) relay(ctx context.Context) {
	// Several times per poll, so that no other relay takes these rows for abandoned.
	tidy := time.NewTicker(max(b.opts.PollInterval/4, time.Millisecond))
	defer tidy.Stop()
	poll := time.NewTimer(0)
	defer poll.Stop()
	r := sweeper{box: b, seen: math.MaxInt64} // at the start every row counts as abandoned
	for {
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			_ = b.deleteConfirmed(ctx) // told to the log
			continue
		case <-b.wake:
			r.seen = math.MaxInt64
		case <-poll.C:
		}
		r.poll(ctx)
		poll.Reset(b.wait(r.failures))
	}
}

// wait returns the time until the next poll after so many failures in a row.
func (b *Box) wait(failures int) time.Duration {
	d := b.opts.PollInterval
	if failures > 0 {
		d = max(d, min(longestWait, d<<min(failures, 10)))
	}
	return d - d/10 + rand.N(d/5+1)
}

// listen keeps Options.Listen running.
func (b *Box) listen(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; failures++ {
		begun := time.Now()
		err := b.opts.Listen(ctx, func() {
			b.state.note(ctx, listener, nil)
			b.Wake()
		})
		b.state.note(ctx, listener, err)
		if time.Since(begun) > longestWait {
			failures = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(b.wait(failures)):
		}
	}
}

// sweeper is what a relay knows between two polls.
type sweeper struct {
	box *Box
	// seen is the newest row at the last poll: what is still there now is
	// abandoned; newer ones may be about to be carried out by their writers.
	seen int64
	// after is where an interrupted sweep goes on, so that rows that fail do
	// not keep others from their turn.
	after    int64
	failures int // polls in a row that failed
}

// poll carries out the abandoned rows.
func (s *sweeper) poll(ctx context.Context) {
	if s.try(ctx) {
		s.failures = 0
	} else {
		s.failures++
	}
}

// try reports whether neither database nor cache failed.
func (s *sweeper) try(ctx context.Context) bool {
	if s.box.deleteConfirmed(ctx) != nil {
		return false
	}
	newest, err := s.box.newest(ctx)
	if err != nil {
		return false
	}
	served, confirmed := s.carryOut(ctx, newest)
	if served {
		s.box.state.note(ctx, database, nil)
	}
	return confirmed
}

// carryOut sweeps over the abandoned rows. It reports whether the database
// served all of it and whether everything was confirmed.
func (s *sweeper) carryOut(ctx context.Context, newest int64) (served, confirmed bool) {
	last := s.seen
	s.seen = newest
	if newest == 0 {
		s.after = 0
		s.box.report(ctx, outcome{}, true)
		return true, true
	}
	if last == 0 {
		return true, true
	}
	for {
		begun := s.after
		after, out := s.box.sweep(ctx, begun, last)
		s.after = after
		if out.stop || out.waiting > 0 {
			return !out.broken, false
		}
		if begun == 0 {
			return true, true
		}
	}
}

// Flush carries out every row that is committed by now, whoever wrote it: after
// a migration or an import, or at the end of a command that runs no relay. The
// error is the first reason for which a row stays.
func (b *Box) Flush(ctx context.Context) error {
	if err := b.deleteConfirmed(ctx); err != nil {
		return err
	}
	newest, err := b.newest(ctx)
	if err != nil {
		return err
	}
	_, out := b.sweep(ctx, 0, newest)
	return out.err
}

// sweep carries out the rows behind after and up to last, batch by batch. It
// stops when database or cache fail for a whole batch, and returns where the
// next sweep should begin.
func (b *Box) sweep(ctx context.Context, after, last int64) (next int64, total outcome) {
	whole := after == 0
	defer func() { b.report(ctx, total, whole && !total.stop) }()
	for !total.stop {
		rows, err := b.read(ctx, after, last)
		if err != nil {
			return after, total.with(outcome{err: err, stop: true, broken: true})
		}
		if len(rows) == 0 {
			return 0, total
		}
		out := b.carryOut(ctx, rows)
		total = total.with(out)
		b.counts.relayed.Add(int64(len(out.done)))
		if err := b.remove(ctx, out.done); err != nil {
			return after, total.with(outcome{err: err, stop: true, broken: true})
		}
		after = rows[len(rows)-1].id
	}
	return after, total
}
