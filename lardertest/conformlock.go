package lardertest

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// number reads what a granted lock was numbered with.
func number(t *testing.T, r larder.Reply) int64 {
	t.Helper()
	n, err := strconv.ParseInt(r.Data, 10, 64)
	if r.Err != nil || r.State != larder.Acquired || err != nil || n <= 0 {
		t.Fatalf("reply %s %q %v, want Acquired with a number", replyName(r), r.Data, err)
	}
	return n
}

// testLock holds that a lock has one holder, that its numbers grow, that only
// the holder renews and releases it, and that who was refused hears of its end.
func testLock(t *testing.T, f *fixture) {
	f.start()
	key := f.A.TagKey("=#lock:" + t.Name())
	mine, other := f.token(), f.token()
	lock := func(r larder.Remote, token frame.Token) larder.Reply {
		return f.do(r, larder.Op{Kind: larder.OpLock, Key: key, Token: token, TTL: time.Minute})
	}
	first := number(t, lock(f.A, mine))
	if again := number(t, lock(f.A, mine)); again != first {
		t.Errorf("a repeated request got number %d after %d", again, first)
	}
	if r := lock(f.B, other); r.State != larder.Busy || r.TTL <= 0 || r.TTL > time.Minute {
		t.Fatalf("a second holder: %s, %v left", replyName(r), r.TTL)
	}
	for _, kind := range []larder.OpKind{larder.OpRenew, larder.OpRelease} {
		f.expect(f.do(f.B, larder.Op{Kind: kind, Key: key, Token: other}), larder.Refused, "")
	}
	f.expect(f.do(f.A, larder.Op{Kind: larder.OpRelease, Key: key, Token: mine}), larder.Done, "")
	f.waitFor("push of the release", f.logB, func() bool { return f.logB.pushed[key] > 0 })
	second := number(t, lock(f.B, other))
	if second <= first {
		t.Errorf("number %d after %d", second, first)
	}
	f.Door.Set(key, "something else", 0)
	if r := lock(f.A, mine); r.State != larder.Busy || r.TTL <= 0 {
		t.Errorf("a foreign value: %s, %v left", replyName(r), r.TTL)
	}
	if f.Door.Delete(key); number(t, lock(f.A, mine)) <= second {
		t.Error("numbers do not grow after the lock was deleted from outside")
	}
}

// testLockExpires holds that a lock ends with its time, and not before.
func testLockExpires(t *testing.T, f *fixture) {
	f.start()
	key := f.A.TagKey("=#lock:" + t.Name())
	op := larder.Op{Kind: larder.OpLock, Key: key, Token: f.token(), TTL: 150 * time.Millisecond}
	begun := time.Now()
	first := number(t, f.do(f.A, op))
	op.Token = f.token()
	var r larder.Reply
	f.eventually("expiry of the lock", func() bool {
		r = f.do(f.B, op)
		return r.State == larder.Acquired
	})
	if took := time.Since(begun); took < 145*time.Millisecond || number(t, r) <= first {
		t.Errorf("after %v with number %s, the first was %d", took, r.Data, first)
	}
}

// testLockNumbersOutliveData holds that numbers grow although all data is lost.
func testLockNumbersOutliveData(t *testing.T, f *fixture) {
	f.start()
	key := f.A.TagKey("=#lock:" + t.Name())
	op := larder.Op{Kind: larder.OpLock, Key: key, Token: f.token()}
	first := number(t, f.do(f.A, op))
	f.Door.Delete(key)
	f.Door.Delete(key + ":fence")
	op.Token = f.token()
	if second := number(t, f.do(f.B, op)); second <= first {
		t.Errorf("number %d after %d", second, first)
	}
}

// testRanks holds that counts add up, names may be any bytes, and that of many
// names those with the highest counts stay.
func testRanks(t *testing.T, f *fixture) {
	f.start()
	key := f.A.TagKey("=#ranks:" + t.Name())
	add := func(r larder.Remote, ranks ...frame.Rank) {
		t.Helper()
		f.expect(f.do(r, larder.Op{Kind: larder.OpRank, Key: key, Value: frame.AppendRanks(nil, ranks)}), larder.Done, "")
	}
	read := func() map[string]uint64 {
		t.Helper()
		r := f.do(f.B, larder.Op{Kind: larder.OpRanks, Key: key})
		ranks, err := frame.ParseRanks(r.Data)
		if err != nil || r.State == larder.Absent != (len(ranks) == 0) {
			t.Fatalf("%s with %d names, %v", replyName(r), len(ranks), err)
		}
		counts := map[string]uint64{}
		for _, rank := range ranks {
			counts[rank.Name] = rank.Count
		}
		return counts
	}
	if counts := read(); len(counts) != 0 {
		t.Fatalf("before the first: %v", counts)
	}
	odd := "\x00 \xff\r\n"
	add(f.A, frame.Rank{Name: "a", Count: 3}, frame.Rank{Name: odd, Count: 1 << 40})
	add(f.B, frame.Rank{Name: "a", Count: 4})
	if counts := read(); len(counts) != 2 || counts["a"] != 7 || counts[odd] != 1<<40 {
		t.Fatalf("counts %v", counts)
	}
	var many []frame.Rank
	for i := range 2*frame.RankLimit + 1 {
		many = append(many, frame.Rank{Name: fmt.Sprint("n", i), Count: uint64(10 + i)})
	}
	add(f.A, many...)
	counts := read()
	if len(counts) < frame.RankLimit || len(counts) > 2*frame.RankLimit {
		t.Errorf("%d names are kept", len(counts))
	}
	for _, r := range append(many[len(many)-frame.RankLimit+1:], frame.Rank{Name: odd, Count: 1 << 40}) {
		if counts[r.Name] != r.Count {
			t.Fatalf("%q has %d, want %d", r.Name, counts[r.Name], r.Count)
		}
	}
	if counts["a"] != 0 {
		t.Error("the lowest count is still there")
	}
}
