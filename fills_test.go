package larder_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// P4: a value loaded before an invalidation is never valid in Redis after it,
// however slow its loader was.

// stored returns what Redis holds under the plain key.
func (r *rig) stored(key string) (data string, ok bool) {
	data, _, ok = r.server.Peek(r.nodes[0].remote.EntryKey("plain:" + key))
	return data, ok
}

// The fill of a load that began before the invalidation is refused: neither
// stored nor kept. Whatever takes the lease away has the same effect.
func TestP4_FillWithoutItsLeaseIsRefused(t *testing.T) {
	for name, lose := range map[string]func(r *rig){
		"own invalidation":     func(r *rig) { r.nodes[0].invalidate(r.nodes[0].plain.Key("k")) },
		"foreign invalidation": func(r *rig) { r.nodes[1].invalidate(r.nodes[1].plain.Key("k")) },
		"plain DEL":            func(r *rig) { r.server.Delete(r.nodes[0].remote.EntryKey("plain:k")) },
		"eviction":             func(r *rig) { r.server.Evict(r.nodes[0].remote.EntryKey("plain:k")) },
		"flush":                func(r *rig) { r.server.FlushAll() },
		"failover":             func(r *rig) { r.server.Failover(); r.pass(tolerance) },
		"pattern":              func(r *rig) { r.nodes[1].cache.DeletePattern(r.ctx, "plain:?") },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, func(r *rig) {
				a := r.nodes[0]
				gate := r.src.slow("k")
				slow := a.begin("k")
				want := r.src.change("k")
				lose(r)
				gate.pass()
				slow.brings(t, want-1)
				if data, ok := r.stored("k"); ok {
					t.Errorf("Redis holds %q", data)
				}
				if n := a.stats().RefusedLease + a.stats().RefusedError; n != 1 {
					t.Errorf("%d refused fills", n)
				}
				a.expect("k", want) // from a new load, not from memory
			})
		})
	}
}

// A tag is invalidated between acquire and fill: Redis may take the value, but
// under the old generation, so nobody will use it, and the filler keeps
// nothing.
func TestP4_TagInvalidatedDuringTheLoad(t *testing.T) {
	for by := range 2 {
		inRig(t, 2, func(r *rig) {
			a, b := r.two()
			gate := r.src.slow("k")
			slow := a.beginIn(r.ctx, a.tagged, "k")
			want := r.src.change("k")
			r.nodes[by].invalidate(larder.Tag("group"))
			gate.pass()
			slow.brings(t, want-1)
			if n := a.cache.Stats().Keyspaces["tagged"].RefusedGeneration; n != 1 {
				t.Errorf("%d fills refused for their generation", n)
			}
			for _, n := range []*node{b, a} {
				if got := n.getFrom(n.tagged, "k"); got != want {
					t.Errorf("version %d, want %d", got, want)
				}
			}
			r.loads("k", 2)
		})
	}
}

// The generation itself is lost during the load (eviction): the fill is not
// trusted, the next load makes another generation.
func TestP4_GenerationEvictedDuringTheLoad(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		slow := a.beginIn(r.ctx, a.tagged, "k")
		r.server.Evict(a.remote.TagKey("group"))
		gate.pass()
		slow.brings(t, 0)
		want := r.src.change("k")
		if got := b.getFrom(b.tagged, "k"); got != want {
			t.Errorf("version %d, want %d", got, want)
		}
	})
}

// A's copy of a tag's generation is old because the push is late: the load is
// captured under the old generation and its fill is not trusted.
func TestP4_CapturedFromAnOldCopy(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.getFrom(a.tagged, "other") // copies the generation
		a.remote.HoldPushes()
		b.invalidate(larder.Tag("group"))
		a.getFrom(a.tagged, "k")
		want := r.src.change("k")
		if got := b.getFrom(b.tagged, "k"); got == want-1 {
			t.Errorf("B was served a value under an old generation")
		}
	})
}

// The reply of an operation is lost after it was carried out. Nothing old may
// appear, and what waits goes on.
func TestP4_LostReplies(t *testing.T) {
	for _, fault := range []lardertest.Fault{lardertest.LoseReply, lardertest.LoseRequest, lardertest.ReplyError} {
		for _, kind := range []larder.OpKind{larder.OpGet, larder.OpAcquire, larder.OpFill, larder.OpDelete, larder.OpSet,
			larder.OpRelease, larder.OpRenew, larder.OpGeneration, larder.OpTakeover} {
			inRig(t, 2, func(r *rig) {
				a, b := r.two()
				r.failing(a, kind, fault)
				for range 3 {
					a.getFrom(a.tagged, "k")
					if kind == larder.OpSet {
						a.tagged.Set(r.ctx, "k", r.src.version["k"])
					}
					want := r.src.change("k")
					a.cache.Invalidate(r.ctx, a.tagged.Key("k"), larder.Tag("group")) // may be pending
					if got := a.getFrom(a.tagged, "k", larder.Exact); got != want {
						t.Errorf("fault %d of operation %d: version %d, want %d", fault, kind, got, want)
					}
				}
				r.healthy()
				r.pass(3 * tolerance) // reconnects, retries what is pending
				want := r.src.change("k")
				a.invalidate(a.tagged.Key("k"), larder.Tag("group"))
				for _, n := range []*node{b, a} {
					if got := n.getFrom(n.tagged, "k", larder.Exact); got != want {
						t.Errorf("afterwards: version %d, want %d", got, want)
					}
				}
				if n := a.cache.Health().Pending; n != 0 {
					t.Errorf("%d keys pending", n)
				}
			})
		}
	}
}

// A fill whose reply is lost counts as refused, although Redis holds the
// value: the leader returns it, memory does not keep it.
func TestP4_FillOfUnknownOutcome(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		r.failing(a, larder.OpFill, lardertest.LoseReply)
		a.expect("k", 0)
		r.healthy()
		if n := a.stats().RefusedError; n != 1 {
			t.Errorf("%d fills of unknown outcome", n)
		}
		if _, ok := r.stored("k"); !ok {
			t.Error("the fill was not carried out")
		}
		want := r.src.change("k")
		b.invalidate(b.plain.Key("k"))
		a.expect("k", want)
	})
}

// A paused server carries out a fill long after its caller gave up; in between
// comes an invalidation, which is carried out behind it.
func TestP4_LateFill(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		slow := a.begin("k")
		r.server.Stop()
		gate.pass()
		slow.brings(t, 0)
		want := r.src.change("k")
		if err := b.cache.Invalidate(r.ctx, b.plain.Key("k")); err == nil {
			t.Error("confirmed by a paused server")
		}
		r.pass(30 * time.Second)
		r.server.Cont()
		r.pass(2 * tolerance)
		for _, n := range []*node{a, b} {
			n.expect("k", want, larder.Exact)
		}
	})
}

// Set replaces a lease: the load that held it is refused, the value stays.
func TestP4_SetDuringALoad(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		slow := a.begin("k")
		if err := b.plain.Set(r.ctx, "k", 7); err != nil {
			t.Fatal(err)
		}
		gate.pass()
		slow.brings(t, 0)
		a.expect("k", 7)
		b.expect("k", 7)
	})
}

// Keys that have vanished from Redis do so without a trace: no tombstones.
func TestNothingIsLeftBehind(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("warm")
		before := r.server.Keys()
		for range 10 {
			a.get("k")
			a.invalidate(a.plain.Key("k"))
		}
		if n := r.server.Keys(); n != before {
			t.Errorf("%d keys, %d before", n, before)
		}
	})
}

// A default document stays readable for other programs.
func TestStoredValueIsReadable(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		type suite struct {
			ID   int    `json:"id"`
			Name string `json:"name"`
		}
		k := space(t, r.nodes[0].cache, "suite", larder.KeyspaceOptions[int, suite]{})
		if err := k.Set(r.ctx, 1, suite{1, "smoke"}); err != nil {
			t.Fatal(err)
		}
		data, ttl, _ := r.server.Peek("suite:1")
		if !strings.HasSuffix(data, `{"id":1,"name":"smoke"}`) || ttl != larder.DefaultTTL {
			t.Errorf("Redis holds %q for %v", data, ttl)
		}
		synctest.Wait()
	})
}
