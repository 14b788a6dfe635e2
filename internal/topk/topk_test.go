package topk

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

func (s *Sketch) add(key uint64) {
	if !s.Hit(key, 1) {
		s.Insert(key, 1, strconv.FormatUint(key, 10))
	}
}

// The guarantee of the paper, on a Zipf stream of 100,000 events: counts are
// never too low, at most Over too high, Over is at most events/places, and
// every key above that is there.
func TestSpaceSaving(t *testing.T) {
	const events, places = 100_000, 64
	s := New(places)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.2, 1, 1<<20)
	truth := map[uint64]uint64{}
	for range events {
		key := zipf.Uint64()
		truth[key]++
		s.add(key)
	}
	items := s.Top()
	if len(items) != places {
		t.Fatalf("%d items", len(items))
	}
	found := map[uint64]bool{}
	for i, it := range items {
		found[it.Hash] = true
		if n := truth[it.Hash]; it.Count < n || it.Count-it.Over > n || it.Over > events/places {
			t.Errorf("%s: counted %d (at most %d too high), true %d", it.Name, it.Count, it.Over, n)
		}
		if i > 0 && items[i-1].Count < it.Count {
			t.Error("not in order")
		}
	}
	for key, n := range truth {
		if n > events/places && !found[key] {
			t.Errorf("key %d with %d of %d events is missing", key, n, events)
		}
	}
}

// What is in the sketch is counted without allocating; draining empties it.
func TestHitDrain(t *testing.T) {
	s := New(4)
	s.add(1)
	s.add(2)
	if n := testing.AllocsPerRun(100, func() { s.Hit(2, 3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	items := s.Drain()
	if len(items) != 2 || items[0].Name != "2" || items[0].Count != 1+101*3 {
		t.Errorf("%+v", items)
	}
	if s.Hit(1, 1) || len(s.Top()) != 0 {
		t.Error("not empty after Drain")
	}
}

// A sketch is crowded from the first key that takes another's place until it is
// drained.
func TestCrowded(t *testing.T) {
	s := New(2)
	for i, key := range []uint64{1, 2, 1, 3} {
		if s.Crowded() {
			t.Errorf("crowded after %d keys", i)
		}
		s.add(key)
	}
	if !s.Crowded() {
		t.Error("not crowded by the third of two")
	}
	if s.Drain(); s.Crowded() {
		t.Error("crowded and empty")
	}
}
