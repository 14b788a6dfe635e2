package lardertest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// mapCache is a cache of one process whose faults the test chooses.
type mapCache struct {
	c *Checker

	mu      sync.Mutex
	entries map[int]uint64
	fault   func(key int) bool // true: this invalidation is forgotten
}

func newMapCache(c *Checker) *mapCache { return &mapCache{c: c, entries: map[int]uint64{}} }

// Get is correct by brute force: nothing changes while it loads.
func (m *mapCache) Get(ctx context.Context, key int) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.entries[key]; ok {
		return v, nil
	}
	v, err := m.c.Load(ctx, key)
	if err == nil {
		m.entries[key] = v
	}
	return v, err
}

func (m *mapCache) Invalidate(_ context.Context, key int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == nil || !m.fault(key) {
		delete(m.entries, key)
	}
	return nil
}

// TestCheckerAdmitsCorrectCache holds that a correct cache has no stale read
// under load.
func TestCheckerAdmitsCorrectCache(t *testing.T) {
	c := NewChecker(CheckerOptions{Keys: 8})
	r := c.Run(t.Context(), Workload{Reads: 200_000}, newMapCache(c))
	t.Log("\n" + r.String())
	if r.Reads != 200_000 || r.Stale != 0 || r.Invented != 0 || r.Failed != 0 || r.Writes == 0 || r.Loads == 0 {
		t.Errorf("a correct cache: %+v", r)
	}
	if r.Repeated != 0 {
		t.Errorf("%d loads without a reason although the cache loads once", r.Repeated)
	}
}

// TestCheckerFindsForgottenInvalidation holds that the rarest fault is found.
func TestCheckerFindsForgottenInvalidation(t *testing.T) {
	c := NewChecker(CheckerOptions{Keys: 8})
	m := newMapCache(c)
	calls := 0
	m.fault = func(int) bool { calls++; return calls%500 == 0 }
	r := c.Run(t.Context(), Workload{Reads: 200_000}, m)
	t.Log("\n" + r.String())
	if r.Stale == 0 || r.AgeMax == 0 || len(r.Samples) == 0 {
		t.Errorf("forgotten invalidations were not found: %+v", r)
	}
}

// naiveMap stores what it loaded without asking what happened meanwhile.
type naiveMap struct{ *mapCache }

func (m naiveMap) Get(ctx context.Context, key int) (uint64, error) {
	m.mu.Lock()
	v, ok := m.entries[key]
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := m.c.Load(ctx, key)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[key] = v
	return v, err
}

// TestCheckerFindsLateFill holds that the classic race is found: a value that
// was loaded before a change is stored after its invalidation.
func TestCheckerFindsLateFill(t *testing.T) {
	c := NewChecker(CheckerOptions{Keys: 64, SlowLoad: time.Millisecond})
	r := c.Run(t.Context(), Workload{Reads: 300_000}, naiveMap{newMapCache(c)})
	t.Log("\n" + r.String())
	if r.Stale == 0 || r.Repeated == 0 {
		t.Errorf("late fills were not found: %+v", r)
	}
}

// TestCheckerJudges holds the judgement of single reads and their ages, to the
// nanosecond of virtual time.
func TestCheckerJudges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewChecker(CheckerOptions{Keys: 1})
		ok := func(context.Context, int) error { return nil }
		read := func(version uint64) {
			must(t, c.Read(t.Context(), 0, func(context.Context, int) (uint64, error) { return version, nil }))
		}
		time.Sleep(time.Second)
		read(1)
		must(t, c.Write(t.Context(), 0, ok)) // version 2 confirmed at 1 s
		time.Sleep(time.Second)
		must(t, c.Write(t.Context(), 0, ok)) // version 3 confirmed at 2 s
		read(3)
		if r := c.Report(); r.Stale != 0 {
			t.Fatalf("fresh reads are stale: %v", r)
		}
		time.Sleep(time.Second)
		read(2) // invalid since 2 s
		read(1) // invalid since 1 s
		r := c.Report()
		if r.Stale != 2 || r.Samples[0].Age != time.Second || r.Samples[1].Age != 2*time.Second || r.AgeMax != 2*time.Second {
			t.Fatalf("ages: %v", r)
		}
		read(4)
		if r := c.Report(); r.Invented != 1 {
			t.Errorf("a version that was never written: %v", r)
		}
		if !strings.Contains(r.String(), "longest 2s") {
			t.Errorf("the table lacks the longest age:\n%v", r)
		}
	})
}

// TestCheckerBindsConfirmedOnly holds that neither an unconfirmed invalidation
// nor one confirmed during the read makes a read stale.
func TestCheckerBindsConfirmedOnly(t *testing.T) {
	c := NewChecker(CheckerOptions{Keys: 1})
	boom := errors.New("no answer")
	if err := c.Write(t.Context(), 0, func(context.Context, int) error { return boom }); !errors.Is(err, boom) {
		t.Fatalf("Write: %v", err)
	}
	must(t, c.Read(t.Context(), 0, func(ctx context.Context, key int) (uint64, error) {
		return 1, c.Write(ctx, key, func(context.Context, int) error { return nil })
	}))
	if err := c.Read(t.Context(), 0, func(context.Context, int) (uint64, error) { return 0, boom }); !errors.Is(err, boom) {
		t.Fatalf("Read: %v", err)
	}
	if r := c.Report(); r.Stale != 0 || r.Unconfirmed != 1 || r.Writes != 2 || r.Failed != 1 || r.Reads != 2 {
		t.Errorf("%+v", r)
	}
	must(t, c.Read(t.Context(), 0, func(context.Context, int) (uint64, error) { return 2, nil }))
	if r := c.Report(); r.Stale != 1 {
		t.Errorf("a confirmed change did not bind: %+v", r)
	}
}

// BenchmarkCheckerRead measures what recording costs the cache under test.
func BenchmarkCheckerRead(b *testing.B) {
	c := NewChecker(CheckerOptions{Keys: 1024})
	get := func(context.Context, int) (uint64, error) { return 1, nil }
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			_ = c.Read(b.Context(), i&1023, get)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
}
