package memory

import (
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type item struct {
	value  int
	weight uint32
}

func open(t *testing.T, budget uint64) *Tier[string, item] {
	t.Helper()
	tier, err := New(budget, 0, func(i *item) uint32 { return i.weight }, func(string, *item) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.Close)
	return tier
}

// TestPutGetDelete holds the plain map.
func TestPutGetDelete(t *testing.T) {
	tier := open(t, 1<<20)
	if tier.Get("a") != nil {
		t.Error("an entry from nowhere")
	}
	one, two := &item{1, 100}, &item{2, 100}
	tier.Put("a", one, one.weight)
	tier.Put("b", two, two.weight)
	if tier.Get("a") != one || tier.Get("b") != two {
		t.Error("entries got lost")
	}
	tier.Put("a", two, two.weight)
	if tier.Get("a") != two {
		t.Error("not replaced")
	}
	n := 0
	for key, e := range tier.All() {
		n++
		if tier.Get(key) != e {
			t.Errorf("All has another %s", key)
		}
	}
	tier.Delete("a")
	if tier.Get("a") != nil || n != 2 {
		t.Errorf("still there, or %d entries iterated", n)
	}
}

// TestTooHeavy holds that an entry above an eighth of the budget is not kept,
// and leaves no older one of its key behind.
func TestTooHeavy(t *testing.T) {
	tier := open(t, 8000)
	small, large := &item{1, 1000}, &item{2, 1001}
	if !tier.Put("a", small, small.weight) || tier.Get("a") != small {
		t.Error("the largest allowed entry was refused")
	}
	if tier.Put("a", large, large.weight) || tier.Get("a") != nil {
		t.Error("kept a heavy entry, or the one before it")
	}
}

// TestBudget holds that entries leave for room, and are counted.
func TestBudget(t *testing.T) {
	tier := open(t, 100_000)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				tier.Put(strconv.Itoa(worker)+"-"+strconv.Itoa(i), &item{i, 100}, 100)
			}
		})
	}
	wg.Wait()
	tier.engine.CleanUp()
	if n := tier.Bytes(); n > 100_000 || n == 0 {
		t.Errorf("%d bytes of 100000", n)
	}
	if n := tier.Entries(); n > 1000 || n == 0 {
		t.Errorf("%d entries", n)
	}
	if n := tier.Evictions(); n < 7000 {
		t.Errorf("%d evictions", n)
	}
}

// TestReplacementIsNoEviction holds what the counter means: left for room.
func TestReplacementIsNoEviction(t *testing.T) {
	tier := open(t, 1<<20)
	for i := range 100 {
		tier.Put("a", &item{i, 100}, 100)
	}
	tier.Delete("a")
	tier.engine.CleanUp()
	if n := tier.Evictions(); n != 0 {
		t.Errorf("%d evictions", n)
	}
}

// TestCloseTwice holds that a closed tier neither panics nor serves.
func TestCloseTwice(t *testing.T) {
	tier := open(t, 1<<20)
	tier.Put("a", &item{1, 1}, 1)
	tier.Close()
	tier.Close()
	if tier.Get("a") != nil {
		t.Error("served after Close")
	}
}
