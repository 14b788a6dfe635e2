package larder_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
)

// Close in every phase of a Get ends it, with ErrClosed or its value, and
// leaves no goroutine behind: the bubble and goleak see to that.
func TestCloseDuringEachPhase(t *testing.T) {
	for name, begin := range map[string]func(r *rig, n *node) *began{
		"read": func(r *rig, n *node) *began { n.remote.Hold(); return n.begin("k") },
		"foreign lease": func(r *rig, n *node) *began {
			r.src.slow("k")
			r.nodes[1].begin("k")
			return n.begin("k")
		},
		"load":          func(r *rig, n *node) *began { r.src.slow("k"); return n.begin("k") },
		"fill":          func(r *rig, n *node) *began { return phase(r, n, larder.OpFill) },
		"acquire":       func(r *rig, n *node) *began { return phase(r, n, larder.OpAcquire) },
		"generations":   func(r *rig, n *node) *began { return phase(r, n, larder.OpGeneration) },
		"load uncached": func(r *rig, n *node) *began { n.remote.Cut(); r.src.slow("k"); return n.begin("k") },
		"joined":        func(r *rig, n *node) *began { r.src.slow("k"); n.begin("k"); return n.begin("k") },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, func(r *rig) {
				a := r.nodes[0]
				get := begin(r, a)
				start := time.Now()
				if err := a.cache.Close(); err != nil {
					t.Errorf("Close = %v", err)
				}
				if err := a.cache.Close(); err != nil {
					t.Errorf("Close again = %v", err)
				}
				<-get.done
				if get.err != nil && !errors.Is(get.err, larder.ErrClosed) {
					t.Errorf("Get = %v", get.err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v", took)
				}
				r.nodes[1].cache.Close()
			})
		})
	}
}

// phase begins a Get whose operation of a kind waits at the server.
func phase(r *rig, n *node, kind larder.OpKind) *began {
	h := holdReply(r, n, kind)
	g := n.begin("k")
	<-h.reached
	time.AfterFunc(time.Millisecond, h.release)
	return g
}

// Nothing works after Close, and everything says so.
func TestClosedCache(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("k")
		if err := a.cache.Close(); err != nil {
			t.Fatal(err)
		}
		ctx := r.ctx
		_, get := a.plain.Get(ctx, "k", r.src.load)
		_, many := a.plain.GetMany(ctx, []string{"k"}, r.src.loadMany)
		_, lookup := a.plain.Lookup(ctx, "k")
		_, exists := a.plain.Exists(ctx, "k")
		_, pattern := a.cache.DeletePattern(ctx, "*")
		_, async := a.plain.GetAsync(ctx, "k", r.src.load).Wait(ctx)
		_, setAsync := a.plain.SetAsync(ctx, "k", 1).Wait(ctx)
		_, declare := larder.NewKeyspace(a.cache, "late", larder.KeyspaceOptions[string, int]{})
		_, memo := larder.Memoize(a.cache, "late", larder.KeyspaceOptions[string, int]{}, r.src.load)
		for what, err := range map[string]error{
			"Get": get, "GetMany": many, "Lookup": lookup, "Exists": exists, "DeletePattern": pattern,
			"GetAsync": async, "SetAsync": setAsync, "NewKeyspace": declare, "Memoize": memo,
			"Set": a.plain.Set(ctx, "k", 1), "SetMany": a.plain.SetMany(ctx, map[string]int{"k": 1}),
			"Delete": a.plain.Delete(ctx, "k"), "Invalidate": a.cache.Invalidate(ctx, larder.Tag("group")),
			"Clear":  a.cache.Clear(ctx),
			"Mutate": a.plain.Mutate(ctx, "k", func(context.Context) error { return nil }),
		} {
			if !errors.Is(err, larder.ErrClosed) {
				t.Errorf("%s = %v", what, err)
			}
		}
		if _, err := a.plain.TTL(ctx, "k"); err == nil {
			t.Error("TTL succeeded")
		}
		a.cache.Stats()
		a.cache.Health()
	})
}

// A lease that was acquired in the instant of Close is given back.
func TestCloseGivesLeasesBack(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		r.src.slow("k")
		get := a.begin("k")
		elsewhere := b.begin("k")
		start := time.Now()
		a.cache.Close()
		if <-get.done; !errors.Is(get.err, larder.ErrClosed) {
			t.Errorf("Get = %v", get.err)
		}
		elsewhere.brings(t, 0)
		if took := time.Since(start); took > time.Millisecond {
			t.Errorf("another process waited %v", took)
		}
	})
}

// Close waits for loads that ignore their context, and for asynchronous
// operations.
func TestCloseWaits(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		ended := false
		f := a.plain.GetAsync(r.ctx, "k", func(context.Context, string) (int, error) {
			time.Sleep(time.Second)
			ended = true
			return 1, nil
		})
		synctest.Wait()
		a.cache.Close()
		if !ended {
			t.Error("the load still runs")
		}
		select {
		case <-f.Done():
		default:
			t.Error("the operation still runs")
		}
	})
}

// A cache in memory alone closes as well.
func TestCloseMemoryOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := larder.New(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		k := space(t, c, "k", larder.KeyspaceOptions[int, int]{})
		for i := range 1000 {
			k.Set(t.Context(), i, i)
		}
		for range 2 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := k.Lookup(t.Context(), 1); err != larder.ErrClosed {
			t.Errorf("Lookup = %v", err)
		}
	})
}
