package larder

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
)

// BreakerState says who decides whether the remote tier is asked.
type BreakerState uint8

// The states that [Cache.ForceBreaker] sets.
const (
	BreakerAutomatic BreakerState = iota // failures and heartbeats decide
	BreakerOpen                          // it is not asked
	BreakerClosed                        // it is asked, whatever happens
)

var breakerWords = [...]string{BreakerAutomatic: "automatic", BreakerOpen: "forced open", BreakerClosed: "forced closed"}

// breaker stops remote calls after a number of failures in a row, or when most
// calls of the last seconds failed or were slow. No request of a user probes
// whether the server is back: heartbeats do. One that was sent after the
// opening and answered quickly closes the breaker; if it opens again soon after,
// twice as many in a row must.
type breaker struct {
	limit int           // failures in a row; negative: it never opens
	ratio float64       // share of bad calls; negative: that does not matter
	slow  time.Duration // from which a call is bad; negative: none is

	shut     atomic.Bool // no calls: what all readers look at
	failures atomic.Int64
	recent   tally

	mu       sync.Mutex // guards what follows
	forced   BreakerState
	tripped  bool
	opened   int64 // monotonic times of the last opening and closing
	closed   int64
	required int // good heartbeats that close it
	good     int
}

const (
	// breakerWindow is over how long the share of bad calls is taken.
	breakerWindow = 10 * time.Second
	// breakerCalls is how many calls a share needs to mean something.
	breakerCalls = 20
	// maxRequired bounds how many heartbeats close a breaker that flutters.
	maxRequired = 16
)

// record counts a call that ended at now with err after took, and reports
// whether it opened the breaker.
func (b *breaker) record(err error, now int64, took time.Duration) bool {
	if b.limit < 0 {
		return false
	}
	failed := isFailure(err)
	if !failed && b.failures.Load() != 0 {
		b.failures.Store(0)
	}
	bad := failed || b.slow > 0 && took >= b.slow
	calls, bads := b.recent.add(now, took, bad)
	if !bad {
		return false
	}
	row := failed && b.failures.Add(1) >= int64(b.limit)
	if !row && (b.ratio < 0 || calls < breakerCalls || float64(bads) < b.ratio*float64(calls)) {
		return false
	}
	return b.trip(now)
}

func (b *breaker) trip(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened, b.good = now, 0
	if b.tripped {
		return false
	}
	b.tripped = true
	if b.required > 0 && now-b.closed < int64(breakerWindow) {
		b.required = min(2*b.required, maxRequired)
	} else {
		b.required = 1
	}
	return b.apply()
}

// close takes note of a heartbeat that was sent at sent and succeeded after
// took. It closes the breaker if that is enough, and reports whether it did.
func (b *breaker) close(sent int64, took time.Duration) bool {
	if b.limit < 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.tripped || sent < b.opened:
		return false
	case b.slow > 0 && took >= b.slow:
		b.good = 0
		return false
	}
	if b.good++; b.good < b.required {
		return false
	}
	b.tripped, b.closed = false, clock.Now()
	b.failures.Store(0)
	b.recent.reset()
	return b.apply()
}

// settled reports whether the breaker is closed and does not flutter: what opens
// and closes it all night is told once.
func (b *breaker) settled(now int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.tripped && (b.required <= 1 || now-b.closed >= int64(breakerWindow))
}

// beatFailed takes note of a heartbeat that did not succeed.
func (b *breaker) beatFailed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.good = 0
}

// force sets who decides, and reports whether that is new.
func (b *breaker) force(s BreakerState) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forced == s {
		return false
	}
	b.forced = s
	b.apply()
	return true
}

// apply makes readers see the state and reports whether it changed.
func (b *breaker) apply() bool {
	open := b.forced == BreakerOpen || b.forced == BreakerAutomatic && b.tripped
	return b.shut.Swap(open) != open
}

// word names the state for people.
func (b *breaker) word() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.forced != BreakerAutomatic:
		return breakerWords[b.forced]
	case b.tripped:
		return "open"
	}
	return "closed"
}

// tally counts the calls of the last seconds, by second. Counts of a second that
// begins at this very moment may be lost.
type tally struct{ seconds [16]tallySecond }

type tallySecond struct {
	number atomic.Int64 // of the second; others' counts are old
	bad    atomic.Int64
	calls  [4]tallyCell // for as many cores at once
}

type tallyCell struct {
	n atomic.Int64
	_ [56]byte
}

func (s *tallySecond) clear() {
	s.bad.Store(0)
	for i := range s.calls {
		s.calls[i].n.Store(0)
	}
}

func (s *tallySecond) allCalls() (n int64) {
	for i := range s.calls {
		n += s.calls[i].n.Load()
	}
	return n
}

// add counts a call that ended at now after took. For a bad one it returns how
// many there were within breakerWindow, and how many of them bad.
func (t *tally) add(now int64, took time.Duration, bad bool) (calls, bads int64) {
	number := now/int64(time.Second) + 1
	s := &t.seconds[uint64(number)%16]
	if old := s.number.Load(); old != number && s.number.CompareAndSwap(old, number) {
		s.clear()
	}
	s.calls[took&3].n.Add(1)
	if !bad {
		return 0, 0
	}
	s.bad.Add(1)
	for i := range t.seconds {
		s := &t.seconds[i]
		if age := number - s.number.Load(); age >= 0 && age < int64(breakerWindow/time.Second) {
			calls += s.allCalls()
			bads += s.bad.Load()
		}
	}
	return calls, bads
}

func (t *tally) reset() {
	for i := range t.seconds {
		t.seconds[i].clear()
	}
}

// isFailure tells errors that speak against the server from answers and from
// what the caller caused.
func isFailure(err error) bool {
	return err != nil && !errors.Is(err, ErrWrongType) && !errors.Is(err, ErrUnavailable) &&
		!errors.Is(err, frame.ErrCorrupt) && !errors.Is(err, context.Canceled)
}

// ForceBreaker lets an operator decide whether the remote tier is asked, or
// leave that to the breaker again ([BreakerAutomatic]). Heartbeats go on in any
// case. A change is logged; [Health.Breaker] shows it.
//
// With [BreakerOpen] reads come from memory, as long as it is coherent, and
// from loads, and invalidations of this process are pending until the breaker
// closes: other processes do not hear of them, so force it in all of them. With
// [BreakerClosed] every call goes out, at the price of its time-out. It panics on
// another value.
func (c *Cache) ForceBreaker(s BreakerState) {
	if int(s) >= len(breakerWords) {
		panic("larder: ForceBreaker: no such state")
	}
	if !c.breaker.force(s) {
		return
	}
	c.opts.Logger.Warn("larder: breaker " + breakerWords[s])
	c.tell(Event{Kind: EventState, Detail: "breaker " + breakerWords[s]})
	c.board.WakeAll() // who waits for a push may wait in vain
	c.slowStart()
}
