package larder_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
)

// occupied lets one load run and one wait, which is all that the bulkhead of
// TestShedToStale admits.
func (n *node) occupied() {
	n.rig.Helper()
	for _, key := range []string{"runs", "waits"} {
		g := n.rig.src.slow(key)
		n.begin(key)
		n.rig.Cleanup(g.pass)
	}
	if _, err := n.plain.Get(n.rig.ctx, "refused", n.rig.src.load); !errors.Is(err, larder.ErrBusy) {
		n.rig.Fatalf("the bulkhead is not full: %v", err)
	}
}

// TestShedToStale holds that a full bulkhead refuses no read whose value is
// within grace: it is served stale at once, whoever asks how.
func TestShedToStale(t *testing.T) {
	for name, memory := range map[string]int64{"memory": 0, "Redis": -1} {
		for mode, soft := range map[string]time.Duration{"background": 0, "soft time-out": time.Second} {
			t.Run(name+" "+mode, func(t *testing.T) {
				s := setup{nodes: 1, cache: larder.Options{MemoryBytes: memory}, spaces: aging(func(o *larder.KeyspaceOptions[string, int]) {
					o.LimitAlways, o.LoadLimit, o.LoadQueue, o.SoftTimeout = true, 1, 1, soft
				})}
				inSetup(t, s, func(r *rig) {
					n := r.nodes[0]
					r.stale("k")
					r.stale("m")
					n.occupied()
					begun := time.Now()
					for range 3 {
						n.expect("k", 0)
						synctest.Wait()
						values, err := n.plain.GetMany(r.ctx, []string{"k", "m"}, r.src.loadMany)
						if err != nil || values["k"] != 0 || len(values) != 2 {
							r.Errorf("GetMany = %v, %v", values, err)
						}
						synctest.Wait()
					}
					if waited := time.Since(begun); waited != 0 {
						r.Errorf("reads waited %v", waited)
					}
					r.loads("k", 0)
					if st := n.stats(); st.StaleHits != 9 || st.Shed == 0 {
						r.Errorf("%d stale hits, want 9; %d loads shed", st.StaleHits, st.Shed)
					}
				})
			})
		}
	}
}

// TestShedToStaleInAnOutage holds the same for values that outlast an outage.
func TestShedToStaleInAnOutage(t *testing.T) {
	s := setup{nodes: 1, spaces: larder.KeyspaceOptions[string, int]{TTL: time.Hour, LoadLimit: 1, LoadQueue: 1, ServeStaleOnOutage: time.Hour}}
	inSetup(t, s, func(r *rig) {
		n := r.nodes[0]
		n.expect("k", 0)
		r.server.Kill()
		r.pass(3 * tolerance)
		n.occupied()
		n.expect("k", 0)
		if st := n.stats(); st.StaleOutage != 1 {
			r.Errorf("%+v", st)
		}
	})
}

// TestRefreshLimit holds that no more refreshes run in the background than
// RefreshLimit says, that what it leaves out is served stale and refreshed by a
// later read, and that Refresh itself is not concerned.
func TestRefreshLimit(t *testing.T) {
	const limit, keys = 3, 10
	for name, memory := range map[string]int64{"memory": 0, "Redis": -1} {
		t.Run(name, func(t *testing.T) {
			s := setup{nodes: 1, cache: larder.Options{MemoryBytes: memory},
				spaces: aging(func(o *larder.KeyspaceOptions[string, int]) { o.RefreshLimit = limit })}
			inSetup(t, s, func(r *rig) {
				n := r.nodes[0]
				for i := range keys {
					n.expect(strconv.Itoa(i), 0)
					r.src.change(strconv.Itoa(i))
				}
				r.pass(11 * time.Second)
				var gates []*gate
				for i := range keys {
					if i < limit {
						gates = append(gates, r.src.slow(strconv.Itoa(i)))
					}
					n.expect(strconv.Itoa(i), 0)
					synctest.Wait()
				}
				if st := n.stats(); st.LoadsInFlight != limit || st.RefreshesDeferred != keys-limit {
					r.Errorf("%d loads run, want %d; %d deferred", st.LoadsInFlight, limit, st.RefreshesDeferred)
				}
				if v, err := n.plain.Refresh(r.ctx, "9", r.src.load); v != 1 || err != nil {
					r.Errorf("Refresh = %d, %v", v, err)
				}
				for _, g := range gates {
					g.pass()
				}
				r.pass(time.Second)
				for i := range keys {
					n.expect(strconv.Itoa(i), boolInt(i < limit || i == 9))
					synctest.Wait()
				}
				for i := range keys {
					n.expect(strconv.Itoa(i), 1)
				}
			})
		})
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestRefreshLimitCountsBatches holds that what is refreshed by one call is one
// refresh.
func TestRefreshLimitCountsBatches(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		n := r.nodes[0]
		keys := []string{"a", "b", "c"}
		for _, key := range keys {
			r.stale(key)
		}
		for range 2 {
			if _, err := n.plain.GetMany(r.ctx, keys, r.src.loadMany); err != nil {
				r.Error(err)
			}
			synctest.Wait()
		}
		for _, key := range keys {
			n.expect(key, 1)
		}
		if st := n.stats(); st.RefreshesDeferred != 0 || st.Refreshes != 3 {
			r.Errorf("%+v", st)
		}
	}, func(o *larder.KeyspaceOptions[string, int]) { o.RefreshLimit, o.TTL = 1, 5*time.Second })
}

// TestBatchNotModified holds that a batch refresh sees the stale values of all
// its keys, and can leave some as they are, replace others and end the rest.
func TestBatchNotModified(t *testing.T) {
	keys := []string{"gone", "new", "same"}
	load := func(ctx context.Context, asked []string) (map[string]int, error) {
		stale := larder.StaleByKey[string, int](ctx)
		if len(asked) != len(stale) {
			return nil, errors.New("a stale value is missing")
		}
		larder.KeepStale(ctx, "same")
		return map[string]int{"new": stale["new"] + 40}, nil
	}
	for name, gathered := range map[string]bool{"GetMany": false, "RefreshBatch": true} {
		t.Run(name, func(t *testing.T) {
			inAging(t, 2, func(r *rig) {
				a, b := r.two()
				for _, key := range keys {
					r.src.version[key] = 2
				}
				for _, key := range keys {
					a.expect(key, 2)
				}
				r.pass(11 * time.Second)
				if _, err := a.plain.GetMany(r.ctx, keys, load); err != nil {
					r.Fatal(err)
				}
				r.pass(time.Second)
				values, err := b.plain.GetMany(r.ctx, keys, r.src.loadMany)
				if err != nil || len(values) != 2 || values["new"] != 42 || values["same"] != 2 {
					r.Errorf("GetMany = %v, %v", values, err)
				}
				if ttl, err := b.plain.TTL(r.ctx, "same"); ttl < 8*time.Second || err != nil {
					r.Errorf("TTL %v, %v: not fresh again", ttl, err)
				}
				if st := a.stats(); st.LoadNotFound != 1 || st.LoadErrors != 0 || st.Refreshes != 3 {
					r.Errorf("%+v", st)
				}
			}, func(o *larder.KeyspaceOptions[string, int]) {
				if gathered {
					o.RefreshBatch = load
				}
			})
		})
	}
}

// TestBatchNotModifiedWithoutValues holds that each key must have something to
// leave: the others of its batch do not suffer.
func TestBatchNotModifiedWithoutValues(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		load := func(ctx context.Context, keys []string) (map[string]int, error) {
			if larder.StaleByKey[string, int](ctx) != nil {
				r.Error("stale values out of nothing")
			}
			larder.KeepStale(ctx, "a")
			return map[string]int{"a": 1, "b": 2}, nil
		}
		values, err := r.nodes[0].plain.GetMany(r.ctx, []string{"a", "b"}, load)
		if !errors.Is(err, larder.ErrNothingStale) || len(values) != 1 || values["b"] != 2 {
			r.Errorf("GetMany = %v, %v", values, err)
		}
		larder.KeepStale(r.ctx, "k") // outside of a loader: nothing
	})
}
