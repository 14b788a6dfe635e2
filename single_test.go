package larder_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// P5: between two invalidations a key is loaded once in the cluster; losing a
// lease costs one more load.

// Many Gets on several nodes, one load; the waiters of other nodes are woken
// by the push of the fill, not by a timer.
func TestP5_OneLoadInTheCluster(t *testing.T) {
	inSetup(t, setup{nodes: 3, delay: time.Millisecond}, func(r *rig) {
		gate := r.src.slow("k")
		var gets []*began
		for range 10 {
			for _, n := range r.nodes {
				gets = append(gets, n.begin("k"))
			}
		}
		<-gate.entered
		r.pass(100 * time.Millisecond)
		gate.pass()
		start := time.Now()
		for _, g := range gets {
			g.brings(t, 0)
		}
		// Fill, push, and a read: two round trips of 2 ms.
		if took := time.Since(start); took > 4*time.Millisecond {
			t.Errorf("waiters took %v", took)
		}
		r.loads("k", 1)
	})
}

// A load of many lease times keeps its lease: nobody loads a second time.
func TestP5_LeaseIsRenewedWhileTheLoadRuns(t *testing.T) {
	inSetup(t, setup{nodes: 2, spaces: larder.KeyspaceOptions[string, int]{LoadTimeout: -1}}, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		first := a.begin("k")
		second := b.begin("k")
		r.pass(time.Minute)
		gate.pass()
		first.brings(t, 0)
		second.brings(t, 0)
		r.loads("k", 1)
	})
}

// The holder's process is gone: one of the others loads when the lease ends,
// and one only.
func TestP5_HolderDies(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		a := r.nodes[0]
		r.src.slow("k") // for ever
		ctx, die := context.WithCancel(r.ctx)
		defer die()
		a.beginIn(ctx, a.plain, "k")
		a.remote.Hold() // no renewal, no release
		start := time.Now()
		var gets []*began
		for range 5 {
			gets = append(gets, r.nodes[1].begin("k"), r.nodes[2].begin("k"))
		}
		for _, g := range gets {
			g.brings(t, 0)
		}
		if took := time.Since(start); took < 2*time.Second || took > 3*time.Second+10*time.Millisecond {
			t.Errorf("waited %v for a lease of 3s", took)
		}
		r.loads("k", 2)
		a.remote.Resume()
	})
}

// An error of the loader gives the lease back: waiters elsewhere do not wait
// for its end.
func TestP5_ErrorReleasesTheLease(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		boom := errors.New("boom")
		r.src.hook = func(context.Context, string) error { r.src.hook = nil; return boom }
		gate := r.src.slow("k")
		first := a.begin("k")
		second := b.begin("k")
		start := time.Now()
		gate.pass()
		if <-first.done; first.err != boom {
			t.Errorf("error %v, want that of the loader", first.err)
		}
		second.brings(t, 0)
		if took := time.Since(start); took > time.Millisecond {
			t.Errorf("the second load began after %v", took)
		}
		r.loads("k", 2)
		if n := a.stats().LoadErrors; n != 1 {
			t.Errorf("%d load errors", n)
		}
	})
}

// Own waiters hear of an own write from nobody: NOLOOP.
//
//  1. a Get loads under a lease
//  2. the push of a foreign reader's lease renewal detaches its flight
//  3. a second Get of this process waits for the lease of the first
//  4. the fill, or the release after an error, must wake it
func TestP5_OwnWaitersAreWokenByOwnWrites(t *testing.T) {
	for _, fails := range []bool{false, true} {
		inRig(t, 1, func(r *rig) {
			a := r.nodes[0]
			gate := r.src.slow("k")
			if fails {
				r.src.hook = func(context.Context, string) error { r.src.hook = nil; return errors.New("boom") }
			}
			first := a.begin("k")
			r.server.Forget(a.remote.EntryKey("plain:k")) // a push, although the lease stays
			synctest.Wait()
			second := a.begin("k")
			if second.ended() {
				t.Fatal("the second Get did not wait")
			}
			start := time.Now()
			gate.pass()
			<-first.done
			second.brings(t, 0)
			if took := time.Since(start); took > time.Millisecond {
				t.Errorf("woken after %v", took)
			}
			want := 1
			if fails {
				want = 2
			}
			r.loads("k", want)
		})
	}
}

// The lease was acquired, but the reply is lost: one load more, and none waits
// longer than the lease.
func TestP5_AcquireWithoutReply(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		r.failing(a, larder.OpAcquire, lardertest.LoseReply)
		a.expect("k", 0)
		r.healthy()
		start := time.Now()
		b.expect("k", 0)
		if took := time.Since(start); took > 3*time.Second+10*time.Millisecond {
			t.Errorf("waited %v", took)
		}
		r.loads("k", 2)
	})
}

// Between two invalidations of a tag each key is loaded once, whoever reads.
func TestP5_AfterATagInvalidation(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		for round := range 3 {
			r.nodes[round].invalidate(larder.Tag("group"))
			synctest.Wait()
			for range 4 {
				for _, n := range r.nodes {
					n.getFrom(n.tagged, "k")
				}
			}
			r.loads("k", 1)
		}
	})
}

// An outdated entry is taken over by one process.
func TestP5_TakeoverByOne(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		for _, n := range r.nodes {
			n.getFrom(n.tagged, "k")
		}
		r.loads("k", 1)
		r.nodes[0].invalidate(larder.Tag("group"))
		gate := r.src.slow("k")
		var gets []*began
		for _, n := range r.nodes {
			gets = append(gets, n.beginIn(r.ctx, n.tagged, "k"), n.beginIn(r.ctx, n.tagged, "k", larder.Exact))
		}
		gate.pass()
		for _, g := range gets {
			g.brings(t, 0)
		}
		r.loads("k", 1)
		if n := r.src.most["k"]; n != 1 {
			t.Errorf("%d loads at once", n)
		}
	})
}

// A reader that saw the old generation and the new entry looks twice before it
// takes over.
//
//  1. B reads the tag's generation, G1
//  2. A invalidates the tag and fills under G2
//  3. B reads the entry: it carries G2, which is no mismatch on a second look
func TestP5_SecondLook(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.getFrom(b.tagged, "other") // B's copy of G1
		b.remote.HoldPushes()
		a.invalidate(larder.Tag("group"))
		a.getFrom(a.tagged, "k")
		b.getFrom(b.tagged, "k")
		r.loads("k", 1)
		if n := r.server.Count(larder.OpTakeover); n != 0 {
			t.Errorf("%d takeovers", n)
		}
	})
}

// The costs the design names, in round trips.
func TestRoundTrips(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("warm")
		b.get("warm")
		cost := func(what string, n *node, want int64, do func()) {
			t.Helper()
			before := n.remote.Trips()
			do()
			synctest.Wait()
			if got := n.remote.Trips() - before; got != want {
				t.Errorf("%s: %d round trips, want %d", what, got, want)
			}
		}
		cost("miss", a, 3, func() { a.get("k") })
		cost("memory hit after the own fill", a, 0, func() { a.get("k") })
		cost("Redis hit", b, 1, func() { b.get("k") })
		cost("exact hit", b, 1, func() { b.get("k", larder.Exact) })
		cost("Lookup", b, 1, func() { b.plain.Lookup(r.ctx, "k", larder.Exact) })
		cost("invalidation", a, 1, func() { a.invalidate(a.plain.Key("k"), larder.Tag("group")) })
		cost("Clear", a, 1, func() { a.cache.Clear(r.ctx) })
		cost("Set after Clear", a, 2, func() { a.plain.Set(r.ctx, "k", 1) })
		cost("Set, generations known", a, 1, func() { a.plain.Set(r.ctx, "k", 1) })
	})
}
