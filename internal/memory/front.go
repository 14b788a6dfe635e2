package memory

import "sync/atomic"

// Front finds the hottest entries of a [Tier] without asking its engine. It is
// an array indexed by the low bits of a hash; keys that share a slot displace
// each other. It owns nothing: whoever uses an entry from a Front decides by
// the entry itself whether it may, and tells the engine of every eighth or so
// use, so that eviction still knows what is hot.
type Front[E any] struct {
	slots []atomic.Pointer[E]
	mask  uint64
}

// NewFront returns a front of n slots, 8 bytes each; n is a power of two.
func NewFront[E any](n int) *Front[E] {
	return &Front[E]{slots: make([]atomic.Pointer[E], n), mask: uint64(n - 1)}
}

// Get returns what the slot of hash holds, which may belong to another key.
func (f *Front[E]) Get(hash uint64) *E { return f.slots[hash&f.mask].Load() }

// Put gives the slot of hash to e.
func (f *Front[E]) Put(hash uint64, e *E) { f.slots[hash&f.mask].Store(e) }

// Drop empties the slot of hash if it holds e.
func (f *Front[E]) Drop(hash uint64, e *E) { f.slots[hash&f.mask].CompareAndSwap(e, nil) }
