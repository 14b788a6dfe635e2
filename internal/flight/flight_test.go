package flight

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// flag is a guard that a test can end.
type flag struct{ dead *atomic.Bool }

func (f flag) Live() bool { return !f.dead.Load() }

func alive() flag { return flag{new(atomic.Bool)} }

func begin() *Flight[string, flag, int] { return New[string, flag, int](alive()) }

// TestOneLeads holds that of all who join a key one leads, and all get what it
// brings.
func TestOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[string, flag, int]
		var leaders, served atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				f, _, leads := g.Join("k", 1, begin)
				if leads {
					leaders.Add(1)
					time.Sleep(time.Second)
					g.Remove(f)
					f.End(7)
				}
				if v, ok, err := f.Wait(t.Context()); v == 7 && ok && err == nil {
					served.Add(1)
				}
			})
		}
		wg.Wait()
		if leaders.Load() != 1 || served.Load() != 100 || g.Len() != 0 {
			t.Errorf("%d leaders, %d served, %d flights left", leaders.Load(), served.Load(), g.Len())
		}
	})
}

// TestKeysDoNotMeet holds that different keys fly apart, whatever their hash.
func TestKeysDoNotMeet(t *testing.T) {
	var g Group[int, flag, int]
	for key := range 100 {
		if _, _, leads := g.Join(key, 7, func() *Flight[int, flag, int] { return New[int, flag, int](alive()) }); !leads {
			t.Fatalf("key %d joined another", key)
		}
	}
	if g.Len() != 100 {
		t.Errorf("%d flights", g.Len())
	}
}

// TestPlaceAndProof holds the order that decides for exact readers: a place
// below a proof's number means "joined before it was sent".
func TestPlaceAndProof(t *testing.T) {
	var g Group[string, flag, int]
	f, leader, _ := g.Join("k", 1, begin)
	_, before, _ := g.Join("k", 1, begin)
	proof := f.Prove()
	_, after, _ := g.Join("k", 1, begin)
	if leader >= proof || before >= proof || after < proof {
		t.Errorf("places %d, %d and %d around proof %d", leader, before, after, proof)
	}
	if second := f.Prove(); after >= second {
		t.Errorf("place %d is not before proof %d", after, second)
	}
}

// TestUnjoinable holds who starts a new flight: whoever finds one that ended,
// was abandoned, whose guard is dead, or whose members have all left.
func TestUnjoinable(t *testing.T) {
	for name, end := range map[string]func(f *Flight[string, flag, int]){
		"ended":     func(f *Flight[string, flag, int]) { f.End(1) },
		"abandoned": func(f *Flight[string, flag, int]) { f.Abandon() },
		"detached":  func(f *Flight[string, flag, int]) { f.guard.dead.Store(true) },
		"left":      func(f *Flight[string, flag, int]) { f.Leave() },
	} {
		var g Group[string, flag, int]
		old, _, _ := g.Join("k", 1, begin)
		end(old)
		next, _, leads := g.Join("k", 1, begin)
		if !leads || next == old {
			t.Errorf("%s: the flight was joined", name)
		}
		g.Remove(old) // must not take the new one away
		if f, _, leads := g.Join("k", 1, begin); leads || f != next {
			t.Errorf("%s: the new flight got lost", name)
		}
	}
}

// TestFirstEndCounts holds that a result is never replaced.
func TestFirstEndCounts(t *testing.T) {
	f := New[string, flag, int](alive())
	if !f.End(1) || f.End(2) || f.Abandon() {
		t.Error("more than one end counted")
	}
	if v, ok, err := f.Wait(t.Context()); v != 1 || !ok || err != nil {
		t.Errorf("%d, %v, %v", v, ok, err)
	}
	f = New[string, flag, int](alive())
	f.Abandon()
	f.End(1)
	if v, ok, err := f.Wait(t.Context()); v != 0 || ok || err != nil {
		t.Errorf("abandoned: %d, %v, %v", v, ok, err)
	}
}

// TestWaitEndsWithItsContext holds that a waiter leaves alone.
func TestWaitEndsWithItsContext(t *testing.T) {
	f := New[string, flag, int](alive())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := f.Wait(ctx); err != context.Canceled {
		t.Errorf("error %v", err)
	}
	f.End(1)
	if v, ok, _ := f.Wait(t.Context()); v != 1 || !ok {
		t.Error("the others lost the result")
	}
}

// TestLoadEndsWithTheLastMember holds that a load is cancelled when nobody
// waits any more, not before, and that one who comes too late hears of it.
func TestLoadEndsWithTheLastMember(t *testing.T) {
	var g Group[string, flag, int]
	f, _, _ := g.Join("k", 1, begin)
	g.Join("k", 1, begin)
	cancelled := 0
	if !f.Loading(func() { cancelled++ }) {
		t.Error("nobody waits")
	}
	f.Leave()
	if cancelled != 0 {
		t.Error("cancelled while somebody waits")
	}
	f.Leave()
	if cancelled != 1 {
		t.Errorf("cancelled %d times", cancelled)
	}
	late := New[string, flag, int](alive())
	late.Leave()
	if late.Loading(func() { t.Error("cancelled a load that was not begun") }) {
		t.Error("a load for nobody")
	}
}

// TestRandomMembers lets many join, wait, leave and lead at random: every
// waiter gets the result of the flight it joined, and nothing is left.
func TestRandomMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group Group[int, flag, int64]
		var number atomic.Int64
		var results sync.Map
		var wg sync.WaitGroup
		for i := range 50 {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			wg.Go(func() {
				for range 50 {
					key := random.IntN(4)
					f, _, leads := group.Join(key, uint64(key), func() *Flight[int, flag, int64] { return New[int, flag, int64](alive()) })
					if leads {
						time.Sleep(time.Duration(random.IntN(1000)))
						group.Remove(f)
						n := number.Add(1)
						results.Store(f, n)
						f.End(n)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(1500)+1))
					v, ok, err := f.Wait(ctx)
					cancel()
					if err != nil {
						f.Leave()
						continue
					}
					if want, _ := results.Load(f); !ok || want != v {
						t.Errorf("got %d, %v of a flight that brought %v", v, ok, want)
					}
				}
			})
		}
		wg.Wait()
		if group.Len() != 0 {
			t.Errorf("%d flights left", group.Len())
		}
	})
}
