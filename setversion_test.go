package larder_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// versioned is source.load whose entries say their version: that of the source
// and one, as there is no version 0.
func (s *source) versioned(ctx context.Context, key string) (int, error) {
	v, err := s.load(ctx, key)
	larder.LoadFrom(ctx).Version(uint64(v) + 1)
	return v, err
}

// load fills k's entry of key with its version.
func (n *node) load(k *larder.Keyspace[string, int], key string, want int) {
	n.rig.Helper()
	if v, err := k.Get(n.rig.ctx, key, n.rig.src.versioned); err != nil || v != want {
		n.rig.Fatalf("version %d, %v; want %d", v, err, want)
	}
}

// setVersion changes the source of key and tells the cache.
func (n *node) setVersion(k *larder.Keyspace[string, int], key string) (version int) {
	n.rig.Helper()
	version = n.rig.src.change(key)
	if err := k.SetVersion(n.rig.ctx, key, version, uint64(version)+1); err != nil {
		n.rig.Fatal(err)
	}
	return version
}

// What is cached of a lower version is replaced for everybody, in one round
// trip and without a load; memory elsewhere hears of it.
func TestSetVersionReplacesWhatIsOlder(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.load(a.plain, "k", 0)
		b.load(b.plain, "k", 0)
		trips := a.remote.Trips()
		want := a.setVersion(a.plain, "k")
		if n := a.remote.Trips() - trips; n != 1 {
			t.Errorf("%d round trips", n)
		}
		a.load(a.plain, "k", want)
		b.expect("k", want, larder.Exact)
		b.load(b.plain, "k", want)
		r.loads("k", 1)
	})
}

// Of two changes the later one stays, whichever was told last.
func TestSetVersionNeverGoesBack(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.load(a.plain, "k", 0)
		first, second := r.src.change("k"), r.src.change("k")
		for _, v := range []int{second, first, second, first} {
			if err := b.plain.SetVersion(r.ctx, "k", v, uint64(v)+1); err != nil {
				t.Fatal(err)
			}
			a.expect("k", second, larder.Exact)
		}
		r.loads("k", 1)
	})
}

// Where nobody knows whether the cached is older, it goes; where nothing is
// cached, nothing is stored: a call that comes late cannot bring back what an
// invalidation took away.
//
//  1. the change to version 1 is committed
//  2. the change to version 2 is committed and invalidated
//  3. the call for version 1 is executed
func TestP1_SetVersionIsAnInvalidation(t *testing.T) {
	for name, c := range map[string]struct {
		before func(r *rig, a *node)
		stored bool
	}{
		"nothing": {func(*rig, *node) {}, false},
		"invalidated": {func(r *rig, a *node) {
			a.load(a.plain, "k", 0)
			a.invalidate(a.plain.Key("k"))
		}, false},
		"no version": {func(_ *rig, a *node) { a.get("k") }, false},
		"foreign":    {func(r *rig, a *node) { r.server.Set(a.remote.EntryKey("plain:k"), "0", time.Hour) }, false},
		"version":    {func(_ *rig, a *node) { a.load(a.plain, "k", 0) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, func(r *rig) {
				a, b := r.two()
				c.before(r, a)
				want := b.setVersion(b.plain, "k")
				if data, ok := r.stored("k"); ok != c.stored {
					t.Errorf("Redis holds %q", data)
				}
				a.expect("k", want, larder.Exact)
				b.expect("k", want)
			})
		})
	}
}

// A load that began before the change loses its right to store, like in an
// invalidation (P4), and those who come later do not join it.
func TestP4_SetVersionDuringALoad(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		slow := a.begin("k")
		want := b.setVersion(b.plain, "k")
		late := a.begin("k", larder.Exact)
		gate.pass()
		slow.brings(t, want-1)
		late.brings(t, want)
		if n := a.stats().RefusedLease; n != 1 {
			t.Errorf("%d refused fills", n)
		}
		b.expect("k", want)
	})
}

// The new value depends on the tags that the old one had.
func TestSetVersionKeepsTags(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.load(a.tagged, "k", 0)
		a.load(a.tagged, "k", a.setVersion(a.tagged, "k"))
		r.loads("k", 1)
		want := r.src.change("k")
		b.invalidate(larder.Tag("group"))
		r.pass(time.Millisecond)
		a.load(a.tagged, "k", want)
	})
}

// What Redis does not confirm is pending like any invalidation, and gone after
// a failover that lost it.
func TestP6_SetVersionUnconfirmed(t *testing.T) {
	for _, fault := range []lardertest.Fault{lardertest.LoseReply, lardertest.LoseRequest, lardertest.ReplyError} {
		inRig(t, 2, func(r *rig) {
			a, b := r.two()
			a.load(a.plain, "k", 0)
			r.failing(a, larder.OpSetNewer, fault)
			want := r.src.change("k")
			if err := a.plain.SetVersion(r.ctx, "k", want, uint64(want)+1); !errors.Is(err, larder.ErrPending) {
				t.Errorf("fault %v: %v", fault, err)
			}
			a.expect("k", want)
			r.healthy()
			r.pass(2 * tolerance)
			if n := a.cache.Health().Pending; n != 0 {
				t.Errorf("%d keys pending", n)
			}
			b.expect("k", want, larder.Exact)
		})
	}
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.load(a.plain, "k", 0)
		a.remote.Cut()
		r.pass(3 * tolerance)
		want := r.src.change("k")
		if err := a.plain.SetVersion(r.ctx, "k", want, uint64(want)+1); !errors.Is(err, larder.ErrPending) {
			t.Errorf("without Redis: %v", err)
		}
		a.remote.Resume()
		r.pass(3 * tolerance)
		a.expect("k", want, larder.Exact)
	})
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.load(a.plain, "k", 0)
		r.server.Save()
		want := a.setVersion(a.plain, "k")
		r.server.Failover()
		r.pass(2 * tolerance)
		a.expect("k", want, larder.Exact)
	})
}

// Where a value cannot be stored safely, the call invalidates.
func TestSetVersionOnlyInvalidates(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		local := r.memoryOnly(nil)
		held := []*larder.Keyspace[string, int]{}
		for _, n := range r.nodes {
			held = append(held, space(t, n.cache, "held", larder.KeyspaceOptions[string, int]{HoldOff: time.Second}))
		}
		for _, spaces := range [][]*larder.Keyspace[string, int]{local, held} {
			for i := range spaces {
				r.nodes[i].load(spaces[i], "k", r.src.version["k"])
			}
			want := r.nodes[0].setVersion(spaces[0], "k")
			r.pass(time.Millisecond)
			for i := range spaces {
				r.nodes[i].load(spaces[i], "k", want)
			}
		}
		if data, _, ok := r.server.Peek(r.nodes[0].remote.EntryKey("held:k")); !ok || data[0] != 0xFB {
			t.Errorf("no hold-off: %q", data)
		}
	})
	cache, err := larder.New(larder.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	k := space(t, cache, "k", larder.KeyspaceOptions[string, int]{})
	n := 0
	load := func(context.Context, string) (int, error) { n++; return n, nil }
	for want := 1; want < 3; want++ {
		if v, err := k.Get(t.Context(), "k", load); err != nil || v != want {
			t.Errorf("got %d, %v, want %d", v, err, want)
		}
		if err := k.SetVersion(t.Context(), "k", 9, 1); err != nil {
			t.Error(err)
		}
	}
}

// Bad input is refused by name; a value that cannot be stored is an
// invalidation all the same.
func TestSetVersionRefusals(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{MaxValueBytes: 10}}, func(r *rig) {
		a := r.nodes[0]
		text := space(t, a.cache, "text", larder.KeyspaceOptions[string, string]{})
		if err := text.SetVersion(r.ctx, "k", "v", 0); err == nil || !strings.Contains(err.Error(), "version 0") {
			t.Errorf("version 0: %v", err)
		}
		if err := text.SetVersion(r.ctx, "", "v", 1); !errors.Is(err, larder.ErrInvalidKey) {
			t.Errorf("empty key: %v", err)
		}
		load := func(ctx context.Context, _ string) (string, error) {
			larder.LoadFrom(ctx).Version(1)
			return "old", nil
		}
		if _, err := text.Get(r.ctx, "k", load); err != nil {
			t.Fatal(err)
		}
		if err := text.SetVersion(r.ctx, "k", strings.Repeat("x", 11), 2); !errors.Is(err, larder.ErrTooLarge) || errors.Is(err, larder.ErrPending) {
			t.Errorf("too large: %v", err)
		}
		if v, err := text.Lookup(r.ctx, "k"); !errors.Is(err, larder.ErrMiss) {
			t.Errorf("the old value is left: %q, %v", v, err)
		}
		if err := a.cache.Close(); err != nil {
			t.Error(err)
		}
		if err := text.SetVersion(r.ctx, "k", "v", 3); !errors.Is(err, larder.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
		defer func() {
			if p := fmt.Sprint(recover()); !strings.Contains(p, "Version of 0") {
				t.Errorf("panic %s", p)
			}
		}()
		larder.LoadFrom(r.ctx).Version(0)
	})
}
