package lardertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// testConfirm holds that after a confirmation every node has heard of the
// deletions before it.
func testConfirm(t *testing.T, f *fixture) {
	f.start()
	if err := f.A.Confirm(f.ctx, nil); err != nil {
		t.Errorf("of nothing: %v", err)
	}
	unconfirmed := 0
	for i := range 50 {
		keys := []string{f.key(), f.key()}
		for _, key := range keys {
			f.set(f.A, key, "v")
			f.expect(f.B.Get(f.ctx, key), larder.Present, "v")
			f.do(f.A, larder.Op{Kind: larder.OpDelete, Key: key})
		}
		switch err := f.A.Confirm(f.ctx, keys); {
		case errors.Is(err, larder.ErrUnavailable):
			unconfirmed++ // a cluster may say so of some keys
			continue
		case err != nil:
			t.Fatalf("round %d: %v", i, err)
		}
		for _, key := range keys {
			if f.logB.pushes(key) == 0 {
				t.Fatalf("round %d: confirmed before the other node heard of it", i)
			}
		}
	}
	if unconfirmed > 20 {
		t.Errorf("%d of 50 could not be confirmed", unconfirmed)
	}
	for _, flush := range []func(){f.Door.FlushAll, func() { f.Door.Drop(); f.reconnected(2) }} {
		flush()
		f.eventually("confirmation after losing everything", func() bool {
			ctx, cancel := context.WithTimeout(f.ctx, time.Second)
			defer cancel()
			return f.A.Confirm(ctx, []string{f.key()}) == nil
		})
	}
}

// reconnected waits until both nodes have connected n times.
func (f *fixture) reconnected(n int) {
	f.t.Helper()
	for _, l := range []*eventLog{f.logA, f.logB} {
		f.waitFor("new connection", l, func() bool { return l.connected >= n })
	}
	f.ready(f.A, f.B)
}

// testConfirmWaits holds that nothing is confirmed without asking.
func testConfirmWaits(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	if err := f.A.Confirm(ended, []string{key}); err == nil {
		t.Error("confirmed under an ended context")
	}
	f.Door.Stop()
	short, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
	defer cancel()
	if err := f.A.Confirm(short, []string{key}); err == nil {
		t.Error("confirmed by a paused store")
	}
	f.Door.Cont()
	f.Door.Kill()
	f.waitFor("report of the loss", f.logA, func() bool { return f.logA.disconnected > 0 })
	if err := f.A.Confirm(f.ctx, []string{key}); err == nil {
		t.Error("confirmed without a store")
	}
}
