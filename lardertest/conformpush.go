package lardertest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// reading lists the operations that read or keep their key, and with which
// state before: after each of them the connection must hear of the next change.
var reading = []struct {
	kind   larder.OpKind
	before string
}{
	{larder.OpGet, "absent"},
	{larder.OpGet, "value"},
	{larder.OpInspect, "value"},
	{larder.OpAcquire, "absent"},
	{larder.OpAcquire, "mine"},
	{larder.OpAcquire, "other"},
	{larder.OpAcquire, "value"},
	{larder.OpTakeover, "value"},
	{larder.OpTakeover, "newer"},
	{larder.OpFill, "mine"},
	{larder.OpFill, "other"},
	{larder.OpRefill, "value"},
	{larder.OpRefill, "newer"},
	{larder.OpRenew, "mine"},
	{larder.OpSet, "absent"},
	{larder.OpSet, "value"},
	{larder.OpSetNewer, "older"},
	{larder.OpSetNewer, "later"},
	{larder.OpHold, "absent"},
	{larder.OpHold, "value"},
	{larder.OpExpire, "value"},
	{larder.OpExpire, "foreign"},
	{larder.OpGeneration, "absent"},
	{larder.OpGeneration, "value"},
}

// prepare brings a new key into a state and carries out one operation on it
// through A.
func (f *fixture) prepare(kind larder.OpKind, before string) (key string) {
	f.t.Helper()
	key = f.key()
	token := f.token()
	all := states(f, token)
	if before != "absent" {
		f.set(f.B, key, all[before])
	}
	op := larder.Op{Kind: kind, Key: key, Token: token, Expect: all["value"][:11], Value: []byte(all["new"])}
	if kind == larder.OpSetNewer {
		op.Version, op.Value = theVersion, []byte(all["version"])
	}
	f.do(f.A, op)
	return key
}

// testPushAfterEachRead holds that whatever A read or wrote last, it hears of
// B's deletion: a node that keeps a value in memory rests on it. A write drops
// the registration of its own connection, so an operation that writes and
// keeps must read again.
func testPushAfterEachRead(t *testing.T, f *fixture) {
	f.start()
	for _, c := range reading {
		key := f.prepare(c.kind, c.before)
		if c.before == "absent" && c.kind == larder.OpGet {
			f.set(f.B, key, "v")
		} else {
			f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: key})
		}
		f.waitFor(fmt.Sprintf("push after %s of %s", opName(c.kind), c.before), f.logA, func() bool { return f.logA.pushed[key] > 0 })
	}
	keys := make([]string, 100)
	ops := make([]larder.Op, len(keys))
	for i := range keys {
		keys[i] = f.key()
		ops[i] = larder.Op{Kind: larder.OpGet, Key: keys[i]}
		f.set(f.B, keys[i], "v")
	}
	f.A.Do(f.ctx, ops, make([]larder.Reply, len(ops)))
	for _, key := range keys {
		f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: key})
		f.waitFor("push after a batch of reads", f.logA, func() bool { return f.logA.pushed[key] > 0 })
	}
}

// testNoPushForOwnWrites holds that a node does not hear of its own writes: a
// push would discard what it has just filled.
func testNoPushForOwnWrites(t *testing.T, f *fixture) {
	f.start()
	keys := map[string]string{}
	for _, c := range reading {
		keys[f.prepare(c.kind, c.before)] = opName(c.kind) + " of " + c.before
	}
	for key := range keys {
		f.A.Get(f.ctx, key)
		f.do(f.A, larder.Op{Kind: larder.OpDelete, Key: key})
	}
	f.barrier()
	for key, what := range keys {
		if n := f.logA.pushes(key); n != 0 {
			t.Errorf("%d pushes for own writes after %s", n, what)
		}
	}
}

// barrier makes sure that every push sent to A so far has been processed.
func (f *fixture) barrier() {
	f.t.Helper()
	keys := f.A.NamespaceKeys() // on every server
	ops := make([]larder.Op, len(keys))
	for i := range keys {
		ops[i] = larder.Op{Kind: larder.OpGet, Key: keys[i]}
	}
	replies := make([]larder.Reply, len(ops))
	f.A.Do(f.ctx, ops, replies)
	for i := range replies {
		if replies[i].Err != nil {
			f.t.Fatal(replies[i].Err)
		}
	}
}

// testPushForEachChange holds which changes a reader hears of, from another
// node and from other programs.
func testPushForEachChange(t *testing.T, f *fixture) {
	f.start()
	changes := []struct {
		what   string
		before string
		change func(key string)
	}{
		{"a lease was granted", "absent", func(key string) { f.do(f.B, larder.Op{Kind: larder.OpAcquire, Key: key, Token: f.token()}) }},
		{"a generation was born", "absent", func(key string) { f.do(f.B, larder.Op{Kind: larder.OpGeneration, Key: key, Value: []byte("g")}) }},
		{"set", "v", func(key string) { f.set(f.B, key, "w") }},
		{"takeover", "v", func(key string) {
			f.do(f.B, larder.Op{Kind: larder.OpTakeover, Key: key, Expect: "v", Token: f.token()})
		}},
		{"refill", "v", func(key string) {
			f.do(f.B, larder.Op{Kind: larder.OpRefill, Key: key, Expect: "v", Value: []byte("w")})
		}},
		{"hold", "v", func(key string) { f.do(f.B, larder.Op{Kind: larder.OpHold, Key: key, Token: f.token()}) }},
		{"unhold", "v", func(key string) { f.do(f.B, larder.Op{Kind: larder.OpUnhold, Key: key, Token: f.token()}) }},
		{"foreign set", "v", func(key string) { f.Door.Set(key, "w", 0) }},
		{"foreign delete", "v", func(key string) { f.Door.Delete(key) }},
		{"fill", "lease", func(key string) {
			f.do(f.B, larder.Op{Kind: larder.OpFill, Key: key, Token: f.lastToken(), Value: []byte("w")})
		}},
		{"release", "lease", func(key string) { f.do(f.B, larder.Op{Kind: larder.OpRelease, Key: key, Token: f.lastToken()}) }},
	}
	for _, c := range changes {
		key := f.key()
		switch c.before {
		case "absent":
		case "lease":
			f.do(f.B, larder.Op{Kind: larder.OpAcquire, Key: key, Token: f.token()})
		default:
			f.set(f.B, key, c.before)
		}
		f.A.Get(f.ctx, key)
		c.change(key)
		f.waitFor("push for: "+c.what, f.logA, func() bool { return f.logA.pushed[key] > 0 })
	}
}

// lastToken returns the token that token returned last.
func (f *fixture) lastToken() [8]byte {
	f.tokens--
	return f.token()
}

// testPushBeforeReply holds that a push is processed before any later reply of
// its connection reaches a caller. Evidence rests on that order.
func testPushBeforeReply(t *testing.T, f *fixture) {
	f.start()
	var load sync.WaitGroup
	done := make(chan struct{})
	for range 4 { // replies that overtake would be seen under load
		load.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					f.A.Get(f.ctx, f.A.EntryKey("load"))
				}
			}
		})
	}
	defer load.Wait()
	defer close(done)
	for i := range 300 {
		key := f.key()
		f.set(f.B, key, "v")
		f.A.Get(f.ctx, key)
		f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: key})
		f.barrier()
		if f.logA.pushes(key) == 0 {
			t.Fatalf("round %d: a reply sent after the change overtook its push", i)
		}
	}
}

// testPushBeforeCredit holds that a heartbeat is credited only when every push
// before it was processed.
func testPushBeforeCredit(t *testing.T, f *fixture) {
	f.start()
	for i := range 50 {
		key := f.key()
		f.set(f.B, key, "v")
		f.A.Get(f.ctx, key)
		f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: key})
		changed := clock.Now()
		if err := f.A.Beat(f.ctx); err != nil {
			t.Fatal(err)
		}
		if e := f.A.Epoch(key); e.AsOf() >= changed && f.logA.pushes(key) == 0 {
			t.Fatalf("round %d: credited before the push", i)
		}
	}
}

// testCredit holds that a heartbeat credits the epoch with the time it was
// sent, no later.
func testCredit(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	e := f.A.Epoch(key)
	if e == nil || !e.Alive() || e.AsOf() == clock.Never {
		t.Fatalf("the epoch of a new connection is %+v, want a living and credited one", e)
	}
	if got := f.A.Epoch(key); got != e {
		t.Error("two epochs of one connection")
	}
	for range 20 {
		before := clock.Now()
		if err := f.A.Beat(f.ctx); err != nil {
			t.Fatal(err)
		}
		if as := e.AsOf(); as < before || as > clock.Now() {
			t.Fatalf("credited with %v, the heartbeat ran from %v to %v", as, before, clock.Now())
		}
	}
	old := e.AsOf()
	f.Door.Stop()
	defer f.Door.Cont()
	ctx, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
	defer cancel()
	if err := f.A.Beat(ctx); err == nil {
		t.Error("a paused store acknowledged a heartbeat")
	}
	if e.AsOf() != old {
		t.Error("a heartbeat without an answer was credited")
	}
}
