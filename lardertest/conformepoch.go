package lardertest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// testFlush holds that deleting everything ends the epoch of every connection
// before that is reported, and leaves the connections usable.
func testFlush(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	f.set(f.A, key, "v")
	old := f.A.Epoch(key)
	f.logA.watch(old)
	f.Door.FlushAll()
	f.waitFor("report of the flush", f.logA, func() bool { return f.logA.flushed > 0 })
	f.logA.wait(func() bool {
		if !f.logA.watchedDead {
			t.Error("the epoch was alive when its end was reported")
		}
		return true
	})
	next := f.A.Epoch(key)
	if next == nil || next == old || !next.Alive() {
		t.Fatalf("after a flush the epoch is %p, it was %p", next, old)
	}
	if next.AsOf() < old.AsOf() {
		t.Error("the connection lost its credit")
	}
	f.expect(f.do(f.A, larder.Op{Kind: larder.OpGet, Key: key}), larder.Absent, "")
}

// testLostConnection holds that losing a connection ends its epoch, is told,
// and is repaired; pushes work again afterwards.
func testLostConnection(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	f.set(f.A, key, "v")
	old := f.A.Epoch(key)
	f.logA.watch(old)
	f.Door.Drop()
	f.waitFor("report of the loss", f.logA, func() bool { return f.logA.flushed > 0 && f.logA.disconnected > 0 })
	f.logA.wait(func() bool {
		if !f.logA.watchedDead {
			t.Error("the epoch was alive when its end was reported")
		}
		if f.logA.lastErr == nil {
			t.Error("Disconnected without a reason")
		}
		return true
	})
	for _, l := range []*eventLog{f.logA, f.logB} {
		f.waitFor("new connection", l, func() bool { return l.connected > 1 })
	}
	f.ready(f.A, f.B)
	next := f.A.Epoch(key)
	if next == nil || next == old || !next.Alive() || next.AsOf() <= old.AsOf() {
		t.Fatalf("the new connection has epoch %+v, the old one had %+v", next, old)
	}
	f.expect(f.A.Get(f.ctx, key), larder.Present, "v")
	f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: key})
	f.waitFor("push on the new connection", f.logA, func() bool { return f.logA.pushed[key] > 0 })
}

// testLostServer holds that an outage is an error of each operation, never an
// absence, and that it ends.
func testLostServer(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	f.set(f.A, key, "v")
	old := f.A.Epoch(key)
	f.Door.Kill()
	f.waitFor("report of the loss", f.logA, func() bool { return f.logA.disconnected > 0 })
	if old.Alive() || f.A.Epoch(key) != nil {
		t.Error("an epoch outlived its server")
	}
	for kind := larder.OpGet; kind <= larder.OpInspect; kind++ {
		if r := f.try(f.A, larder.Op{Kind: kind, Key: key}); !errors.Is(r.Err, larder.ErrUnavailable) {
			t.Errorf("%s without a server: %s, want %v", opName(kind), replyName(r), larder.ErrUnavailable)
		}
	}
	if r := f.A.Get(f.ctx, key); !errors.Is(r.Err, larder.ErrUnavailable) {
		t.Errorf("Get without a server: %s", replyName(r))
	}
	if err := f.A.Beat(f.ctx); err == nil {
		t.Error("Beat without a server succeeded")
	}
	if _, err := f.A.DeleteMatching(f.ctx, "*", func([]string) {}); err == nil {
		t.Error("DeleteMatching without a server succeeded")
	}
	f.Door.Restart()
	f.waitFor("connection to the new server", f.logA, func() bool { return f.logA.connected > 1 })
	f.expect(f.do(f.A, larder.Op{Kind: larder.OpAcquire, Key: key, Token: f.token()}), larder.Acquired, "")
}

// testAbsentServer holds that starting without a server is no error and that
// one that appears is used.
func testAbsentServer(t *testing.T, f *fixture) {
	f.Door.Kill()
	ctx, cancel := context.WithTimeout(f.ctx, 5*time.Second)
	defer cancel()
	f.A.Start(ctx, f.logA)
	f.B.Start(ctx, f.logB)
	if ctx.Err() != nil {
		t.Error("Start waited for longer than the first attempt")
	}
	f.waitFor("report of the absence", f.logA, func() bool { return f.logA.disconnected > 0 })
	key := f.key()
	if e := f.A.Epoch(key); e != nil {
		t.Errorf("an epoch without a server: %+v", e)
	}
	if r := f.A.Get(f.ctx, key); !errors.Is(r.Err, larder.ErrUnavailable) {
		t.Errorf("Get: %s", replyName(r))
	}
	f.Door.Restart()
	f.waitFor("connection", f.logA, func() bool { return f.logA.connected > 0 })
	f.set(f.A, key, "v")
}

// testPausedServer holds that nothing waits for longer than its context while
// the store hangs, and that it is used again soon after.
func testPausedServer(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	f.set(f.A, key, "v")
	f.Door.Stop()
	start := time.Now()
	for range 5 {
		ctx, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
		if r := f.A.Get(ctx, key); r.Err == nil {
			t.Errorf("a paused store answered %s", replyName(r))
		}
		cancel()
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("five reads of at most 50 ms took %v", took)
	}
	f.Door.Cont()
	resumed := time.Now()
	f.eventually("reads work again", func() bool {
		ctx, cancel := context.WithTimeout(f.ctx, time.Second)
		defer cancel()
		return f.A.Get(ctx, key).Err == nil
	})
	if took := time.Since(resumed); took > 3*time.Second {
		t.Errorf("recovery took %v", took)
	}
}

// testEndedContext holds that an ended context is an error and sends nothing.
func testEndedContext(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	replies := make([]larder.Reply, 1)
	f.A.Do(ctx, []larder.Op{{Kind: larder.OpSet, Key: key, Value: []byte("v"), TTL: time.Minute}}, replies)
	if replies[0].Err == nil {
		t.Errorf("Do with an ended context: %s", replyName(replies[0]))
	}
	if r := f.A.Get(ctx, key); r.Err == nil {
		t.Errorf("Get with an ended context: %s", replyName(r))
	}
	if err := f.A.Beat(ctx); err == nil {
		t.Error("Beat with an ended context succeeded")
	}
	if _, err := f.A.DeleteMatching(ctx, "*", func([]string) {}); err == nil {
		t.Error("DeleteMatching with an ended context succeeded")
	}
	f.barrier()
	f.expect(f.B.Get(f.ctx, key), larder.Absent, "")
	if e := f.A.Epoch(key); e == nil || e.AsOf() == clock.Never {
		t.Error("an ended context ended the connection")
	}
}

// testClose holds that closing during everything ends everything, once.
func testClose(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	e := f.A.Epoch(key)
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			for !errors.Is(f.A.Get(f.ctx, key).Err, larder.ErrUnavailable) {
				_ = f.A.Beat(f.ctx)
			}
		})
	}
	for range 2 {
		if err := f.A.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	users.Wait()
	if e.Alive() {
		t.Error("the epoch outlived Close")
	}
	if r := f.try(f.A, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("v")}); !errors.Is(r.Err, larder.ErrUnavailable) {
		t.Errorf("after Close: %s, want %v", replyName(r), larder.ErrUnavailable)
	}
	f.set(f.B, key, "v")
}
