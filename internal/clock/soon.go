package clock

import (
	"sync"
	"sync/atomic"
)

// Slack is how far [Soon] may be ahead of [Now].
const Slack = 2*window + early

// window is for how many cycles of the counter a reading of the clock is gone
// on from, in ns of a counter of 1 GHz: a cycle never takes longer.
const window = 1 << 20

// early covers that a processor may read its counter before the instructions in
// front of that have ended, and what it differs from that of another.
const early = 1000

// mark is a reading of the counter and one of the clock just after it. Both are
// replaced under mu, the clock first, and read the other way round: a reader that
// meets a replacement has a later time for an earlier cycle, which errs towards
// the future.
var mark struct {
	_      [64]byte // a cache line of its own: every hit reads it
	mu     sync.Mutex
	now    atomic.Int64
	cycles atomic.Uint64
	_      [64]byte
}

// counting says that the processor's counter may be used.
var counting atomic.Bool

// UseCounter lets [Soon] use the processor's counter or not, and reports whether
// it does, which takes a system that trusts it. Programs need not call it; a test
// may, outside of testing/synctest bubbles: the counter knows real time alone.
func UseCounter(use bool) bool {
	counting.Store(use && counterTrusted())
	return counting.Load()
}

// Soon returns a time that is not before [Now] and at most [Slack] after it. It
// is for those who will ask Now if the answer is no: what is not too old soon is
// not too old now.
//
// Where the system itself computes its clock from the processor's counter, Soon
// does so in 10 ns instead of 25, by the one assumption that a cycle takes no
// longer than a nanosecond: a reading of the clock less than 2^20 cycles ago and
// the cycles since then, counted as nanoseconds. Unlike a clock that a goroutine
// keeps it does not fall behind when the process is stopped or starved, as the
// counter goes on. Elsewhere, and in tests, whose time may be virtual, Soon is Now.
func Soon() int64 {
	if !counting.Load() {
		return Now()
	}
	cycles := counter()
	if passed := cycles - mark.cycles.Load(); passed < window {
		return mark.now.Load() + int64(passed)
	}
	return remark()
}

// remark reads the clock, and notes it unless another does so. It finds out if a
// cycle took longer than is assumed, and does without the counter then.
func remark() int64 {
	if !mark.mu.TryLock() {
		return Now()
	}
	defer mark.mu.Unlock()
	cycles := counter()
	now := Now()
	if last := mark.cycles.Load(); last != 0 && slower(now-mark.now.Load(), counter()-last) {
		counting.Store(false)
	}
	mark.now.Store(now + early)
	mark.cycles.Store(cycles)
	return now
}

// slower reports whether a counter that has gone on by cycles in ns nanoseconds
// takes longer than a nanosecond for one. A counter that went back, which looks
// like a jump of centuries, does not: who reads it finds no mark near.
func slower(ns int64, cycles uint64) bool { return ns > 0 && cycles < uint64(ns) }
