package larder_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
)

// memoryOnly declares a keyspace of that tier at every node.
func (r *rig) memoryOnly(tags func(string) []string) (spaces []*larder.Keyspace[string, int]) {
	for _, n := range r.nodes {
		spaces = append(spaces, space(r.T, n.cache, "local",
			larder.KeyspaceOptions[string, int]{Tiers: larder.MemoryOnly, Tags: tags}))
	}
	return spaces
}

// A keyspace in memory alone is loaded once in each process, and invalidations
// of key, tag and namespace reach every process, as does a Set.
func TestMemoryOnlyAcrossProcesses(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		spaces := r.memoryOnly(func(string) []string { return []string{"group"} })
		read := func(want, loads int, opts ...larder.ReadOption) {
			t.Helper()
			for range 3 {
				for i, n := range r.nodes {
					if got := n.getFrom(spaces[i], "k", opts...); got != want {
						t.Errorf("version %d, want %d", got, want)
					}
				}
			}
			r.loads("k", loads)
		}
		read(0, 2)
		read(0, 0, larder.Exact)
		if _, _, ok := r.server.Peek(a.remote.EntryKey("local:k")); ok {
			t.Error("Redis holds the value")
		}
		for _, change := range []func(){
			func() { a.invalidate(spaces[0].Key("k")) },
			func() { b.invalidate(larder.Tag("group")) },
			func() { a.cache.Clear(r.ctx) },
			func() { r.server.FlushAll() },
		} {
			want := r.src.change("k")
			change()
			synctest.Wait()
			read(want, 2)
		}
		b.remote.HoldPushes()
		want := r.src.change("k")
		a.invalidate(spaces[0].Key("k"))
		if got := b.getFrom(spaces[1], "k", larder.Exact); got != want {
			t.Errorf("P1: version %d, want %d", got, want)
		}
		b.remote.Resume()
		if err := spaces[0].Set(r.ctx, "k", 77); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if v, err := spaces[0].Lookup(r.ctx, "k"); v != 77 || err != nil {
			t.Errorf("after Set: %d, %v", v, err)
		}
		if got := b.getFrom(spaces[1], "k"); got != want {
			t.Errorf("the other process: version %d, want a load of %d", got, want)
		}
	})
}

// P4 and P6 without values in Redis.
func TestMemoryOnlyLoadsInFlight(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		spaces := r.memoryOnly(nil)
		gate := r.src.slow("k")
		slow := a.beginIn(r.ctx, spaces[0], "k")
		want := r.src.change("k")
		b.invalidate(spaces[1].Key("k"))
		synctest.Wait() // A hears of it
		gate.pass()
		<-slow.done
		if got := a.getFrom(spaces[0], "k"); got != want {
			t.Errorf("version %d, want %d", got, want)
		}
		cancelled, cancel := context.WithCancel(r.ctx)
		cancel()
		want = r.src.change("k")
		a.mustBePending(cancelled, spaces[0].Key("k"))
		if got := a.getFrom(spaces[0], "k"); got != want {
			t.Errorf("pending: version %d, want %d", got, want)
		}
	})
}

// Lookups do not write to Redis, whatever tier they look at.
func TestLookupWritesNothing(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		local := r.memoryOnly(func(string) []string { return []string{"t"} })[0]
		a.get("warm")
		before := r.server.Keys()
		for _, k := range []*larder.Keyspace[string, int]{a.plain, a.tagged, local} {
			for _, opt := range []larder.ReadOption{{}, larder.Exact} {
				if v, err := k.Lookup(r.ctx, "k", opt); err != larder.ErrMiss {
					t.Errorf("Lookup = %d, %v", v, err)
				}
				if ok, err := k.Exists(r.ctx, "k", opt); ok || err != nil {
					t.Errorf("Exists = %v, %v", ok, err)
				}
				if ttl, err := k.TTL(r.ctx, "k"); err != larder.ErrMiss {
					t.Errorf("TTL = %v, %v", ttl, err)
				}
			}
		}
		if n := r.server.Keys(); n != before {
			t.Errorf("%d keys, %d before", n, before)
		}
	})
}

// Proving a value again does not make it heavier.
func TestMemoryOnlyKeepsItsWeight(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		k := r.memoryOnly(nil)[0]
		for range 10 {
			a.getFrom(k, "k", larder.Exact)
		}
		before := a.cache.Stats().MemoryBytes
		for range 100 {
			a.getFrom(k, "k", larder.Exact)
		}
		r.loads("k", 1)
		if after := a.cache.Stats().MemoryBytes; after != before {
			t.Errorf("%d bytes, %d before", after, before)
		}
	})
}

// A batch on a keyspace in memory alone is one load, too.
func TestMemoryOnlyBatch(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		spaces := r.memoryOnly(nil)
		l := &batches{src: r.src}
		values, err := spaces[0].GetMany(r.ctx, names(0, 20), l.load)
		if err != nil || len(values) != 20 {
			t.Errorf("%d values, %v", len(values), err)
		}
		if calls := l.took(); len(calls) != 1 {
			t.Errorf("%d loads", len(calls))
		}
		values, err = spaces[0].GetMany(r.ctx, names(0, 20), l.load, larder.Exact)
		if err != nil || len(values) != 20 || len(l.took()) != 0 {
			t.Errorf("again: %d values, %v", len(values), err)
		}
	})
}

// RemoteOnly: every read asks Redis, memory holds nothing.
func TestRemoteOnly(t *testing.T) {
	o := larder.KeyspaceOptions[string, int]{Tiers: larder.RemoteOnly}
	inSetup(t, setup{nodes: 2, spaces: o}, func(r *rig) {
		a, b := r.two()
		a.get("k")
		for range 5 {
			a.get("k")
			b.get("k")
		}
		r.loads("k", 1)
		if s := a.stats(); s.MemoryHits != 0 || s.RemoteHits != 5 {
			t.Errorf("counted %+v", s)
		}
		b.remote.HoldPushes()
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"))
		b.expect("k", want) // no memory, so no bound is needed
	})
}

// A cache without remote tier: everything is exact, complete and immediate.
func TestMemoryAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := larder.New(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		src := newSource()
		k := space(t, c, "k", larder.KeyspaceOptions[string, int]{TTL: time.Minute, Tags: func(string) []string { return []string{"t"} }})
		ctx := t.Context()
		get := func(want int, opts ...larder.ReadOption) {
			t.Helper()
			if v, err := k.Get(ctx, "k", src.load, opts...); v != want || err != nil {
				t.Errorf("Get = %d, %v; want %d", v, err, want)
			}
		}
		get(0)
		for _, change := range []func() error{
			func() error { return c.Invalidate(ctx, k.Key("k")) },
			func() error { return c.Invalidate(ctx, larder.Tag("t")) },
			func() error { return c.Clear(ctx) },
			func() error { return k.Delete(ctx, "k") },
			func() error { _, err := c.DeletePattern(ctx, "k:*"); return err },
			func() error { return c.Invalidate(ctx, k.Key("k"), larder.Strict) },
			func() error { time.Sleep(time.Minute); return nil },
		} {
			want := src.change("k")
			if err := change(); err != nil {
				t.Fatal(err)
			}
			get(want, larder.Exact)
			get(want)
			if n := src.takeLoads("k"); n < 1 {
				t.Errorf("%d loads", n)
			}
		}
		if ttl, err := k.TTL(ctx, "k"); ttl != time.Minute || err != nil {
			t.Errorf("TTL = %v, %v", ttl, err)
		}
		if h := c.Health(); h.Remote != "none" {
			t.Errorf("%+v", h)
		}
	})
}

// In a cache without remote tier a load that began before an invalidation
// keeps nothing either.
func TestMemoryAloneLoadsInFlight(t *testing.T) {
	for name, invalidate := range map[string]func(c *larder.Cache, k *larder.Keyspace[string, int]) error{
		"key": func(c *larder.Cache, k *larder.Keyspace[string, int]) error {
			return c.Invalidate(t.Context(), k.Key("k"))
		},
		"tag": func(c *larder.Cache, _ *larder.Keyspace[string, int]) error {
			return c.Invalidate(t.Context(), larder.Tag("t"))
		},
		"namespace": func(c *larder.Cache, _ *larder.Keyspace[string, int]) error { return c.Clear(t.Context()) },
		"pattern": func(c *larder.Cache, _ *larder.Keyspace[string, int]) error {
			_, err := c.DeletePattern(t.Context(), "k:?")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := larder.New(larder.Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				src := newSource()
				k := space(t, c, "k", larder.KeyspaceOptions[string, int]{Tags: func(string) []string { return []string{"t"} }})
				gate := src.slow("k")
				done := make(chan struct{})
				go func() { defer close(done); k.Get(t.Context(), "k", src.load) }()
				<-gate.entered
				want := src.change("k")
				if err := invalidate(c, k); err != nil {
					t.Fatal(err)
				}
				if v, err := k.Get(t.Context(), "k", src.load); v != want || err != nil {
					t.Errorf("a Get after the invalidation joined the old load: %d, %v", v, err)
				}
				gate.pass()
				<-done
				if v, err := k.Get(t.Context(), "k", src.load); v != want || err != nil {
					t.Errorf("%d, %v; want %d", v, err, want)
				}
			})
		})
	}
}

// Without a memory tier (MemoryBytes negative) everything still works.
func TestNoMemoryTier(t *testing.T) {
	inSetup(t, setup{nodes: 2, cache: larder.Options{MemoryBytes: -1}}, func(r *rig) {
		a, b := r.two()
		for _, n := range r.nodes {
			n.get("k")
			n.getFrom(n.tagged, "k")
		}
		r.loads("k", 2)
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"), larder.Tag("group"))
		b.expect("k", want)
		if got := b.getFrom(b.tagged, "k"); got != want {
			t.Errorf("version %d, want %d", got, want)
		}
	})
}

// The budget is held: what does not fit is evicted and counted.
func TestMemoryBudget(t *testing.T) {
	c, err := larder.New(larder.Options{MemoryBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := space(t, c, "k", larder.KeyspaceOptions[int, [64]byte]{})
	for i := range 10_000 {
		if err := k.Set(t.Context(), i, [64]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	s := c.Stats()
	if s.MemoryEvictions == 0 {
		t.Error("nothing was evicted")
	}
	if s.MemoryBytes > 512<<10 {
		t.Errorf("%d bytes", s.MemoryBytes)
	}
}

// Keys of MemoryOnly keyspaces come in thousands. Their generations do not
// displace those of tags in the log of births: a load during which they come
// may keep its value.
func TestMemoryOnlyDisplacesNoTags(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		k, load := dynamic(a)
		local := space(t, a.cache, "local", larder.KeyspaceOptions[string, int]{Tiers: larder.MemoryOnly})
		for range 2 { // the tag exists and its birth is known
			if _, err := k.Get(r.ctx, "k", load); err != nil {
				t.Fatal(err)
			}
		}
		a.invalidate(k.Key("k"))
		r.src.takeLoads("k")
		gate := r.src.slow("k")
		slow := a.beginWith(k, "k", load)
		<-gate.entered
		for i := range 200 {
			a.getFrom(local, strconv.Itoa(i))
		}
		gate.pass()
		slow.brings(t, 0)
		a.getFrom(k, "k")
		r.loads("k", 1)
	})
}
