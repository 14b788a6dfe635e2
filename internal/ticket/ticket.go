// Package ticket decides whether something read a while ago may still enter or
// stay in memory.
//
// A [Board] has a fixed number of stripes, each a version. A key belongs to
// the stripe its hash selects. A [Ticket] is issued before a request is sent
// and remembers the version; killing a key raises the version, which ends
// every ticket of the stripe for good. Keys that share a stripe are killed
// together: that costs another read and is never wrong.
//
// Because a live ticket is demanded at every use, and not only when an entry
// is inserted, there is no window between looking and inserting.
package ticket

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"
)

const waiterShards = 64

// A Board issues tickets and wakes those who wait for a key to change. All
// methods may be called concurrently.
type Board struct {
	seed    maphash.Seed
	entries uint64          // stripes of entries, a power of two; they come first
	stripes []atomic.Uint64 // then controlStripes
	waiters [waiterShards]waiterShard
}

// controlStripes is the number of stripes of keys that begin with '#', a power
// of two.
const controlStripes = 1 << 16

type waiterShard struct {
	mu sync.Mutex
	m  map[uint64][]chan struct{} // by stripe
	_  [40]byte
}

// A Ticket is valid while [Ticket.Live]. The zero Ticket is never live.
type Ticket struct {
	stripe  *atomic.Uint64
	version uint64
}

// A Stub is a [Ticket] in half the room, for whoever keeps many. It forgets the
// board, and all of the version but 40 bits: it would come to life again after
// 2^40 kills of its stripe, which is a kill every microsecond for 12 days.
type Stub uint64

const (
	indexBits   = 24
	versionBits = 64 - indexBits
)

// Stub returns the stub of t, which the board must have issued.
func (b *Board) Stub(t Ticket) Stub {
	i := (uintptr(unsafe.Pointer(t.stripe)) - uintptr(unsafe.Pointer(&b.stripes[0]))) / unsafe.Sizeof(b.stripes[0])
	return Stub(uint64(i)<<versionBits | t.version&(1<<versionBits-1))
}

// Live is [Ticket.Live] for a stub of this board.
func (b *Board) Live(s Stub) bool {
	return (b.stripes[s>>versionBits].Load()^uint64(s))<<indexBits == 0
}

// Stripe returns the number of the stripe that decides about s.
func (s Stub) Stripe() uint32 { return uint32(s >> versionBits) }

// Touch begins to bring the version of a stripe into the processor's cache. It
// proves nothing: whoever needs the version reads it when its order demands.
func (b *Board) Touch(stripe uint32) { b.stripes[stripe].Load() }

// maxEntries leaves room for controlStripes in the index of a [Stub].
const maxEntries = 1 << (indexBits - 1)

// NewBoard returns a board with at least n stripes for entries, 8 bytes each; n
// is raised to a power of two and to 64, and is at most 1<<23.
func NewBoard(n int) *Board {
	entries := uint64(1) << bits.Len64(uint64(min(max(n, 64), maxEntries)-1))
	return &Board{seed: maphash.MakeSeed(), entries: entries, stripes: make([]atomic.Uint64, entries+controlStripes)}
}

func (b *Board) index(key string) uint64 {
	hash := maphash.String(b.seed, key)
	if len(key) > 0 && key[0] == '#' {
		return b.entries + hash&(controlStripes-1)
	}
	return hash & (b.entries - 1)
}

// Issue returns a ticket for key. To prove something it must be issued before
// the request is sent whose reply it is to guard.
func (b *Board) Issue(key string) Ticket {
	s := &b.stripes[b.index(key)]
	return Ticket{stripe: s, version: s.Load()}
}

// Live reports whether the key was not killed since t was issued.
func (t Ticket) Live() bool { return t.stripe != nil && t.stripe.Load() == t.version }

// Kill ends the tickets of key and wakes its waiters.
func (b *Board) Kill(key string) {
	i := b.index(key)
	b.stripes[i].Add(1)
	b.wake(i)
}

// Replace ends every other ticket of t's key and wakes its waiters: what an
// own write does when its reply arrives. It returns the ticket that stands for
// the state after the write, and false if t itself was dead.
func (b *Board) Replace(key string, t Ticket) (Ticket, bool) {
	i := b.index(key)
	live := b.stripes[i].CompareAndSwap(t.version, t.version+1)
	if !live {
		b.stripes[i].Add(1)
	}
	b.wake(i)
	return Ticket{stripe: t.stripe, version: t.version + 1}, live
}

func (b *Board) wake(i uint64) {
	s := &b.waiters[i%waiterShards]
	s.mu.Lock()
	woken := s.m[i]
	delete(s.m, i)
	s.mu.Unlock()
	for _, ch := range woken {
		close(ch)
	}
}

// Wait returns a channel that is closed when key is killed after t was issued,
// which may be at once, or when [Board.WakeAll] is called. stop forgets it.
func (b *Board) Wait(key string, t Ticket) (woken <-chan struct{}, stop func()) {
	i := b.index(key)
	ch := make(chan struct{})
	s := &b.waiters[i%waiterShards]
	s.mu.Lock()
	if s.m == nil {
		s.m = make(map[uint64][]chan struct{})
	}
	s.m[i] = append(s.m[i], ch)
	s.mu.Unlock()
	if !t.Live() {
		b.wake(i)
	}
	return ch, func() { s.forget(i, ch) }
}

func (s *waiterShard) forget(i uint64, ch chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.m[i]
	for n, c := range list {
		if c == ch {
			list[n] = list[len(list)-1]
			list = list[:len(list)-1]
			break
		}
	}
	if len(list) == 0 {
		delete(s.m, i)
	} else {
		s.m[i] = list
	}
}

// KillAll ends every ticket and wakes every waiter. It costs a pass over all
// stripes.
func (b *Board) KillAll() {
	for i := range b.stripes {
		b.stripes[i].Add(1)
	}
	b.WakeAll()
}

// WakeAll wakes every waiter: the connection their push would have come by is
// gone.
func (b *Board) WakeAll() {
	for n := range b.waiters {
		s := &b.waiters[n]
		s.mu.Lock()
		all := s.m
		s.m = nil
		s.mu.Unlock()
		for _, list := range all {
			for _, ch := range list {
				close(ch)
			}
		}
	}
}
