// Package topk finds the most frequent of a stream of keys in bounded memory:
// the Space-Saving sketch of Metwally, Agrawal and El Abbadi, "Efficient
// Computation of Frequent and Top-k Elements in Data Streams" (ICDT 2005).
package topk

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
)

// Item is a key with its count. The true count is at most Over below it.
type Item struct {
	Hash  uint64
	Name  string
	Count uint64
	Over  uint64
}

// Sketch counts the keys that occur most. A key that occurs in more than one of
// so many events as the sketch has places is certainly in it. All methods may
// be called concurrently.
type Sketch struct {
	crowded atomic.Bool

	mu     sync.Mutex
	places int
	at     map[uint64]int
	counts []uint64 // apart from items: the search for the least reads these alone
	items  []Item
}

// New returns an empty sketch with so many places.
func New(places int) *Sketch {
	return &Sketch{places: places, at: make(map[uint64]int, places)}
}

// Hit adds weight to the count of a key that is in the sketch and reports
// whether it is. It does not allocate.
func (s *Sketch) Hit(hash, weight uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.at[hash]
	if ok {
		s.counts[i] += weight
	}
	return ok
}

// Insert adds a key that [Sketch.Hit] did not find, in the place of the one with
// the least count, which it inherits, if there is no other.
func (s *Sketch) Insert(hash, weight uint64, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.at[hash]; ok {
		s.counts[i] += weight
		return
	}
	if len(s.items) < s.places {
		s.at[hash] = len(s.items)
		s.counts = append(s.counts, weight)
		s.items = append(s.items, Item{Hash: hash, Name: name})
		return
	}
	s.crowded.Store(true)
	least := 0
	for i, n := range s.counts {
		if n < s.counts[least] {
			least = i
		}
	}
	delete(s.at, s.items[least].Hash)
	s.at[hash] = least
	s.items[least] = Item{Hash: hash, Name: name, Over: s.counts[least]}
	s.counts[least] += weight
}

// Crowded reports whether a key had to give way to another since the sketch was
// made or drained. It takes no lock.
func (s *Sketch) Crowded() bool { return s.crowded.Load() }

// Top returns what the sketch holds, highest count first.
func (s *Sketch) Top() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.top()
}

// Drain is Top, and empties the sketch.
func (s *Sketch) Drain() []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := s.top()
	clear(s.at)
	s.counts, s.items = s.counts[:0], s.items[:0]
	s.crowded.Store(false)
	return items
}

func (s *Sketch) top() []Item {
	items := slices.Clone(s.items)
	for i := range items {
		items[i].Count = s.counts[i]
	}
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return items
}
