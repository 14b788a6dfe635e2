package larder_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// batches records the calls of a batch loader.
type batches struct {
	mu    sync.Mutex
	calls [][]string
	src   *source
}

func (b *batches) load(ctx context.Context, keys []string) (map[string]int, error) {
	b.mu.Lock()
	b.calls = append(b.calls, slices.Sorted(slices.Values(keys)))
	b.mu.Unlock()
	return b.src.loadMany(ctx, keys)
}

// took returns the calls since the last time.
func (b *batches) took() [][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = nil
	return calls
}

func names(from, to int) (keys []string) {
	for i := from; i < to; i++ {
		keys = append(keys, fmt.Sprint("k", i))
	}
	return keys
}

// One load for all that is nowhere, one round trip for all that is in Redis.
func TestGetMany(t *testing.T) {
	// So many stripes that no two of the keys share one: a fill kills what
	// shares the stripe of its key.
	plenty := larder.Options{MemoryBytes: 32 << 30}
	inSetup(t, setup{nodes: 2, cache: plenty}, func(r *rig) {
		a, b := r.two()
		l := &batches{src: r.src}
		a.get("warm")
		b.get("warm")
		trips := a.remote.Trips()
		values, err := a.plain.GetMany(r.ctx, append(names(0, 100), names(50, 100)...), l.load)
		if err != nil || len(values) != 100 {
			t.Fatalf("%d values, %v", len(values), err)
		}
		if calls := l.took(); len(calls) != 1 || len(calls[0]) != 100 {
			t.Errorf("%d loads", len(calls))
		}
		if n := a.remote.Trips() - trips; n != 3 {
			t.Errorf("a batch of misses took %d round trips", n)
		}
		trips = b.remote.Trips()
		if values, err = b.plain.GetMany(r.ctx, names(0, 150), l.load); err != nil || len(values) != 150 {
			t.Fatalf("%d values, %v", len(values), err)
		}
		if calls := l.took(); len(calls) != 1 || len(calls[0]) != 50 {
			t.Errorf("loads %v", calls)
		}
		if n := b.remote.Trips() - trips; n != 3 {
			t.Errorf("half a batch took %d round trips", n)
		}
		trips = b.remote.Trips()
		b.plain.GetMany(r.ctx, names(0, 150), l.load, larder.MaxStaleness(time.Hour))
		if n := b.remote.Trips() - trips; n != 0 {
			t.Errorf("a batch in memory took %d round trips", n)
		}
		s := b.stats()
		if s.RemoteHits != 101 || s.Loaded != 50 || s.MemoryHits != 150 {
			t.Errorf("counted %+v", s)
		}
	})
}

// After the tag of many entries is invalidated, a batch looks a second time
// once, not once for each key.
func TestGetManyOutdated(t *testing.T) {
	inSetup(t, setup{nodes: 2, delay: time.Millisecond}, func(r *rig) {
		a, b := r.two()
		l := &batches{src: r.src}
		keys := names(0, 100)
		a.tagged.GetMany(r.ctx, keys, l.load)
		b.invalidate(larder.Tag("group"))
		r.pass(tolerance)
		trips := a.remote.Trips()
		start := time.Now()
		if values, err := a.tagged.GetMany(r.ctx, keys, l.load); err != nil || len(values) != 100 {
			t.Errorf("%d values, %v", len(values), err)
		}
		if n := a.remote.Trips() - trips; n > 5 {
			t.Errorf("took %d round trips, %v", n, time.Since(start))
		}
	})
}

// Keys the source does not have are absent from the result, and cached so.
func TestGetManyNotFound(t *testing.T) {
	for name, load := range map[string]larder.BatchLoader[string, int]{
		"lacking": func(_ context.Context, keys []string) (map[string]int, error) {
			if slices.Contains(keys, "k1") {
				return map[string]int{"k1": 1, "uninvited": 2}, nil
			}
			return nil, nil
		},
		"none": func(context.Context, []string) (map[string]int, error) {
			return nil, fmt.Errorf("rows: %w", larder.ErrNotFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 2, func(r *rig) {
				a, b := r.two()
				for range 2 {
					values, err := a.plain.GetMany(r.ctx, names(0, 3), load)
					if _, ok := values["k0"]; ok || err != nil || len(values) > 1 {
						t.Errorf("%v, %v", values, err)
					}
				}
				if _, err := b.lookup("k0"); err != larder.ErrNotFound {
					t.Errorf("Lookup = %v", err)
				}
				if s := a.stats(); s.LoadNotFound < 2 || s.LoadErrors != 0 || s.Errors != 0 {
					t.Errorf("counted %+v", s)
				}
			})
		})
	}
}

// The error of a batch load is returned beside what was found, and every lease
// is given back.
func TestGetManyError(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("k0")
		boom := errors.New("boom")
		trips := a.remote.Trips()
		values, err := a.plain.GetMany(r.ctx, names(0, 50), func(context.Context, []string) (map[string]int, error) {
			return map[string]int{"k3": 3}, boom
		})
		var each *larder.BatchError
		if !errors.As(err, &each) || len(each.Failed) != 49 || each.Of("k1") != boom || each.Of("k0") != nil || len(values) != 1 {
			t.Errorf("%v, %v", values, err)
		}
		if !errors.Is(err, boom) || err.Error() != `larder: key "k1": boom (and 48 more keys)` {
			t.Errorf("%v", err)
		}
		if n := a.remote.Trips() - trips; n != 3 {
			t.Errorf("took %d round trips", n)
		}
		start := time.Now()
		b.get("k1")
		if took := time.Since(start); took != 0 {
			t.Errorf("another process waited %v", took)
		}
	})
}

// Two batches in opposite order, in one process and in two, end: what a batch
// leads it loads before it waits.
func TestGetManyOppositeOrders(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		l := &batches{src: r.src}
		keys := names(0, 20)
		back := slices.Clone(keys)
		slices.Reverse(back)
		r.src.hook = func(context.Context, string) error { time.Sleep(time.Millisecond); return nil }
		for round := range 20 {
			var wg sync.WaitGroup
			for i := range 8 {
				n, list := r.nodes[i%2], keys[i:]
				if i%4 < 2 {
					list = back[i:]
				}
				wg.Go(func() {
					if values, err := n.tagged.GetMany(r.ctx, list, l.load); err != nil || len(values) != len(list) {
						t.Errorf("%d values, %v", len(values), err)
					}
				})
			}
			wg.Wait()
			for _, key := range keys {
				r.loads(key, 1)
			}
			r.nodes[round%2].invalidate(larder.Tag("group"))
			synctest.Wait()
		}
	})
}

// Batches join single flights, and singles join batches.
func TestGetManyJoinsSingles(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		l := &batches{src: r.src}
		gate := r.src.slow("k0")
		single := a.begin("k0")
		second := r.src.slow("k1")
		var values map[string]int
		done := make(chan struct{})
		go func() {
			defer close(done)
			values, _ = a.plain.GetMany(r.ctx, names(0, 3), l.load)
		}()
		synctest.Wait()
		joined := a.begin("k1")
		second.pass()
		joined.brings(t, 0)
		gate.pass()
		single.brings(t, 0)
		<-done
		if len(values) != 3 {
			t.Errorf("%v", values)
		}
		for _, key := range names(0, 3) {
			r.loads(key, 1)
		}
	})
}

// A batch that panics leaves nobody waiting for the flights it led.
func TestGetManyPanic(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		holder, die := context.WithCancel(r.ctx)
		r.src.slow("k1")
		b.beginIn(holder, b.plain, "k1") // k1 has a foreign lease
		gate := make(chan struct{})
		var panicked any
		done := make(chan struct{})
		go func() {
			defer close(done)
			panicked, _ = outcomeOf(func() error {
				_, err := a.plain.GetMany(r.ctx, names(0, 2), func(context.Context, []string) (map[string]int, error) {
					<-gate
					panic("boom")
				})
				return err
			})
		}()
		synctest.Wait()
		waiters := []*began{a.begin("k0"), a.begin("k1")}
		close(gate)
		<-done
		if panicked != "boom" {
			t.Errorf("panic %v", panicked)
		}
		<-waiters[0].done
		if _, ok := errors.AsType[*larder.PanicError](waiters[0].err); !ok {
			t.Errorf("the waiter received %v", waiters[0].err)
		}
		die()
		waiters[1].brings(t, 0)
		a.expect("k0", 0)
	})
}

// Nor does one whose options panic while it still looks at its keys.
func TestGetManyOptionPanics(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		k := space(t, r.nodes[0].cache, "odd", larder.KeyspaceOptions[string, int]{Tags: func(key string) []string {
			if key == "k2" {
				panic("boom")
			}
			return nil
		}})
		panicked, _ := outcomeOf(func() error { _, err := k.GetMany(r.ctx, names(0, 4), r.src.loadMany); return err })
		if panicked != "boom" {
			t.Errorf("panic %v", panicked)
		}
		within, cancel := context.WithTimeout(r.ctx, time.Minute)
		defer cancel()
		if v, err := k.Get(within, "k1", r.src.load); v != 0 || err != nil {
			t.Errorf("k1: %d, %v", v, err)
		}
	})
}

// When the caller of a batch leaves, its load ends with the last who waits for
// any of its keys.
func TestGetManyCallerLeaves(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		ctx, leave := context.WithCancel(r.ctx)
		ended := make(chan error, 1)
		load := func(ctx context.Context, keys []string) (map[string]int, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		done := make(chan error)
		go func() { _, err := a.plain.GetMany(ctx, names(0, 3), load); done <- err }()
		synctest.Wait()
		other, leaveToo := context.WithCancel(r.ctx)
		waiter := a.beginIn(other, a.plain, "k1")
		leave()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("GetMany = %v", err)
		}
		synctest.Wait()
		if len(ended) != 0 {
			t.Error("the load ended although somebody waits")
		}
		leaveToo()
		<-waiter.done
		synctest.Wait()
		if len(ended) != 1 {
			t.Error("the load goes on although nobody waits")
		}
	})
}

// Bad keys in a batch fail alone.
func TestGetManyBadKey(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		values, err := r.nodes[0].plain.GetMany(r.ctx, []string{"", "k"}, r.src.loadMany)
		if !errors.Is(err, larder.ErrInvalidKey) || len(values) != 1 {
			t.Errorf("%v, %v", values, err)
		}
		if values, err = r.nodes[0].plain.GetMany(r.ctx, nil, r.src.loadMany); err != nil || len(values) != 0 {
			t.Errorf("no keys: %v, %v", values, err)
		}
	})
}

// SetMany stores all its entries in one pipeline, tags of their own included.
func TestSetMany(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		opts := larder.KeyspaceOptions[string, int]{Tags: func(key string) []string { return []string{"of-" + key, "all"} }}
		ka, kb := space(t, a.cache, "many", opts), space(t, b.cache, "many", opts)
		values := map[string]int{}
		for i, key := range names(0, 100) {
			values[key] = i
		}
		trips := a.remote.Trips()
		if err := ka.SetMany(r.ctx, values); err != nil {
			t.Fatal(err)
		}
		if n := a.remote.Trips() - trips; n > 2 {
			t.Errorf("took %d round trips", n)
		}
		for key, want := range values {
			if got, err := kb.Lookup(r.ctx, key); err != nil || got != want {
				t.Fatalf("%s: %d, %v", key, got, err)
			}
		}
		b.invalidate(larder.Tag("of-k7"))
		if _, err := ka.Lookup(r.ctx, "k7", larder.Exact); err != larder.ErrMiss {
			t.Errorf("k7 is still there: %v", err)
		}
		if _, err := ka.Lookup(r.ctx, "k8", larder.Exact); err != nil {
			t.Errorf("k8: %v", err)
		}
	})
}

// Entries of a SetMany fail one by one.
func TestSetManyPartial(t *testing.T) {
	s := setup{nodes: 1, cache: larder.Options{MaxValueBytes: 8}}
	inSetup(t, s, func(r *rig) {
		a := r.nodes[0]
		k := space(t, a.cache, "text", larder.KeyspaceOptions[string, string]{Codec: larder.Text})
		if err := k.Set(r.ctx, "long", "short"); err != nil {
			t.Fatal(err)
		}
		err := k.SetMany(r.ctx, map[string]string{"ok": "v", "long": "much too long", "": "v"})
		if !errors.Is(err, larder.ErrTooLarge) || !errors.Is(err, larder.ErrInvalidKey) || errors.Is(err, larder.ErrPending) {
			t.Errorf("SetMany = %v", err)
		}
		if v, err := k.Lookup(r.ctx, "ok"); v != "v" || err != nil {
			t.Errorf("ok: %q, %v", v, err)
		}
		if v, err := k.Lookup(r.ctx, "long"); err != larder.ErrMiss {
			t.Errorf("the old value is still there: %q, %v", v, err)
		}
	})
}

// A value that cannot be encoded is refused like one that is too large: the
// old entry is gone, nothing is pending.
func TestSetOfWhatCannotBeEncoded(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		k := space(t, r.nodes[0].cache, "any", larder.KeyspaceOptions[string, any]{})
		if err := k.Set(r.ctx, "k", 1); err != nil {
			t.Fatal(err)
		}
		err := k.Set(r.ctx, "k", make(chan int))
		if err == nil || errors.Is(err, larder.ErrPending) {
			t.Errorf("Set = %v", err)
		}
		if _, err := k.Lookup(r.ctx, "k"); err != larder.ErrMiss {
			t.Errorf("Lookup = %v", err)
		}
		if n := r.nodes[0].cache.Health().Pending; n != 0 {
			t.Errorf("%d keys pending", n)
		}
	})
}

// Asynchronous operations give what the others give.
func TestFutures(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{AsyncLimit: 2}}, func(r *rig) {
		a := r.nodes[0]
		if _, err := a.plain.SetAsync(r.ctx, "k", 5).Wait(r.ctx); err != nil {
			t.Error(err)
		}
		f := a.plain.GetAsync(r.ctx, "k", r.src.load)
		<-f.Done()
		if v, err := f.Wait(r.ctx); v != 5 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
		if _, err := a.plain.DeleteAsync(r.ctx, "k").Wait(r.ctx); err != nil {
			t.Error(err)
		}
		gate := r.src.slow("k")
		slow := []*larder.Future[int]{a.plain.GetAsync(r.ctx, "k", r.src.load), a.plain.GetAsync(r.ctx, "k", r.src.load)}
		short, cancel := context.WithTimeout(r.ctx, time.Second)
		defer cancel()
		if _, err := slow[0].Wait(short); err != context.DeadlineExceeded {
			t.Errorf("Wait = %v", err)
		}
		if _, err := a.plain.GetAsync(short, "l", r.src.load).Wait(r.ctx); err != context.DeadlineExceeded {
			t.Errorf("a third operation: %v", err)
		}
		gate.pass()
		for _, f := range slow {
			if v, err := f.Wait(r.ctx); v != 0 || err != nil {
				t.Errorf("%d, %v", v, err)
			}
		}
		boom := a.plain.GetAsync(r.ctx, "m", func(context.Context, string) (int, error) { panic("boom") })
		if _, err := boom.Wait(r.ctx); err == nil {
			t.Error("no error")
		} else if p, ok := errors.AsType[*larder.PanicError](err); !ok || p.Value != "boom" || len(p.Stack) == 0 {
			t.Errorf("error %v", err)
		}
	})
}

// A lost connection in the middle of a batch costs its loads nothing but being
// stored.
func TestGetManyLosesItsConnection(t *testing.T) {
	for _, kind := range []larder.OpKind{larder.OpGet, larder.OpAcquire, larder.OpFill} {
		inRig(t, 1, func(r *rig) {
			a := r.nodes[0]
			r.failing(a, kind, lardertest.LoseReply)
			values, err := a.tagged.GetMany(r.ctx, names(0, 10), r.src.loadMany)
			if err != nil || len(values) != 10 {
				t.Errorf("operation %d: %d values, %v", kind, len(values), err)
			}
			r.healthy()
			r.pass(5 * time.Second)
			r.src.change("k3")
			a.invalidate(a.tagged.Key("k3"))
			if values, err = a.tagged.GetMany(r.ctx, names(0, 10), r.src.loadMany); err != nil || values["k3"] != 1 {
				t.Errorf("operation %d: %v, %v", kind, values, err)
			}
		})
	}
}
