package lardertest

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// bubble runs a test of two remotes over one fake server in virtual time.
func bubble(t *testing.T, run func(t *testing.T, s *Server, f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := NewServer()
		run(t, s, newFixture(t, Site{A: s.Node(), B: s.Node(), Door: s}).start())
	})
}

func (f *fixture) fakes() (a, b *Remote) { return f.A.(*Remote), f.B.(*Remote) }

// TestDelayIsVirtual holds that a delay costs exactly its time, and none of
// the test's.
func TestDelayIsVirtual(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		a, _ := f.fakes()
		a.Delay(time.Hour)
		start := time.Now()
		f.ctx = context.Background()
		f.barrier()
		if took := time.Since(start); took != 2*time.Hour {
			t.Errorf("a round trip took %v, want 2h", took)
		}
		a.Delay(0)
	})
}

// TestExpiryIsVirtual holds that keys expire at their instant and tell it.
func TestExpiryIsVirtual(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		key := f.key()
		f.do(f.A, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("v"), TTL: time.Second})
		time.Sleep(time.Second - 1)
		synctest.Wait()
		if f.logA.pushes(key) != 0 {
			t.Error("expired early")
		}
		time.Sleep(1 * time.Nanosecond)
		synctest.Wait()
		if f.logA.pushes(key) != 1 {
			t.Error("no push at the expiry")
		}
		f.expect(f.A.Get(f.ctx, key), larder.Absent, "")
	})
}

// TestLostReply holds that a lost reply follows an executed operation, a lost
// request none, and that both end the epoch.
func TestLostReply(t *testing.T) {
	for fault, executed := range map[Fault]bool{LoseReply: true, LoseRequest: false} {
		bubble(t, func(t *testing.T, s *Server, f *fixture) {
			key := f.key()
			epoch := f.A.Epoch(key)
			s.Script(func(r Request) Fault {
				if r.Op.Kind == larder.OpSet {
					return fault
				}
				return NoFault
			})
			r := f.try(f.A, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("v")})
			if !errors.Is(r.Err, ErrLost) {
				t.Errorf("outcome %s, want %v", replyName(r), ErrLost)
			}
			s.Script(nil)
			if epoch.Alive() {
				t.Error("the caller learned of the loss before the epoch ended")
			}
			if _, _, ok := s.Peek(key); ok != executed {
				t.Errorf("executed %v, want %v", ok, executed)
			}
			f.waitFor("new connection", f.logA, func() bool { return f.logA.connected > 1 })
		})
	}
}

// TestScriptedError holds that a scripted error changes nothing and leaves the
// connection alone.
func TestScriptedError(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		key := f.key()
		s.Script(func(r Request) Fault { return ReplyError })
		if r := f.try(f.A, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("v")}); !errors.Is(r.Err, ErrScripted) {
			t.Errorf("outcome %s", replyName(r))
		}
		s.Script(nil)
		f.expect(f.A.Get(f.ctx, key), larder.Absent, "")
		if f.logA.disconnected != 0 {
			t.Error("an error reply broke the connection")
		}
	})
}

// TestLateExecution holds that what a paused server received is carried out
// when it resumes, long after its caller gave up.
func TestLateExecution(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		key := f.key()
		s.Stop()
		ctx, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
		defer cancel()
		value := []byte("late")
		replies := make([]larder.Reply, 1)
		f.A.Do(ctx, []larder.Op{{Kind: larder.OpSet, Key: key, Value: value, TTL: time.Hour}}, replies)
		if !errors.Is(replies[0].Err, context.DeadlineExceeded) {
			t.Errorf("outcome %s", replyName(replies[0]))
		}
		copy(value, "WRON")
		time.Sleep(30 * time.Second)
		s.Cont()
		f.barrier()
		f.expect(f.B.Get(f.ctx, key), larder.Present, "late")
	})
}

// TestHeldPushes holds the worst legal network: a push waits until the very
// reply that would prove its absence.
func TestHeldPushes(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		a, _ := f.fakes()
		key := f.key()
		f.set(f.B, key, "v")
		f.A.Get(f.ctx, key)
		a.HoldPushes()
		f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: key})
		time.Sleep(time.Hour)
		synctest.Wait()
		if f.logA.pushes(key) != 0 {
			t.Error("the push was not held")
		}
		f.ctx = context.Background()
		f.barrier()
		if f.logA.pushes(key) != 1 {
			t.Error("a later reply overtook the push")
		}
	})
}

// TestHeldNetwork holds that a held network delivers nothing, credits nothing,
// and goes on where it was.
func TestHeldNetwork(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		a, _ := f.fakes()
		key := f.key()
		f.set(f.B, key, "v")
		f.A.Get(f.ctx, key)
		epoch := f.A.Epoch(key)
		as := epoch.AsOf()
		a.Hold()
		f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: key})
		ctx, cancel := context.WithTimeout(f.ctx, time.Second)
		defer cancel()
		if err := f.A.Beat(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Beat over a held network: %v", err)
		}
		if f.logA.pushes(key) != 0 || epoch.AsOf() != as || !epoch.Alive() {
			t.Error("something passed a held network")
		}
		a.Resume()
		f.barrier()
		if f.logA.pushes(key) != 1 || f.A.Epoch(key) != epoch {
			t.Error("after the hold the connection did not go on")
		}
	})
}

// TestCutNetwork holds that a cut ends the epoch at once and that redialling
// works after it.
func TestCutNetwork(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		a, _ := f.fakes()
		key := f.key()
		epoch := f.A.Epoch(key)
		a.Cut()
		synctest.Wait()
		if epoch.Alive() || f.A.Epoch(key) != nil || f.B.Epoch(key) == nil {
			t.Error("a cut ends the epoch of its own node only")
		}
		time.Sleep(time.Second)
		if f.A.Epoch(key) != nil {
			t.Error("connected over a cut network")
		}
		a.Resume()
		time.Sleep(100 * time.Millisecond)
		if next := f.A.Epoch(key); next == nil || next == epoch || next.AsOf() == clock.Never {
			t.Error("no credited epoch after the cut")
		}
	})
}

// TestReadOnlyServer holds that a demoted server answers reads, and that the
// heartbeat finds it out.
func TestReadOnlyServer(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		key := f.key()
		f.set(f.A, key, "v")
		s.SetReadOnly(true)
		f.expect(f.A.Get(f.ctx, key), larder.Present, "v")
		if r := f.try(f.A, larder.Op{Kind: larder.OpDelete, Key: key}); !errors.Is(r.Err, ErrReadOnly) {
			t.Errorf("a write: %s", replyName(r))
		}
		if err := f.A.Beat(f.ctx); !errors.Is(err, ErrReadOnly) {
			t.Errorf("Beat: %v", err)
		}
		synctest.Wait()
		if f.A.Epoch(key) != nil {
			t.Error("the epoch outlived a refused heartbeat")
		}
		s.SetReadOnly(false)
		f.waitFor("new connection", f.logA, func() bool { return f.logA.connected > 1 })
	})
}

// TestFailoverLosesWrites holds that a failover brings back what the last Save
// had, in a new life of every connection.
func TestFailoverLosesWrites(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		deleted, added, lasting := f.key(), f.key(), f.key()
		f.set(f.A, deleted, "old")
		f.do(f.A, larder.Op{Kind: larder.OpSet, Key: lasting, Value: []byte("short"), TTL: time.Minute})
		s.Save()
		f.do(f.A, larder.Op{Kind: larder.OpDelete, Key: deleted})
		f.set(f.A, added, "new")
		time.Sleep(2 * time.Minute)
		f.ctx = context.Background()
		s.Set(deleted+"x", "v", 0)
		s.Failover()
		f.waitFor("new connection", f.logA, func() bool { return f.logA.connected > 1 })
		f.expect(f.A.Get(f.ctx, added), larder.Absent, "")
		f.expect(f.A.Get(f.ctx, lasting), larder.Absent, "")
		f.expect(f.A.Get(f.ctx, deleted+"x"), larder.Absent, "")
	})
}

// TestFailoverRevives holds that a deletion may be lost: the reason for
// incarnations.
func TestFailoverRevives(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		key := f.key()
		f.set(f.A, key, "old")
		s.Save()
		f.do(f.A, larder.Op{Kind: larder.OpDelete, Key: key})
		s.Failover()
		f.waitFor("new connection", f.logA, func() bool { return f.logA.connected > 1 })
		f.expect(f.A.Get(f.ctx, key), larder.Present, "old")
	})
}

// TestServerClock holds that its readings suit the bytes of an entry, in
// virtual time as well.
func TestServerClock(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		if y := s.Now().Year(); y != 2026 {
			t.Errorf("the server's clock began in %d", y)
		}
		before := s.Now()
		s.Step(time.Hour)
		if d := s.Now().Sub(before); d != time.Hour {
			t.Errorf("stepped by %v", d)
		}
	})
}

// TestTripsAndCounts holds what cost tests count with.
func TestTripsAndCounts(t *testing.T) {
	bubble(t, func(t *testing.T, s *Server, f *fixture) {
		a, _ := f.fakes()
		key := f.key()
		f.barrier()
		trips, gets := a.Trips(), s.Count(larder.OpGet)
		ops := []larder.Op{{Kind: larder.OpGet, Key: key}, {Kind: larder.OpGet, Key: key}, {Kind: larder.OpDelete, Key: key}}
		f.A.Do(f.ctx, ops, make([]larder.Reply, 3))
		if a.Trips()-trips != 1 || s.Count(larder.OpGet)-gets != 2 {
			t.Errorf("%d trips, %d gets", a.Trips()-trips, s.Count(larder.OpGet)-gets)
		}
	})
}

// TestTwoServers holds that the keys spread, that each server has its own
// epoch, and that the namespace has a key on each.
func TestTwoServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := NewServer(), NewServer()
		a := NewRemote(RemoteOptions{}, one, two)
		b := NewRemote(RemoteOptions{}, one, two)
		f := newFixture(t, Site{A: a, B: b, Door: one})
		a.Start(f.ctx, f.logA)
		b.Start(f.ctx, f.logB)
		var ops []larder.Op
		for range 50 {
			ops = append(ops, larder.Op{Kind: larder.OpSet, Key: f.key(), Value: []byte("v"), TTL: time.Hour})
		}
		a.Do(f.ctx, ops, make([]larder.Reply, len(ops)))
		if one.Keys() < 10 || two.Keys() < 10 {
			t.Errorf("the keys do not spread: %d and %d", one.Keys(), two.Keys())
		}
		if keys := a.NamespaceKeys(); len(keys) != 2 || a.Epoch(keys[0]) == a.Epoch(keys[1]) {
			t.Errorf("namespace keys %q do not have an epoch each", keys)
		}
		for _, op := range ops {
			if a.Epoch(op.Key) != a.Epoch(a.NamespaceKey(op.Key)) {
				t.Errorf("%q does not live beside its namespace", op.Key)
			}
		}
		two.Kill()
		synctest.Wait()
		if err := a.Beat(f.ctx); !errors.Is(err, larder.ErrUnavailable) {
			t.Errorf("Beat with half of the servers: %v", err)
		}
		if n, err := a.DeleteMatching(f.ctx, "*", func([]string) {}); err == nil || n == 0 {
			t.Errorf("DeleteMatching with half of the servers = %d, %v", n, err)
		}
	})
}
