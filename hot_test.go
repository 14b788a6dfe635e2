package larder_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
)

// top returns the first names of a ranking.
func top(t *testing.T, n int, ranking func(context.Context) ([]larder.KeyCount, error)) (names []string) {
	t.Helper()
	all, err := ranking(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range all[:min(n, len(all))] {
		if i > 0 && all[i-1].Count < k.Count {
			t.Errorf("not in order: %v", all)
		}
		names = append(names, k.Name)
	}
	return names
}

// The entries that all processes read most are found, memory hits included, of
// which few are counted. Each process learns what the others read.
func TestHotKeys(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		for _, n := range r.nodes {
			for _, key := range names(0, 20) {
				n.get(key)
			}
		}
		for range 20_000 {
			time.Sleep(time.Nanosecond) // sampling goes by the clock
			a.get("k7")
			b.get("k8")
			b.get("k8")
			b.get("k8")
		}
		for _, n := range r.nodes {
			n.cache.HotKeys(r.ctx) // adds what this one knows
		}
		for _, n := range r.nodes {
			if hot := top(r.T, 2, n.cache.HotKeys); hot[0] != "plain:k8" || hot[1] != "plain:k7" {
				t.Errorf("hot keys %v", hot)
			}
		}
		all, _ := a.cache.HotKeys(r.ctx)
		if reads := all[0].Count; reads < 45_000 || reads > 75_000 {
			t.Errorf("60000 reads are estimated as %d", reads)
		}
		r.pass(3 * time.Minute)
		if all, err := a.cache.HotKeys(r.ctx); err != nil || len(all) != 0 {
			t.Errorf("minutes later: %v, %v", all, err)
		}
	})
}

// Among more keys than the sketch has places, reads that memory does not answer
// are estimated from some of them.
func TestHotKeysAmongMany(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		k := space(r.T, a.cache, "far", larder.KeyspaceOptions[string, string]{TTL: time.Hour, Tiers: larder.RemoteOnly})
		load := func(_ context.Context, key string) (string, error) { return key, nil }
		keys := names(0, 2000)
		const rounds, hotReads = 10, 100
		for range rounds {
			for i, key := range keys {
				r.pass(time.Nanosecond) // sampling goes by the clock
				k.Get(r.ctx, key, load)
				if i%(len(keys)/hotReads) == 0 {
					k.Get(r.ctx, "hot", load)
				}
			}
		}
		a.cache.HotKeys(r.ctx) // adds what this one knows
		all, err := a.cache.HotKeys(r.ctx)
		if err != nil || len(all) == 0 || all[0].Name != "far:hot" {
			t.Fatalf("%v, %v", all[:min(3, len(all))], err)
		}
		if n := all[0].Count; n < rounds*hotReads/2 || n > rounds*hotReads*3/2 {
			t.Errorf("%d reads are estimated as %d", rounds*hotReads, n)
		}
	})
}

// Processes tell by themselves, every ten seconds, and at their end.
func TestHeatIsPublished(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		for range 10 {
			a.get("k", larder.Exact)
		}
		r.pass(11 * time.Second)
		if hot := top(r.T, 1, b.cache.HotKeys); len(hot) != 1 || hot[0] != "plain:k" {
			t.Errorf("after 11 s: %v", hot)
		}
		a.get("last", larder.Exact)
		if err := a.cache.Close(); err != nil {
			t.Fatal(err)
		}
		if loaded := top(r.T, 9, b.cache.LoadedKeys); len(loaded) != 2 {
			t.Errorf("after the end of a process: %v", loaded)
		}
	})
}

// Loads are ranked for two days, over all processes.
func TestLoadedKeys(t *testing.T) {
	rarely := larder.Options{MaxStaleness: time.Hour} // two days of heartbeats are many otherwise
	inSetup(t, setup{nodes: 2, cache: rarely}, func(r *rig) {
		a, b := r.two()
		for i, key := range names(0, 5) {
			for range i + 1 {
				n := r.nodes[i%2]
				n.get(key, larder.Exact)
				n.invalidate(n.plain.Key(key))
			}
		}
		a.cache.LoadedKeys(r.ctx)
		if loaded := top(r.T, 5, b.cache.LoadedKeys); fmt.Sprint(loaded) != "[plain:k4 plain:k3 plain:k2 plain:k1 plain:k0]" {
			t.Errorf("loaded keys %v", loaded)
		}
		r.pass(24 * time.Hour)
		if loaded := top(r.T, 5, b.cache.LoadedKeys); len(loaded) != 5 {
			t.Errorf("a day later: %v", loaded)
		}
		r.pass(25 * time.Hour)
		if loaded := top(r.T, 5, b.cache.LoadedKeys); len(loaded) != 0 {
			t.Errorf("two days later: %v", loaded)
		}
	})
}

// Without Redis, rankings are what this process knows, beside the error; a
// closed cache has none. In a cache in memory alone that is all there is.
func TestRankingsWithoutRedis(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.remote.Cut()
		synctest.Wait()
		a.get("k")
		for what, ranking := range map[string]func(context.Context) ([]larder.KeyCount, error){"hot": a.cache.HotKeys, "loaded": a.cache.LoadedKeys} {
			if all, err := ranking(r.ctx); !errors.Is(err, larder.ErrUnavailable) || len(all) != 1 || all[0] != (larder.KeyCount{Name: "plain:k", Count: 1}) {
				t.Errorf("%s: %v, %v", what, all, err)
			}
		}
		c, err := larder.New(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		k := space(t, c, "k", larder.KeyspaceOptions[int, int]{TTL: time.Hour})
		load := func(context.Context, int) (int, error) { return 0, nil }
		k.Get(r.ctx, 1, load)
		r.pass(2 * time.Minute)
		k.Get(r.ctx, 2, load) // an hour's entry turns the minute's ranking
		if hot := top(r.T, 9, c.HotKeys); fmt.Sprint(hot) != "[k:1 k:2]" {
			t.Errorf("hot keys %v", hot)
		}
		if loaded := top(r.T, 9, c.LoadedKeys); len(loaded) != 2 {
			t.Errorf("loaded keys %v", loaded)
		}
		c.Close()
		if _, err := c.HotKeys(r.ctx); err != larder.ErrClosed {
			t.Errorf("after Close: %v", err)
		}
	})
}

// Counting reads costs a memory hit no allocation.
func TestHeatDoesNotAllocate(t *testing.T) {
	c := alone(t)
	k := space(t, c, "k", larder.KeyspaceOptions[int, int]{})
	load := func(context.Context, int) (int, error) { return 1, nil }
	k.Get(t.Context(), 1, load)
	if n := testing.AllocsPerRun(20_000, func() { k.Get(t.Context(), 1, load) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A scan of many entries that are read once does not displace those that were
// read often before: the latest ones would have displaced all others.
func TestScanDoesNotEvictHotKeys(t *testing.T) {
	c, err := larder.New(larder.Options{MemoryBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := space(t, c, "k", larder.KeyspaceOptions[int, int]{TTL: time.Hour})
	loads := map[int]int{}
	load := func(_ context.Context, key int) (int, error) { loads[key]++; return key, nil }
	const hot, scanned = 200, 15_000 // memory holds about four thousand
	read := func() {
		for key := range hot {
			k.Get(t.Context(), key, load)
		}
	}
	for key := range 5000 { // the engine counts from when it is half full
		k.Get(t.Context(), -1-key, load)
	}
	for range 60 {
		read()
	}
	for key := range hot {
		loads[key] = 1
	}
	for key := range scanned {
		k.Get(t.Context(), hot+key, load)
	}
	read()
	if s := c.Stats(); s.MemoryEvictions < scanned/2 {
		t.Fatalf("%d evictions: the scan fits into memory", s.MemoryEvictions)
	}
	again := 0
	for key := range hot {
		again += loads[key] - 1
	}
	if again > hot/20 {
		t.Errorf("the scan made %d loads of %d hot keys necessary", again, hot)
	}
}
