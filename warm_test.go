package larder_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
)

// Warm loads what is missing, in batches, so many at once, tells of its
// progress, and its counts add up.
func TestWarm(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		for _, key := range names(0, 100) {
			a.get(key)
		}
		var mu sync.Mutex
		running, most := 0, 0
		load := func(ctx context.Context, keys []string) (map[string]int, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			values, err := r.src.loadMany(ctx, keys)
			delete(values, "k500")
			mu.Lock()
			running--
			mu.Unlock()
			return values, err
		}
		var seen []larder.WarmReport
		keys := append(names(0, 1000), "k999", "")
		report, err := b.plain.Warm(r.ctx, slices.Values(keys), load, larder.WarmOptions{
			Concurrency: 3, BatchSize: 100, Progress: func(r larder.WarmReport) { seen = append(seen, r) }})
		want := larder.WarmReport{Keys: 1002, Present: 101, Loaded: 899, NotFound: 1, Invalid: 1, Done: 1002}
		if !errors.Is(err, larder.ErrInvalidKey) || report != want {
			t.Errorf("%+v, %v, want %+v", report, err, want)
		}
		if most != 3 {
			t.Errorf("%d loads at once", most)
		}
		if len(seen) != 11 || seen[10] != report {
			t.Errorf("%d calls of Progress, the last %+v", len(seen), seen[len(seen)-1])
		}
		for i := range seen {
			if i > 0 && seen[i].Done < seen[i-1].Done || seen[i].Keys < seen[i].Done {
				t.Errorf("progress %+v", seen[i])
			}
		}
		loads := b.stats().Loads
		if b.expect("k700", 0); b.stats().Loads != loads {
			t.Error("a warmed entry was loaded again")
		}
		if report, err = b.plain.Warm(r.ctx, slices.Values([]string{"x", "x", "x"}), load, larder.WarmOptions{}); err != nil || report.Duplicates != 2 || report.Loaded != 1 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// Failed loads and loaders that panic are counted and do not stop it.
func TestWarmGoesOnAfterFailures(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		boom := errors.New("boom")
		report, err := r.nodes[0].plain.Warm(r.ctx, slices.Values(names(0, 40)), func(ctx context.Context, keys []string) (map[string]int, error) {
			switch {
			case slices.Contains(keys, "k11"):
				return nil, boom
			case slices.Contains(keys, "k21"):
				panic("boom")
			}
			return r.src.loadMany(ctx, keys)
		}, larder.WarmOptions{BatchSize: 10, Concurrency: 1})
		if want := (larder.WarmReport{Keys: 40, Loaded: 20, Failed: 20, Done: 40}); !errors.Is(err, boom) || report != want {
			t.Errorf("%+v, %v, want %+v", report, err, want)
		}
	})
}

// Ended in the middle, Done says where to go on: the second run loads the rest
// and nothing twice.
func TestWarmResumes(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		ctx, end := context.WithCancel(r.ctx)
		first, err := a.plain.Warm(ctx, slices.Values(names(0, 100)), r.src.loadMany, larder.WarmOptions{
			BatchSize: 10, Concurrency: 1, Progress: func(r larder.WarmReport) {
				if r.Keys == 40 {
					end()
				}
			}})
		if !errors.Is(err, context.Canceled) || first.Done < 30 || first.Done >= 100 {
			t.Fatalf("%+v, %v", first, err)
		}
		second, err := a.plain.Warm(r.ctx, slices.Values(names(0, 100)), r.src.loadMany, larder.WarmOptions{BatchSize: 10, Skip: first.Done})
		if err != nil || second.Done != 100 || first.Done+second.Keys != 100 {
			t.Errorf("%+v, then %+v, %v", first, second, err)
		}
		for _, key := range names(0, 100) {
			r.loads(key, 1)
		}
	})
}

// Without Redis nothing that is loaded would last: Warm stops, and says so.
func TestWarmStopsWithoutRedis(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		report, err := a.plain.Warm(r.ctx, slices.Values(names(0, 100)), func(ctx context.Context, keys []string) (map[string]int, error) {
			if keys[0] == "k20" {
				a.remote.Cut()
				synctest.Wait()
			}
			return r.src.loadMany(ctx, keys)
		}, larder.WarmOptions{BatchSize: 10, Concurrency: 1})
		if !errors.Is(err, larder.ErrUnavailable) || report.Keys != 30 || report.Done != 30 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}

// What the last run loaded most is warmed in the next, also from a process that
// never saw it: keys are read back from names, escaped ones included.
func TestWarmLoaded(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		odd, long := "ü: *%", strings.Repeat("x", 600)
		for _, key := range []string{"k1", "k2", odd, long} {
			r.nodes[0].get(key)
		}
		r.nodes[0].getFrom(r.nodes[0].tagged, "other")
		if err := r.nodes[0].cache.Close(); err != nil {
			t.Fatal(err)
		}
		b := r.join(setup{})
		b.invalidate(larder.All())
		report, err := b.plain.WarmLoaded(r.ctx, r.src.loadMany, larder.WarmOptions{})
		if want := (larder.WarmReport{Keys: 4, Loaded: 3, Invalid: 1, Done: 3}); err != nil || report != want {
			t.Errorf("%+v, %v, want %+v", report, err, want)
		}
		loads := b.stats().Loads
		if b.get(odd); b.stats().Loads != loads {
			t.Error("a warmed entry was loaded again")
		}
	})
}

// Names give integers and other types back; without ParseKey there is an error.
func TestWarmNames(t *testing.T) {
	c := alone(t)
	var got []any
	type id int16
	ints := space(t, c, "ints", larder.KeyspaceOptions[id, int]{})
	list := slices.Values([]string{"ints:-5", "ints:70000", "ints:007", "ints:x", "ints", "other:1", "ints:"})
	report, err := ints.WarmNames(t.Context(), list, func(_ context.Context, keys []id) (map[id]int, error) {
		got = append(got, keys[0])
		return map[id]int{keys[0]: 1}, nil
	}, larder.WarmOptions{})
	if err != nil || report.Loaded != 1 || report.Invalid != 4 || report.Keys != 5 || len(got) != 1 || got[0] != id(-5) {
		t.Errorf("%+v, %v, %v", report, err, got)
	}
	type pair [2]int
	pairs := space(t, c, "pairs", larder.KeyspaceOptions[pair, int]{AppendKey: func(dst []byte, _ pair) []byte { return append(dst, 'x') }})
	if _, err := pairs.WarmNames(t.Context(), list, func(context.Context, []pair) (map[pair]int, error) { return nil, nil }, larder.WarmOptions{}); err == nil || !strings.Contains(err.Error(), "ParseKey:") {
		t.Errorf("without ParseKey: %v", err)
	}
}

// Wrong options are refused, each by its name.
func TestWarmOptions(t *testing.T) {
	k := space(t, alone(t), "k", larder.KeyspaceOptions[string, int]{})
	load := func(context.Context, []string) (map[string]int, error) { return nil, nil }
	for field, o := range map[string]larder.WarmOptions{
		"Concurrency:": {Concurrency: -1}, "BatchSize:": {BatchSize: -1}, "BatchSize: 2000": {BatchSize: 2000}, "Skip:": {Skip: -1},
	} {
		if _, err := k.Warm(t.Context(), slices.Values(names(0, 3)), load, o); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := k.Warm(t.Context(), nil, nil, larder.WarmOptions{}); err == nil || !strings.Contains(err.Error(), "load:") {
		t.Errorf("without a loader: %v", err)
	}
	if _, err := k.WarmNames(t.Context(), nil, load, larder.WarmOptions{}); err == nil {
		t.Error("without names")
	}
}

// Warming many entries leaves those in memory that are read all the time.
func TestWarmDoesNotEvictHotKeys(t *testing.T) {
	c, err := larder.New(larder.Options{MemoryBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := space(t, c, "k", larder.KeyspaceOptions[int, int]{TTL: time.Hour})
	loads := 0
	load := func(_ context.Context, key int) (int, error) { loads++; return key, nil }
	read := func() {
		for key := range 200 {
			k.Get(t.Context(), key, load)
		}
	}
	for key := range 5000 { // the engine counts from when it is half full
		k.Get(t.Context(), -1-key, load)
	}
	for range 60 {
		read()
	}
	loads = 0
	report, err := k.Warm(t.Context(), func(yield func(int) bool) {
		for key := 1000; key < 16_000 && yield(key); key++ {
		}
	}, func(_ context.Context, keys []int) (map[int]int, error) {
		values := make(map[int]int, len(keys))
		for _, key := range keys {
			values[key] = key
		}
		return values, nil
	}, larder.WarmOptions{})
	if err != nil || report.Loaded != 15_000 {
		t.Fatalf("%+v, %v", report, err)
	}
	if s := c.Stats(); s.MemoryEvictions < 5_000 {
		t.Fatalf("%d evictions: everything fits into memory", s.MemoryEvictions)
	}
	if read(); loads > 10 {
		t.Errorf("warming made %d loads of 200 hot keys necessary", loads)
	}
}

// Closing the cache ends a Warm under way.
func TestWarmEndsWithTheCache(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		ended := make(chan error, 1)
		begun := make(chan struct{}, 100)
		go func() {
			_, err := a.plain.Warm(r.ctx, slices.Values(names(0, 1000)), func(ctx context.Context, _ []string) (map[string]int, error) {
				begun <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}, larder.WarmOptions{BatchSize: 10})
			ended <- err
		}()
		<-begun
		if err := a.cache.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, larder.ErrClosed) {
			t.Errorf("Warm = %v", err)
		}
	})
}
