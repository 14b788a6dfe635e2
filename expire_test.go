package larder_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// TestExpire holds the soft verb: every process is served the old value while
// one loads, and none as fresh.
func TestExpire(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		a, b := r.two()
		a.expect("k", 0)
		b.expect("k", 0)
		r.src.change("k")
		r.loads("k", 1)
		g := r.src.slow("k")
		if err := a.plain.Expire(r.ctx, "k"); err != nil {
			r.Fatal(err)
		}
		r.pass(0)
		a.expect("k", 0)
		b.expect("k", 0, larder.Exact)
		g.pass()
		r.pass(0)
		a.expect("k", 1)
		b.expect("k", 1)
		r.loads("k", 1)
		if a.stats().Expired != 1 || a.stats().StaleHits != 1 || b.stats().StaleHits != 1 {
			r.Errorf("%+v", a.stats())
		}
	})
}

// TestExpireOutdatesLoadsUnderWay holds that neither a load nor a refresh which
// began before Expire makes the entry fresh afterwards.
func TestExpireOutdatesLoadsUnderWay(t *testing.T) {
	for name, stale := range map[string]bool{"load": false, "refresh": true} {
		t.Run(name, func(t *testing.T) {
			inAging(t, 2, func(r *rig) {
				a, b := r.two()
				if stale {
					r.stale("k")
				}
				before := r.src.version["k"]
				g := r.src.slow("k")
				read := a.begin("k")
				r.src.change("k")
				if err := b.plain.Expire(r.ctx, "k"); err != nil {
					r.Fatal(err)
				}
				g.pass()
				<-read.done
				r.pass(time.Second) // if the key of the refresher was lost
				b.get("k")          // may be served and refresh
				r.pass(0)
				for _, n := range r.nodes {
					n.expect("k", before+1)
				}
			})
		})
	}
}

// TestExpireWithoutGrace holds that the next read loads where nothing stale may
// be served.
func TestExpireWithoutGrace(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.expect("k", 0)
		b.expect("k", 0)
		r.src.change("k")
		if err := a.plain.Expire(r.ctx, "k"); err != nil {
			r.Fatal(err)
		}
		r.pass(0)
		b.expect("k", 1)
		a.expect("k", 1)
	})
}

// TestExpireInMemoryAlone holds Expire in a cache without remote tier, where it
// must not bring an invalidated value back either.
func TestExpireInMemoryAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := larder.New(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		src := newSource()
		k := space(t, c, "k", aging())
		expect := func(want int) {
			t.Helper()
			if v, err := k.Get(t.Context(), "k", src.load); v != want || err != nil {
				t.Errorf("Get = %d, %v; want %d", v, err, want)
			}
			synctest.Wait()
		}
		expire := func() {
			if err := k.Expire(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		}
		expire() // nothing
		expect(0)
		src.change("k")
		expire()
		expect(0)
		expect(1)
		src.change("k")
		if err := k.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		expire()
		expect(2)
	})
}

// TestExpireErrors holds that what is not known to be expired is an error.
func TestExpireErrors(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		n := r.nodes[0]
		n.expect("k", 0)
		for _, fault := range []lardertest.Fault{lardertest.ReplyError, lardertest.LoseReply, lardertest.LoseRequest} {
			r.failing(n, larder.OpExpire, fault)
			if err := n.plain.Expire(r.ctx, "k"); err == nil {
				r.Errorf("fault %v: no error", fault)
			}
		}
		r.healthy()
		if err := n.plain.Expire(r.ctx, ""); !errors.Is(err, larder.ErrInvalidKey) {
			r.Errorf("empty key: %v", err)
		}
		n.cache.Close()
		if err := n.plain.Expire(r.ctx, "k"); !errors.Is(err, larder.ErrClosed) {
			r.Errorf("closed: %v", err)
		}
	})
}

// TestRefresh holds that Refresh loads whatever is cached, that readers are
// served meanwhile, and that the value is everywhere then.
func TestRefresh(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		a, b := r.two()
		a.expect("k", 0)
		b.expect("k", 0)
		r.src.change("k")
		g := r.src.slow("k")
		var got atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			v, err := a.plain.Refresh(r.ctx, "k", r.src.load)
			if got.Store(int64(v)); err != nil {
				r.Errorf("Refresh: %v", err)
			}
		}()
		synctest.Wait()
		a.expect("k", 0)
		b.expect("k", 0, larder.Exact)
		g.pass()
		<-done
		r.pass(0)
		a.expect("k", 1)
		b.expect("k", 1)
		if got.Load() != 1 || a.stats().Refreshes != 1 {
			r.Errorf("Refresh brought %d: %+v", got.Load(), a.stats())
		}
		r.loads("k", 2)
	})
}

// TestRefreshErrors holds that a failed Refresh leaves what is cached, and says
// why it failed.
func TestRefreshErrors(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		n := r.nodes[0]
		n.expect("k", 0)
		down := errors.New("down")
		r.ill(down)
		if _, err := n.plain.Refresh(r.ctx, "k", r.src.load); !errors.Is(err, down) {
			r.Errorf("Refresh: %v", err)
		}
		if _, err := n.plain.Refresh(r.ctx, "k", nil); err == nil {
			r.Error("Refresh without a loader")
		}
		if _, err := n.plain.Refresh(r.ctx, "", r.src.load); !errors.Is(err, larder.ErrInvalidKey) {
			r.Errorf("empty key: %v", err)
		}
		var broken *larder.PanicError
		if _, err := n.plain.Refresh(r.ctx, "k", func(context.Context, string) (int, error) { panic("x") }); !errors.As(err, &broken) {
			r.Errorf("panic: %v", err)
		}
		n.expect("k", 0)
		r.well()
		if v, err := n.plain.Refresh(r.ctx, "new", r.src.load); v != 0 || err != nil {
			r.Errorf("Refresh of nothing = %d, %v", v, err)
		}
		n.remote.Cut()
		r.src.change("k")
		if v, err := n.plain.Refresh(r.ctx, "k", r.src.load); v != 1 || err != nil {
			r.Errorf("Refresh without Redis = %d, %v", v, err)
		}
	})
}

// TestEarlyRefresh holds that a hot entry is refreshed before its TTL ends, by
// one load in the cluster, so that no reader ever gets a stale value or waits.
func TestEarlyRefresh(t *testing.T) {
	inAging(t, 2, func(r *rig) {
		r.src.mu.Lock()
		r.src.hook = func(context.Context, string) error { time.Sleep(500 * time.Millisecond); return nil }
		r.src.mu.Unlock()
		r.nodes[0].expect("k", 0)
		r.src.takeLoads("k")
		for range 3000 { // 30 s of reads
			for _, n := range r.nodes {
				n.expect("k", 0)
			}
			r.pass(10 * time.Millisecond)
		}
		early, stale := uint64(0), uint64(0)
		for _, n := range r.nodes {
			early, stale = early+n.stats().EarlyRefreshes, stale+n.stats().StaleHits
		}
		loads := r.src.takeLoads("k")
		// Chance decides when, so the bounds are wide.
		if loads < 3 || loads > 12 || early+1 < uint64(loads) {
			r.Errorf("%d loads, %d of them early, want about one in 8 s", loads, early)
		}
		if stale > 60 {
			r.Errorf("%d of 6000 reads were stale", stale)
		}
	}, func(o *larder.KeyspaceOptions[string, int]) { o.EarlyRefresh = 2 })
}

// TestJitter holds that entries loaded together do not expire together, and
// none later than its TTL.
func TestJitter(t *testing.T) {
	inSetup(t, setup{nodes: 1, spaces: larder.KeyspaceOptions[string, int]{TTL: 10 * time.Second, Jitter: 0.2}}, func(r *rig) {
		var all []time.Duration
		for i := range 50 {
			key := string(rune('a'+i%26)) + string(rune('a'+i/26))
			r.nodes[0].get(key)
			ttl, err := r.nodes[0].plain.TTL(r.ctx, key)
			if err != nil || ttl < 7900*time.Millisecond || ttl > 10*time.Second {
				r.Errorf("TTL %v, %v", ttl, err)
			}
			all = append(all, ttl)
		}
		slices.Sort(all)
		if spread := all[49] - all[0]; spread < time.Second {
			r.Errorf("50 entries expire within %v", spread)
		}
	})
}

// TestRefreshesAreGathered holds that what falls due within the window becomes
// one call of the batch loader.
func TestRefreshesAreGathered(t *testing.T) {
	var mu sync.Mutex
	var calls [][]string
	batch := func(_ context.Context, keys []string) (map[string]int, error) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, slices.Sorted(slices.Values(keys)))
		values := map[string]int{}
		for _, key := range keys {
			values[key] = 7
		}
		return values, nil
	}
	inAging(t, 1, func(r *rig) {
		n := r.nodes[0]
		keys := []string{"a", "b", "c"}
		for _, key := range keys {
			r.stale(key)
		}
		for _, key := range keys {
			n.expect(key, 0)
			r.pass(time.Millisecond)
		}
		r.pass(20 * time.Millisecond)
		for _, key := range keys {
			n.expect(key, 7)
		}
		if len(calls) != 1 || !slices.Equal(calls[0], keys) {
			r.Errorf("calls %v", calls)
		}
	}, func(o *larder.KeyspaceOptions[string, int]) {
		o.RefreshBatch, o.RefreshWindow, o.TTL = batch, 10*time.Millisecond, 5*time.Second
	})
}

// TestServeStaleOnOutage holds that memory serves beyond MaxStaleness while
// Redis is away and only then, no longer than allowed, and nothing that this
// process invalidated.
func TestServeStaleOnOutage(t *testing.T) {
	inSetup(t, setup{nodes: 1, spaces: larder.KeyspaceOptions[string, int]{TTL: time.Hour}}, func(r *rig) {
		n := r.nodes[0]
		for _, key := range []string{"k", "gone"} {
			n.expect(key, 0)
			r.src.change(key)
		}
		outage := larder.ServeStaleOnOutage(time.Minute)
		r.pass(5 * tolerance)
		n.remote.Cut()
		r.pass(30 * time.Second)
		n.expect("k", 0, outage)
		n.expect("k", 1)
		n.expect("k", 1, outage, larder.Exact)
		if values, err := n.plain.GetMany(r.ctx, []string{"k"}, r.src.loadMany, outage); err != nil || len(values) != 1 {
			r.Errorf("GetMany = %v, %v", values, err)
		}
		if err := n.cache.Invalidate(r.ctx, n.plain.Key("gone")); !errors.Is(err, larder.ErrPending) {
			r.Errorf("Invalidate: %v", err)
		}
		n.expect("gone", 1, outage)
		if st := n.stats(); st.StaleOutage == 0 || st.StaleHits != st.StaleOutage {
			r.Errorf("%+v", st)
		}
		r.pass(time.Minute)
		n.expect("k", 1, outage)
		n.remote.Resume()
		r.pass(2 * time.Second)
		n.expect("k", 0, outage) // of Redis, where nobody invalidated it
	})
}
