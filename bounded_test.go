package larder_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
)

// P2: a Get returns a value that has been invalid for at most T, whatever
// happens to links and processes.

// A push kills what memory holds, long before T.
func TestP2_PushKillsMemory(t *testing.T) {
	for name, invalidate := range map[string]func(n *node) error{
		"key":       func(n *node) error { return n.cache.Invalidate(n.rig.ctx, n.tagged.Key("k")) },
		"tag":       func(n *node) error { return n.cache.Invalidate(n.rig.ctx, larder.Tag("group")) },
		"namespace": func(n *node) error { return n.cache.Clear(n.rig.ctx) },
		"pattern":   func(n *node) error { _, err := n.cache.DeletePattern(n.rig.ctx, "tagged:*"); return err },
		"set":       func(n *node) error { return n.tagged.Set(n.rig.ctx, "k", 1) },
		"flush":     func(n *node) error { n.rig.server.FlushAll(); return nil },
		"eviction":  func(n *node) error { n.rig.server.Evict(n.remote.EntryKey("tagged:k")); return nil },
		"eviction of the generation": func(n *node) error {
			n.rig.server.Evict(n.remote.TagKey("group"))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inSetup(t, setup{nodes: 2, delay: time.Millisecond}, func(r *rig) {
				a, b := r.two()
				b.getFrom(b.tagged, "k")
				b.getFrom(b.tagged, "k")
				r.loads("k", 1)
				want := r.src.change("k")
				if err := invalidate(a); err != nil {
					t.Fatal(err)
				}
				r.pass(2 * time.Millisecond)
				if got := b.getFrom(b.tagged, "k"); got != want {
					t.Errorf("version %d, want %d", got, want)
				}
			})
		})
	}
}

// Heartbeats stop: memory serves what is younger than T, and not for longer.
func TestP2_MemoryHitsEndWithinT(t *testing.T) {
	for name, fault := range map[string]func(r *rig, n *node){
		"held network":  func(_ *rig, n *node) { n.remote.Hold() },
		"paused server": func(r *rig, _ *node) { r.server.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 1, func(r *rig) {
				a := r.nodes[0]
				a.get("k")
				r.pass(10 * tolerance)
				a.expect("k", 0)
				r.loads("k", 1) // heartbeats kept it alive
				asOf := a.remote.Epoch(a.remote.EntryKey("x")).AsOf()
				fault(r, a)
				cut := time.Now()
				want := r.src.change("k") // and somebody out there invalidates it
				for time.Since(cut) < 2*tolerance {
					v := a.get("k")
					if v != want && time.Since(cut) > tolerance {
						t.Fatalf("served the old value %v after the cut, T is %v", time.Since(cut), tolerance)
					}
					if v == want && time.Since(cut) < tolerance*65/100 {
						t.Fatalf("memory gave up %v after the cut already", time.Since(cut))
					}
					r.pass(tolerance / 100)
				}
				if e := a.remote.Epoch(a.remote.EntryKey("x")); e.AsOf()-asOf > int64(tolerance)/4 {
					t.Error("something was credited")
				}
			})
		})
	}
}

// A lost connection ends memory hits at once: pushes may have been lost.
func TestP2_LostConnection(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		b.remote.Cut()
		synctest.Wait()
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"))
		b.expect("k", want)
		b.remote.Resume()
		r.pass(tolerance)
		b.expect("k", want)
	})
}

// 1. B's memory has the value
// 2. A invalidates; the push to B is delayed
// 3. heartbeats of B cannot overtake the push: either both arrive, or nothing
func TestP2_HeartbeatsDoNotOvertakePushes(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		r.pass(tolerance / 2)
		b.remote.HoldPushes()
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"))
		begin := time.Now()
		for b.get("k") != want {
			if time.Since(begin) > tolerance/4+time.Millisecond {
				t.Fatalf("stale %v after the invalidation, a heartbeat has passed", time.Since(begin))
			}
			r.pass(time.Millisecond)
		}
	})
}

// What was loaded while Redis was away is kept for at most T by arithmetic,
// and no heartbeat prolongs it.
func TestP2_LoadsWithoutRedisAreKeptForT(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.remote.Cut()
		a.get("k")
		a.get("k")
		r.loads("k", 1)
		a.remote.Resume()
		r.pass(tolerance * 9 / 10)
		a.get("k")
		r.loads("k", 0)
		want := r.src.change("k")
		r.pass(tolerance / 10)
		a.expect("k", want)
	})
}

// A slow load is as old as its beginning.
//
//  1. Redis is away; a load begins and takes 3T/4
//  2. the source changes right after it began
//  3. T/4 later the value must be gone
func TestP2_SlowLoadsWithoutRedisAreOldAlready(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.remote.Cut()
		gate := r.src.slow("k")
		slow := a.begin("k")
		want := r.src.change("k")
		r.pass(tolerance * 3 / 4)
		gate.pass()
		slow.brings(t, want-1)
		r.pass(tolerance/4 + 1)
		a.expect("k", want)
	})
}

// Two nodes and a value served by one of them from a flight: a joiner gets it
// only if it is at most T old.
func TestP2_OldFlights(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.remote.Cut() // loads at A are proven by their beginning alone
		gate := r.src.slow("k")
		slow := a.begin("k")
		r.pass(tolerance / 2)
		want := r.src.change("k")
		b.invalidate(b.plain.Key("k"))
		young := a.begin("k")
		r.pass(tolerance/2 + 1)
		old := a.begin("k") // the load began more than T ago
		gate.pass()
		slow.brings(t, want-1)
		young.brings(t, want-1)
		old.brings(t, want)
	})
}

// A per-call tolerance below T is held like T.
func TestP2_PerCallTolerance(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("k")
		r.pass(10 * tolerance)
		a.remote.Hold()
		want := r.src.change("k")
		r.pass(tolerance / 2)
		if v, err := a.plain.Get(r.ctx, "k", r.src.load, larder.MaxStaleness(tolerance/10)); err != nil || v != want {
			t.Errorf("version %d, %v; want %d", v, err, want)
		}
	})
}

// A demoted master answers reads but refuses the heartbeat: its replies stop
// being evidence at once.
func TestP2_DemotedMaster(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("k")
		b.get("k")
		r.server.SetReadOnly(true)
		r.pass(tolerance)
		want := r.src.change("k")
		for _, n := range []*node{a, b} {
			n.expect("k", want, larder.Exact)
		}
		r.server.SetReadOnly(false)
		r.pass(2 * tolerance)
	})
}

// An entry that another process wrote stays in memory no longer than Redis
// keeps it: a millisecond of rounding is allowed.
func TestMemoryNeverOutlivesRedis(t *testing.T) {
	const ttl = 10 * time.Minute
	inSetup(t, setup{nodes: 2, spaces: larder.KeyspaceOptions[string, int]{TTL: ttl}}, func(r *rig) {
		a, b := r.two()
		a.get("k")
		r.pass(ttl - time.Minute)
		b.get("k")
		r.loads("k", 1)
		b.remote.HoldPushes() // the expiry is not told in time
		r.pass(time.Minute - 2*time.Millisecond)
		b.get("k")
		r.loads("k", 0)
		r.pass(3 * time.Millisecond)
		b.get("k")
		r.loads("k", 1)
	})
}

// The server's clock differs from ours by years and jumps: entries live as long
// as they should, by the heartbeats' readings of it.
func TestServerClockDiffers(t *testing.T) {
	inSetup(t, setup{nodes: 2, spaces: larder.KeyspaceOptions[string, int]{TTL: time.Minute}}, func(r *rig) {
		a, b := r.two()
		r.server.Step(time.Hour)
		r.pass(tolerance)
		a.get("k")
		r.pass(time.Minute / 2)
		b.get("k")
		r.loads("k", 1)
		r.pass(time.Minute/2 + time.Millisecond)
		b.get("k")
		r.loads("k", 1)
	})
}
