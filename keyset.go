package larder

import (
	"math/bits"
	"sync"
)

// keySet tells which keys of a list came before, by their hashes: a map would
// hash them once more, and hold a copy of each.
type keySet struct {
	places []uint32 // one more than the place in the list; 0: free
}

var keySets = sync.Pool{New: func() any { return new(keySet) }}

// keySetKept is the most places that are kept for later lists.
const keySetKept = 1 << 16

// borrowKeySet returns an empty set for a list of n keys.
func borrowKeySet(n int) *keySet {
	s := keySets.Get().(*keySet)
	size := 1 << bits.Len(uint(2*n))
	if size > cap(s.places) {
		s.places = make([]uint32, size)
		return s
	}
	s.places = s.places[:size]
	clear(s.places)
	return s
}

func (s *keySet) giveBack() {
	if cap(s.places) <= keySetKept {
		keySets.Put(s)
	}
}

// firstOfKind adds the i-th of keys, and reports false if an equal one was added
// before.
func firstOfKind[K comparable](s *keySet, keys []K, i int, hash uint64) bool {
	mask := uint64(len(s.places) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		place := s.places[at]
		if place == 0 {
			s.places[at] = uint32(i + 1)
			return true
		}
		if keys[place-1] == keys[i] {
			return false
		}
	}
}
