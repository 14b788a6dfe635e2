// Package bulkhead limits how many loads run at once, by a limit that follows
// their latency, and lets loads begin slowly after all at once are needed.
//
// The limit is found by Gradient2 of Netflix's concurrency-limits
// (github.com/Netflix/concurrency-limits, com.netflix.concurrency.limits.limit.
// Gradient2Limit), a descendant of TCP Vegas: while loads take as long as they
// do on average the limit grows by its square root, when they take longer it
// shrinks by that ratio. The slow start is that of TCP (RFC 5681, section 3.1):
// one more at a time for each that ended well, until the limit is reached.
package bulkhead

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// ErrFull reports that nobody more may wait.
var ErrFull = errors.New("bulkhead: full")

// Constants of Gradient2: the windows are shorter than Netflix's second, as the
// source of a cache is asked in bursts.
const (
	window     = 100 * time.Millisecond
	samples    = 10   // the least a window has
	tolerance  = 1.5  // so much longer than on average counts as not longer
	smoothing  = 0.2  // weight of a new limit
	longWindow = 6000 // windows that the average remembers: ten minutes, as Netflix's
	warmUp     = 10   // windows of which it is the plain average at first
	recovery   = 0.95 // decay of an average that overload has spoilt
	backoff    = 0.9  // after a load that timed out
)

// Options are the bounds of a [Bulkhead].
type Options struct {
	Least, Most int // of the limit; Most < 0: no limit
	Queue       int // how many may wait
}

// Outcome is how a load ended.
type Outcome uint8

// The outcomes of loads.
const (
	Good     Outcome = iota
	Failed           // says nothing about how long loads take
	TimedOut         // took too long
)

// Bulkhead admits loads. All methods may be called concurrently.
type Bulkhead struct {
	o Options

	mu      sync.Mutex
	limit   float64
	ramp    float64 // the limit of a slow start; 0: none
	running int
	waiting []chan struct{} // first come, first served

	began   int64 // monotonic time of the present window
	count   int
	sum     time.Duration
	most    int // running at once
	windows int
	long    float64 // average time of a load in ns
}

// New returns a bulkhead whose limit is the most it may be.
func New(o Options) *Bulkhead { return &Bulkhead{o: o, limit: float64(o.Most)} }

// Enter admits a load, whose end must be told by [Bulkhead.Leave]. A guarded one
// waits while the limit is reached, and fails with [ErrFull] when so many wait
// already, and with the cause of ctx when that ends first; during a slow start
// all are guarded but the free.
func (b *Bulkhead) Enter(ctx context.Context, how Entry) error {
	b.mu.Lock()
	if b.try(how) {
		b.mu.Unlock()
		return nil
	}
	if len(b.waiting) >= b.o.Queue {
		b.mu.Unlock()
		return ErrFull
	}
	turn := make(chan struct{})
	b.waiting = append(b.waiting, turn)
	b.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		b.giveUp(turn)
		return context.Cause(ctx)
	}
}

// Try admits a load as [Bulkhead.Enter] does, if it need not wait.
func (b *Bulkhead) Try(how Entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.try(how)
}

func (b *Bulkhead) try(how Entry) bool {
	guarded := b.o.Most >= 0 && (how == Guarded || how == Normal && b.ramp > 0)
	if guarded && (b.running >= b.allowed() || len(b.waiting) > 0) {
		return false
	}
	b.admit()
	return true
}

// Entry says how a load asks to be admitted.
type Entry uint8

// The ways to ask.
const (
	Normal  Entry = iota // waits during a slow start
	Guarded              // waits for the limit at any time
	Free                 // never waits: part of a load that was admitted
)

// giveUp leaves the queue, or passes the turn on that came meanwhile.
func (b *Bulkhead) giveUp(turn chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range b.waiting {
		if w == turn {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			return
		}
	}
	b.running--
	b.grant()
}

// Leave ends an admitted load that took so long, at the monotonic time now.
func (b *Bulkhead) Leave(now int64, took time.Duration, o Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sample(now, took, o)
	if b.ramp > 0 && o == Good {
		if b.ramp++; b.ramp >= b.limit {
			b.ramp = 0
		}
	}
	b.running--
	b.grant()
}

// SlowStart lets loads begin with the least limit.
func (b *Bulkhead) SlowStart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if least := float64(b.o.Least); b.o.Most >= 0 && least < b.limit {
		b.ramp = least
	}
}

// State is what a bulkhead does at the moment.
type State struct {
	Limit, Running, Waiting int  // Limit < 0: none
	SlowStart               bool // Limit is that of a slow start
}

// State reports what the bulkhead does at the moment.
func (b *Bulkhead) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := State{Limit: -1, Running: b.running, Waiting: len(b.waiting), SlowStart: b.ramp > 0}
	if b.o.Most >= 0 {
		s.Limit = b.allowed()
	}
	return s
}

func (b *Bulkhead) allowed() int {
	if b.ramp > 0 {
		return int(min(b.ramp, b.limit))
	}
	return int(b.limit)
}

func (b *Bulkhead) admit() {
	b.running++
	b.most = max(b.most, b.running)
}

func (b *Bulkhead) grant() {
	for len(b.waiting) > 0 && b.running < b.allowed() {
		close(b.waiting[0])
		b.waiting = b.waiting[1:]
		b.admit()
	}
}

// sample adds one load to the window and, when that is over, moves the limit.
func (b *Bulkhead) sample(now int64, took time.Duration, o Outcome) {
	switch {
	case b.o.Most < 0 || o == Failed:
		return
	case o == TimedOut:
		b.set(b.limit * backoff)
	}
	if b.count == 0 {
		b.began = now - int64(took)
	}
	b.count++
	b.sum += took
	if b.count < samples || now-b.began < int64(window) {
		return
	}
	b.move(float64(b.sum) / float64(b.count))
	b.count, b.sum, b.most = 0, 0, b.running
}

// move adapts the limit to a window in which loads took short on average.
func (b *Bulkhead) move(short float64) {
	if short <= 0 {
		return
	}
	if b.windows++; b.windows <= warmUp {
		b.long += (short - b.long) / float64(b.windows)
	} else {
		b.long += (short - b.long) / longWindow
	}
	if b.long > 2*short {
		b.long *= recovery
	}
	if float64(b.most) < b.limit/2 {
		return // the limit is not what loads are limited by
	}
	gradient := max(0.5, min(1, tolerance*b.long/short))
	next := b.limit*gradient + math.Sqrt(b.limit)
	b.set(b.limit*(1-smoothing) + next*smoothing)
}

func (b *Bulkhead) set(limit float64) {
	b.limit = max(float64(b.o.Least), min(limit, float64(b.o.Most)))
}
