package redistier

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// TestWritesTogether holds that many ops of a kind, which are a few scripts, do
// what each does alone: to keys in all states, of which some are no strings, with
// lives of their own, and also when the server has lost the scripts.
func TestWritesTogether(t *testing.T) {
	const count = 2*maxWrites + 5
	tier, events, srv := connected(t)
	states := []string{"", ownLease, foreignLease, aValue, "\xfb" + string(other[:]), "foreign"}
	prepare := func(key string, i int) {
		switch i %= len(states) + 1; {
		case i == len(states):
			command(t, srv, "RPUSH", key, "a")
		case states[i] != "":
			command(t, srv, "SET", key, states[i], "PX", "50000")
		}
	}
	left := func(key string) (string, time.Duration) {
		r := one(t, tier, larder.Op{Kind: larder.OpInspect, Key: key})
		return r.Data, r.TTL.Round(10 * time.Second)
	}
	for name, op := range map[string]larder.Op{
		"acquire":     {Kind: larder.OpAcquire, Token: mine},
		"fill":        {Kind: larder.OpFill, Token: mine, Value: []byte("new")},
		"set":         {Kind: larder.OpSet, Value: []byte("new")},
		"set keeping": {Kind: larder.OpSet, Value: []byte("new"), KeepHold: true},
	} {
		t.Run(name, func(t *testing.T) {
			ops := make([]larder.Op, count)
			for i := range ops {
				ops[i] = op
				ops[i].Key, ops[i].TTL = tier.EntryKey(fmt.Sprint(name, i)), time.Hour+time.Duration(i)*time.Minute
				prepare(ops[i].Key, i)
			}
			command(t, srv, "SCRIPT", "FLUSH")
			replies := make([]larder.Reply, count)
			tier.Do(testContext(t), ops, replies)
			for i := range ops {
				alone := ops[i]
				alone.Key += "alone"
				prepare(alone.Key, i)
				got, want := replies[i], one(t, tier, alone)
				if got.State != want.State || got.Data != want.Data || (got.TTL > 0) != (want.TTL > 0) ||
					errors.Is(got.Err, larder.ErrWrongType) != errors.Is(want.Err, larder.ErrWrongType) || (got.Err == nil) != (want.Err == nil) {
					t.Errorf("op %d: %+v, alone %+v", i, got, want)
				}
				data, ttl := left(ops[i].Key)
				if wantData, wantTTL := left(alone.Key); data != wantData || ttl != wantTTL {
					t.Errorf("op %d left %q for %v, alone %q for %v", i, data, ttl, wantData, wantTTL)
				}
			}
		})
	}
	if events.countOf(0, "disconnected") != 0 {
		t.Error("the connection was given up")
	}
}

// TestWritesTogetherStayRegistered: what is written by one script is pushed when
// another changes it.
func TestWritesTogetherStayRegistered(t *testing.T) {
	tier, events, srv := connected(t)
	for name, op := range map[string]larder.Op{
		"acquire": {Kind: larder.OpAcquire, Token: mine},
		"fill":    {Kind: larder.OpFill, Token: mine, Value: []byte("new")},
		"set":     {Kind: larder.OpSet, Value: []byte("new")},
	} {
		t.Run(name, func(t *testing.T) {
			ops := make([]larder.Op, 10)
			for i := range ops {
				ops[i] = op
				ops[i].Key, ops[i].TTL = tier.EntryKey(fmt.Sprint(name, i)), time.Hour
				if op.Kind == larder.OpFill {
					command(t, srv, "SET", ops[i].Key, ownLease)
				}
			}
			mark := events.mark()
			tier.Do(testContext(t), ops, make([]larder.Reply, len(ops)))
			if n := events.countOf(mark, "invalidated"); n != 0 {
				t.Errorf("the ops pushed to their own client: %q", events.events(mark))
			}
			for i := range ops {
				command(t, srv, "SET", ops[i].Key, "another's")
				events.await(t, mark, "invalidated "+ops[i].Key)
			}
		})
	}
}

// TestRuns holds which ops share a command.
func TestRuns(t *testing.T) {
	get, set := larder.Op{Kind: larder.OpGet}, larder.Op{Kind: larder.OpSet}
	keeping, del := larder.Op{Kind: larder.OpSet, KeepHold: true}, larder.Op{Kind: larder.OpDelete}
	c := &conn{self: new(self)}
	for _, s := range []struct {
		ops  []larder.Op
		want int
	}{
		{[]larder.Op{get, get, set}, 2},
		{[]larder.Op{set, set, keeping}, 2},
		{[]larder.Op{keeping, keeping}, 1},
		{[]larder.Op{del, del}, 1},
		{slices.Repeat([]larder.Op{get}, maxRun+1), maxRun},
		{slices.Repeat([]larder.Op{set}, maxWrites+1), maxWrites},
		{[]larder.Op{{Kind: larder.OpFill, Token: frame.Token{1}}, {Kind: larder.OpFill, Token: frame.Token{2}}}, 2},
	} {
		if n := c.run(s.ops); n != s.want {
			t.Errorf("run of %d ops of kind %d: %d, want %d", len(s.ops), s.ops[0].Kind, n, s.want)
		}
	}
}
