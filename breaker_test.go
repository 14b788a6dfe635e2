package larder_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// sends counts the operations that reach the server, scripted ones included.
func (r *rig) sends() (count func() int) {
	n := make(chan int, 1)
	n <- 0
	r.server.Script(func(lardertest.Request) lardertest.Fault {
		n <- <-n + 1
		return lardertest.ReplyError
	})
	return func() int { v := <-n; n <- v; return v }
}

// After five failures in a row nothing is sent until a heartbeat succeeds;
// memory goes on serving, loads go on loading, one log line tells it.
func TestBreaker(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("warm")
		r.sends()
		trips := a.remote.Trips()
		for range 20 {
			a.expect("k", 0, larder.Exact)
		}
		if n := a.remote.Trips() - trips; n != 5 {
			t.Errorf("%d requests were sent", n)
		}
		if h := a.cache.Health(); h.Remote != "failing" {
			t.Errorf("remote tier %q", h.Remote)
		}
		a.expect("warm", 0)
		if s := a.stats(); s.MemoryHits != 1 {
			t.Errorf("counted %+v", s)
		}
		if _, err := a.plain.Lookup(r.ctx, "k", larder.Exact); !errors.Is(err, larder.ErrUnavailable) {
			t.Errorf("Lookup = %v", err)
		}
		r.healthy()
		r.pass(tolerance / 4)
		if h := a.cache.Health(); h.Remote != "connected" || h.CoherentFor > tolerance/4 {
			t.Errorf("after a heartbeat: %+v", h)
		}
		for what, want := range map[string]int{"tier failing": 1, "connected": 2, "unavailable": 0} {
			if n := a.logs.containing(what); n != want {
				t.Errorf("%d log lines with %q, want %d", n, what, want)
			}
		}
	})
}

// A success in between, and errors that are nobody's fault, do not add up.
func TestBreakerCountsInARow(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{BreakerRatio: -1}}, func(r *rig) {
		a := r.nodes[0]
		for range 5 {
			r.failing(a, larder.OpDelete, lardertest.ReplyError)
			for range 4 {
				a.cache.Invalidate(r.ctx, a.plain.Key("k"))
			}
			r.healthy()
			a.plain.Lookup(r.ctx, "other", larder.Exact)
		}
		cancelled, cancel := context.WithCancel(r.ctx)
		cancel()
		for range 10 {
			a.cache.Invalidate(cancelled, a.plain.Key("k"))
		}
		if h := a.cache.Health(); h.Remote != "connected" {
			t.Errorf("remote tier %q", h.Remote)
		}
	})
}

// Callers in a hurry do not open the breaker for everybody.
func TestBreakerIgnoresImpatientCallers(t *testing.T) {
	inSetup(t, setup{nodes: 1, delay: 2 * time.Millisecond}, func(r *rig) {
		a := r.nodes[0]
		for range 20 {
			ctx, cancel := context.WithTimeout(r.ctx, time.Millisecond)
			a.plain.Get(ctx, "k", r.src.load)
			a.cache.Invalidate(ctx, a.plain.Key("l"))
			cancel()
		}
		if h := a.cache.Health(); h.Remote != "connected" {
			t.Errorf("remote tier %q", h.Remote)
		}
	})
}

// A server that hangs costs five callers their read time-out, also those whose
// own deadline is shorter; then nobody waits. Memory is not affected within T.
func TestHangingServer(t *testing.T) {
	for _, deadline := range []time.Duration{time.Hour, 20 * time.Millisecond} {
		inRig(t, 1, func(r *rig) {
			a := r.nodes[0]
			a.get("warm")
			r.server.Stop()
			slow := 0
			for range 50 {
				start := time.Now()
				ctx, cancel := context.WithTimeout(r.ctx, deadline)
				a.plain.Get(ctx, "k", r.src.load, larder.Exact)
				cancel()
				if took := time.Since(start); took > 60*time.Millisecond {
					t.Errorf("a Get took %v", took)
				} else if took > time.Millisecond {
					slow++
				}
				start = time.Now()
				if a.get("warm"); time.Since(start) != 0 {
					t.Error("a memory hit waited")
				}
			}
			if slow > 5 {
				t.Errorf("deadline %v: %d callers waited", deadline, slow)
			}
			r.server.Cont()
			r.pass(tolerance)
			a.get("k")
			a.expect("k", 0, larder.Exact)
			if h := a.cache.Health(); h.Remote != "connected" {
				t.Errorf("remote tier %q", h.Remote)
			}
		})
	}
}

// A negative BreakerFailures turns the breaker off.
func TestNoBreaker(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{BreakerFailures: -1}}, func(r *rig) {
		a := r.nodes[0]
		sent := r.sends()
		for range 20 {
			a.expect("k", 0, larder.Exact)
		}
		if n := sent(); n < 20 {
			t.Errorf("%d operations were sent", n)
		}
		r.healthy()
	})
}

// Connection losses are logged once per change, however often redialling
// fails.
func TestOneLogLinePerChange(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		for range 3 {
			a.remote.Cut()
			r.pass(10 * time.Second)
			a.get("k")
			a.remote.Resume()
			r.pass(2 * time.Second)
		}
		for what, want := range map[string]int{"connected": 4, "unavailable": 3, "failing": 0} {
			if n := a.logs.containing("larder: remote tier " + what); n != want {
				t.Errorf("%d log lines %q, want %d: %q", n, what, want, a.logs.lines)
			}
		}
	})
}

// A server that is absent at the start is no error: the cache serves from
// loads and connects when it appears.
func TestStartWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, server: lardertest.NewServer(), src: newSource(), ctx: t.Context()}
		r.server.Kill()
		a := r.join(setup{})
		if h := a.cache.Health(); h.Remote != "disconnected" || h.CoherentFor >= 0 {
			t.Errorf("%+v", h)
		}
		a.expect("k", 0)
		a.expect("k", 0)
		r.loads("k", 1) // kept in memory for T
		r.server.Restart()
		r.pass(tolerance)
		a.expect("k", 0)
		if s := a.stats(); s.Bypassed != 1 || s.Loads != 2 {
			t.Errorf("counted %+v", s)
		}
	})
}

// Half of the calls failing, never five in a row, opens the breaker as well,
// once there were enough to tell.
func TestBreakerRatio(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		calls := 0
		r.server.Script(func(q lardertest.Request) lardertest.Fault {
			if q.Op.Key == "plain:k" {
				if calls++; calls%2 == 0 {
					return lardertest.ReplyError
				}
			}
			return lardertest.NoFault
		})
		for i := range 19 {
			a.plain.Lookup(r.ctx, "k", larder.Exact)
			if h := a.cache.Health(); h.Breaker != "closed" {
				t.Fatalf("%q after %d calls", h.Breaker, i+1)
			}
		}
		a.plain.Lookup(r.ctx, "k", larder.Exact)
		if h := a.cache.Health(); h.Breaker != "open" || h.Remote != "failing" {
			t.Errorf("after 20 calls, half of them failed: %+v", h)
		}
		r.healthy()
		r.pass(tolerance / 4)
		if h := a.cache.Health(); h.Breaker != "closed" {
			t.Errorf("after a heartbeat: %+v", h)
		}
	})
}

// Failures that are old do not count, nor do few of many calls.
func TestBreakerRatioForgets(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		for range 10 {
			for i := range 10 {
				r.healthy()
				if i < 4 {
					r.failing(a, larder.OpGet, lardertest.ReplyError)
				}
				a.plain.Lookup(r.ctx, "k", larder.Exact)
			}
			r.pass(time.Second)
		}
		r.failing(a, larder.OpGet, lardertest.ReplyError)
		for range 4 {
			r.pass(11 * time.Second)
			for range 4 {
				a.plain.Lookup(r.ctx, "k", larder.Exact)
			}
			r.healthy()
			a.plain.Lookup(r.ctx, "k", larder.Exact)
			r.failing(a, larder.OpGet, lardertest.ReplyError)
		}
		r.healthy()
		if h := a.cache.Health(); h.Breaker != "closed" {
			t.Errorf("%+v", h)
		}
	})
}

// A server that answers, but slowly, opens the breaker; a heartbeat that is
// answered slowly does not close it, a quick one does.
func TestBreakerSlowCalls(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{BreakerSlow: 10 * time.Millisecond}}, func(r *rig) {
		a := r.nodes[0]
		a.remote.Delay(6 * time.Millisecond) // 12 ms for a round trip
		for range 20 {
			if _, err := a.plain.Lookup(r.ctx, "k", larder.Exact); err != larder.ErrMiss {
				t.Fatal(err)
			}
		}
		if h := a.cache.Health(); h.Breaker != "open" {
			t.Errorf("after 20 slow calls: %+v", h)
		}
		r.pass(5 * tolerance)
		if h := a.cache.Health(); h.Breaker != "open" || h.CoherentFor > tolerance {
			t.Errorf("after slow heartbeats: %+v", h)
		}
		a.remote.Delay(0)
		r.pass(tolerance / 4)
		if h := a.cache.Health(); h.Breaker != "closed" {
			t.Errorf("after a quick one: %+v", h)
		}
	})
	inSetup(t, setup{nodes: 1, cache: larder.Options{BreakerSlow: -1, BreakerRatio: -1}}, func(r *rig) {
		a := r.nodes[0]
		a.remote.Delay(24 * time.Millisecond)
		for range 50 {
			a.plain.Lookup(r.ctx, "k", larder.Exact)
		}
		if h := a.cache.Health(); h.Breaker != "closed" {
			t.Errorf("slowness does not matter: %+v", h)
		}
	})
}

// A breaker that opens again soon after it was closed stays open longer each
// time, so that a server that fails calls and answers heartbeats is not asked
// all the time.
func TestBreakerThatFlutters(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		r.failing(a, larder.OpGet, lardertest.ReplyError)
		opening := func() (beats int) {
			for range 5 {
				a.plain.Lookup(r.ctx, "k", larder.Exact)
			}
			for a.cache.Health().Breaker == "open" {
				before := a.cache.Health().CoherentFor
				r.pass(time.Millisecond)
				if a.cache.Health().CoherentFor < before {
					beats++
				}
			}
			return beats
		}
		for i, want := range []int{1, 2, 4, 8, 16, 16} {
			if got := opening(); got != want {
				t.Errorf("opening %d took %d heartbeats, want %d", i+1, got, want)
			}
		}
		// The log has the first closing, which nobody could know to be the first.
		told := func(failing, connected int) {
			t.Helper()
			for what, want := range map[string]int{"failing": failing, "connected": 1 + connected} {
				if n := a.logs.containing("larder: remote tier " + what); n != want {
					t.Errorf("%d log lines %q, want %d: %q", n, what, want, a.logs.lines)
				}
			}
		}
		told(2, 1)
		r.pass(11 * time.Second)
		told(2, 2)
		if got := opening(); got != 1 {
			t.Errorf("later it took %d", got)
		}
		told(3, 3)
		r.healthy()
	})
}

// An operator decides: open, nothing but heartbeats is sent and invalidations
// are pending; closed, everything is, whatever fails; automatic again, the
// breaker goes on. Each change is logged once, Health shows it.
func TestForceBreaker(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("k")
		a.cache.ForceBreaker(larder.BreakerOpen)
		a.cache.ForceBreaker(larder.BreakerOpen)
		trips := a.remote.Trips()
		a.expect("k", 0)
		a.expect("k", 0, larder.Exact)
		if err := a.cache.Invalidate(r.ctx, a.plain.Key("k")); !errors.Is(err, larder.ErrPending) {
			t.Errorf("Invalidate = %v", err)
		}
		r.pass(3 * tolerance)
		if n := a.remote.Trips() - trips; n != 0 {
			t.Errorf("%d requests were sent", n)
		}
		if h := a.cache.Health(); h.Breaker != "forced open" || h.Remote != "failing" || h.CoherentFor > tolerance || h.Pending != 1 {
			t.Errorf("%+v", h)
		}
		a.cache.ForceBreaker(larder.BreakerClosed)
		r.sends()
		trips = a.remote.Trips()
		for range 30 {
			a.expect("l", 0, larder.Exact) // "k" is pending
		}
		if n := a.remote.Trips() - trips; n < 30 {
			t.Errorf("%d requests were sent", n)
		}
		if h := a.cache.Health(); h.Breaker != "forced closed" || h.Remote != "connected" {
			t.Errorf("%+v", h)
		}
		a.cache.ForceBreaker(larder.BreakerAutomatic)
		if h := a.cache.Health(); h.Breaker != "open" {
			t.Errorf("left to itself after 30 failures: %+v", h)
		}
		r.healthy()
		r.pass(tolerance)
		if h := a.cache.Health(); h.Breaker != "closed" || h.Pending != 0 {
			t.Errorf("%+v", h)
		}
		for line, want := range map[string]int{"breaker forced open": 1, "breaker forced closed": 1, "breaker automatic": 1} {
			if n := a.logs.containing(line); n != want {
				t.Errorf("%d log lines %q", n, line)
			}
		}
		defer func() {
			if recover() == nil {
				t.Error("an unknown state is taken")
			}
		}()
		a.cache.ForceBreaker(9)
	})
}
