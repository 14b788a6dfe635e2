package larder_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// P1: an exact Get that begins after Invalidate returned brings a value that
// was loaded after the invalidation.

// 1. A and B hold the value in memory
// 2. A invalidates; the push to B is held back
// 3. B reads exactly
func TestP1_MemoryOfAnotherNodeProvesNothing(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("k")
		b.get("k")
		b.remote.HoldPushes()
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"))
		b.expect("k", want, larder.Exact)
	})
}

// The same for every way to name the entry.
func TestP1_EveryKindOfInvalidation(t *testing.T) {
	for name, invalidate := range map[string]func(n *node) error{
		"key":       func(n *node) error { return n.cache.Invalidate(n.rig.ctx, n.tagged.Key("k")) },
		"tag":       func(n *node) error { return n.cache.Invalidate(n.rig.ctx, larder.Tag("group")) },
		"namespace": func(n *node) error { return n.cache.Clear(n.rig.ctx) },
		"pattern":   func(n *node) error { _, err := n.cache.DeletePattern(n.rig.ctx, "tagged:*"); return err },
		"delete":    func(n *node) error { return n.tagged.Delete(n.rig.ctx, "k") },
		"foreign DEL": func(n *node) error {
			n.rig.server.Delete(n.remote.EntryKey("tagged:k"))
			return nil
		},
		"foreign DEL of the tag": func(n *node) error { n.rig.server.Delete(n.remote.TagKey("group")); return nil },
		"eviction":               func(n *node) error { n.rig.server.Evict(n.remote.EntryKey("tagged:k")); return nil },
		"flush":                  func(n *node) error { n.rig.server.FlushAll(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, func(r *rig) {
				a, b := r.two()
				a.getFrom(a.tagged, "k")
				b.getFrom(b.tagged, "k")
				b.remote.HoldPushes()
				want := r.src.change("k")
				if err := invalidate(a); err != nil {
					t.Fatal(err)
				}
				for _, n := range []*node{a, b} {
					if got := n.getFrom(n.tagged, "k", larder.Exact); got != want {
						t.Errorf("version %d, want %d", got, want)
					}
				}
			})
		})
	}
}

// 1. a Get on A loads version 0, slowly
// 2. the source changes, B invalidates, Redis deletes the lease
// 3. an exact Get on A must not join that flight, one on B not wait for it
// 4. the slow load ends; its fill finds no lease
func TestP1_InvalidationDuringALoad(t *testing.T) {
	for name, target := range map[string]func(n *node) []larder.Target{
		"key": func(n *node) []larder.Target { return []larder.Target{n.tagged.Key("k")} },
		"tag": func(n *node) []larder.Target { return []larder.Target{larder.Tag("group")} },
	} {
		for by := range 2 {
			t.Run(name, func(t *testing.T) {
				inRig(t, 2, func(r *rig) {
					a, b := r.two()
					gate := r.src.slow("k")
					slow := a.beginIn(r.ctx, a.tagged, "k")
					want := r.src.change("k")
					r.nodes[by].invalidate(target(r.nodes[by])...)
					after := []*began{a.beginIn(r.ctx, a.tagged, "k", larder.Exact), b.beginIn(r.ctx, b.tagged, "k", larder.Exact)}
					gate.pass()
					slow.brings(t, want-1)
					for _, g := range after {
						g.brings(t, want)
					}
					for _, n := range []*node{a, b} {
						if got := n.getFrom(n.tagged, "k"); got != want {
							t.Errorf("later: version %d, want %d", got, want)
						}
					}
				})
			})
		}
	}
}

// Two Gets at one instant: clock readings are equal and prove nothing, the
// order under the flight's lock decides.
//
// 1. a Get on A has sent its read; the reply is under way
// 2. the source changes and B invalidates; the push waits behind the reply
// 3. an exact Get on A joins the flight, at the same reading of the clock
// 4. the old value arrives: good for the first Get, not for the second
func TestP1_JoinerOfTheSameInstantIsRefused(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		read := holdReply(r, a, larder.OpGet)
		first := a.begin("k")
		<-read.reached
		want := r.src.change("k")
		a.remote.Hold() // what comes back to A waits
		read.release()
		synctest.Wait()
		b.invalidate(b.plain.Key("k"))
		second := a.begin("k", larder.Exact)
		a.remote.Resume()
		<-first.done
		second.brings(t, want)
	})
}

// held is an operation that waits at the server until released.
type held struct {
	reached chan struct{}
	open    chan struct{}
}

func (h *held) release() { close(h.open) }

// holdReply stops the first operation of a kind from node n before it is
// carried out.
func holdReply(r *rig, n *node, kind larder.OpKind) *held {
	h := &held{reached: make(chan struct{}), open: make(chan struct{})}
	first := true
	r.server.Script(func(q lardertest.Request) lardertest.Fault {
		if first && q.Remote == n.remote && q.Op.Kind == kind {
			first = false
			close(h.reached)
			<-h.open
		}
		return lardertest.NoFault
	})
	return h
}

// 1. an exact Get leads; its read is on the way to Redis
// 2. a second exact Get joins before the change, a third after it
// All are right whichever way the order is resolved; only the third must see
// the change.
func TestP1_JoinersOfAFlight(t *testing.T) {
	inSetup(t, setup{nodes: 2, delay: time.Millisecond}, func(r *rig) {
		a, b := r.two()
		b.get("k")
		first := a.begin("k", larder.Exact)
		second := a.begin("k", larder.Exact)
		r.pass(1500 * time.Microsecond) // the read was executed, its reply is under way
		want := r.src.change("k")
		b.cache.Invalidate(r.ctx, b.plain.Key("k"))
		third := a.begin("k", larder.Exact)
		<-first.done
		<-second.done
		third.brings(t, want)
	})
}

// A joiner of an exact flight shares its result if the proof was sent after it
// came: exact reads do not multiply loads.
func TestP1_ExactJoinersShareALoad(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		gate := r.src.slow("k")
		first := a.begin("k", larder.Exact)
		second := a.begin("k", larder.Exact)
		gate.pass()
		first.brings(t, 0)
		second.brings(t, 0)
		// The second joined after the load began: only the fill's reply, sent
		// later, proves the value to it.
		r.loads("k", 1)
	})
}

// Generation copies prove nothing to an exact read.
//
// 1. B has a copy of the tag's generation
// 2. A invalidates the tag; the push to B is held back
// 3. B reads exactly: the entry still carries the generation of B's copy
func TestP1_CopiesOfGenerationsProveNothing(t *testing.T) {
	inSetup(t, setup{nodes: 2, cache: larder.Options{MemoryBytes: -1}}, func(r *rig) {
		a, b := r.two()
		a.getFrom(a.tagged, "k")
		b.getFrom(b.tagged, "k")
		b.remote.HoldPushes()
		want := r.src.change("k")
		a.invalidate(larder.Tag("group"))
		if got := b.getFrom(b.tagged, "k", larder.Exact); got != want {
			t.Errorf("version %d, want %d", got, want)
		}
	})
}

// Exact holds for GetMany and Lookup as well.
func TestP1_BatchesAndLookups(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		keys := []string{"k", "l"}
		for _, n := range []*node{a, b} {
			if _, err := n.tagged.GetMany(r.ctx, keys, r.src.loadMany); err != nil {
				t.Fatal(err)
			}
		}
		b.remote.HoldPushes()
		want := r.src.change("k")
		a.invalidate(larder.Tag("group"))
		if v, err := b.tagged.Lookup(r.ctx, "k", larder.Exact); err != larder.ErrMiss {
			t.Errorf("Lookup = %d, %v; want a miss", v, err)
		}
		values, err := b.tagged.GetMany(r.ctx, keys, r.src.loadMany, larder.Exact)
		if err != nil || values["k"] != want || len(values) != 2 {
			t.Errorf("GetMany = %v, %v", values, err)
		}
	})
}

// While Redis cannot be asked, exact reads load, and share loads that began
// after they came.
func TestP1_WithoutRedis(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("k")
		a.remote.Cut()
		want := r.src.change("k")
		gate := r.src.slow("k")
		first := a.begin("k", larder.Exact)
		<-gate.entered
		want2 := r.src.change("k")
		second := a.begin("k", larder.Exact)
		gate.pass()
		first.brings(t, want)
		second.brings(t, want2)
	})
}

// MaxStaleness zero and negative are Exact; the last option wins.
func TestP1_Options(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		for _, opts := range [][]larder.ReadOption{
			{larder.Exact}, {larder.MaxStaleness(0)}, {larder.MaxStaleness(-time.Hour)},
			{larder.MaxStaleness(time.Hour), larder.Exact},
		} {
			b.get("k")
			b.remote.HoldPushes()
			want := r.src.change("k")
			a.invalidate(a.plain.Key("k"))
			b.expect("k", want, opts...)
			b.remote.Resume()
			synctest.Wait()
		}
	})
}

// A Get whose context has ended says so and loads nothing.
func TestGetWithEndedContext(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		ctx, cancel := context.WithCancel(r.ctx)
		cancel()
		if _, err := r.nodes[0].plain.Get(ctx, "k", r.src.load); err != context.Canceled {
			t.Errorf("error %v", err)
		}
		r.loads("k", 0)
	})
}
