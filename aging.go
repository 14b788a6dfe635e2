package larder

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
)

// life is what decides about a memory entry that is due.
type life struct {
	soft int64 // monotonic ns from which it is stale
	hard int64 // monotonic ns from which it must not be used
	load int64 // ns its load took; 0: not known
}

// late is the life of a memory entry and the state of its refresh.
type late struct {
	life
	asked   atomic.Int64 // no read asks for a refresh before
	failing atomic.Bool  // the last refresh failed
}

// askAgain is how long after a read of a memory entry asked for its refresh no
// other read does. A refresh that is under way is found by its key anyway; this
// only keeps reads of a stale entry cheap.
const askAgain = 20 * time.Millisecond

// claim reports whether this read is the one that asks for a refresh.
func (l *late) claim(now int64) bool {
	asked := l.asked.Load()
	return now >= asked && l.asked.CompareAndSwap(asked, clock.Add(now, askAgain))
}

// longestDraw bounds what a draw of early refresh can be. One draw in three
// thousand would be larger.
const longestDraw = 8

// window is how long before its soft deadline a value of a load may be
// refreshed early.
func (s *space) window(load time.Duration) time.Duration {
	return time.Duration(s.early * longestDraw * float64(load))
}

// draws decides whether a read refreshes a value that is stale after left. It is
// XFetch of Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache
// Stampede Prevention", VLDB 2015: the earlier the less likely, and the earlier
// the longer the load takes.
func (s *space) draws(left, load time.Duration) bool {
	draw := min(-math.Log(1-rand.Float64()), longestDraw)
	return float64(left) <= s.early*draw*float64(load)
}

// age sets from when an entry is not simply served and what decides then.
func (s *space) age(t *terms, soft, hard int64, load time.Duration) {
	hard = min(hard, clock.Add(soft, s.grace))
	window := s.window(load)
	if t.due = hard; soft == hard && window == 0 || t.negative {
		return
	}
	t.due, t.aged, t.life = clock.Add(soft, -window), true, life{soft: soft, hard: hard, load: int64(load)}
}

// end returns when h must not be used any more.
func (h *head) end() int64 {
	if h.aged {
		return h.owner.lateOf(h).hard
	}
	return h.due
}

// softEnd returns when h turns stale.
func (h *head) softEnd() int64 {
	if h.aged {
		return h.owner.lateOf(h).soft
	}
	return h.due
}

// span is how long a value is fresh, and for how long after that it may be
// served.
type span struct{ fresh, grace time.Duration }

func (s span) total() time.Duration { return s.fresh + s.grace }

// spanOf returns the span of a value that is to be fresh for ttl. An answer "not
// found" has no grace.
func (s *space) spanOf(ttl time.Duration, negative bool) span {
	if s.jitter > 0 {
		ttl = max(ttl-time.Duration(rand.Float64()*s.jitter*float64(ttl)), time.Millisecond)
	}
	if negative {
		return span{fresh: ttl}
	}
	return span{fresh: ttl, grace: s.grace}
}

// measured returns what is kept of the time a load took: no more than makes the
// window as long as the value is fresh, so that one that has just been stored is
// hardly ever refreshed at once.
func (s *space) measured(took time.Duration, l span) time.Duration {
	if s.early == 0 {
		return 0
	}
	return min(took, time.Duration(float64(l.fresh)/(s.early*longestDraw)))
}

// overdue returns the memory entry of key that is due and may still be served.
func (k *Keyspace[K, V]) overdue(key K, hash uint64, now, floor int64) *entry[K, V] {
	if k.memory == nil {
		return nil
	}
	e := k.own(k.memory.Get(hash), key)
	if e == nil || !e.aged || now >= e.late().hard || !e.proves(floor) {
		return nil
	}
	return e
}

// loadTime returns how long the load of an entry took; 0: not known.
func loadTime(e *frame.Entry) time.Duration { return time.Duration(e.LoadMillis) * time.Millisecond }

// freshFor returns for how long the value that was looked at is fresh.
func (l *look) freshFor() time.Duration {
	return time.Duration(l.entry.Soft-l.epoch.serverTime(clock.Now())) * time.Millisecond
}

// judgeAge tells by the deadlines of an entry whether it may be served. An entry
// that is gone is replaced like one whose tags changed.
func (s *space) judgeAge(e *frame.Entry, now int64) (stale, gone bool) {
	switch {
	case now < e.Soft:
		return false, false
	case now < min(e.Hard, e.Soft+s.grace.Milliseconds()):
		return true, false
	}
	return true, true
}
