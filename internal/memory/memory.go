// Package memory is the bounded memory tier: W-TinyLFU by otter under a byte
// budget, over entries that carry their own deadlines and tickets.
//
// The engine's own expiry is not used: the owner checks one deadline with the
// clock reading it needs anyway, which is what a hit would otherwise pay twice.
package memory

import (
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/maypok86/otter/v2"
)

// Overhead is the engine's own cost of an entry in bytes, added to each weight.
const Overhead = 112

// Tier holds pointers by a comparable key. All methods may be called
// concurrently.
type Tier[K comparable, E any] struct {
	engine    *otter.Cache[K, *E]
	evictions atomic.Uint64
	maxWeight uint32
}

// New returns a tier that holds at most budget bytes as told by weigh, which
// is called once per insertion, and at most entries, if that is not 0: each
// counts at least its share of the budget then. gone, if not nil, is called with every entry
// that is evicted, replaced or deleted. Neither may call the tier. Entries
// heavier than an eighth of the budget are not kept.
func New[K comparable, E any](budget uint64, entries int, weigh func(*E) uint32, gone func(K, *E)) (*Tier[K, E], error) {
	t := &Tier[K, E]{maxWeight: uint32(min(budget/8, 1<<32-1))}
	share := uint32(1)
	if entries > 0 {
		share = uint32(min((budget+uint64(entries)-1)/uint64(entries), 1<<32-1))
	}
	engine, err := otter.New(&otter.Options[K, *E]{
		MaximumWeight: budget,
		Weigher:       func(_ K, e *E) uint32 { return max(weigh(e), share) },
		OnAtomicDeletion: func(d otter.DeletionEvent[K, *E]) {
			if d.WasEvicted() {
				t.evictions.Add(1)
			}
			if gone != nil {
				gone(d.Key, d.Value)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	t.engine = engine
	return t, nil
}

// Get returns the entry of key or nil.
func (t *Tier[K, E]) Get(key K) *E {
	e, _ := t.engine.GetIfPresent(key)
	return e
}

// Put inserts or replaces the entry of key. It reports false, keeping nothing,
// if weight (what weigh says of e) is more than one entry may have.
func (t *Tier[K, E]) Put(key K, e *E, weight uint32) bool {
	if weight > t.maxWeight {
		t.engine.Invalidate(key)
		return false
	}
	t.engine.Set(key, e)
	return true
}

// Delete removes the entry of key.
func (t *Tier[K, E]) Delete(key K) { t.engine.Invalidate(key) }

// All iterates over the entries in no order. Entries that come or go meanwhile
// may be missed.
func (t *Tier[K, E]) All() iter.Seq2[K, *E] { return t.engine.All() }

// Entries returns about how many entries there are.
func (t *Tier[K, E]) Entries() int { return t.engine.EstimatedSize() }

// Bytes returns about how much of the budget is used.
func (t *Tier[K, E]) Bytes() uint64 { return t.engine.WeightedSize() }

// Evictions returns how many entries had to leave for room.
func (t *Tier[K, E]) Evictions() uint64 { return t.evictions.Load() }

// Close stops the engine's goroutines.
func (t *Tier[K, E]) Close() {
	t.engine.InvalidateAll()
	t.engine.CleanUp()
	t.engine.StopAllGoroutines()
}
