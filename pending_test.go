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

// P6: an Invalidate that was not confirmed returns an error that matches
// ErrPending; this process then bypasses memory and Redis for the entry, and
// retries until Redis confirms.

// mustBePending runs an invalidation that cannot be confirmed.
func (n *node) mustBePending(ctx context.Context, targets ...larder.Target) *larder.PendingError {
	n.rig.Helper()
	err := n.cache.Invalidate(ctx, targets...)
	p, ok := errors.AsType[*larder.PendingError](err)
	if !ok || !errors.Is(err, larder.ErrPending) {
		n.rig.Fatalf("Invalidate = %v, want a pending error", err)
	}
	return p
}

func TestP6_BypassRetryLift(t *testing.T) {
	for name, target := range map[string]func(n *node) larder.Target{
		"key": func(n *node) larder.Target { return n.tagged.Key("k") },
		"tag": func(*node) larder.Target { return larder.Tag("group") },
	} {
		for _, fault := range []lardertest.Fault{lardertest.ReplyError, lardertest.LoseRequest, lardertest.LoseReply} {
			t.Run(name, func(t *testing.T) {
				inRig(t, 2, func(r *rig) {
					a, b := r.two()
					a.getFrom(a.tagged, "k")
					r.failing(a, larder.OpDelete, fault)
					want := r.src.change("k")
					a.mustBePending(r.ctx, target(a))
					for range 3 { // each of these must load: nothing cached is trusted
						r.pass(tolerance / 2)
						if got := a.getFrom(a.tagged, "k"); got != want {
							t.Errorf("version %d, want %d", got, want)
						}
						want = r.src.change("k")
					}
					if n := a.cache.Health().Pending; n != 1 {
						t.Errorf("%d keys pending", n)
					}
					r.healthy()
					r.pass(tolerance)
					if n := a.cache.Health().Pending; n != 0 {
						t.Errorf("%d keys pending after a heartbeat", n)
					}
					for _, n := range []*node{a, b} {
						if got := n.getFrom(n.tagged, "k"); got != want {
							t.Errorf("afterwards: version %d, want %d", got, want)
						}
					}
					r.src.takeLoads("k")
					a.getFrom(a.tagged, "k")
					r.loads("k", 0) // memory works again
				})
			})
		}
	}
}

// A context that ends before or during the invalidation leaves it pending,
// never unsaid.
func TestP6_Contexts(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		cancelled, cancel := context.WithCancel(r.ctx)
		cancel()
		want := r.src.change("k")
		if p := a.mustBePending(cancelled, a.plain.Key("k")); !errors.Is(p, context.Canceled) {
			t.Errorf("the reason is not the context: %v", p)
		}
		a.expect("k", want)
		r.pass(tolerance)
		b.expect("k", want)

		r.server.Stop()
		short, cancel := context.WithTimeout(r.ctx, time.Millisecond)
		defer cancel()
		want = r.src.change("k")
		if p := a.mustBePending(short, a.plain.Key("k")); !errors.Is(p, context.DeadlineExceeded) {
			t.Errorf("the reason is not the context: %v", p)
		}
		a.expect("k", want)
		r.server.Cont()
		r.pass(tolerance)
		b.expect("k", want)
	})
}

// What is not confirmed is named, the rest is done.
func TestP6_PartialConfirmation(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		for _, key := range []string{"k", "l"} {
			a.get(key)
			b.get(key)
		}
		bad := a.remote.EntryKey("plain:l")
		r.server.Script(func(q lardertest.Request) lardertest.Fault {
			if q.Op.Kind == larder.OpDelete && q.Op.Key == bad {
				return lardertest.ReplyError
			}
			return lardertest.NoFault
		})
		r.src.change("k")
		r.src.change("l")
		p := a.mustBePending(r.ctx, a.plain.Key("k"), a.plain.Key("l"))
		if len(p.Keys) != 1 || p.Keys[0] != bad || !errors.Is(p, lardertest.ErrScripted) {
			t.Errorf("pending: %v, because of %v", p.Keys, p.Err)
		}
		synctest.Wait()
		b.expect("k", 1)
		b.expect("l", 0) // nobody told B
		a.expect("l", 1)
		r.healthy()
		r.pass(tolerance)
		b.expect("l", 1)
	})
}

// A load that is under way when the invalidation fails must not bring the old
// value into memory or Redis.
//
// 1. A loads version 0, slowly, under a lease
// 2. the source changes; A invalidates with a context that has ended
// 3. the lease is still there when the load ends
func TestP6_LoadInFlight(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		gate := r.src.slow("k")
		slow := a.begin("k")
		cancelled, cancel := context.WithCancel(r.ctx)
		cancel()
		want := r.src.change("k")
		a.mustBePending(cancelled, a.plain.Key("k"))
		gate.pass()
		slow.brings(t, want-1)
		a.expect("k", want)
		b.expect("k", want) // nothing old was stored
		r.pass(tolerance)
		a.expect("k", want)
	})
}

// The same for a value read from Redis: its reply arrives after the
// invalidation failed.
func TestP6_ReadInFlight(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		b.get("k")
		read := holdReply(r, a, larder.OpGet)
		slow := a.begin("k")
		<-read.reached
		cancelled, cancel := context.WithCancel(r.ctx)
		cancel()
		want := r.src.change("k")
		a.mustBePending(cancelled, a.plain.Key("k"))
		read.release()
		<-slow.done
		a.expect("k", want)
	})
}

// A failure while a retry is under way is not lifted by that retry.
//
//  1. an invalidation of k is pending; its retry is sent and waits at the server
//  2. k is invalidated again, which fails at once
//  3. the reply to the retry arrives: it was sent before the last failure
func TestP6_RetryDoesNotLiftALaterFailure(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("k")
		cancelled, cancel := context.WithCancel(r.ctx)
		cancel()
		a.mustBePending(cancelled, a.plain.Key("k"))
		retry := holdReply(r, a, larder.OpDelete)
		<-retry.reached
		want := r.src.change("k")
		a.mustBePending(cancelled, a.plain.Key("k"))
		r.failing(a, larder.OpDelete, lardertest.ReplyError) // from the next on
		retry.release()
		synctest.Wait()
		if n := a.cache.Health().Pending; n != 1 {
			t.Errorf("%d keys pending, want 1", n)
		}
		a.expect("k", want)
		r.healthy()
		r.pass(tolerance)
		if n := a.cache.Health().Pending; n != 0 {
			t.Errorf("%d keys pending, want 0", n)
		}
	})
}

// More failures than can be remembered one by one count as one of the whole
// namespace.
func TestP6_TooManyToRemember(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.get("k")
		b.get("bystander")
		r.src.takeLoads("bystander")
		cancelled, cancel := context.WithCancel(r.ctx)
		cancel()
		want := r.src.change("k")
		a.mustBePending(cancelled, a.plain.Key("k")) // remembered by itself at first
		targets := make([]larder.Target, 100_001)
		for i := range targets {
			targets[i] = larder.Tag(time.Duration(i).String())
		}
		a.mustBePending(cancelled, targets...)
		if n := a.cache.Health().Pending; n != 1 {
			t.Errorf("%d keys pending, want the namespace alone", n)
		}
		a.expect("k", want)
		r.loads("k", 2)
		a.get("k")
		r.loads("k", 1) // neither kept nor stored
		r.pass(tolerance)
		a.expect("k", want)
		b.get("bystander")
		r.loads("bystander", 1) // outdated everywhere
	})
}

// While the breaker is open nothing is sent, and the invalidation is pending.
func TestP6_BreakerOpen(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.remote.Cut()
		synctest.Wait()
		want := r.src.change("k")
		a.mustBePending(r.ctx, a.plain.Key("k"))
		a.expect("k", want)
		a.remote.Resume()
		r.pass(tolerance)
		if n := a.cache.Health().Pending; n != 0 {
			t.Errorf("%d keys pending", n)
		}
	})
}

// A Set of unknown outcome is treated like a pending invalidation.
func TestP6_SetOfUnknownOutcome(t *testing.T) {
	for _, fault := range []lardertest.Fault{lardertest.ReplyError, lardertest.LoseReply, lardertest.LoseRequest} {
		inRig(t, 2, func(r *rig) {
			a, b := r.two()
			a.get("k")
			r.failing(a, larder.OpSet, fault)
			if err := a.plain.Set(r.ctx, "k", 9); !errors.Is(err, larder.ErrPending) {
				t.Errorf("Set = %v", err)
			}
			want := r.src.change("k")
			a.expect("k", want)
			r.healthy()
			r.pass(tolerance)
			a.expect("k", want)
			b.expect("k", want)
		})
	}
}

// Close tries what is pending once more, and says what is left.
func TestP6_Close(t *testing.T) {
	for _, heals := range []bool{true, false} {
		inRig(t, 2, func(r *rig) {
			a, b := r.two()
			b.get("k")
			r.failing(a, larder.OpDelete, lardertest.ReplyError)
			want := r.src.change("k")
			a.mustBePending(r.ctx, a.plain.Key("k"))
			if heals {
				r.healthy()
			}
			err := a.cache.Close()
			if errors.Is(err, larder.ErrPending) == heals {
				t.Errorf("Close = %v", err)
			}
			r.healthy()
			synctest.Wait()
			if !heals {
				want--
			}
			b.expect("k", want)
		})
	}
}
