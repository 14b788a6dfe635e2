package flight

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// joinAll lets a batch join keys, each its own hash.
func joinAll(g *Group[int, flag, int], keys ...int) (flights []*Flight[int, flag, int], b *Batch[int, flag, int], met []Met[int, flag, int]) {
	b = new(Batch[int, flag, int])
	for _, key := range keys {
		f := new(Flight[int, flag, int])
		*b.Add(f, key, uint64(key)) = alive()
		flights = append(flights, f)
	}
	return flights, b, g.JoinAll(b)
}

func join(g *Group[int, flag, int], key int) (f *Flight[int, flag, int], place int, leads bool) {
	return g.Join(key, uint64(key), func() *Flight[int, flag, int] { return New[int, flag, int](alive()) })
}

// TestBatchLeads holds that the flights of a batch are found like others, and
// that a batch joins those that others lead, at the place that it came to.
func TestBatchLeads(t *testing.T) {
	var g Group[int, flag, int]
	other, _, _ := join(&g, 17) // in one shard with 1 and 33
	other.Prove()
	flights, _, met := joinAll(&g, 1, 17, 33, 4)
	if len(met) != 1 || met[0].Own != flights[1] || met[0].Other != other || met[0].Place != 1 {
		t.Fatalf("met %+v", met)
	}
	for i, key := range []int{1, 17, 33, 4} {
		want := flights[i]
		if key == 17 {
			want = other
		}
		if f, _, leads := join(&g, key); f != want || leads {
			t.Errorf("key %d: another flight, leads: %v", key, leads)
		}
	}
	if g.Len() != 4 {
		t.Errorf("%d flights", g.Len())
	}
}

// TestBatchTakesPlaces holds that the flight of a batch takes the place of one
// that nobody may join.
func TestBatchTakesPlaces(t *testing.T) {
	var g Group[int, flag, int]
	dead, _, _ := join(&g, 1)
	dead.guard.dead.Store(true)
	flights, _, met := joinAll(&g, 1)
	if f, _, _ := join(&g, 1); len(met) != 0 || f != flights[0] || g.Len() != 1 {
		t.Errorf("met %v, %d flights", met, g.Len())
	}
}

// TestRetire holds that a flight with nobody but its leader can be joined no
// more once it is retired, and that one with others cannot be retired.
func TestRetire(t *testing.T) {
	var g Group[int, flag, int]
	flights, b, _ := joinAll(&g, 1, 2, 17)
	join(&g, 2)
	if !g.Retire(flights[0]) || g.Retire(flights[1]) || !g.Retire(flights[2]) {
		t.Error("retired what is shared, or did not what is not")
	}
	next, _, leads := join(&g, 1)
	if !leads || next == flights[0] {
		t.Error("a retired flight was joined")
	}
	g.RemoveRetired(b)
	if f, _, leads := join(&g, 1); leads || f != next {
		t.Error("the flight that followed a retired one got lost")
	}
	if f, _, leads := join(&g, 2); leads || f != flights[1] {
		t.Error("a shared flight got lost")
	}
	if g.Len() != 2 {
		t.Errorf("%d flights", g.Len())
	}
	if g.Remove(flights[2]) {
		t.Error("a retired flight is taken for shared")
	}
}

// TestRandomBatches lets batches and single callers meet at random: every waiter
// gets the result of the flight it joined, and nothing is left.
func TestRandomBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 40
		var g Group[int, flag, int]
		var number atomic.Int64
		var results sync.Map
		var wg sync.WaitGroup
		check := func(f *Flight[int, flag, int]) {
			v, ok, err := f.Wait(t.Context())
			if want, _ := results.Load(f); !ok || err != nil || want != v {
				t.Errorf("got %d, %v, %v of a flight that brought %v", v, ok, err, want)
			}
		}
		end := func(f *Flight[int, flag, int]) {
			g.Remove(f)
			n := int(number.Add(1))
			results.Store(f, n)
			f.End(n)
		}
		for i := range 30 {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			wg.Go(func() {
				for range 30 {
					if i%2 == 0 {
						f, _, leads := join(&g, random.IntN(keys))
						if leads {
							giveWay(random.IntN(5))
							end(f)
						}
						check(f)
						continue
					}
					flights, b, met := joinAll(&g, random.Perm(keys)[:10]...)
					others := make(map[*Flight[int, flag, int]]bool)
					for _, m := range met {
						others[m.Own] = true
					}
					giveWay(random.IntN(5))
					for _, f := range flights {
						if !others[f] && !g.Retire(f) {
							end(f)
						}
					}
					g.RemoveRetired(b)
					for _, m := range met {
						check(m.Other)
					}
				}
			})
		}
		wg.Wait()
		if g.Len() != 0 {
			t.Errorf("%d flights left", g.Len())
		}
	})
}

// giveWay lets others run n times.
func giveWay(n int) {
	for range n {
		runtime.Gosched()
	}
}
