package larder

import (
	"math/bits"

	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/memory"
	"github.com/larder-go/larder/internal/ticket"
)

// always is the evidence of entries that no other process can outdate.
const always int64 = 1<<63 - 1

// head is the part of a memory entry that does not depend on its type: who it
// belongs to, until when it may be used and what proves it. It is immutable.
type head struct {
	owner    *space
	hard     int64         // monotonic ns from which it must not be used
	evidence int64         // when the request was sent that proved it
	ticket   ticket.Ticket // dies with the first change of the key
	epoch    *Epoch        // credits later evidence; nil: nothing does
	tags     []*generation // what else outdates it, the namespace first
	weight   uint32
	negative bool
}

// entry is what the memory tier holds.
type entry[K comparable, V any] struct {
	head
	key   K
	value V
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
	if h.evidence < floor && !h.credited(floor) {
		return false
	}
	if !h.ticket.Live() || h.epoch != nil && !h.epoch.Alive() {
		return false
	}
	for _, g := range h.tags {
		if !g.live() {
			return false
		}
	}
	return true
}

// credited reports whether heartbeats cover h up to floor. The evidence of a
// tagged entry is the least of its connections'.
func (h *head) credited(floor int64) bool {
	if h.epoch == nil || h.epoch.AsOf() < floor {
		return false
	}
	for _, g := range h.tags {
		if g.epoch != h.epoch && g.evidence < floor && g.epoch.AsOf() < floor {
			return false
		}
	}
	return true
}

// generation is a copy of a tag's generation as one read found it. Like an
// entry it is immutable and dies by its ticket.
type generation struct {
	key      string
	value    frame.Generation
	evidence int64
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

// memoryTier finds entries by the hash of keyspace and key. Two keys with one
// hash displace each other.
type memoryTier = memory.Tier[uint64, head]

func weighHead(h *head) uint32 { return h.weight }

// frontSlots returns how many entries the front of a budget finds: few enough
// to stay in the processor's cache, which is what makes it worth having.
func frontSlots(budget int64) int {
	return 1 << bits.Len64(uint64(min(max(budget/1024, 64), 1<<14)-1))
}

// sampled picks about one reading of the clock in eight, whatever the rhythm of
// the readings.
func sampled(now int64) bool { return uint64(now)*0x9E3779B97F4A7C15>>61 == 0 }

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
			g = &generation{key: dep, epoch: standing, evidence: always, ticket: c.board.Issue(dep)}
			g.alone[0] = g
			if c.remote == nil {
				c.gens.copies.Put(dep, g, 1)
			}
		}
		tags = append(tags, g)
	}
	return tagList(tags)
}
