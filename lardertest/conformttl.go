package lardertest

import (
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// testTimesToLive holds that every operation that writes sets the time to live
// it was given, and that Busy and Inspect tell it.
func testTimesToLive(t *testing.T, f *fixture) {
	f.start()
	within := func(what string, got, want time.Duration) {
		t.Helper()
		if got > want || got < want-5*time.Second {
			t.Errorf("%s: time to live %v, want about %v", what, got, want)
		}
	}
	inspect := func(key string) time.Duration {
		return f.do(f.B, larder.Op{Kind: larder.OpInspect, Key: key}).TTL
	}
	key, token := f.key(), f.token()
	f.do(f.A, larder.Op{Kind: larder.OpAcquire, Key: key, Token: token, TTL: 30 * time.Second})
	within("acquire", inspect(key), 30*time.Second)
	within("busy", f.do(f.B, larder.Op{Kind: larder.OpAcquire, Key: key, Token: f.token()}).TTL, 30*time.Second)
	f.do(f.A, larder.Op{Kind: larder.OpRenew, Key: key, Token: token, TTL: 90 * time.Second})
	within("renew", inspect(key), 90*time.Second)
	value := aValue(f.token(), "v")
	f.do(f.A, larder.Op{Kind: larder.OpFill, Key: key, Token: token, Value: []byte(value), TTL: 2 * time.Hour})
	within("fill", inspect(key), 2*time.Hour)
	next := aValue(f.token(), "w")
	f.do(f.A, larder.Op{Kind: larder.OpRefill, Key: key, Expect: value[:11], Value: []byte(next), TTL: 3 * time.Hour})
	within("refill", inspect(key), 3*time.Hour)
	f.do(f.A, larder.Op{Kind: larder.OpTakeover, Key: key, Token: token, Expect: next[:11], TTL: 20 * time.Second})
	within("takeover", inspect(key), 20*time.Second)
	f.do(f.A, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("x"), TTL: time.Hour})
	within("set", inspect(key), time.Hour)

	eternal := f.key()
	f.Door.Set(eternal, "text", 0)
	if ttl := inspect(eternal); ttl >= 0 {
		t.Errorf("without expiry: time to live %v, want a negative one", ttl)
	}
}

// testExpiry holds that an expired lease is gone: its fill is refused, another
// one is granted, and those who wait for it are told.
func testExpiry(t *testing.T, f *fixture) {
	f.start()
	key, token := f.key(), f.token()
	f.do(f.A, larder.Op{Kind: larder.OpAcquire, Key: key, Token: token, TTL: 100 * time.Millisecond})
	f.expect(f.B.Get(f.ctx, key), larder.Present, lease(token))
	f.waitFor("push of an expired lease", f.logB, func() bool { return f.logB.pushed[key] > 0 })
	f.expect(f.do(f.A, larder.Op{Kind: larder.OpFill, Key: key, Token: token, Value: []byte("late")}), larder.Refused, "")
	f.expect(f.do(f.A, larder.Op{Kind: larder.OpRenew, Key: key, Token: token}), larder.Refused, "")
	f.expect(f.do(f.B, larder.Op{Kind: larder.OpAcquire, Key: key, Token: f.token()}), larder.Acquired, "")

	short := f.key()
	f.do(f.A, larder.Op{Kind: larder.OpSet, Key: short, Value: []byte("v"), TTL: 50 * time.Millisecond})
	f.eventually("the value expires", func() bool { return f.A.Get(f.ctx, short).State == larder.Absent })
}

// testGenerationKeptAlive holds that a generation survives as long as it is
// asked for: reborn it would outdate every entry that carries it.
func testGenerationKeptAlive(t *testing.T, f *fixture) {
	f.start()
	key := f.A.TagKey("t")
	ask := func(r larder.Remote, fresh string, ttl time.Duration) larder.Reply {
		return f.do(r, larder.Op{Kind: larder.OpGeneration, Key: key, Value: []byte(fresh), TTL: ttl})
	}
	ttl := func() time.Duration { return f.do(f.B, larder.Op{Kind: larder.OpInspect, Key: key}).TTL }
	f.expect(ask(f.A, "gen-0001", time.Hour), larder.Present, "gen-0001")
	f.expect(ask(f.B, "gen-0002", time.Hour), larder.Present, "gen-0001")
	f.expect(ask(f.B, "gen-0003", 10*time.Hour), larder.Present, "gen-0001")
	if got := ttl(); got < 5*time.Hour {
		t.Errorf("asked for 10 h it lives for %v, less than half", got)
	}
	f.expect(ask(f.A, "gen-0004", time.Minute), larder.Present, "gen-0001")
	if got := ttl(); got < 5*time.Hour {
		t.Errorf("a shorter wish cut it to %v", got)
	}
	f.Door.Delete(key)
	f.expect(ask(f.A, "gen-0005", time.Hour), larder.Present, "gen-0005")
}
