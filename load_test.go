package larder_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
)

// outcomeOf runs f and returns its panic or its error.
func outcomeOf(f func() error) (panicked any, err error) {
	defer func() { panicked = recover() }()
	return nil, f()
}

// A panic of the loader is raised again where the load was led, and is an
// error for those who waited. The lease is given back: the next Get loads.
func TestPanicOfALoader(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		boom := errors.New("boom")
		r.src.hook = func(context.Context, string) error { r.src.hook = nil; panic(boom) }
		var led any
		done := make(chan struct{})
		go func() {
			defer close(done)
			led, _ = outcomeOf(func() error { _, err := a.plain.Get(r.ctx, "k", r.src.load); return err })
		}()
		<-gate.entered
		waiter := a.begin("k")
		elsewhere := b.begin("k")
		gate.pass()
		<-done
		if led != boom {
			t.Errorf("the leader panicked with %v", led)
		}
		<-waiter.done
		p, ok := errors.AsType[*larder.PanicError](waiter.err)
		if !ok || p.Value != boom || !errors.Is(waiter.err, boom) || len(p.Stack) == 0 {
			t.Errorf("the waiter received %v", waiter.err)
		}
		elsewhere.brings(t, 0)
		if n := a.logs.containing("panicked"); n != 1 {
			t.Errorf("%d log lines", n)
		}
	})
}

// A loader that ends its goroutine (t.FailNow does) leaves nobody waiting.
func TestGoexitOfALoader(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		r.src.hook = func(context.Context, string) error { r.src.hook = nil; runtime.Goexit(); return nil }
		leader := a.begin("k")
		waiter := a.begin("k")
		elsewhere := b.begin("k")
		gate.pass()
		for _, g := range []*began{leader, waiter} {
			<-g.done
			if p, ok := errors.AsType[*larder.PanicError](g.err); !ok || p.Value != nil {
				t.Errorf("error %v", g.err)
			}
		}
		elsewhere.brings(t, 0)
		a.expect("k", 0)
	})
}

// The same in a batch and asynchronously.
func TestGoexitElsewhere(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		exit := func(context.Context, []string) (map[string]int, error) { runtime.Goexit(); return nil, nil }
		_, err := a.plain.GetMany(r.ctx, []string{"k", "l"}, exit)
		if _, ok := errors.AsType[*larder.PanicError](err); !ok {
			t.Errorf("GetMany = %v", err)
		}
		f := a.plain.GetAsync(r.ctx, "m", func(context.Context, string) (int, error) { runtime.Goexit(); return 0, nil })
		if _, err := f.Wait(r.ctx); err == nil {
			t.Error("GetAsync succeeded")
		}
		a.expect("k", 0)
		a.expect("m", 0)
	})
}

// An error that merely contains another cache's panic is an error.
func TestErrorAroundAPanicError(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		inner := &larder.PanicError{Value: "elsewhere"}
		panicked, err := outcomeOf(func() error {
			_, err := r.nodes[0].plain.Get(r.ctx, "k", func(context.Context, string) (int, error) {
				return 0, fmt.Errorf("inner cache: %w", inner)
			})
			return err
		})
		if panicked != nil || !errors.Is(err, inner) {
			t.Errorf("error %v, panic %v", err, panicked)
		}
	})
}

// panicky is a codec that panics on demand.
type panicky struct {
	larder.Codec[int]
	encode, decode bool
}

func (p *panicky) Append(dst []byte, v int) ([]byte, error) {
	if p.encode {
		panic("encode")
	}
	return p.Codec.Append(dst, v)
}

func (p *panicky) Decode(data []byte) (int, error) {
	if p.decode {
		panic("decode")
	}
	return p.Codec.Decode(data)
}

// A codec that panics does so at the caller, not in a goroutine of the cache,
// and leaves no flight behind that others would wait for.
func TestPanicOfACodec(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		codec := &panicky{Codec: larder.JSON[int]()}
		k := space(t, a.cache, "codec", larder.KeyspaceOptions[string, int]{Codec: codec, Tiers: larder.RemoteOnly})
		get := func() (any, error) {
			p, err := outcomeOf(func() error { _, err := k.Get(r.ctx, "k", r.src.load); return err })
			return p, err
		}
		codec.encode = true
		if p, err := get(); p != "encode" {
			t.Errorf("encoding: panic %v, error %v", p, err)
		}
		if _, p := outcomeOf(func() error {
			_, err := k.GetMany(r.ctx, []string{"k", "l"}, r.src.loadMany)
			return err
		}); p != nil {
			t.Errorf("GetMany, encoding: error %v instead of a panic", p)
		}
		codec.encode, codec.decode = false, true
		if p, err := get(); p != nil || err != nil {
			t.Errorf("panic %v, error %v", p, err)
		}
		for range 2 {
			if p, err := get(); p != "decode" {
				t.Errorf("decoding: panic %v, error %v", p, err)
			}
			if p, _ := outcomeOf(func() error {
				_, err := k.GetMany(r.ctx, []string{"l", "k"}, r.src.loadMany)
				return err
			}); p != "decode" {
				t.Errorf("GetMany, decoding: panic %v", p)
			}
		}
		codec.decode = false
		if p, err := get(); p != nil || err != nil {
			t.Errorf("panic %v, error %v", p, err)
		}
		if v, err := k.GetMany(r.ctx, []string{"k", "l"}, r.src.loadMany); err != nil || len(v) != 2 {
			t.Errorf("GetMany = %v, %v", v, err)
		}
	})
}

// A loader that ignores its context is waited for no longer than LoadTimeout.
// Its value is stored when it comes, if nothing happened meanwhile.
func TestLoadTimeout(t *testing.T) {
	inSetup(t, setup{nodes: 1, spaces: larder.KeyspaceOptions[string, int]{LoadTimeout: time.Second}}, func(r *rig) {
		a := r.nodes[0]
		deaf := make(chan struct{})
		r.src.hook = func(context.Context, string) error { r.src.hook = nil; <-deaf; return nil }
		start := time.Now()
		first := a.begin("k")
		second := a.begin("k")
		for _, g := range []*began{first, second} {
			if <-g.done; !errors.Is(g.err, larder.ErrLoadTimeout) {
				t.Errorf("error %v", g.err)
			}
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		close(deaf)
		synctest.Wait()
		a.expect("k", 0)
		r.loads("k", 1)
	})
}

// A loader that obeys its context gives the same error.
func TestLoadTimeoutOfAnObedientLoader(t *testing.T) {
	inSetup(t, setup{nodes: 1, spaces: larder.KeyspaceOptions[string, int]{LoadTimeout: time.Second}}, func(r *rig) {
		a := r.nodes[0]
		for range 20 { // whoever notices first
			r.src.slow("k")
			if _, err := a.plain.Get(r.ctx, "k", r.src.load); !errors.Is(err, larder.ErrLoadTimeout) {
				t.Errorf("Get: %v", err)
			}
			r.src.slow("k")
			if _, err := a.plain.GetMany(r.ctx, []string{"k"}, r.src.loadMany); !errors.Is(err, larder.ErrLoadTimeout) {
				t.Errorf("GetMany: %v", err)
			}
		}
	})
}

// The first caller leaves: the load goes on for the others.
func TestCallersLeave(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		gate := r.src.slow("k")
		ctx, leave := context.WithCancel(r.ctx)
		first := a.beginIn(ctx, a.plain, "k")
		second := a.begin("k")
		leave()
		if <-first.done; first.err != context.Canceled {
			t.Errorf("the first caller: %v", first.err)
		}
		gate.pass()
		second.brings(t, 0)
		r.loads("k", 1)
	})
}

// The last caller leaves: the load is cancelled, its lease given back.
func TestLastCallerLeaves(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		r.src.slow("k")
		ctx, leave := context.WithCancel(r.ctx)
		first := a.beginIn(ctx, a.plain, "k")
		second := a.beginIn(ctx, a.plain, "k")
		elsewhere := b.begin("k")
		start := time.Now()
		leave()
		<-first.done
		<-second.done
		elsewhere.brings(t, 0)
		if took := time.Since(start); took > time.Millisecond {
			t.Errorf("the other process loaded after %v", took)
		}
		a.expect("k", 0)
		r.loads("k", 2)
	})
}

// A caller leaves while Redis is asked: who joined its flight starts over.
func TestLeaderLeavesBeforeTheLoad(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		r.src.slow("k")
		ctx, leave := context.WithCancel(r.ctx)
		holder, die := context.WithCancel(r.ctx)
		b.beginIn(holder, b.plain, "k")       // holds the lease
		first := a.beginIn(ctx, a.plain, "k") // waits for it
		second := a.begin("k")
		leave()
		if <-first.done; first.err != context.Canceled {
			t.Errorf("the leader: %v", first.err)
		}
		die()
		second.brings(t, 0)
	})
}

// Deadlines of callers bound their waiting, whatever waits: Redis, a lease of
// somebody else, a load.
func TestCallersDeadline(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		r.src.slow("k")
		holder, die := context.WithCancel(r.ctx)
		defer die()
		b.beginIn(holder, b.plain, "k")
		for _, d := range []time.Duration{time.Millisecond, 100 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(r.ctx, d)
			start := time.Now()
			if _, err := a.plain.Get(ctx, "k", r.src.load); err != context.DeadlineExceeded {
				t.Errorf("error %v", err)
			}
			if took := time.Since(start); took != d {
				t.Errorf("took %v, the deadline was %v", took, d)
			}
			cancel()
		}
	})
}

// "Not found" is an answer: cached for NegativeTTL, invalidated like any
// entry, known to every process.
func TestNotFoundIsCached(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		gone := func(context.Context, string) error { return larder.ErrNotFound }
		r.src.hook = gone
		for _, n := range []*node{a, a, b, b} {
			if _, err := n.plain.Get(r.ctx, "k", r.src.load); err != larder.ErrNotFound {
				t.Errorf("Get = %v", err)
			}
			if _, err := n.lookup("k"); err != larder.ErrNotFound {
				t.Errorf("Lookup = %v", err)
			}
			if ok, err := n.plain.Exists(r.ctx, "k"); ok || err != nil {
				t.Errorf("Exists = %v, %v", ok, err)
			}
		}
		r.loads("k", 1)
		r.pass(10*time.Second + time.Millisecond)
		a.plain.Get(r.ctx, "k", r.src.load)
		r.loads("k", 1)
		r.src.hook = nil
		b.invalidate(b.plain.Key("k"))
		synctest.Wait()
		a.expect("k", 0)
		b.expect("k", 0)
		r.loads("k", 1)
	})
}

// A negative NegativeTTL: "not found" is asked for every time.
func TestNotFoundIsNotCached(t *testing.T) {
	inSetup(t, setup{nodes: 2, spaces: larder.KeyspaceOptions[string, int]{NegativeTTL: -1}}, func(r *rig) {
		r.src.hook = func(context.Context, string) error { return fmt.Errorf("row 4: %w", larder.ErrNotFound) }
		for _, n := range r.nodes {
			if _, err := n.plain.Get(r.ctx, "k", r.src.load); !errors.Is(err, larder.ErrNotFound) {
				t.Errorf("Get = %v", err)
			}
		}
		r.loads("k", 2)
		if data, ok := r.stored("k"); ok {
			t.Errorf("Redis holds %q", data)
		}
	})
}

// Errors of a loader are returned as they are, and not cached.
func TestErrorsAreNotCached(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		boom := errors.New("boom")
		r.src.hook = func(context.Context, string) error { return boom }
		for range 3 {
			if _, err := r.nodes[0].plain.Get(r.ctx, "k", r.src.load); err != boom {
				t.Errorf("error %v", err)
			}
		}
		r.loads("k", 3)
		r.src.hook = nil
		r.nodes[0].expect("k", 0)
	})
}

// The bulkhead: while Redis is away, so many loads run, so many wait, the rest
// is refused. Hits in memory do not care.
func TestBulkhead(t *testing.T) {
	o := larder.KeyspaceOptions[string, int]{LoadLimit: 2, LoadQueue: 1}
	inSetup(t, setup{nodes: 1, spaces: o}, func(r *rig) {
		a := r.nodes[0]
		a.remote.Cut()
		var gates []*gate
		var gets []*began
		for _, key := range []string{"k", "l", "m"} {
			gates = append(gates, r.src.slow(key))
			gets = append(gets, a.begin(key))
		}
		if r.src.takeLoads("m") != 0 {
			t.Error("a third load runs")
		}
		if _, err := a.plain.Get(r.ctx, "n", r.src.load); !errors.Is(err, larder.ErrBusy) {
			t.Errorf("the fourth load: %v", err)
		}
		if _, err := a.plain.GetMany(r.ctx, []string{"o", "p"}, r.src.loadMany); !errors.Is(err, larder.ErrBusy) {
			t.Errorf("a batch: %v", err)
		}
		if s := a.stats(); s.Loads != 0 || s.Shed != 2 {
			t.Errorf("%d loads have ended, %d were shed", s.Loads, s.Shed)
		}
		for i := range gates {
			gates[i].pass()
			gets[i].brings(t, 0)
		}
		a.get("n")
	})
}

// After Clear, and at the beginning and the end of an outage, all loads begin
// with LoadMinimum and twice as many after each round, in every process; then
// leases alone spread them.
func TestLoadsBeginSlowly(t *testing.T) {
	o := larder.KeyspaceOptions[string, int]{LoadMinimum: 2, LoadLimit: 16}
	for what, happen := range map[string]func(r *rig, a, b *node){
		"cleared here":  func(r *rig, a, b *node) { a.cache.Clear(r.ctx) },
		"cleared there": func(r *rig, a, b *node) { b.cache.Clear(r.ctx) },
		"outage":        func(r *rig, a, b *node) { a.remote.Cut() },
		"end of an outage": func(r *rig, a, b *node) {
			a.remote.Cut()
			r.pass(time.Minute)
			a.remote.Resume()
			r.pass(2 * time.Second)
		},
	} {
		t.Run(what, func(t *testing.T) {
			inSetup(t, setup{nodes: 2, spaces: o}, func(r *rig) {
				a, b := r.two()
				a.get("warm")   // reads the generation that Clear ends
				synctest.Wait() // its load has left the bulkhead, which would let one more begin
				happen(r, a, b)
				synctest.Wait()
				gates := map[string]*gate{}
				var gets []*began
				for _, key := range names(0, 40) {
					gates[key] = r.src.slow(key)
					gets = append(gets, a.begin(key))
				}
				want := 2
				for range 3 {
					entered := map[string]bool{}
					for key, g := range gates {
						select {
						case <-g.entered:
							entered[key] = true
						default:
						}
					}
					if len(entered) != want {
						t.Errorf("%d loads run, want %d", len(entered), want)
					}
					want *= 2
					for key := range entered {
						gates[key].pass()
						delete(gates, key)
					}
					synctest.Wait()
				}
				for _, g := range gates {
					g.pass()
				}
				for _, g := range gets {
					g.brings(t, 0)
				}
			})
		})
	}
}

// A load that waits for the bulkhead keeps its lease, gives it back when it is
// refused, and what an admitted load loads never waits for it.
func TestLimitAlways(t *testing.T) {
	o := larder.KeyspaceOptions[string, int]{LoadLimit: 1, LoadQueue: 1, LimitAlways: true}
	inSetup(t, setup{nodes: 2, spaces: o}, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		first := a.begin("k")
		second := a.begin("l")
		if s := a.stats(); s.LoadsAllowed != 1 || s.LoadsWaiting != 1 || s.LoadsInFlight != 1 {
			t.Errorf("%+v", s)
		}
		if _, err := a.plain.Get(r.ctx, "m", r.src.load); !errors.Is(err, larder.ErrBusy) {
			t.Errorf("a full queue: %v", err)
		}
		start := time.Now()
		if b.get("m"); time.Since(start) != 0 {
			t.Error("a lease was not given back")
		}
		r.pass(10 * time.Second) // the lease of "l" is three seconds long
		other := b.begin("l")
		gate.pass()
		first.brings(t, 0)
		second.brings(t, 0)
		other.brings(t, 0)
		r.loads("l", 1)
		v, err := a.plain.Get(r.ctx, "outer", func(ctx context.Context, _ string) (int, error) {
			return a.plain.Get(ctx, "inner", r.src.load)
		})
		if v != 0 || err != nil {
			t.Errorf("a loader that loads: %d, %v", v, err)
		}
	})
}

// The loader's context carries the caller's values and outlives the caller.
func TestLoaderContext(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		type id struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(r.ctx, id{}, 7), time.Hour)
		defer cancel()
		r.nodes[0].plain.Get(ctx, "k", func(ctx context.Context, key string) (int, error) {
			if d, ok := ctx.Deadline(); ctx.Value(id{}) != 7 || !ok || time.Until(d) != 30*time.Second {
				t.Errorf("value %v, deadline %v %v", ctx.Value(id{}), time.Until(d), ok)
			}
			return 0, nil
		})
	})
}
