package lardertest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// aVersion returns the bytes of an entry of a source version.
func aVersion(id frame.Token, version uint64) string {
	hard := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	return encoded(frame.Entry{ID: id.ID(), Hard: hard, Soft: hard, Version: version, Payload: "versioned"})
}

// aNamespace is a generation whose bytes could be taken for others.
var aNamespace = frame.Generation{0xFA, 0x80, 3, 0, 255, '\n', 7, 8}

func encoded(e frame.Entry) string {
	b, err := frame.Append(nil, &e)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// held returns the holders of a hold-off, nil if key holds none.
func (f *fixture) held(key string) []frame.Holder {
	f.t.Helper()
	r := f.do(f.B, larder.Op{Kind: larder.OpInspect, Key: key})
	if r.State == larder.Absent {
		return nil
	}
	holders, err := frame.ParseHold(r.Data)
	if err != nil {
		f.t.Fatalf("%q is no hold-off", r.Data)
	}
	longest := int64(0)
	for _, h := range holders {
		longest = max(longest, h.Until)
	}
	// Its life is that of the longest part; both are read at about one time.
	if end := time.Now().Add(r.TTL).UnixMilli(); r.TTL <= 0 || end-longest > 2000 || longest-end > 2000 {
		f.t.Errorf("it lives until %d, the longest part until %d", end, longest)
	}
	return holders
}

// testHold holds that a hold-off replaces what was there, refuses everything
// but plain writes while one of its holders keeps it, and then leaves nothing.
func testHold(t *testing.T, f *fixture) {
	f.start()
	for before := range outcomes[larder.OpUnhold] {
		key, token := f.key(), f.token()
		if before != "absent" {
			f.set(f.B, key, states(f, token)[before])
		}
		mine, yours := f.token(), f.token()
		hold := func(token frame.Token, ttl time.Duration) {
			t.Helper()
			f.expect(f.do(f.A, larder.Op{Kind: larder.OpHold, Key: key, Token: token, TTL: ttl}), larder.Done, "")
		}
		hold(mine, time.Minute)
		hold(yours, 2*time.Minute)
		hold(mine, 30*time.Second)
		if h := f.held(key); len(h) != 2 || !slices.ContainsFunc(h, func(h frame.Holder) bool { return h.Token == yours }) {
			t.Fatalf("after %s the holders are %v", before, h)
		}
		f.refusesAll(key, token)
		for _, last := range []frame.Token{token, yours} { // the first holds nothing
			f.expect(f.do(f.B, larder.Op{Kind: larder.OpUnhold, Key: key, Token: last}), larder.Done, "")
			if h := f.held(key); len(h) == 0 {
				t.Fatal("somebody else's part ended the whole")
			}
		}
		f.expect(f.do(f.A, larder.Op{Kind: larder.OpUnhold, Key: key, Token: mine}), larder.Done, "")
		f.expect(f.A.Get(f.ctx, key), larder.Absent, "")
	}
}

// refusesAll asks for everything that must leave a hold-off in place.
func (f *fixture) refusesAll(key string, token frame.Token) {
	f.t.Helper()
	value := []byte(aVersion(token, theVersion))
	for _, c := range []struct {
		op   larder.Op
		want larder.ReplyState
	}{
		{larder.Op{Kind: larder.OpAcquire}, larder.Held},
		{larder.Op{Kind: larder.OpFill}, larder.Refused},
		{larder.Op{Kind: larder.OpRefill, Expect: frame.Prefix(string(value))}, larder.Refused},
		{larder.Op{Kind: larder.OpRenew}, larder.Refused},
		{larder.Op{Kind: larder.OpRelease}, larder.Refused},
		{larder.Op{Kind: larder.OpSetNewer, Version: theVersion}, larder.Refused},
		{larder.Op{Kind: larder.OpSet, KeepHold: true}, larder.Held},
		{larder.Op{Kind: larder.OpDelete, KeepHold: true}, larder.Held},
	} {
		c.op.Key, c.op.Token, c.op.Value = key, token, value
		f.expect(f.do(f.A, c.op), c.want, "")
	}
	f.held(key)
}

// testHoldExpires holds that the part of a holder who died ends by itself,
// while others keep theirs.
func testHoldExpires(t *testing.T, f *fixture) {
	f.start()
	key, dead, living := f.key(), f.token(), f.token()
	f.do(f.A, larder.Op{Kind: larder.OpHold, Key: key, Token: dead, TTL: 40 * time.Millisecond})
	f.do(f.B, larder.Op{Kind: larder.OpHold, Key: key, Token: living, TTL: time.Minute})
	f.eventually("the short part expires", func() bool {
		f.do(f.B, larder.Op{Kind: larder.OpHold, Key: key, Token: living, TTL: time.Minute})
		h := f.held(key)
		return len(h) == 1 && h[0].Token == living
	})
	f.do(f.B, larder.Op{Kind: larder.OpUnhold, Key: key, Token: living})
	f.expect(f.A.Get(f.ctx, key), larder.Absent, "")
	f.do(f.A, larder.Op{Kind: larder.OpHold, Key: key, Token: dead, TTL: 40 * time.Millisecond})
	f.eventually("the hold-off expires", func() bool { return f.A.Get(f.ctx, key).State == larder.Absent })
}

// testSetNewerKeepsGenerations holds that a newer source version takes over
// what the old entry depends on, whatever else their headers hold: an entry
// without its tags would survive their invalidation.
func testSetNewerKeepsGenerations(t *testing.T, f *fixture) {
	f.start()
	soft := time.Date(2033, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	hard := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	versions := [][2]uint64{{1, 2}, {255, 256}, {1<<63 - 1, 1 << 63}, {1<<64 - 2, 1<<64 - 1}}
	for i := range 128 {
		bit := func(n int) bool { return i>>n&1 == 1 }
		v := versions[i%len(versions)]
		old := frame.Entry{ID: f.token().ID(), Hard: hard, Soft: hard, Namespace: aNamespace, Version: v[0], HasSchema: bit(1), Schema: 0xFA80F901, Payload: "old"}
		next := frame.Entry{ID: f.token().ID(), Hard: hard + 5, Soft: hard + 5, Version: v[1], HasSchema: bit(2), Schema: 7, Codec: 3, Payload: `{"new":1}`}
		old.HasWritten, next.HasWritten = i%3 == 0, i%5 == 0
		if old.HasWritten {
			old.Written = 0xFA80
		}
		if next.HasWritten {
			next.Written = 0x80F9
		}
		if bit(0) {
			next.Namespace, next.Pairs = frame.Generation{1}, somePairs(1)
		}
		if bit(3) {
			old.Pairs = somePairs(i)
		}
		if bit(4) {
			old.Soft = soft
		}
		if bit(5) {
			next.Soft = soft
		}
		old.LoadMillis, next.LoadMillis = uint64(i%3*99), uint64(i%4*50)
		if bit(6) {
			next.Compression, next.Payload = 2, strings.Repeat("\xFA\x00", 500)
		}
		f.setNewer(old, next)
	}
}

func (f *fixture) setNewer(old, next frame.Entry) {
	f.t.Helper()
	key := f.key()
	f.set(f.B, key, encoded(old))
	op := larder.Op{Kind: larder.OpSetNewer, Key: key, Value: []byte(encoded(next)), Version: next.Version, TTL: time.Hour}
	f.expect(f.do(f.A, op), larder.Done, "")
	next.Namespace, next.Pairs = old.Namespace, old.Pairs
	f.expect(f.B.Get(f.ctx, key), larder.Present, encoded(next))
	if ttl := f.do(f.B, larder.Op{Kind: larder.OpInspect, Key: key}).TTL; ttl > time.Hour || ttl < 59*time.Minute {
		f.t.Errorf("time to live %v, want 1 h", ttl)
	}
	f.expect(f.do(f.A, op), larder.Refused, "") // its own version is not lower
}

func somePairs(i int) []frame.Pair {
	pairs := []frame.Pair{{Tag: ""}, {Tag: strings.Repeat("x", 100+i)}, {Tag: "\xFA\x80"}}
	if i%16 == 8 {
		pairs = make([]frame.Pair, frame.MaxTags)
	}
	for n := range pairs {
		pairs[n].Generation = frame.Generation{byte(n), 0x80, 0xFF}
	}
	return pairs
}
