package acceptance

import (
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

const lockTTL = time.Second

// lockNodes starts two processes, of which the first holds the lock.
func lockNodes(t *testing.T) (holder, next *process, held LockState) {
	redis := lardertest.StartRedis(t)
	config := NodeConfig{Redis: redis.Addr(), Options: larder.Options{Namespace: "locks"}}
	holder, next = startNode(t, config), startNode(t, config)
	until(t, 5*time.Second, "connected", func() bool { return connected(holder) && connected(next) })
	held = call[LockState](holder, "Lock", LockOrder{Name: "job", TTL: lockTTL})
	if !held.Held {
		t.Fatalf("%+v", held)
	}
	return holder, next, held
}

// The lock of a process that was killed goes to the next one when its time has
// run out, with a greater number.
func TestLockOfAKilledProcess(t *testing.T) {
	holder, next, held := lockNodes(t)
	check(t, holder.cmd.Process.Signal(syscall.SIGKILL))
	begun := time.Now()
	got := call[LockState](next, "Lock", LockOrder{Name: "job", TTL: lockTTL})
	took := time.Since(begun)
	t.Logf("holder killed, lock of %v: the next one has it after %v", lockTTL, took.Round(time.Millisecond))
	if !got.Held || got.Fence <= held.Fence {
		t.Errorf("%+v after %+v", got, held)
	}
	if took > lockTTL+time.Second {
		t.Errorf("took %v", took)
	}
}

// A process that was paused for longer than its lock lives finds that it has
// lost it, although nobody told it; what it writes then a resource refuses by
// the number.
func TestLockOfAPausedProcess(t *testing.T) {
	holder, next, held := lockNodes(t)
	check(t, holder.cmd.Process.Signal(syscall.SIGSTOP))
	got := call[LockState](next, "Lock", LockOrder{Name: "job", TTL: lockTTL})
	check(t, holder.cmd.Process.Signal(syscall.SIGCONT))
	after := call[LockState](holder, "LockState", struct{}{})
	if after.Held || after.Fence >= got.Fence || !got.Held {
		t.Errorf("resumed: %+v, the present holder: %+v", after, got)
	}
	until(t, 5*time.Second, "its context ended", func() bool {
		return call[LockState](holder, "LockState", struct{}{}).Ended == larder.ErrLockLost.Error()
	})
	if now := call[LockState](next, "LockState", struct{}{}); !now.Held {
		t.Errorf("the resumed process ended the lock of the next: %+v", now)
	}
	if held.Fence >= got.Fence {
		t.Errorf("numbers %d, then %d", held.Fence, got.Fence)
	}
}
