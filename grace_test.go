package larder_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// aging are options with a TTL of ten seconds and a minute of grace.
func aging(change ...func(*larder.KeyspaceOptions[string, int])) larder.KeyspaceOptions[string, int] {
	o := larder.KeyspaceOptions[string, int]{TTL: 10 * time.Second, Grace: time.Minute, EarlyRefresh: -1}
	for _, f := range change {
		f(&o)
	}
	return o
}

// inAging runs a test with n caches whose keyspaces have grace.
func inAging(t *testing.T, n int, run func(r *rig), change ...func(*larder.KeyspaceOptions[string, int])) {
	t.Helper()
	inSetup(t, setup{nodes: n, spaces: aging(change...)}, run)
}

// stale makes the entry of key stale on every node: loaded as version 0, while
// the source has 1.
func (r *rig) stale(key string) {
	r.Helper()
	for _, n := range r.nodes {
		n.expect(key, 0)
	}
	r.src.change(key)
	r.pass(11 * time.Second)
	r.src.takeLoads(key)
}

// TestGraceServesWhileOneRefreshes holds that every node is served the stale
// value at once, that one load in the cluster replaces it, and that all see the
// new value then.
func TestGraceServesWhileOneRefreshes(t *testing.T) {
	inAging(t, 3, func(r *rig) {
		r.stale("k")
		g := r.src.slow("k")
		for range 5 {
			for _, n := range r.nodes {
				n.expect("k", 0)
				synctest.Wait()
			}
		}
		r.loads("k", 1)
		g.pass()
		r.pass(0)
		for _, n := range r.nodes {
			n.expect("k", 1)
			if st := n.stats(); st.StaleHits != 5 || st.StaleHits != st.StaleRefreshing {
				r.Errorf("%d stale hits, want 5: %+v", st.StaleHits, st)
			}
		}
		r.loads("k", 0)
	})
}

// TestGraceEnds holds that nothing is served beyond TTL and grace.
func TestGraceEnds(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		r.stale("k")
		r.pass(58 * time.Second)
		r.src.slow("k")
		r.nodes[0].expect("k", 0) // 69 s old, and its refresh hangs
		r.pass(2 * time.Second)
		r.nodes[0].expect("k", 1)
	})
}

// TestGraceNeverBringsInvalidatedValuesBack holds P1 for every kind of
// invalidation of a stale value, also while it is refreshed.
func TestGraceNeverBringsInvalidatedValuesBack(t *testing.T) {
	for name, invalidate := range map[string]func(r *rig){
		"key":     func(r *rig) { r.nodes[1].invalidate(r.nodes[1].tagged.Key("k")) },
		"tag":     func(r *rig) { r.nodes[1].invalidate(larder.Tag("group")) },
		"all":     func(r *rig) { r.nodes[1].invalidate(larder.All()) },
		"pattern": func(r *rig) { _, _ = r.nodes[1].cache.DeletePattern(r.ctx, "tagged:*") },
	} {
		t.Run(name, func(t *testing.T) {
			inAging(t, 2, func(r *rig) {
				a := r.nodes[0]
				a.getFrom(a.tagged, "k")
				r.pass(11 * time.Second)
				g := r.src.slow("k")
				a.getFrom(a.tagged, "k") // stale, and refreshed by a load of version 0
				synctest.Wait()
				r.src.change("k")
				invalidate(r)
				r.pass(0)
				if got := a.getFrom(a.tagged, "k", larder.Exact); got != 1 {
					r.Errorf("version %d after the invalidation", got)
				}
				g.pass()
				r.pass(0)
				for _, n := range r.nodes {
					if got := n.getFrom(n.tagged, "k", larder.Exact); got != 1 {
						r.Errorf("version %d after the refresh that began before", got)
					}
				}
			})
		})
	}
}

// TestExactReadsMayBeStale holds that an exact read within grace is answered
// without a load: it is about invalidations, not about age.
func TestExactReadsMayBeStale(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		r.stale("k")
		r.src.slow("k")
		r.nodes[1].expect("k", 0, larder.Exact)
	})
}

// failing makes loads of the source fail and counts them.
func (r *rig) ill(err error) (calls *atomic.Int64) {
	calls = new(atomic.Int64)
	r.src.mu.Lock()
	defer r.src.mu.Unlock()
	r.src.hook = func(context.Context, string) error {
		calls.Add(1)
		return err
	}
	return calls
}

func (r *rig) well() {
	r.src.mu.Lock()
	defer r.src.mu.Unlock()
	r.src.hook = nil
}

// TestFailSafe holds that a failing loader leaves readers the stale value, is
// not called again before the backoff in the whole cluster, and that its
// recovery is noticed.
func TestFailSafe(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		r.stale("k")
		calls := r.ill(errors.New("the source is down"))
		for range 29 { // 2.9 s with a backoff of 1 s
			for _, n := range r.nodes {
				n.expect("k", 0)
			}
			r.pass(100 * time.Millisecond)
		}
		if n := calls.Load(); n < 2 || n > 3 {
			r.Errorf("%d loads in 2.9 s, want 3 by a backoff of 1 s", n)
		}
		st, other := r.nodes[0].stats(), r.nodes[1].stats()
		if st.StaleFailed+other.StaleFailed == 0 || st.StaleHits != 29 || st.Errors+other.Errors != 0 {
			r.Errorf("counters %+v, %+v", st, other)
		}
		if total := st.RefreshErrors + other.RefreshErrors; total != uint64(calls.Load()) {
			r.Errorf("%d refresh errors, %d calls", total, calls.Load())
		}
		r.well()
		r.pass(1100 * time.Millisecond)
		r.nodes[0].expect("k", 0)
		r.pass(0)
		r.nodes[0].expect("k", 1)
		r.nodes[1].expect("k", 1)
	})
}

// TestBackoffWithoutAValue holds that reads of a key without any value get the
// error of its last load until the backoff is over, and that the error is not
// cached anywhere else.
func TestBackoffWithoutAValue(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		a, b := r.two()
		down := errors.New("the source is down")
		calls := r.ill(down)
		for range 3 {
			if _, err := a.plain.Get(r.ctx, "k", r.src.load); !errors.Is(err, down) {
				r.Errorf("Get: %v", err)
			}
			if values, err := a.plain.GetMany(r.ctx, []string{"k", "l"}, r.src.loadMany); !errors.Is(err, down) || len(values) != 0 {
				r.Errorf("GetMany: %v, %v", values, err)
			}
		}
		if n := calls.Load(); n != 2 {
			r.Errorf("%d loads, want one for each key", n)
		}
		if st := a.stats(); st.BackedOff != 7 || st.Errors != st.Reads {
			r.Errorf("%d backed off, want 7: %+v", st.BackedOff, st)
		}
		r.well()
		b.expect("k", 0) // another process is not concerned
		r.pass(time.Second)
		a.expect("l", 0)
	})
}

// TestSoftTimeout holds that a read waits for a refresh that is quick and takes
// the stale value when it is slow, and that the slow load is stored.
func TestSoftTimeout(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		n := r.nodes[0]
		r.stale("k")
		n.expect("k", 1) // the load takes no time
		r.pass(11 * time.Second)
		r.src.change("k")
		g := r.src.slow("k")
		began := time.Now()
		n.expect("k", 1)
		if waited := time.Since(began); waited != 100*time.Millisecond {
			r.Errorf("waited %v", waited)
		}
		if st := n.stats(); st.StaleSlow != 1 || st.StaleHits != 1 {
			r.Errorf("counters %+v", st)
		}
		g.pass()
		r.pass(0)
		n.expect("k", 2)
		r.loads("k", 2)
	}, func(o *larder.KeyspaceOptions[string, int]) { o.SoftTimeout = 100 * time.Millisecond })
}

// TestSoftTimeoutOfAFailingLoad holds that a failure ends the wait at once.
func TestSoftTimeoutOfAFailingLoad(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		r.stale("k")
		r.ill(errors.New("down"))
		began := time.Now()
		r.nodes[0].expect("k", 0)
		r.nodes[0].expect("k", 0)
		if st := r.nodes[0].stats(); time.Since(began) != 0 || st.StaleFailed != 2 {
			r.Errorf("after %v: %+v", time.Since(began), st)
		}
	}, func(o *larder.KeyspaceOptions[string, int]) { o.SoftTimeout = 100 * time.Millisecond })
}

// TestHardTimeout holds that a read without any value fails after the hard
// time-out, while its load goes on and stores the value for the next.
func TestHardTimeout(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		a, b := r.two()
		g := r.src.slow("k")
		began := time.Now()
		if _, err := a.plain.Get(r.ctx, "k", r.src.load); !errors.Is(err, larder.ErrLoadTimeout) {
			r.Errorf("Get: %v", err)
		}
		if _, err := b.plain.Get(r.ctx, "k", r.src.load); !errors.Is(err, larder.ErrLoadTimeout) {
			r.Errorf("Get while another process loads: %v", err)
		}
		if _, err := a.plain.GetMany(r.ctx, []string{"k"}, r.src.loadMany); !errors.Is(err, larder.ErrLoadTimeout) {
			r.Errorf("GetMany: %v", err)
		}
		if waited := time.Since(began); waited != 600*time.Millisecond {
			r.Errorf("three reads waited %v", waited)
		}
		g.pass()
		r.pass(0)
		b.expect("k", 0)
		r.loads("k", 1)
	}, func(o *larder.KeyspaceOptions[string, int]) { o.HardTimeout = 200 * time.Millisecond })
}

// TestRefreshPanics holds that a panic in the background crashes nothing, is
// logged once for each load and counted, and backs off like an error.
func TestRefreshPanics(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		n := r.nodes[0]
		r.stale("k")
		var calls atomic.Int64
		load := func(context.Context, string) (int, error) {
			calls.Add(1)
			panic("the loader is broken")
		}
		for range 5 {
			if v, err := n.plain.Get(r.ctx, "k", load); v != 0 || err != nil {
				r.Errorf("Get = %d, %v", v, err)
			}
			synctest.Wait()
		}
		if n.logs.containing("loader panicked") != 1 || calls.Load() != 1 || n.stats().RefreshErrors != 1 || n.stats().LoadErrors != 1 {
			r.Errorf("%d calls, log %q, %+v", calls.Load(), n.logs.lines, n.stats())
		}
	})
}

// TestRefreshIgnoresItsContext holds that a loader which does not return keeps
// nobody waiting and no other refresh from being tried.
func TestRefreshIgnoresItsContext(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		n := r.nodes[0]
		r.stale("k")
		hangs := make(chan struct{})
		defer close(hangs)
		load := func(context.Context, string) (int, error) { <-hangs; return -1, nil }
		if v, err := n.plain.Get(r.ctx, "k", load); v != 0 || err != nil {
			r.Errorf("Get = %d, %v", v, err)
		}
		r.pass(6 * time.Second) // load time-out 1 s, then its lock's 3 s
		n.expect("k", 0)
		r.pass(0)
		n.expect("k", 1)
	}, func(o *larder.KeyspaceOptions[string, int]) { o.LoadTimeout = time.Second })
}

// TestRefresherDies holds that the loss of a refresher costs one more load when
// its key has expired, and that readers are served meanwhile.
func TestRefresherDies(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		a, b := r.two()
		r.stale("k")
		r.src.slow("k")
		a.expect("k", 0)
		synctest.Wait()
		a.remote.Cut() // and with it the renewal of its key
		r.pass(time.Second)
		b.expect("k", 0)
		r.loads("k", 1)
		r.pass(3 * time.Second)
		b.expect("k", 0)
		r.pass(0)
		b.expect("k", 1)
		r.loads("k", 1)
	})
}

// TestNotModified holds that a conditional refresh sees the stale value and can
// leave it as it is: fresh again, in every process.
func TestNotModified(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		a, b := r.two()
		r.stale("k")
		var seen atomic.Int64
		load := func(ctx context.Context, _ string) (int, error) {
			if v, ok := larder.StaleFrom[int](ctx); ok {
				seen.Store(int64(100 + v))
			}
			larder.LoadFrom(ctx).NotModified()
			return 0, nil
		}
		if v, err := a.plain.Get(r.ctx, "k", load); v != 0 || err != nil {
			r.Fatalf("Get = %d, %v", v, err)
		}
		synctest.Wait()
		if seen.Load() != 100 {
			r.Errorf("the loader saw %d", seen.Load())
		}
		if ttl, err := b.plain.TTL(r.ctx, "k"); ttl < 9*time.Second || err != nil {
			r.Errorf("TTL %v, %v: not fresh again", ttl, err)
		}
		b.expect("k", 0)
		if st := b.stats(); st.StaleHits != 0 {
			r.Errorf("%+v", st)
		}
	})
}

// TestNotModifiedWithoutAValue holds that there must be something to leave.
func TestNotModifiedWithoutAValue(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		load := func(ctx context.Context, _ string) (int, error) {
			if _, ok := larder.StaleFrom[int](ctx); ok {
				r.Error("a stale value out of nothing")
			}
			larder.LoadFrom(ctx).NotModified()
			return 7, nil
		}
		if v, err := r.nodes[0].plain.Get(r.ctx, "k", load); !errors.Is(err, larder.ErrNothingStale) || v != 0 {
			r.Errorf("Get = %d, %v", v, err)
		}
	})
}

// TestRefreshFindsNothing holds that a value whose source is gone ends with its
// refresh, whether the answer "not found" is cached or not.
func TestRefreshFindsNothing(t *testing.T) {
	for name, negative := range map[string]time.Duration{"cached": time.Second, "not cached": -1} {
		t.Run(name, func(t *testing.T) {
			inAging(t, 2, func(r *rig) {
				r.stale("k")
				r.ill(larder.ErrNotFound)
				r.nodes[0].expect("k", 0)
				r.pass(0)
				for _, n := range r.nodes {
					if v, err := n.plain.Get(r.ctx, "k", r.src.load); !errors.Is(err, larder.ErrNotFound) {
						r.Errorf("Get = %d, %v", v, err)
					}
				}
			}, func(o *larder.KeyspaceOptions[string, int]) { o.NegativeTTL = negative })
		})
	}
}

// TestGetManyServesStaleValues holds that a batch is served the stale values and
// refreshes all of them with one call.
func TestGetManyServesStaleValues(t *testing.T) {
	for name, memory := range map[string]int64{"memory": 0, "Redis": -1} {
		t.Run(name, func(t *testing.T) {
			s := setup{nodes: 1, spaces: aging(), cache: larder.Options{MemoryBytes: memory}}
			inSetup(t, s, func(r *rig) {
				keys := []string{"a", "b", "c"}
				var calls atomic.Int64
				load := func(ctx context.Context, keys []string) (map[string]int, error) {
					calls.Add(1)
					return r.src.loadMany(ctx, keys)
				}
				get := func(want int) {
					values, err := r.nodes[0].plain.GetMany(r.ctx, keys, load)
					if err != nil || len(values) != 3 || values["a"] != want || values["c"] != want {
						r.Errorf("GetMany = %v, %v; want %d", values, err, want)
					}
					synctest.Wait()
				}
				get(0)
				for _, key := range keys {
					r.src.change(key)
				}
				r.pass(11 * time.Second)
				get(0)
				get(1)
				if calls.Load() != 2 {
					r.Errorf("%d calls, want one and one", calls.Load())
				}
				if st := r.nodes[0].stats(); st.StaleHits != 3 || st.Refreshes != 3 {
					r.Errorf("%+v", st)
				}
			})
		})
	}
}

// TestLookupServesStaleValues holds that a read that never loads is served
// within grace and refreshes nothing.
func TestLookupServesStaleValues(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		r.stale("k")
		for _, n := range r.nodes {
			if v, err := n.lookup("k"); v != 0 || err != nil {
				r.Errorf("Lookup = %d, %v", v, err)
			}
		}
		if ttl, err := r.nodes[0].plain.TTL(r.ctx, "k"); err != nil || ttl > 0 {
			r.Errorf("TTL = %v, %v", ttl, err)
		}
		r.pass(0)
		r.loads("k", 0)
	})
}

// TestGraceInMemoryAlone holds grace, Expire and Refresh in a cache that has no
// remote tier, and in a keyspace that is kept in memory only.
func TestGraceInMemoryAlone(t *testing.T) {
	test := func(t *testing.T, open func(context.Context) (*larder.Cache, error), tiers larder.Tiers) {
		synctest.Test(t, func(t *testing.T) {
			c, err := open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			src := newSource()
			k := space(t, c, "plain", aging(func(o *larder.KeyspaceOptions[string, int]) { o.Tiers = tiers }))
			expect := func(want int) {
				t.Helper()
				if v, err := k.Get(t.Context(), "k", src.load); v != want || err != nil {
					t.Errorf("Get = %d, %v; want %d", v, err, want)
				}
				synctest.Wait()
			}
			expect(0)
			src.change("k")
			expect(0)
			time.Sleep(11 * time.Second)
			expect(0)
			expect(1)
			src.change("k")
			if v, err := k.Refresh(t.Context(), "k", src.load); v != 2 || err != nil {
				t.Errorf("Refresh = %d, %v", v, err)
			}
			expect(2)
			src.change("k")
			time.Sleep(11 * time.Second)
			if err := c.Invalidate(t.Context(), k.Key("k")); err != nil {
				t.Error(err)
			}
			expect(3)
			if got := src.takeLoads("k"); got != 4 {
				t.Errorf("%d loads", got)
			}
		})
	}
	t.Run("no remote", func(t *testing.T) {
		test(t, func(context.Context) (*larder.Cache, error) { return larder.New(larder.Options{}) }, larder.BothTiers)
	})
	t.Run("memory only", func(t *testing.T) {
		test(t, func(ctx context.Context) (*larder.Cache, error) {
			return larder.NewWithRemote(ctx, lardertest.NewServer().Node(), larder.Options{})
		}, larder.MemoryOnly)
	})
}

// TestContradictions holds that options which do not go together are refused by
// their names.
func TestContradictions(t *testing.T) {
	type options = larder.KeyspaceOptions[string, int]
	batch := func(context.Context, []string) (map[string]int, error) { return nil, nil }
	c, err := larder.New(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for want, o := range map[string]options{
		"Grace: -1s":                            {Grace: -time.Second},
		"Grace: 8761h0m0s":                      {Grace: 8761 * time.Hour},
		"SoftTimeout: needs Grace":              {SoftTimeout: time.Second},
		"SoftTimeout: is not below HardTimeout": {Grace: 1e9, SoftTimeout: time.Second, HardTimeout: time.Second},
		"SoftTimeout: is not below LoadTimeout": {Grace: 1e9, SoftTimeout: time.Minute},
		"SoftTimeout: -1ns":                     {Grace: 1e9, SoftTimeout: -1},
		"HardTimeout: is above LoadTimeout":     {HardTimeout: time.Second, LoadTimeout: time.Millisecond},
		"HardTimeout: -1ns":                     {HardTimeout: -1},
		"Backoff: 1ns":                          {Backoff: 1},
		"Backoff: 2h0m0s":                       {Backoff: 2 * time.Hour},
		"Jitter: 1 ":                            {Jitter: 1},
		"Jitter: -0.1":                          {Jitter: -0.1},
		"EarlyRefresh: +Inf":                    {EarlyRefresh: inf()},
		"RefreshBatch: needs Grace":             {RefreshBatch: batch},
		"RefreshWindow: needs RefreshBatch":     {Grace: 1e9, RefreshWindow: time.Second},
		"RefreshWindow: -1ns":                   {Grace: 1e9, RefreshBatch: batch, RefreshWindow: -1},
		"ServeStaleOnOutage: needs memory":      {ServeStaleOnOutage: time.Minute, Tiers: larder.RemoteOnly},
		"ServeStaleOnOutage: -1ns":              {ServeStaleOnOutage: -1},
	} {
		if _, err := larder.NewKeyspace(c, "k", o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", o, err, want)
		}
	}
}

func inf() float64 { var zero float64; return 1 / zero }
