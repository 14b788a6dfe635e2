package larder_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/lardertest"
)

func (n *node) explain(name string) larder.Explanation {
	n.rig.Helper()
	x, err := n.cache.Explain(n.rig.ctx, name)
	if err != nil {
		n.rig.Fatal(err)
	}
	return x
}

// expectState holds what Explain says of an entry, and the words of its first reason.
func (n *node) expectState(name string, want larder.EntryState, reason string) larder.Explanation {
	n.rig.Helper()
	x := n.explain(name)
	if x.State != want || len(x.Why) == 0 || !strings.Contains(x.Why[0], reason) {
		n.rig.Errorf("%s is %q because %q, want %q because %q", name, x.State, x.Why, want, reason)
	}
	return x
}

// Whatever is found, Explain says what a read would make of it, and why.
func TestExplainEveryState(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.expectState("plain:k", larder.StateAbsent, "next read loads")
		r.src.change("k")
		a.expect("k", 1)
		x := a.expectState("plain:k", larder.StateFresh, "unchanged")
		if x.Payload != "1" || x.Key != "plain:k" || len(x.Tags) != 1 || x.Tags[0].Kind != "namespace" || !x.Tags[0].Current || x.Hard.Sub(x.Now) > larder.DefaultTTL || x.TTL <= 0 {
			t.Errorf("explained %+v", x)
		}
		a.getFrom(a.tagged, "k")
		a.expectState("tagged:k", larder.StateFresh, "unchanged")
		a.invalidate(larder.Tag("group"))
		x = a.expectState("tagged:k", larder.StateOutdated, `tag "group" was invalidated: its generation is gone`)
		if i := slices.IndexFunc(x.Tags, func(t larder.TagState) bool { return t.Name == "group" }); i < 0 || x.Tags[i].Current || x.Tags[i].Present != "" || len(x.Tags[i].Carried) != 16 {
			t.Errorf("tags %+v", x.Tags)
		}
		a.getFrom(a.tagged, "other") // the tag is born again
		a.expectState("tagged:k", larder.StateOutdated, "another generation since")
		a.cache.Clear(r.ctx)
		a.expectState("plain:k", larder.StateOutdated, "namespace")
		a.expect("k", 1)

		put := func(name string, data []byte) { r.server.Set(name, string(data), time.Hour) }
		put("plain:lease", frame.AppendLease(nil, frame.Token{0xab}))
		if x := a.expectState("plain:lease", larder.StateLoading, "somebody loads"); x.Lease != "ab00000000000000" {
			t.Errorf("lease %q", x.Lease)
		}
		put("plain:hold", frame.AppendHold(nil, []frame.Holder{{Token: frame.Token{0xcd}, Until: r.server.Now().UnixMilli()}}))
		if x := a.expectState("plain:hold", larder.StateHeld, "1 hold it off"); len(x.Holders) != 1 || x.Holders[0].Token != "cd00000000000000" {
			t.Errorf("holders %+v", x.Holders)
		}
		put("plain:foreign", []byte(`{"a":1}`))
		a.expectState("plain:foreign", larder.StateForeign, "another program")
		put("plain:torn", []byte(r.entryOf("7", nil))[:12])
		a.expectState("plain:torn", larder.StateCorrupt, "does not hold what that announces")
		put("plain:lease2", []byte("\xf9short"))
		a.expectState("plain:lease2", larder.StateCorrupt, "begins like a lease")
		put("plain:hold2", []byte("\xfbshort"))
		a.expectState("plain:hold2", larder.StateCorrupt, "begins like a hold-off")
		put("plain:grace", []byte(r.entryOf("7", func(e *frame.Entry) { e.Soft = r.server.Now().UnixMilli() - 1000 })))
		a.expectState("plain:grace", larder.StateStale, "soft deadline passed 1s ago")
		put("plain:dated", []byte(r.entryOf("7", func(e *frame.Entry) {
			e.HasWritten, e.Written, e.LoadMillis = true, frame.Seconds(r.server.Now().Add(-time.Hour).UnixMilli()), 250
		})))
		if x := a.expectState("plain:dated", larder.StateFresh, "unchanged"); x.Now.Sub(x.Written).Round(2*time.Second) != time.Hour || x.LoadTime != 250*time.Millisecond {
			t.Errorf("written %v, loaded in %v", x.Written, x.LoadTime)
		}
		put("plain:late", []byte(r.entryOf("7", func(e *frame.Entry) { e.Hard = r.server.Now().UnixMilli() - 2000; e.Soft = e.Hard })))
		a.expectState("plain:late", larder.StateExpired, "passed 2s ago")
		r.server.SetList("plain:list")
		a.expectState("plain:list", larder.StateWrong, "no string")
	})
}

// What memory holds is explained with the proof it has, and why it is not used.
func TestExplainMemory(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.expect("k", 0)
		of := func(n *node) larder.MemoryCopy {
			t.Helper()
			x, err := n.plain.Explain(r.ctx, "k")
			if err != nil || len(x.Memory) != 1 {
				t.Fatalf("explained %+v, %v", x.Memory, err)
			}
			if same := n.explain("plain:k"); len(same.Memory) != 1 || same.Memory[0].Usable != x.Memory[0].Usable {
				t.Errorf("by name %+v, by key %+v", same.Memory, x.Memory)
			}
			return x.Memory[0]
		}
		if m := of(a); !m.Usable || m.Keyspace != "plain" || m.Evidence < 0 || m.Left <= 0 || m.Weight == 0 {
			t.Errorf("explained %+v", m)
		}
		if x := b.explain("plain:k"); x.State != larder.StateFresh || len(x.Memory) != 0 {
			t.Errorf("elsewhere %+v", x)
		}
		b.invalidate(b.plain.Key("k"))
		r.pass(time.Millisecond)
		if m := of(a); m.Usable || m.Why != "its key was changed or invalidated" {
			t.Errorf("after a push %+v", m)
		}
	})
}

// A value past its TTL that reads still get is called stale, in Redis and in
// memory, also for how long; where a process allows no grace that is told.
func TestExplainStale(t *testing.T) {
	inSetup(t, setup{nodes: 1, spaces: larder.KeyspaceOptions[string, int]{TTL: 10 * time.Second, Grace: time.Minute, EarlyRefresh: -1}}, func(r *rig) {
		a, strict := r.nodes[0], r.join(setup{})
		copyOf := func() larder.MemoryCopy {
			t.Helper()
			x := a.explain("plain:k")
			if len(x.Memory) != 1 {
				t.Fatalf("explained %+v", x.Memory)
			}
			return x.Memory[0]
		}
		a.expect("k", 0)
		if m := copyOf(); !m.Usable || m.Stale {
			t.Errorf("fresh: %+v", m)
		}
		r.pass(15 * time.Second)
		a.expectState("plain:k", larder.StateStale, "; grace ends in 55")
		if m := copyOf(); !m.Usable || !m.Stale || m.Why != "it is stale since 5s, and served while it is refreshed; grace ends in 55s" {
			t.Errorf("in grace: %+v", m)
		}
		if _, err := strict.lookup("k"); err != larder.ErrMiss {
			t.Errorf("without grace: %v", err)
		}
		strict.expectState("plain:k", larder.StateStale, "; the grace here is 0s, so reads load")
		a.invalidate(a.plain.Key("k"))
		if m := copyOf(); m.Usable || m.Stale {
			t.Errorf("invalidated: %+v", m)
		}
	})
}

// Without an answer of Redis nothing is explained, and an unconfirmed
// invalidation is told.
func TestExplainWithoutAnAnswer(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.expect("k", 0)
		r.failing(a, larder.OpDelete, lardertest.ReplyError)
		if err := a.cache.Invalidate(r.ctx, a.plain.Key("k")); err == nil {
			t.Fatal("the invalidation did not fail")
		}
		if x := a.explain("plain:k"); !strings.Contains(strings.Join(x.Why, "; "), "not confirmed") {
			t.Errorf("reasons %q", x.Why)
		}
		r.healthy()
		r.failing(a, larder.OpInspect, lardertest.ReplyError)
		if x, err := a.cache.Explain(r.ctx, "plain:k"); err == nil {
			t.Errorf("explained %+v", x)
		}
		if _, err := a.cache.Explain(r.ctx, ""); err == nil {
			t.Error("an empty name was explained")
		}
	})
}

// What a read would not take is not called fresh: another schema, another
// codec, a key this process lacks, a value in the clear and a forged one are told
// apart, also where keyspaces have colons in their names.
func TestExplainUnfit(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{Keys: keys(t, "a")}}, func(r *rig) {
		join := func(ring *larder.KeyRing, o documents) *node {
			n := r.join(setup{cache: larder.Options{Keys: ring}})
			space(r.T, n.cache, "doc", documents{Schema: 9})
			space(r.T, n.cache, "doc:eu", o)
			return n
		}
		explain := func(n *node, want larder.EntryState, reason string) {
			r.Helper()
			n.expectState("doc:eu:k", want, reason)
		}
		sealed, open := documents{}, documents{Encryption: larder.EncryptNever}
		written := space(r.T, r.nodes[0].cache, "doc:eu", sealed)
		if err := written.Set(r.ctx, "k", document{"n", body(3000)}); err != nil {
			t.Fatal(err)
		}
		if x, err := written.Explain(r.ctx, "k"); x.State != larder.StateFresh || err != nil {
			t.Errorf("by who wrote it: %q, %v", x.State, err)
		}
		explain(join(keys(t, "b", "a"), sealed), larder.StateFresh, "unchanged")
		explain(join(keys(t, "b"), sealed), larder.StateUnfit, `sealed under the key "a", which this process lacks`)
		explain(join(nil, sealed), larder.StateUnfit, `sealed under the key "a", which this process lacks`)
		explain(join(keys(t, "a"), documents{Schema: 7}), larder.StateUnfit, "other schema: it has ")
		explain(join(keys(t, "a"), documents{Schema: -1}), larder.StateUnfit, "this process has none")

		data, e := r.storedEntry("doc:eu:k")
		r.server.Set("doc:eu:k", data[:len(data)-1]+string([]byte{^data[len(data)-1]}), time.Hour)
		explain(r.nodes[0], larder.StateCorrupt, "its seal does not open")

		plain := func(change func(*frame.Entry)) {
			r.server.Set("doc:eu:k", r.entryOf(`{"name":"n"}`, func(p *frame.Entry) {
				p.HasSchema, p.Schema = true, e.Schema
				change(p)
			}), time.Hour)
		}
		plain(func(*frame.Entry) {})
		explain(r.nodes[0], larder.StateUnfit, "not sealed")
		reader := join(nil, open)
		explain(reader, larder.StateFresh, "unchanged")
		plain(func(p *frame.Entry) { p.Codec = 6 })
		explain(reader, larder.StateUnfit, "encoded by codec 6")
		plain(func(p *frame.Entry) { p.Compression = 3 })
		explain(reader, larder.StateUnfit, "compressed by the method 3")
		plain(func(p *frame.Entry) { p.Compression, p.Payload = 1, "\xff\xff\xff\xff\x07\x00" })
		explain(reader, larder.StateUnfit, "larger than the 1048576 bytes")
		plain(func(p *frame.Entry) { p.Compression, p.Payload = 1, "trash" })
		explain(reader, larder.StateCorrupt, "does not hold what it announces")
		plain(func(p *frame.Entry) { p.Negative, p.HasSchema, p.Payload = true, false, "" })
		explain(reader, larder.StateFresh, "unchanged")
	})
}
