package larder

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/memory"
	"github.com/larder-go/larder/internal/ticket"
)

// always is the evidence of entries that no other process can outdate.
const always int64 = 1<<63 - 1

// terms are what a value is kept in memory under.
type terms struct {
	due      int64 // monotonic ns from which it is not simply served; see space.age
	life     life  // what decides then, if it is aged; otherwise it is gone
	aged     bool
	evidence int64         // when the request was sent that proved it
	ticket   ticket.Ticket // dies with the first change of the key
	epoch    *Epoch        // credits later evidence; nil: nothing does
	tags     []*generation // what else outdates it, the namespace first
	negative bool
}

// bond is the part of the terms that many entries share: an entry of its own
// would cost each of them 40 bytes and a hit another cache line. It is
// immutable.
type bond struct {
	owner    *space
	epoch    *Epoch // nil: nothing credits later evidence
	tags     []*generation
	negative bool
	settled  bool // no other process can outdate it: evidence is not asked for
	aged     bool // the entry is an agedEntry
}

// head is the part of a memory entry that does not depend on its type: who it
// belongs to, until when it may be used and what proves it. It is immutable,
// and packed: 32 bytes before key and value, where the fields of terms take 80.
type head struct {
	*bond
	stub ticket.Stub
	due  int64  // monotonic ns from which it is not simply served; see space.age
	rest uint64 // µs from the evidence to due, rounded up; the last 16 bits are the weight
}

const (
	weightBits = 16
	maxAge     = 1 << (63 - weightBits) * time.Microsecond // four years: entries live no longer
)

// entry is what the memory tier holds.
type entry[K comparable, V any] struct {
	head
	key   K
	value V
}

// agedEntry is an entry that has grace or is refreshed early.
type agedEntry[K comparable, V any] struct {
	entry[K, V]
	late late
}

// late returns what becomes of e after it is due, nil if it is gone then. The
// conversion is sound: keep makes an agedEntry of what is aged.
func (e *entry[K, V]) late() *late {
	if !e.aged {
		return nil
	}
	return &(*agedEntry[K, V])(unsafe.Pointer(e)).late
}

// head packs t. Evidence loses less than a microsecond, towards the past.
func (s *space) head(t *terms, weight uint32) head {
	due, age := t.due, time.Duration(0)
	if latest := clock.Add(t.evidence, maxAge); due > latest {
		due = latest
	}
	if t.evidence != always {
		if t.aged {
			due = max(due, t.evidence) // it was read when it was stale
		}
		age = max(time.Duration(due-t.evidence), 0) + time.Microsecond - 1
	}
	return head{bond: s.bond(t), stub: s.board.Stub(t.ticket), due: due,
		rest: uint64(age/time.Microsecond)<<weightBits | uint64(packWeight(weight))}
}

// evidence returns when the request was sent that proved h.
func (h *head) evidence() int64 {
	if h.settled {
		return always
	}
	return h.due - int64(h.rest>>weightBits)*1000
}

// weight returns what h counts against the budget.
func (h *head) weight() uint32 { return unpackWeight(uint16(h.rest)) }

// A weight is packed into 11 bits and 5 bits to shift them by.
func packWeight(w uint32) uint16 {
	shift := max(bits.Len32(w)-11, 0)
	w = uint32((uint64(w) + 1<<shift - 1) >> shift) // up
	if w == 1<<11 {
		w, shift = 1<<10, shift+1
	}
	return uint16(shift<<11) | uint16(w)
}

func unpackWeight(w uint16) uint32 { return uint32(w&(1<<11-1)) << (w >> 11) }

// bonds is how many shared parts each keyspace remembers, a power of two: as
// many as a namespace has stripes in a cluster.
const bonds = 64

// bond returns the shared part of t, a remembered one if there is.
func (s *space) bond(t *terms) *bond {
	slot := &s.bonds[placeOf(t.tags)&(bonds-1)]
	if b := slot.Load(); b != nil && b.equals(t) {
		return b
	}
	b := &bond{owner: s, epoch: t.epoch, tags: tagList(t.tags), negative: t.negative, settled: t.evidence == always,
		aged: t.aged}
	slot.Store(b)
	return b
}

func placeOf(tags []*generation) (place uint64) {
	for _, g := range tags {
		place = (place ^ uint64(uintptr(unsafe.Pointer(g)))) * 0x9E3779B97F4A7C15
	}
	return place >> 32
}

func (b *bond) equals(t *terms) bool {
	return b.epoch == t.epoch && b.negative == t.negative && b.aged == t.aged && b.settled == (t.evidence == always) && slices.Equal(b.tags, t.tags)
}

// proves reports whether h may be used by a read that demands evidence of at
// least floor.
//
// Evidence is read before tickets. The other order has a hole:
//
//  1. the reader finds the ticket live
//  2. a delayed push kills it
//  3. the heartbeat behind that push credits the epoch
//  4. the reader finds new evidence and serves what was outdated long ago
func (h *head) proves(floor int64) bool {
	b := h.bond
	if !b.settled && h.evidence() < floor && !b.credited(floor) {
		return false
	}
	if !h.live() || b.epoch != nil && !b.epoch.Alive() {
		return false
	}
	for _, g := range b.tags {
		if !g.live() {
			return false
		}
	}
	return true
}

// live reports whether the key of h was not changed; its tags may be.
func (h *head) live() bool { return h.owner.board.Live(h.stub) }

// credited reports whether heartbeats cover b up to floor. The evidence of a
// tagged entry is the least of its connections'.
func (b *bond) credited(floor int64) bool {
	if b.epoch == nil || b.epoch.AsOf() < floor {
		return false
	}
	for _, g := range b.tags {
		if g.epoch != b.epoch && g.evidence.Load() < floor && g.epoch.AsOf() < floor {
			return false
		}
	}
	return true
}

// generation is a copy of a tag's generation as one read found it. Like an
// entry it dies by its ticket; until then later reads that find the same only
// raise its evidence.
type generation struct {
	key      string
	value    frame.Generation
	evidence atomic.Int64
	ticket   ticket.Ticket
	epoch    *Epoch
	held     bool           // the tag is held off: no generation, and none may be made
	alone    [1]*generation // g itself: the tags of entries that have no other
}

func anyHeld(gens []*generation) bool {
	for _, g := range gens {
		if g != nil && g.held {
			return true
		}
	}
	return false
}

func (g *generation) live() bool { return g.ticket.Live() && g.epoch.Alive() }

// confirmed reports whether later, which is live, found what g is a copy of,
// under the same ticket and epoch. Then g has its evidence as well, and entries
// that were kept at different times share it.
func (g *generation) confirmed(later *generation) bool {
	if g.value != later.value || g.ticket != later.ticket || g.epoch != later.epoch {
		return false
	}
	sent := later.evidence.Load()
	for {
		old := g.evidence.Load()
		if sent <= old || g.evidence.CompareAndSwap(old, sent) {
			return true
		}
	}
}

// memoryTier finds entries by the hash of keyspace and key. Two keys with one
// hash displace each other.
type memoryTier = memory.Tier[uint64, head]

func weighHead(h *head) uint32 { return h.weight() }

// frontSlots returns how many entries the front of a budget finds: few enough
// to stay in the processor's cache, which is what makes it worth having.
func frontSlots(budget int64) int {
	return 1 << bits.Len64(uint64(min(max(budget/1024, 64), 1<<14)-1))
}

// dice decides what happens to few memory hits, by the clock reading of each,
// whatever the rhythm of the readings.
type dice uint64

func diceOf(now int64) dice { return dice(uint64(now) * 0x9E3779B97F4A7C15) }

// of returns the dice of one key among many that are read in some rhythm: what
// they pick for a key does not follow from what they picked for it before.
func (d dice) of(hash uint64) dice {
	x := uint64(d) ^ hash
	for range 2 {
		x = (x ^ x>>32) * 0xD6E8FEB86659FD93
	}
	return dice(x ^ x>>32)
}

// one reports true once in 2^bits times; what it picks, it picks with fewer
// bits too.
func (d dice) one(bits uint) bool { return d>>(64-bits) == 0 }

// The powers of two of how many memory hits there are to one that …
const (
	frontOneIn = 3  // … puts an entry into the front that was not found there
	tellOneIn  = 5  // … tells the engine of an entry that was found in the front
	crowdOneIn = 3  // … is counted for HotKeys of those that memory does not answer, in batches or among very many keys
	heatOneIn  = 10 // … is counted for HotKeys: to count each would cost as much as the hit
)

// tagList returns gens as the tags of an entry, without allocating when the
// namespace is alone.
func tagList(gens []*generation) []*generation {
	if len(gens) == 1 {
		return gens[0].alone[:]
	}
	return append([]*generation(nil), gens...)
}

// standing is the epoch of what no connection guards.
var standing = NewEpoch()

// ticketsOf returns tags that die with local invalidations of deps alone.
// Entries share them while they live.
func (c *Cache) ticketsOf(deps []string) []*generation {
	var room [4]*generation
	tags := room[:0]
	for _, dep := range deps {
		g := c.gens.copies.Get(dep)
		if g == nil || g.epoch != standing || !g.live() {
			g = &generation{key: dep, epoch: standing, ticket: c.board.Issue(dep)}
			g.evidence.Store(always)
			g.alone[0] = g
			if c.remote == nil {
				c.gens.copies.Put(dep, g, 1)
			}
		}
		tags = append(tags, g)
	}
	return tagList(tags)
}
