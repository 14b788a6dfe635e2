package larder_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// lock must get the lock.
func (n *node) lock(name string, opts ...larder.LockOptions) *larder.Lock {
	n.rig.Helper()
	var o larder.LockOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	l, err := n.cache.Lock(n.rig.ctx, name, o)
	if err != nil {
		n.rig.Fatalf("Lock(%.20q): %v", name, err)
	}
	return l
}

// unlock must be confirmed.
func (r *rig) unlock(l *larder.Lock) {
	r.Helper()
	if err := l.Unlock(); err != nil {
		r.Errorf("Unlock: %v", err)
	}
	if l.Held() || l.Context().Err() == nil {
		r.Error("held after Unlock")
	}
}

// Among all processes and goroutines one holds the lock, numbers grow in the
// order of the holders, and waiters are woken at once: nobody polls.
func TestLockExcludes(t *testing.T) {
	inRig(t, 3, func(r *rig) {
		var mu sync.Mutex
		var holders int
		var last uint64
		var all sync.WaitGroup
		begun := time.Now()
		for i := range 30 {
			n := r.nodes[i%3]
			all.Go(func() {
				l := n.lock("job")
				mu.Lock()
				if holders++; holders > 1 || l.Fence() <= last || !l.Held() {
					t.Errorf("%d holders, number %d after %d", holders, l.Fence(), last)
				}
				last = l.Fence()
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				holders--
				mu.Unlock()
				r.unlock(l)
			})
		}
		all.Wait()
		if took := time.Since(begun); took != 30*time.Second {
			t.Errorf("30 holders of a second each took %v", took)
		}
	})
}

// Waiters of one process get the lock in the order they came.
func TestLockIsFairInAProcess(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		l := a.lock("job")
		order := make(chan int, 5)
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				l := a.lock("job")
				order <- i
				r.unlock(l)
			})
			synctest.Wait()
		}
		r.unlock(l)
		all.Wait()
		for want := range 5 {
			if got := <-order; got != want {
				t.Errorf("waiter %d came in place %d", got, want)
			}
		}
	})
}

// A lock is renewed for as long as it is held, and released by Unlock.
func TestLockIsRenewed(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		l := a.lock("job", larder.LockOptions{TTL: time.Second})
		for range 20 {
			r.pass(500 * time.Millisecond)
			if _, err := b.cache.Lock(r.ctx, "job", larder.LockOptions{Wait: -1}); !errors.Is(err, larder.ErrLocked) || !l.Held() {
				t.Fatalf("a second holder: %v", err)
			}
		}
		r.unlock(l)
		r.unlock(b.lock("job", larder.LockOptions{Wait: -1}))
		if err := l.Unlock(); err != nil {
			t.Errorf("a second Unlock: %v", err)
		}
	})
}

// A holder that cannot reach Redis gives up before anybody else can get the
// lock: there is never a moment in which both trust it.
func TestLockEndsBeforeTheNextBegins(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		l := a.lock("job", larder.LockOptions{TTL: time.Second})
		r.pass(10 * time.Second)
		a.remote.Hold()
		cut := time.Now()
		next := b.lock("job", larder.LockOptions{TTL: time.Second})
		if l.Held() || context.Cause(l.Context()) != larder.ErrLockLost {
			t.Errorf("two holders: held %v, %v", l.Held(), context.Cause(l.Context()))
		}
		if took := time.Since(cut); took > time.Second+2*time.Millisecond {
			t.Errorf("the next holder waited %v", took)
		}
		if next.Fence() <= l.Fence() {
			t.Errorf("number %d after %d", next.Fence(), l.Fence())
		}
		a.remote.Resume()
		r.pass(time.Second)
		if err := l.Unlock(); !errors.Is(err, larder.ErrLockLost) {
			t.Errorf("Unlock = %v", err)
		}
		if !next.Held() {
			t.Error("the earlier holder released the lock of the later")
		}
		r.unlock(next)
	})
}

// A lock that Redis loses ends at once, by the push, and the next one has a
// greater number although Redis has lost that too.
func TestLockLostByRedis(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		l := a.lock("job")
		r.server.FlushAll()
		synctest.Wait()
		r.pass(5 * time.Second) // of ten that it would have lived
		if l.Held() || context.Cause(l.Context()) != larder.ErrLockLost {
			t.Errorf("held %v, %v", l.Held(), context.Cause(l.Context()))
		}
		next := b.lock("job", larder.LockOptions{Wait: -1})
		if next.Fence() <= l.Fence() {
			t.Errorf("number %d after %d", next.Fence(), l.Fence())
		}
		r.unlock(next)
	})
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		l := a.lock("job")
		r.server.Delete(a.remote.TagKey("=#lock:job"))
		synctest.Wait()
		if l.Held() {
			t.Error("a deleted lock is held")
		}
		r.unlock(a.lock("job"))
	})
}

// Who waits leaves after Wait, when its context ends and when the cache is
// closed; the lock goes on to the others.
func TestLockWaitersLeave(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		l := a.lock("job")
		for _, n := range r.nodes {
			begun := time.Now()
			_, err := n.cache.Lock(r.ctx, "job", larder.LockOptions{Wait: 3 * time.Second})
			if took := time.Since(begun); !errors.Is(err, larder.ErrLocked) || took != 3*time.Second {
				t.Errorf("after %v: %v", took, err)
			}
			ctx, cancel := context.WithTimeout(r.ctx, time.Second)
			if _, err := n.cache.Lock(ctx, "job", larder.LockOptions{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the caller's deadline: %v", err)
			}
			cancel()
			if _, err := n.cache.Lock(ctx, "job", larder.LockOptions{}); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("an ended context: %v", err)
			}
		}
		ended := make(chan error)
		go func() { _, err := b.cache.Lock(r.ctx, "job", larder.LockOptions{}); ended <- err }()
		synctest.Wait()
		go b.cache.Close()
		if err := <-ended; !errors.Is(err, larder.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
		r.unlock(l)
		r.unlock(a.lock("job"))
	})
}

// Closing the cache ends its locks, and releases them for others.
func TestLockEndsWithTheCache(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		l := a.lock("job")
		if err := a.cache.Close(); err != nil {
			t.Fatal(err)
		}
		if l.Held() || context.Cause(l.Context()) != larder.ErrClosed {
			t.Errorf("held %v, %v", l.Held(), context.Cause(l.Context()))
		}
		if err := l.Unlock(); !errors.Is(err, larder.ErrLockLost) {
			t.Errorf("Unlock = %v", err)
		}
		r.unlock(b.lock("job", larder.LockOptions{Wait: -1}))
		if _, err := a.cache.Lock(r.ctx, "job", larder.LockOptions{}); !errors.Is(err, larder.ErrClosed) {
			t.Errorf("a closed cache: %v", err)
		}
	})
}

// While Redis cannot be asked nobody gets a lock: that fails at once.
func TestLockWithoutRedis(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		r.failing(a, larder.OpLock, lardertest.ReplyError)
		if _, err := a.cache.Lock(r.ctx, "job", larder.LockOptions{}); !errors.Is(err, lardertest.ErrScripted) {
			t.Errorf("Redis refuses: %v", err)
		}
		r.healthy()
		a.remote.Cut()
		begun := time.Now()
		if _, err := a.cache.Lock(r.ctx, "job", larder.LockOptions{}); !errors.Is(err, larder.ErrUnavailable) || time.Since(begun) != 0 {
			t.Errorf("without a connection: %v after %v", err, time.Since(begun))
		}
		a.remote.Resume()
		r.pass(tolerance)
		r.unlock(a.lock("job"))
	})
}

// A lock whose grant was not answered is not held, and is given back.
func TestLockOfUnknownOutcome(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		r.failing(a, larder.OpLock, lardertest.LoseReply)
		if _, err := a.cache.Lock(r.ctx, "job", larder.LockOptions{TTL: time.Second}); err == nil {
			t.Fatal("held without an answer")
		}
		r.healthy()
		begun := time.Now()
		r.unlock(b.lock("job"))
		if took := time.Since(begun); took > time.Second+2*time.Millisecond {
			t.Errorf("the next holder waited %v", took)
		}
	})
}

// The context of a lock is the caller's: with its values, and its end.
func TestLockContext(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		type id struct{}
		ctx, cancel := context.WithCancel(context.WithValue(r.ctx, id{}, 7))
		l, err := a.cache.Lock(ctx, "job", larder.LockOptions{})
		if err != nil || l.Context().Value(id{}) != 7 || l.Name() != "job" {
			t.Fatalf("%v, %v", l, err)
		}
		cancel()
		synctest.Wait()
		if l.Held() || l.Context().Err() == nil {
			t.Error("held after the end of the caller's context")
		}
		r.unlock(l)
		r.unlock(a.lock("job"))
	})
}

// Any name is right but the empty one, and each is a lock of its own.
func TestLockNames(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		long := strings.Repeat("x", 600)
		for _, name := range []string{"a", "a:fence", "a%3Afence", ":", "*", "\x00", "\xff\xfe", "日本", "a b\r\n", "{x}", long, long + "y", "#lock:a", "~"} {
			l := a.lock(name, larder.LockOptions{Wait: -1})
			defer func() { r.unlock(l) }()
		}
		if _, err := a.cache.Lock(r.ctx, "", larder.LockOptions{}); !errors.Is(err, larder.ErrInvalidKey) {
			t.Errorf("the empty name: %v", err)
		}
		for _, bad := range []larder.LockOptions{{TTL: -1}, {TTL: time.Millisecond}, {TTL: 2 * time.Hour}} {
			if _, err := a.cache.Lock(r.ctx, "b", bad); err == nil || !strings.Contains(err.Error(), "TTL:") {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		if n, err := a.cache.DeletePattern(r.ctx, "*"); n != 0 || err != nil {
			t.Errorf("DeletePattern removed %d, %v", n, err)
		}
		if err := a.cache.Clear(r.ctx); err != nil {
			t.Error(err)
		}
		if _, err := a.cache.Lock(r.ctx, "a", larder.LockOptions{Wait: -1}); !errors.Is(err, larder.ErrLocked) {
			t.Errorf("after Clear: %v", err)
		}
	})
}

// A cache in memory alone excludes its own callers, with numbers that grow.
func TestLockInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := larder.New(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var last uint64
		for i := range 3 {
			l, err := c.Lock(t.Context(), "job", larder.LockOptions{})
			if err != nil || l.Fence() <= last {
				t.Fatalf("%d: number %d after %d, %v", i, l.Fence(), last, err)
			}
			last = l.Fence()
			if _, err := c.Lock(t.Context(), "job", larder.LockOptions{Wait: -1}); !errors.Is(err, larder.ErrLocked) {
				t.Errorf("a second holder: %v", err)
			}
			time.Sleep(time.Minute)
			if !l.Held() {
				t.Error("lost")
			}
			if err := l.Unlock(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A resource that remembers the greatest number it has seen takes no write of a
// holder that was paused and has lost the lock without knowing.
func ExampleCache_Lock() {
	cache, err := larder.New(larder.Options{})
	if err != nil {
		panic(err)
	}
	defer cache.Close()
	ctx := context.Background()

	report := func(ctx context.Context, fence uint64) error { // UPDATE … WHERE fence < $1
		fmt.Println("written, unless a later holder was here:", fence > 0)
		return ctx.Err()
	}
	lock, err := cache.Lock(ctx, "nightly report", larder.LockOptions{TTL: 30 * time.Second})
	if err != nil {
		panic(err)
	}
	defer lock.Unlock()
	fmt.Println(report(lock.Context(), lock.Fence()))
	// Output:
	// written, unless a later holder was here: true
	// <nil>
}
