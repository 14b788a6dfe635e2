package memory

import "sync/atomic"

// Front finds the hottest entries of a [Tier] without asking its engine. It is
// an array indexed by the low bits of a hash; keys that share a slot displace
// each other. It owns nothing: whoever uses an entry from a Front decides by
// the entry itself whether it may, and tells the engine of some uses, so that
// eviction still knows what is hot.
type Front[E any] struct {
	slots []slot[E]
	mask  uint64
}

// What is beside the pointer of a slot may be another entry's for a moment: it
// saves time and decides nothing.
type slot[E any] struct {
	entry atomic.Pointer[E]
	aside atomic.Uint64 // the high half of the hash, and the hint
}

// NewFront returns a front of n slots, 16 bytes each; n is a power of two.
func NewFront[E any](n int) *Front[E] {
	return &Front[E]{slots: make([]slot[E], n), mask: uint64(n - 1)}
}

// Get returns what the slot of hash holds, which may belong to another key, and
// the hint that came with it or with another entry. Most entries of other keys
// are recognised without looking at them, and not returned.
func (f *Front[E]) Get(hash uint64) (e *E, hint uint32) {
	s := &f.slots[hash&f.mask]
	aside := s.aside.Load()
	if (aside^hash)>>32 != 0 {
		return nil, 0
	}
	return s.entry.Load(), uint32(aside)
}

// Put gives the slot of hash to e, with a hint for its readers.
func (f *Front[E]) Put(hash uint64, e *E, hint uint32) {
	s := &f.slots[hash&f.mask]
	s.entry.Store(e)
	s.aside.Store(hash&^(1<<32-1) | uint64(hint))
}

// Drop empties the slot of hash if it holds e.
func (f *Front[E]) Drop(hash uint64, e *E) { f.slots[hash&f.mask].entry.CompareAndSwap(e, nil) }
