package redistier

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

var (
	mine  = frame.Token{1, 2, 3, 4, 5, 6, 7, 8}
	other = frame.Token{8, 7, 6, 5, 4, 3, 2, 1}
)

var (
	ownLease     = lease(mine)
	foreignLease = lease(other)
)

const aValue = "\xf5ididid-hardnamespac some value"

// TestEveryOpInEveryState compares each op with the contract, on a key that is
// absent, my lease, another's lease, a value, and a foreign value, and looks at
// what the op left behind.
func TestEveryOpInEveryState(t *testing.T) {
	tier, _, srv := connected(t)
	newValue := "\xf6new bytes"
	same := "\x00same" // what is left is what was there
	reply := func(s larder.ReplyState, data string) larder.Reply { return larder.Reply{State: s, Data: data} }
	refused, done := reply(larder.Refused, ""), reply(larder.Done, "")
	for _, c := range []struct {
		name   string
		op     larder.Op
		before string
		want   larder.Reply // TTL is compared as: some or none
		after  string
	}{
		{"get", larder.Op{Kind: larder.OpGet}, "", reply(larder.Absent, ""), same},
		{"get", larder.Op{Kind: larder.OpGet}, aValue, reply(larder.Present, aValue), same},
		{"acquire", larder.Op{Kind: larder.OpAcquire, Token: mine}, "", reply(larder.Acquired, ""), ownLease},
		{"acquire", larder.Op{Kind: larder.OpAcquire, Token: mine}, ownLease, reply(larder.Acquired, ""), same},
		{"acquire", larder.Op{Kind: larder.OpAcquire, Token: mine}, foreignLease, larder.Reply{State: larder.Busy, TTL: 1}, same},
		{"acquire", larder.Op{Kind: larder.OpAcquire, Token: mine}, aValue, reply(larder.Present, aValue), same},
		{"acquire", larder.Op{Kind: larder.OpAcquire, Token: mine}, "OK", reply(larder.Present, "OK"), same},
		{"acquire", larder.Op{Kind: larder.OpAcquire, Token: mine}, "\xf9 of nine bytes no", reply(larder.Present, "\xf9 of nine bytes no"), same},
		{"takeover", larder.Op{Kind: larder.OpTakeover, Token: mine, Expect: frame.Prefix(aValue)}, "", refused, same},
		{"takeover", larder.Op{Kind: larder.OpTakeover, Token: mine, Expect: frame.Prefix(aValue)}, foreignLease, refused, same},
		{"takeover", larder.Op{Kind: larder.OpTakeover, Token: mine, Expect: frame.Prefix(aValue)}, aValue, reply(larder.Acquired, ""), ownLease},
		{"takeover", larder.Op{Kind: larder.OpTakeover, Token: mine, Expect: aValue + "and more"}, aValue, refused, same},
		{"takeover", larder.Op{Kind: larder.OpTakeover, Token: mine, Expect: foreignLease}, foreignLease, reply(larder.Acquired, ""), ownLease},
		{"fill", larder.Op{Kind: larder.OpFill, Token: mine, Value: []byte(newValue)}, "", refused, same},
		{"fill", larder.Op{Kind: larder.OpFill, Token: mine, Value: []byte(newValue)}, ownLease, done, newValue},
		{"fill", larder.Op{Kind: larder.OpFill, Token: mine, Value: []byte(newValue)}, foreignLease, refused, same},
		{"fill", larder.Op{Kind: larder.OpFill, Token: mine, Value: []byte(newValue)}, aValue, refused, same},
		{"fill", larder.Op{Kind: larder.OpFill, Token: mine, Value: []byte(newValue)}, ownLease + "longer", refused, same},
		{"refill", larder.Op{Kind: larder.OpRefill, Expect: frame.Prefix(aValue), Value: []byte(newValue)}, "", refused, same},
		{"refill", larder.Op{Kind: larder.OpRefill, Expect: frame.Prefix(aValue), Value: []byte(newValue)}, foreignLease, refused, same},
		{"refill", larder.Op{Kind: larder.OpRefill, Expect: frame.Prefix(aValue), Value: []byte(newValue)}, aValue, done, newValue},
		{"refill", larder.Op{Kind: larder.OpRefill, Expect: "other", Value: []byte(newValue)}, aValue, refused, same},
		{"release", larder.Op{Kind: larder.OpRelease, Token: mine}, "", refused, same},
		{"release", larder.Op{Kind: larder.OpRelease, Token: mine}, ownLease, done, ""},
		{"release", larder.Op{Kind: larder.OpRelease, Token: mine}, foreignLease, refused, same},
		{"release", larder.Op{Kind: larder.OpRelease, Token: mine}, aValue, refused, same},
		{"renew", larder.Op{Kind: larder.OpRenew, Token: mine}, "", refused, same},
		{"renew", larder.Op{Kind: larder.OpRenew, Token: mine}, ownLease, done, same},
		{"renew", larder.Op{Kind: larder.OpRenew, Token: mine}, foreignLease, refused, same},
		{"renew", larder.Op{Kind: larder.OpRenew, Token: mine}, aValue, refused, same},
		{"set", larder.Op{Kind: larder.OpSet, Value: []byte(newValue)}, "", done, newValue},
		{"set", larder.Op{Kind: larder.OpSet, Value: []byte(newValue)}, ownLease, done, newValue},
		{"set", larder.Op{Kind: larder.OpSet, Value: []byte(newValue)}, foreignLease, done, newValue},
		{"set", larder.Op{Kind: larder.OpSet, Value: []byte(newValue)}, aValue, done, newValue},
		{"delete", larder.Op{Kind: larder.OpDelete}, "", reply(larder.Absent, ""), same},
		{"delete", larder.Op{Kind: larder.OpDelete}, aValue, done, ""},
		{"delete", larder.Op{Kind: larder.OpDelete}, foreignLease, done, ""},
		{"expire", larder.Op{Kind: larder.OpExpire, Token: mine}, "", refused, same},
		{"expire", larder.Op{Kind: larder.OpExpire, Token: mine}, foreignLease, done, ""},
		{"expire", larder.Op{Kind: larder.OpExpire, Token: mine}, "\xfa\x04short", done, ""},
		{"expire", larder.Op{Kind: larder.OpExpire, Token: mine}, "\xf5short", done, ""},
		{"expire", larder.Op{Kind: larder.OpExpire, Token: mine}, "\xf8ididid" + "\x00\x00\x00\x00\x01" + "namespac late", done, ""},
		{"expire", larder.Op{Kind: larder.OpExpire, Token: mine}, `{"foreign":1}`, refused, same},
		{"generation", larder.Op{Kind: larder.OpGeneration, Value: []byte("12345678")}, "", reply(larder.Present, "12345678"), "12345678"},
		{"generation", larder.Op{Kind: larder.OpGeneration, Value: []byte("12345678")}, "abcdefgh", reply(larder.Present, "abcdefgh"), same},
		{"inspect", larder.Op{Kind: larder.OpInspect}, "", reply(larder.Absent, ""), same},
		{"inspect", larder.Op{Kind: larder.OpInspect}, aValue, larder.Reply{State: larder.Present, Data: aValue, TTL: 1}, same},
	} {
		t.Run(fmt.Sprintf("%s/%.12q", c.name, c.before), func(t *testing.T) {
			c.op.Key = tier.EntryKey(t.Name())
			c.op.TTL = time.Hour
			if c.before != "" {
				command(t, srv, "SET", c.op.Key, c.before, "PX", "60000")
			}
			got := one(t, tier, c.op)
			if got.Err != nil || got.State != c.want.State || got.Data != c.want.Data || (got.TTL > 0) != (c.want.TTL > 0) {
				t.Errorf("reply %+v, want %+v", got, c.want)
			}
			want := c.after
			if want == same {
				want = c.before
			}
			if got := command(t, srv, "GET", c.op.Key); got != want && (got != "(nil)" || want != "") {
				t.Errorf("left %q, want %q", got, want)
			}
		})
	}
}

// TestLifeOfWhatIsWritten holds the TTL in Redis against the op's: leases that
// live too short cost loads, values that live too long are stale.
func TestLifeOfWhatIsWritten(t *testing.T) {
	tier, _, srv := connected(t)
	key := tier.EntryKey("k")
	for _, c := range []struct {
		op     larder.Op
		before string
	}{
		{larder.Op{Kind: larder.OpAcquire, Token: mine}, ""},
		{larder.Op{Kind: larder.OpTakeover, Token: mine, Expect: aValue}, aValue},
		{larder.Op{Kind: larder.OpFill, Token: mine, Value: []byte("v")}, ownLease},
		{larder.Op{Kind: larder.OpRefill, Expect: aValue, Value: []byte("v")}, aValue},
		{larder.Op{Kind: larder.OpRenew, Token: mine}, ownLease},
		{larder.Op{Kind: larder.OpSet, Value: []byte("v")}, aValue},
		{larder.Op{Kind: larder.OpGeneration, Value: []byte("v")}, ""},
		{larder.Op{Kind: larder.OpGeneration, Value: []byte("v")}, "old"}, // below half: renewed
	} {
		command(t, srv, "DEL", key)
		if c.before != "" {
			command(t, srv, "SET", key, c.before, "PX", "1000")
		}
		c.op.Key, c.op.TTL = key, 1234567*time.Millisecond
		if r := one(t, tier, c.op); r.Err != nil {
			t.Fatal(r.Err)
		}
		left := one(t, tier, larder.Op{Kind: larder.OpInspect, Key: key}).TTL
		if left > c.op.TTL || left < c.op.TTL-10*time.Second {
			t.Errorf("op %d leaves %v, want %v", c.op.Kind, left, c.op.TTL)
		}
	}
	t.Run("a generation above half keeps its life", func(t *testing.T) {
		command(t, srv, "SET", key, "g", "PX", "700000")
		one(t, tier, larder.Op{Kind: larder.OpGeneration, Key: key, Value: []byte("v"), TTL: 1000 * time.Second})
		if left := one(t, tier, larder.Op{Kind: larder.OpInspect, Key: key}).TTL; left > 700*time.Second {
			t.Errorf("life was changed to %v", left)
		}
	})
	t.Run("a key without end is inspected as such", func(t *testing.T) {
		command(t, srv, "SET", key, "g")
		if left := one(t, tier, larder.Op{Kind: larder.OpInspect, Key: key}).TTL; left >= 0 {
			t.Errorf("TTL %v, want a negative one", left)
		}
	})
}

// TestWrongType: a key of another type is an error of its own, without a doubt
// about the connection.
func TestWrongType(t *testing.T) {
	tier, events, srv := connected(t)
	key := tier.EntryKey("list")
	command(t, srv, "RPUSH", key, "a")
	for _, kind := range []larder.OpKind{
		larder.OpGet, larder.OpAcquire, larder.OpTakeover, larder.OpFill, larder.OpRefill,
		larder.OpRelease, larder.OpRenew, larder.OpGeneration, larder.OpExpire, larder.OpInspect,
	} {
		r := one(t, tier, larder.Op{Kind: kind, Key: key, Token: mine, Expect: "x", Value: []byte("v"), TTL: time.Second})
		if !errors.Is(r.Err, larder.ErrWrongType) {
			t.Errorf("op %d: %v", kind, r.Err)
		}
	}
	if tier.Epoch(key) == nil || events.countOf(0, "disconnected") != 0 {
		t.Error("the connection was given up")
	}
	if r := one(t, tier, larder.Op{Kind: larder.OpDelete, Key: key}); r.State != larder.Done || r.Err != nil {
		t.Errorf("delete: %+v", r)
	}
}

// TestPipelineKeepsOrder: mixed ops of one Do are answered in their places, a
// run of reads (one MGET) among them.
func TestPipelineKeepsOrder(t *testing.T) {
	tier, _, _ := connected(t)
	k := func(i int) string { return tier.EntryKey(fmt.Sprint("k", i)) }
	var ops []larder.Op
	for i := range 1500 {
		if i%2 == 0 {
			ops = append(ops, larder.Op{Kind: larder.OpSet, Key: k(i), Value: []byte(k(i)), TTL: time.Minute})
		}
	}
	for i := range 1500 {
		ops = append(ops, larder.Op{Kind: larder.OpGet, Key: k(i)})
	}
	ops = append(ops, larder.Op{Kind: larder.OpDelete, Key: k(0)}, larder.Op{Kind: larder.OpGet, Key: k(0)})
	replies := make([]larder.Reply, len(ops))
	tier.Do(testContext(t), ops, replies)
	for i, r := range replies[750:2250] {
		want := larder.Reply{}
		if i%2 == 0 {
			want = larder.Reply{State: larder.Present, Data: k(i)}
		}
		if r != want {
			t.Fatalf("read %d: %+v, want %+v", i, r, want)
		}
	}
	if r := replies[len(ops)-2]; r.State != larder.Done {
		t.Errorf("delete: %+v", r)
	}
	if r := replies[len(ops)-1]; r.State != larder.Absent {
		t.Errorf("read after delete: %+v", r)
	}
}

// TestScriptFlush: losing the scripts is noticed by nobody, neither by a single
// op nor within a pipeline, whose order stays.
func TestScriptFlush(t *testing.T) {
	tier, events, srv := connected(t)
	key := tier.EntryKey("k")
	command(t, srv, "SCRIPT", "FLUSH")
	if r := one(t, tier, larder.Op{Kind: larder.OpAcquire, Key: key, Token: mine, TTL: time.Minute}); r.State != larder.Acquired || r.Err != nil {
		t.Errorf("acquire: %+v", r)
	}
	command(t, srv, "SCRIPT", "FLUSH")
	ops := []larder.Op{
		{Kind: larder.OpDelete, Key: tier.EntryKey("x")},
		{Kind: larder.OpFill, Key: key, Token: mine, Value: []byte("filled"), TTL: time.Minute},
		{Kind: larder.OpGet, Key: key},
		{Kind: larder.OpSet, Key: key, Value: []byte("set"), TTL: time.Minute},
		{Kind: larder.OpGet, Key: key},
	}
	replies := make([]larder.Reply, len(ops))
	tier.Do(testContext(t), ops, replies)
	want := []larder.Reply{
		{State: larder.Absent}, {State: larder.Done}, {State: larder.Present, Data: "filled"},
		{State: larder.Done}, {State: larder.Present, Data: "set"},
	}
	for i := range want {
		if replies[i] != want[i] {
			t.Errorf("op %d: %+v, want %+v", i, replies[i], want[i])
		}
	}
	t.Run("a deletion behind a script stays behind it", func(t *testing.T) {
		command(t, srv, "SCRIPT", "FLUSH")
		ops := []larder.Op{{Kind: larder.OpSet, Key: key, Value: []byte("old"), TTL: time.Minute}, {Kind: larder.OpDelete, Key: key}}
		tier.Do(testContext(t), ops, replies[:2])
		if replies[1].State != larder.Done || command(t, srv, "EXISTS", key) != "0" {
			t.Errorf("replies %+v, EXISTS %s", replies[:2], command(t, srv, "EXISTS", key))
		}
	})
	if events.countOf(0, "disconnected") != 0 {
		t.Errorf("events: %q", events.events(0))
	}
}

// TestKeepingOpsStayRegistered: under NOLOOP an own write silently drops the
// registration of the writer, so every op that keeps its key must read it once
// more. Another client's write afterwards has to be pushed.
func TestKeepingOpsStayRegistered(t *testing.T) {
	tier, events, srv := connected(t)
	for _, c := range []struct {
		name   string
		op     larder.Op
		before string
	}{
		{"get absent", larder.Op{Kind: larder.OpGet}, ""},
		{"get", larder.Op{Kind: larder.OpGet}, aValue},
		{"acquire", larder.Op{Kind: larder.OpAcquire, Token: mine}, ""},
		{"acquire again", larder.Op{Kind: larder.OpAcquire, Token: mine}, ownLease},
		{"acquire busy", larder.Op{Kind: larder.OpAcquire, Token: mine}, foreignLease},
		{"acquire present", larder.Op{Kind: larder.OpAcquire, Token: mine}, aValue},
		{"takeover", larder.Op{Kind: larder.OpTakeover, Token: mine, Expect: aValue}, aValue},
		{"fill", larder.Op{Kind: larder.OpFill, Token: mine, Value: []byte("v")}, ownLease},
		{"fill refused", larder.Op{Kind: larder.OpFill, Token: mine, Value: []byte("v")}, aValue},
		{"refill", larder.Op{Kind: larder.OpRefill, Expect: aValue, Value: []byte("v")}, aValue},
		{"renew", larder.Op{Kind: larder.OpRenew, Token: mine}, ownLease},
		{"set", larder.Op{Kind: larder.OpSet, Value: []byte("v")}, aValue},
		{"generation", larder.Op{Kind: larder.OpGeneration, Value: []byte("v")}, ""},
		{"generation renewed", larder.Op{Kind: larder.OpGeneration, Value: []byte("v")}, "g"},
		{"inspect", larder.Op{Kind: larder.OpInspect}, aValue},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.op.Key, c.op.TTL = tier.EntryKey(t.Name()), time.Minute
			if c.before != "" {
				command(t, srv, "SET", c.op.Key, c.before, "PX", "5000")
			}
			mark := events.mark()
			if r := one(t, tier, c.op); r.Err != nil {
				t.Fatal(r.Err)
			}
			if n := events.countOf(mark, "invalidated"); n != 0 {
				t.Errorf("the op pushed to its own client: %q", events.events(mark))
			}
			command(t, srv, "SET", c.op.Key, "another's")
			events.await(t, mark, "invalidated "+c.op.Key)
		})
	}
	t.Run("mget", func(t *testing.T) {
		a, b := tier.EntryKey("a"), tier.EntryKey("b")
		mark := events.mark()
		tier.Do(testContext(t), []larder.Op{{Key: a}, {Key: b}}, make([]larder.Reply, 2))
		command(t, srv, "SET", b, "x")
		command(t, srv, "SET", a, "x")
		events.await(t, events.await(t, mark, "invalidated "+b), "invalidated "+a)
	})
}

// TestContextsAreObeyed: a request that cannot end in time ends with its
// context, one that began late sends nothing.
func TestContextsAreObeyed(t *testing.T) {
	tier, _, srv := connected(t)
	key := tier.EntryKey("k")
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if r := tier.Get(over, key); !errors.Is(r.Err, context.Canceled) {
		t.Errorf("get: %+v", r)
	}
	replies := make([]larder.Reply, 2)
	tier.Do(over, []larder.Op{{Kind: larder.OpSet, Key: key, Value: []byte("v"), TTL: time.Minute}, {Kind: larder.OpGet, Key: key}}, replies)
	if !errors.Is(replies[0].Err, context.Canceled) || !errors.Is(replies[1].Err, context.Canceled) {
		t.Errorf("do: %+v", replies)
	}
	if got := command(t, srv, "EXISTS", key); got != "0" {
		t.Error("an op under a cancelled context was carried out")
	}
	if err := tier.Beat(over); !errors.Is(err, context.Canceled) {
		t.Errorf("beat: %v", err)
	}
}
