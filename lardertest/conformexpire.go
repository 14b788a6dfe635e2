package lardertest

import (
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// testExpire holds that a value turns stale now under a new id and changes in
// nothing else, whatever its header holds.
func testExpire(t *testing.T, f *fixture) {
	f.start()
	now := time.Now().UnixMilli()
	for i := range 64 {
		bit := func(n int) bool { return i>>n&1 == 1 }
		e := frame.Entry{ID: f.token().ID(), Hard: now + 3_600_000, Namespace: aNamespace, Payload: `{"a":1}`, HasSchema: bit(1)}
		if bit(0) {
			e.Codec = 6
		}
		e.Soft = e.Hard
		if bit(2) {
			e.Soft = now + 1_800_000
		}
		if bit(3) {
			e.Pairs, e.Version = somePairs(i), 1<<63
		}
		if bit(4) {
			e.LoadMillis = 300
		}
		if bit(5) {
			e.Compression, e.Payload = 1, "\xFA\x80\x00"
		}
		f.expire(t, e)
	}
	for codec := range frame.Codec(8) {
		f.expire(t, frame.Entry{ID: f.token().ID(), Hard: now + 3_600_000, Soft: now + 3_600_000, Namespace: aNamespace, Codec: codec, Payload: "v"})
	}
	f.expire(t, frame.Entry{ID: f.token().ID(), Hard: now + 3_600_000, Soft: now + 3_600_000, Negative: true})
	f.expireTwice(t)
}

// expire expires e and compares what is left.
func (f *fixture) expire(t *testing.T, e frame.Entry) {
	t.Helper()
	key, id := f.key(), f.token()
	f.do(f.B, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte(encoded(e)), TTL: time.Hour})
	before := time.Now()
	f.expect(f.do(f.A, larder.Op{Kind: larder.OpExpire, Key: key, Token: id}), larder.Done, "")
	r := f.do(f.B, larder.Op{Kind: larder.OpInspect, Key: key})
	var got frame.Entry
	if err := frame.Parse(r.Data, &got); err != nil {
		t.Fatalf("%+v expired is %q: %v", e, r.Data, err)
	}
	// The clock of a real server may differ from ours by what both round away.
	if from, to := before.UnixMilli()-2, time.Now().UnixMilli()+2; got.Soft < from || got.Soft > to {
		t.Errorf("stale from %d, want between %d and %d", got.Soft, from, to)
	}
	e.ID, e.Soft = id.ID(), got.Soft
	if want := encoded(e); r.Data != want {
		t.Errorf("expired: %q, want %q", r.Data, want)
	}
	if r.TTL > time.Hour || r.TTL < 59*time.Minute {
		t.Errorf("time to live %v, want the old one", r.TTL)
	}
}

// expireTwice holds that a value that is stale already stays so from when it
// was.
func (f *fixture) expireTwice(t *testing.T) {
	key, now := f.key(), time.Now().UnixMilli()
	e := frame.Entry{ID: f.token().ID(), Hard: now + 3_600_000, Soft: now - 100_000, Payload: "v"}
	f.set(f.B, key, encoded(e))
	token := f.token()
	f.expect(f.do(f.A, larder.Op{Kind: larder.OpExpire, Key: key, Token: token}), larder.Done, "")
	e.ID = token.ID()
	f.expect(f.B.Get(f.ctx, key), larder.Present, encoded(e))
}

// testExpireEndsARefresh holds that a refresh which began before does not make
// its value fresh afterwards, and that others hear of the change.
func testExpireEndsARefresh(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	old := aValue(f.token(), "old")
	f.set(f.A, key, old)
	f.expect(f.B.Get(f.ctx, key), larder.Present, old)
	f.expect(f.do(f.A, larder.Op{Kind: larder.OpExpire, Key: key, Token: f.token()}), larder.Done, "")
	f.waitFor("push of the change", f.logB, func() bool { return f.logB.pushed[key] > 0 })
	refill := larder.Op{Kind: larder.OpRefill, Key: key, Expect: frame.Prefix(old), Value: []byte(aValue(f.token(), "new"))}
	f.expect(f.do(f.B, refill), larder.Refused, "")
	refill.Expect = frame.Prefix(f.A.Get(f.ctx, key).Data)
	f.expect(f.do(f.B, refill), larder.Done, "")
}
