package larder_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// panicsIn runs a batch that must panic.
func (n *node) panicsIn(ctx context.Context, k *larder.Keyspace[string, int], keys []string, load larder.BatchLoader[string, int]) {
	n.rig.Helper()
	if panicked, err := outcomeOf(func() error { _, err := k.GetMany(ctx, keys, load); return err }); panicked != "boom" {
		n.rig.Errorf("panic %v, %v", panicked, err)
	}
}

// breaking returns a Clone that panics once after broken is set.
func breaking(broken *atomic.Bool) func(int) int {
	return func(v int) int {
		if broken.CompareAndSwap(true, false) {
			panic("boom")
		}
		return v
	}
}

// A batch that panics refreshes nothing, and keeps nobody else from it:
//
//  1. a batch finds k0 stale, and notes to refresh it
//  2. the loader of k1, or the codec, panics
//  3. a Get finds k0 stale
func TestBatchPanicLeavesRefreshes(t *testing.T) {
	bad := func(context.Context, []string) (map[string]int, error) { panic("boom") }
	for name, key := range map[string]string{"loader": "nowhere", "codec": "stored"} {
		t.Run(name, func(t *testing.T) {
			codec := &doing{Codec: larder.JSON[int]()}
			spaces := aging(func(o *larder.KeyspaceOptions[string, int]) { o.Codec = codec })
			inSetup(t, setup{nodes: 1, spaces: spaces}, func(r *rig) {
				a := r.nodes[0]
				r.stale("k0")
				if err := r.join(setup{spaces: aging()}).plain.Set(r.ctx, "stored", 1); err != nil {
					t.Fatal(err)
				}
				codec.once = func() { panic("boom") }
				a.panicsIn(r.ctx, a.plain, []string{"k0", key}, bad)
				r.pass(time.Second)
				codec.once = nil
				a.expect("k0", 0) // and refreshes it
				r.pass(time.Second)
				a.expect("k0", 1)
			})
		})
	}
}

// A stale value is refreshed while the batch that found it still loads others.
func TestBatchRefreshesBeforeItLoads(t *testing.T) {
	inAging(t, 1, func(r *rig) {
		a := r.nodes[0]
		r.stale("k0")
		gate, done := r.src.slow("k1"), make(chan struct{})
		go func() {
			defer close(done)
			values, err := a.plain.GetMany(r.ctx, names(0, 2), r.src.loadMany)
			if err != nil || len(values) != 2 || values["k0"] != 0 {
				t.Errorf("%v, %v", values, err)
			}
		}()
		<-gate.entered
		r.pass(time.Second)
		a.expect("k0", 1)
		gate.pass()
		<-done
		r.loads("k0", 1)
	})
}

// A batch leaves each flight it joined once, or a load ends that others wait for:
//
//  1. a batch joins the flights of Gets of k0 and k1
//  2. the batch's caller leaves while k0 is loaded; k1 is there
//  3. the batch leaves the flight of k0, and panics when it hands k1 over
func TestBatchPanicLeavesFlightsOnce(t *testing.T) {
	var broken atomic.Bool
	spaces := larder.KeyspaceOptions[string, int]{Clone: breaking(&broken)}
	inSetup(t, setup{nodes: 1, spaces: spaces}, func(r *rig) {
		a := r.nodes[0]
		gates := []*gate{r.src.slow("k0"), r.src.slow("k1")}
		gets := []*began{a.begin("k0"), a.begin("k1")}
		ctx, leave := context.WithCancel(r.ctx)
		done := make(chan struct{})
		go func() { defer close(done); a.panicsIn(ctx, a.plain, names(0, 2), r.src.loadMany) }()
		r.pass(0)
		gates[1].pass()
		gets[1].brings(t, 0)
		broken.Store(true)
		leave()
		<-done
		r.pass(0)
		gates[0].pass()
		gets[0].brings(t, 0)
		r.loads("k0", 1)
	})
}

// What a batch loads is loaded for those who joined it, also when the batch panics:
//
//  1. a batch loads k0, which a Get joins, and has joined the load of k1
//  2. the hard time-out of the batch passes; k1 is there
//  3. the batch panics when it hands k1 over
//  4. k0 is loaded
func TestBatchPanicLeavesLoads(t *testing.T) {
	var broken atomic.Bool
	spaces := larder.KeyspaceOptions[string, int]{HardTimeout: time.Second, Clone: breaking(&broken)}
	inSetup(t, setup{nodes: 1, spaces: spaces}, func(r *rig) {
		a := r.nodes[0]
		r.failing(a, larder.OpGet, lardertest.ReplyError) // no lease keeps others from loading
		gates := []*gate{r.src.slow("k0"), r.src.slow("k1")}
		single := a.begin("k1")
		done := make(chan struct{})
		go func() { defer close(done); a.panicsIn(r.ctx, a.plain, names(0, 2), r.src.loadMany) }()
		r.pass(900 * time.Millisecond)
		joined := a.begin("k0")
		gates[1].pass()
		single.brings(t, 0)
		broken.Store(true)
		<-done
		r.pass(0)
		gates[0].pass()
		joined.brings(t, 0)
		r.loads("k0", 1)
	})
}

// Leases that a batch had when it panicked are given back.
//
//  1. Redis refuses to read k0; k1 is not there, and the batch gets its lease
//  2. k0 is served from memory beyond the tolerance: its Clone panics
func TestBatchPanicGivesLeasesBack(t *testing.T) {
	var broken atomic.Bool
	spaces := larder.KeyspaceOptions[string, int]{ServeStaleOnOutage: time.Hour, Clone: breaking(&broken)}
	inSetup(t, setup{nodes: 2, spaces: spaces}, func(r *rig) {
		a, b := r.two()
		a.get("k0")
		r.server.Drop()
		r.pass(time.Second)
		r.server.Script(func(q lardertest.Request) lardertest.Fault {
			if q.Op.Kind == larder.OpGet && q.Op.Key == "plain:k0" {
				return lardertest.ReplyError
			}
			return lardertest.NoFault
		})
		broken.Store(true)
		a.panicsIn(r.ctx, a.plain, names(0, 2), r.src.loadMany)
		start := time.Now()
		b.expect("k1", 0)
		if took := time.Since(start); took != 0 {
			t.Errorf("another process waited %v", took)
		}
	})
}
