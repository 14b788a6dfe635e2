package lardertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// The states of a key and the outcome of every operation in each of them. A
// state is named by what the key holds:
//
//	absent   nothing
//	mine     the lease of the operation's token
//	other    the lease of another token
//	value    an entry that begins with the operation's Expect
//	newer    the entry of another write
//	foreign  text of another program
//	hold     a hold-off whose holders are unknown
//	older    an entry of a lower source version than the operation's
//	version  what the operation writes when versions are compared
//	later    an entry of a higher source version
//	corrupt  the beginning of an entry
//	cut      the beginning of a plain one
//	before   an entry in the form before the present one
//	unknown  an entry with a flag that nobody knows
//	new      what the operation writes otherwise
//
// An outcome is a reply and the state after it.
var outcomes = map[larder.OpKind]map[string]string{
	larder.OpGet: {
		"absent": "Absent absent", "mine": "Present mine", "other": "Present other", "value": "Present value",
		"foreign": "Present foreign", "hold": "Present hold",
	},
	larder.OpInspect: {
		"absent": "Absent absent", "mine": "Present mine", "other": "Present other", "value": "Present value",
		"foreign": "Present foreign", "hold": "Present hold",
	},
	larder.OpAcquire: {
		"absent": "Acquired mine", "mine": "Acquired mine", "other": "Busy other", "value": "Present value",
		"foreign": "Present foreign", "hold": "Held hold",
	},
	larder.OpTakeover: {
		"absent": "Refused absent", "mine": "Refused mine", "other": "Refused other", "value": "Acquired mine",
		"newer": "Refused newer", "foreign": "Refused foreign", "hold": "Refused hold",
	},
	larder.OpFill: {
		"absent": "Refused absent", "mine": "Done new", "other": "Refused other", "value": "Refused value",
		"foreign": "Refused foreign", "hold": "Refused hold",
	},
	larder.OpRefill: {
		"absent": "Refused absent", "mine": "Refused mine", "other": "Refused other", "value": "Done new",
		"newer": "Refused newer", "foreign": "Refused foreign", "hold": "Refused hold",
	},
	larder.OpRelease: {
		"absent": "Refused absent", "mine": "Done absent", "other": "Refused other", "value": "Refused value",
		"foreign": "Refused foreign", "hold": "Refused hold",
	},
	larder.OpRenew: {
		"absent": "Refused absent", "mine": "Done mine", "other": "Refused other", "value": "Refused value",
		"foreign": "Refused foreign", "hold": "Refused hold",
	},
	larder.OpSet: {
		"absent": "Done new", "mine": "Done new", "other": "Done new", "value": "Done new",
		"foreign": "Done new", "hold": "Done new",
	},
	larder.OpDelete: {
		"absent": "Absent absent", "mine": "Done absent", "other": "Done absent", "value": "Done absent",
		"foreign": "Done absent", "hold": "Done absent",
	},
	larder.OpSetNewer: {
		"absent": "Refused absent", "mine": "Done absent", "other": "Done absent", "value": "Done absent",
		"corrupt": "Done absent", "cut": "Done absent", "before": "Done absent", "unknown": "Done absent",
		"foreign": "Done absent", "hold": "Refused hold",
		"older": "Done version", "version": "Refused version", "later": "Refused later",
	},
	larder.OpUnhold: {
		"absent": "Done absent", "mine": "Done absent", "other": "Done absent", "value": "Done absent",
		"foreign": "Done absent", "hold": "Done absent",
	},
	larder.OpExpire: {
		"absent": "Refused absent", "mine": "Done absent", "other": "Done absent", "corrupt": "Done absent",
		"cut": "Done absent", "before": "Done absent", "unknown": "Done absent", "foreign": "Refused foreign", "hold": "Refused hold",
	},
	larder.OpGeneration: {"absent": "Present new", "value": "Present value"},
}

// keeping are the outcomes with KeepHold where they differ.
var keeping = map[larder.OpKind]map[string]string{
	larder.OpSet:    {"hold": "Held hold", "value": "Done new", "absent": "Done new", "mine": "Done new"},
	larder.OpDelete: {"hold": "Held hold", "value": "Done absent", "absent": "Absent absent", "mine": "Done absent"},
}

// theVersion is the source version that OpSetNewer brings.
const theVersion = 1 << 40

// states returns the bytes of every state for an operation of token.
func states(f *fixture, token frame.Token) map[string]string {
	id := f.token()
	return map[string]string{
		"mine": lease(token), "other": lease(f.token()), "value": aValue(id, "old"), "newer": aValue(f.token(), "old"),
		"foreign": `{"a":"` + lease(token) + `"}`, "hold": "\xFBopaque", "new": aValue(f.token(), "new"),
		"older": aVersion(id, theVersion-1), "version": aVersion(id, theVersion), "later": aVersion(id, theVersion+1),
		"corrupt": "\xFA\x20damaged", "cut": "\xF7damaged", "before": "\xFA\xA0\x01" + strings.Repeat("\x20", 50),
		"unknown": "\xFA\xA0\x82" + strings.Repeat("\x20", 50),
	}
}

// testOperations holds that each operation does in each state exactly what its
// documentation says.
func testOperations(t *testing.T, open func(t *testing.T) Site) {
	f := newFixture(t, open(t)).start()
	for kind, cases := range outcomes {
		for before, outcome := range cases {
			t.Run(opName(kind)+"/"+before, func(t *testing.T) { f.operation(t, larder.Op{Kind: kind}, before, outcome) })
		}
	}
	for kind, cases := range keeping {
		for before, outcome := range cases {
			t.Run(opName(kind)+" keeping holds/"+before, func(t *testing.T) {
				f.operation(t, larder.Op{Kind: kind, KeepHold: true}, before, outcome)
			})
		}
	}
	for _, before := range []string{"foreign", "hold", "other"} {
		t.Run("takeover of the whole/"+before, func(t *testing.T) { f.takeoverWhole(t, before) })
	}
}

func (f *fixture) operation(t *testing.T, op larder.Op, before, outcome string) {
	key, token := f.key(), f.token()
	all := states(f, token)
	if before != "absent" {
		f.set(f.B, key, all[before])
	}
	op.Key, op.Token, op.Expect, op.Value = key, token, frame.Prefix(all["value"]), []byte(all["new"])
	if op.Kind == larder.OpSetNewer {
		op.Version, op.Value = theVersion, []byte(all["version"])
	}
	reply := f.try(f.A, op)
	wantReply, after, _ := strings.Cut(outcome, " ")
	if got := replyName(reply); got != wantReply {
		t.Fatalf("reply %s, want %s", got, wantReply)
	}
	if reply.State == larder.Present && reply.Data != all[after] {
		t.Errorf("data %q, want %q", reply.Data, all[after])
	}
	got := f.try(f.B, larder.Op{Kind: larder.OpGet, Key: key})
	if want := all[after]; got.Err != nil || got.Data != want || (got.State == larder.Absent) != (after == "absent") {
		t.Errorf("afterwards %s %q, want %s %q", replyName(got), got.Data, after, want)
	}
}

// takeoverWhole holds that what has no id is taken over by its whole bytes.
func (f *fixture) takeoverWhole(t *testing.T, before string) {
	key, token := f.key(), f.token()
	data := states(f, token)[before]
	f.set(f.B, key, data)
	longer := larder.Op{Kind: larder.OpTakeover, Key: key, Token: token, Expect: data + "."}
	if reply := f.try(f.A, longer); reply.State != larder.Refused || reply.Err != nil {
		t.Fatalf("with other bytes: %s", replyName(reply))
	}
	whole := longer
	whole.Expect = frame.Prefix(data)
	if reply := f.try(f.A, whole); reply.State != larder.Acquired || reply.Err != nil {
		t.Fatalf("with its bytes: %s", replyName(reply))
	}
	if got := f.try(f.B, larder.Op{Kind: larder.OpGet, Key: key}); got.Data != lease(token) {
		t.Fatalf("afterwards %q", got.Data)
	}
}

func replyName(r larder.Reply) string {
	if r.Err != nil {
		return "error " + r.Err.Error()
	}
	names := [...]string{"Absent", "Present", "Acquired", "Busy", "Done", "Refused", "Held"}
	if int(r.State) < len(names) {
		return names[r.State]
	}
	return fmt.Sprintf("state %d", r.State)
}

// testKeys holds that keys never collide and that two nodes agree on them.
func testKeys(t *testing.T, f *fixture) {
	seen := map[string]string{}
	add := func(what, key string) {
		if old, ok := seen[key]; ok {
			t.Errorf("%s and %s share the key %q", old, what, key)
		}
		seen[key] = what
	}
	for _, name := range []string{"a", "a:b", "b", "a:b:c", "suites:list:skip:0"} {
		add("entry "+name, f.A.EntryKey(name))
		add("tag "+name, f.A.TagKey(name))
		refresh := f.A.RefreshKey(f.A.EntryKey(name))
		add("refresher of "+name, refresh)
		if !strings.HasPrefix(refresh, "#") || refresh != f.B.RefreshKey(f.B.EntryKey(name)) {
			t.Errorf("refresher of %q: %q", name, refresh)
		}
		if f.A.EntryKey(name) != f.A.EntryKey("")+name {
			t.Errorf("the key of %q is %q, it begins otherwise than others", name, f.A.EntryKey(name))
		}
		if f.A.EntryKey(name) != f.B.EntryKey(name) || f.A.TagKey(name) != f.B.TagKey(name) {
			t.Errorf("two nodes disagree on %q", name)
		}
		ns := f.A.NamespaceKey(f.A.EntryKey(name))
		if !slices.Contains(f.A.NamespaceKeys(), ns) {
			t.Errorf("NamespaceKeys lacks %q", ns)
		}
	}
	for _, key := range f.A.NamespaceKeys() {
		add("namespace", key)
	}
	if !slices.Equal(f.A.NamespaceKeys(), f.B.NamespaceKeys()) {
		t.Error("two nodes disagree on the namespace")
	}
}

// testValues holds that any bytes survive, also those that a text protocol
// or a script could take for its own.
func testValues(t *testing.T, f *fixture) {
	f.start()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	values := []string{"", "\r\n", "$-1\r\n", "false", "0", "\x00", string(all), strings.Repeat("x\xFF", 1<<19)}
	for _, v := range values {
		key := f.key() + " with space\t" + v[:min(len(v), 4)]
		f.set(f.A, key, v)
		f.expect(f.B.Get(f.ctx, key), larder.Present, v)
		f.expect(f.do(f.B, larder.Op{Kind: larder.OpAcquire, Key: key, Token: f.token()}), larder.Present, v)
		token := f.token()
		f.expect(f.do(f.A, larder.Op{Kind: larder.OpTakeover, Key: key, Token: token, Expect: v[:min(len(v), 20)]}), larder.Acquired, "")
		f.expect(f.do(f.A, larder.Op{Kind: larder.OpFill, Key: key, Token: token, Value: []byte(v)}), larder.Done, "")
		f.expect(f.B.Get(f.ctx, key), larder.Present, v)
	}
	for _, token := range []frame.Token{{}, {'\r', '\n', 0, 0xFF, '%', '*', 0xF9, '"'}} {
		key := f.key()
		f.expect(f.do(f.A, larder.Op{Kind: larder.OpAcquire, Key: key, Token: token}), larder.Acquired, "")
		f.expect(f.B.Get(f.ctx, key), larder.Present, lease(token))
		f.expect(f.do(f.A, larder.Op{Kind: larder.OpRelease, Key: key, Token: token}), larder.Done, "")
	}
}

// testValueNotKept holds that the caller may reuse its buffer at once.
func testValueNotKept(t *testing.T, f *fixture) {
	f.start()
	buf := []byte("first")
	key := f.key()
	f.do(f.A, larder.Op{Kind: larder.OpSet, Key: key, Value: buf})
	copy(buf, "WRONG")
	f.expect(f.A.Get(f.ctx, key), larder.Present, "first")
}

// testPipeline holds that the operations of one call are carried out in order
// and answered each for itself.
func testPipeline(t *testing.T, f *fixture) {
	f.start()
	f.A.Do(f.ctx, nil, nil)
	key, list, token := f.key(), f.key(), f.token()
	f.Door.SetList(list)
	ops := []larder.Op{
		{Kind: larder.OpGet, Key: key},
		{Kind: larder.OpAcquire, Key: key, Token: token, TTL: time.Minute},
		{Kind: larder.OpGet, Key: list},
		{Kind: larder.OpGet, Key: key},
		{Kind: larder.OpFill, Key: key, Token: token, Value: []byte("v"), TTL: time.Minute},
		{Kind: larder.OpGet, Key: key},
		{Kind: larder.OpGet, Key: key},
		{Kind: larder.OpDelete, Key: key},
		{Kind: larder.OpDelete, Key: key},
		{Kind: larder.OpGet, Key: key},
	}
	want := []string{"Absent", "Acquired", "error " + larder.ErrWrongType.Error(), "Present", "Done", "Present", "Present", "Done", "Absent", "Absent"}
	replies := make([]larder.Reply, len(ops))
	f.A.Do(f.ctx, ops, replies)
	for i := range replies {
		// A batch of reads may not tell a wrong type from absence (MGET).
		wrongType := i == 2 && (errors.Is(replies[i].Err, larder.ErrWrongType) || replies[i].State == larder.Absent)
		if got := replyName(replies[i]); got != want[i] && !wrongType {
			t.Errorf("reply %d of %s is %s, want %s", i, opName(ops[i].Kind), got, want[i])
		}
	}
	f.manyGets(t)
}

func (f *fixture) manyGets(t *testing.T) {
	const n = 500
	ops, replies := make([]larder.Op, n), make([]larder.Reply, n)
	for i := range ops {
		ops[i] = larder.Op{Kind: larder.OpGet, Key: f.key()}
		if i%3 == 0 {
			f.set(f.B, ops[i].Key, ops[i].Key)
		}
	}
	f.A.Do(f.ctx, ops, replies)
	for i, r := range replies {
		if r.Err != nil || (r.State == larder.Present) != (i%3 == 0) || r.State == larder.Present && r.Data != ops[i].Key {
			t.Fatalf("reply %d of many: %s %q", i, replyName(r), r.Data)
		}
	}
}

// testWrongType holds that a key of another type is told from a broken server.
func testWrongType(t *testing.T, f *fixture) {
	f.start()
	for kind := larder.OpGet; kind <= larder.OpInspect; kind++ {
		if kind == larder.OpBirths || kind == larder.OpTagsSince {
			continue // a log may be anything
		}
		key := f.key()
		f.Door.SetList(key)
		r := f.try(f.A, larder.Op{Kind: kind, Key: key, Token: f.token(), Expect: "x", Value: []byte("v")})
		switch kind {
		case larder.OpSet, larder.OpDelete, larder.OpHold, larder.OpUnhold:
			if r.Err != nil || r.State != larder.Done {
				t.Errorf("%s: %s", opName(kind), replyName(r))
			}
		default:
			if !errors.Is(r.Err, larder.ErrWrongType) {
				t.Errorf("%s: %s, want %v", opName(kind), replyName(r), larder.ErrWrongType)
			}
		}
	}
	list := f.key()
	f.Door.SetList(list)
	if r := f.A.Get(f.ctx, list); !errors.Is(r.Err, larder.ErrWrongType) {
		t.Errorf("Get: %s", replyName(r))
	}
	if f.A.Epoch(list) == nil {
		t.Error("a wrong type ended the connection")
	}
}

// testOneLease holds that many contenders over two nodes get one lease.
func testOneLease(t *testing.T, f *fixture) {
	f.start()
	for range 20 {
		key := f.key()
		var won, busy atomic.Int64
		var all sync.WaitGroup
		for i := range 16 {
			token := f.token()
			r := []larder.Remote{f.A, f.B}[i%2]
			all.Go(func() {
				switch f.try(r, larder.Op{Kind: larder.OpAcquire, Key: key, Token: token}).State {
				case larder.Acquired:
					won.Add(1)
				case larder.Busy:
					busy.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || busy.Load() != 15 {
			t.Fatalf("%d acquired, %d busy", won.Load(), busy.Load())
		}
	}
}
