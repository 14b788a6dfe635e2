package larder_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// What is found in Redis may be anything.

// entryOf returns the bytes of a value that nobody doubts but for change.
func (r *rig) entryOf(payload string, change func(e *frame.Entry)) string {
	r.Helper()
	e := frame.Entry{ID: frame.ID{1}, Hard: r.server.Now().Add(time.Hour).UnixMilli(), Payload: payload}
	data, _, ok := r.server.Peek(r.nodes[0].remote.NamespaceKeys()[0])
	if !ok {
		r.Fatal("the namespace has no generation")
	}
	copy(e.Namespace[:], data)
	e.Soft = e.Hard
	if change != nil {
		change(&e)
	}
	b, err := frame.Append(nil, &e)
	if err != nil {
		r.Fatal(err)
	}
	return string(b)
}

// A value of another program is served where no tag is declared, never kept in
// memory, and survives Clear.
func TestForeignValues(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		r.server.Set("plain:k", "42", 0)
		r.server.Set("tagged:k", "42", 0)
		for range 2 {
			a.expect("k", 42)
		}
		if got := a.getFrom(a.tagged, "k"); got != 0 {
			t.Errorf("a foreign value %d where tags are declared", got)
		}
		a.cache.Clear(r.ctx)
		a.expect("k", 42)
		r.server.Set("plain:k", "43", 0)
		a.expect("k", 43)
		a.invalidate(a.plain.Key("k"))
		a.expect("k", 0)
		if s := a.stats(); s.Foreign != 4 || s.MemoryHits != 0 {
			t.Errorf("counted %+v", s)
		}
		if ttl, err := a.plain.TTL(r.ctx, "k"); ttl != larder.DefaultTTL || err != nil {
			t.Errorf("TTL = %v, %v", ttl, err)
		}
		r.server.Set("plain:k", "44", 0)
		if ttl, err := a.plain.TTL(r.ctx, "k"); ttl >= 0 || err != nil {
			t.Errorf("TTL of a value without one = %v, %v", ttl, err)
		}
	})
}

// Damage, other versions, other types: a counted miss that is replaced.
func TestUnusableEntriesAreReplaced(t *testing.T) {
	good := func(r *rig) string { return r.entryOf("7", nil) }
	for name, c := range map[string]struct {
		data  func(r *rig) string
		count func(s larder.KeyspaceStats) uint64
	}{
		"truncated header": {func(r *rig) string { return good(r)[:12] }, func(s larder.KeyspaceStats) uint64 { return s.Corrupt }},
		"one byte":         {func(r *rig) string { return good(r)[:1] }, func(s larder.KeyspaceStats) uint64 { return s.Corrupt }},
		"unknown flags": {func(r *rig) string {
			b := []byte(r.entryOf("7", func(e *frame.Entry) { e.HasSchema = true }))
			b[2] |= 0x80
			return string(b)
		}, func(s larder.KeyspaceStats) uint64 { return s.Corrupt }},
		"no payload":         {func(r *rig) string { return r.entryOf("", nil) }, func(s larder.KeyspaceStats) uint64 { return s.CodecErrors }},
		"payload of a clown": {func(r *rig) string { return r.entryOf(`{"a":`, nil) }, func(s larder.KeyspaceStats) uint64 { return s.CodecErrors }},
		"other codec": {func(r *rig) string { return r.entryOf("7", func(e *frame.Entry) { e.Codec = 5 }) },
			func(s larder.KeyspaceStats) uint64 { return s.CodecErrors }},
		"compressed": {func(r *rig) string { return r.entryOf("7", func(e *frame.Entry) { e.Compression = 1 }) },
			func(s larder.KeyspaceStats) uint64 { return s.Corrupt }},
		"sealed": {func(r *rig) string { return r.entryOf("7", func(e *frame.Entry) { e.Sealed = true }) },
			func(s larder.KeyspaceStats) uint64 { return s.SealErrors }},
		"truncated flags": {func(*rig) string { return "\xfa\x80" }, func(s larder.KeyspaceStats) uint64 { return s.Corrupt }},
		"the form before": {func(r *rig) string { return "\xfa\x80\x01" + "12345678" + good(r)[7:] }, // an id of 8 bytes
			func(s larder.KeyspaceStats) uint64 { return s.Corrupt }},
		"other generation": {func(r *rig) string { return r.entryOf("7", func(e *frame.Entry) { e.Namespace[0] ^= 1 }) },
			func(s larder.KeyspaceStats) uint64 { return s.Outdated }},
		"unknown tag": {func(r *rig) string {
			return r.entryOf("7", func(e *frame.Entry) { e.Pairs = []frame.Pair{{Tag: "nobody's"}} })
		}, func(s larder.KeyspaceStats) uint64 { return s.Outdated }},
		"empty tag": {func(r *rig) string {
			return r.entryOf("7", func(e *frame.Entry) { e.Pairs = []frame.Pair{{Tag: ""}} })
		}, func(s larder.KeyspaceStats) uint64 { return s.Outdated }},
		"expired": {func(r *rig) string {
			return r.entryOf("7", func(e *frame.Entry) { e.Hard -= 7200_000; e.Soft = e.Hard })
		}, nil},
		"foreign trash":   {func(*rig) string { return "not json" }, func(s larder.KeyspaceStats) uint64 { return s.CodecErrors }},
		"empty string":    {func(*rig) string { return "" }, func(s larder.KeyspaceStats) uint64 { return s.CodecErrors }},
		"a strange lease": {func(*rig) string { return "\xf9short" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 1, func(r *rig) {
				a := r.nodes[0]
				a.get("warm")
				r.server.Set("plain:k", c.data(r), 10*time.Second)
				if v, err := a.lookup("k"); err != larder.ErrMiss {
					t.Errorf("Lookup = %d, %v", v, err)
				}
				a.expect("k", 0)
				a.expect("k", 0)
				r.loads("k", 1)
				if s := a.stats(); c.count != nil && c.count(s) == 0 {
					t.Errorf("counted %+v", s)
				}
				if data, _ := r.stored("k"); !strings.HasSuffix(data, "0") {
					t.Errorf("Redis holds %q", data)
				}
			})
		})
	}
}

// An entry with everything right is a hit: the cases above fail for their own
// reason.
func TestUsableEntry(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("warm")
		r.server.Set("plain:k", r.entryOf("7", nil), time.Hour)
		a.expect("k", 7)
		r.loads("k", 0)
	})
}

// A key that holds a list: reads load, invalidations remove it, and the server
// is not taken for broken.
func TestWrongType(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("warm")
		r.server.SetList("plain:k")
		for range 10 {
			a.expect("k", 0, larder.Exact)
		}
		r.loads("k", 10)
		if h := a.cache.Health(); h.Remote != "connected" {
			t.Errorf("remote tier %q", h.Remote)
		}
		if _, err := a.plain.Lookup(r.ctx, "k", larder.Exact); !errors.Is(err, larder.ErrWrongType) {
			t.Errorf("Lookup = %v", err)
		}
		a.invalidate(a.plain.Key("k"))
		a.get("k")
		r.src.takeLoads("k")
		a.expect("k", 0, larder.Exact)
		r.loads("k", 0)
	})
}

// A tag's key with garbage makes its entries loads, and nothing else: the
// breaker stays closed for everybody.
func TestDamagedGeneration(t *testing.T) {
	for name, damage := range map[string]func(r *rig, key string){
		"length": func(r *rig, key string) { r.server.Set(key, "garbage of a length", 0) },
		"type":   func(r *rig, key string) { r.server.SetList(key) },
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, 1, func(r *rig) {
				a := r.nodes[0]
				a.get("k")
				damage(r, a.remote.TagKey("group"))
				for range 10 {
					if got := a.getFrom(a.tagged, "t", larder.Exact); got != 0 {
						t.Errorf("version %d", got)
					}
				}
				r.loads("t", 10)
				r.src.takeLoads("k")
				a.expect("k", 0, larder.Exact)
				r.loads("k", 0)
				if h := a.cache.Health(); h.Remote != "connected" {
					t.Errorf("remote tier %q", h.Remote)
				}
				a.invalidate(larder.Tag("group"))
				a.getFrom(a.tagged, "t")
				r.src.takeLoads("t")
				a.getFrom(a.tagged, "t")
				r.loads("t", 0)
			})
		})
	}
}

// A value above MaxValueBytes is returned, counted and cached nowhere; its
// lease is given back.
func TestOversizeValues(t *testing.T) {
	inSetup(t, setup{nodes: 2, cache: larder.Options{MaxValueBytes: 100}}, func(r *rig) {
		a, b := r.two()
		opts := larder.KeyspaceOptions[string, string]{}
		ka, kb := space(t, a.cache, "big", opts), space(t, b.cache, "big", opts)
		loads := 0
		load := func(context.Context, string) (string, error) { loads++; return strings.Repeat("x", 200), nil }
		for range 2 {
			for _, k := range []*larder.Keyspace[string, string]{ka, kb} {
				if v, err := k.Get(r.ctx, "k", load); len(v) != 200 || err != nil {
					t.Errorf("%d bytes, %v", len(v), err)
				}
			}
		}
		if loads != 4 {
			t.Errorf("%d loads", loads)
		}
		if s := a.cache.Stats().Keyspaces["big"]; s.TooLarge != 2 || s.RefusedEncoding != 2 {
			t.Errorf("counted %+v", s)
		}
		if _, _, ok := r.server.Peek("big:k"); ok {
			t.Error("Redis holds something")
		}
	})
}

// A value too heavy for memory is served from Redis.
func TestHeavyValues(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{MemoryBytes: 64 << 10}}, func(r *rig) {
		a := r.nodes[0]
		k := space(t, a.cache, "heavy", larder.KeyspaceOptions[string, string]{})
		loads := 0
		load := func(context.Context, string) (string, error) { loads++; return strings.Repeat("x", 20<<10), nil }
		for range 3 {
			k.Get(r.ctx, "k", load)
		}
		s := a.cache.Stats().Keyspaces["heavy"]
		if loads != 1 || s.RemoteHits != 2 || s.TooHeavy != 3 {
			t.Errorf("%d loads, counted %+v", loads, s)
		}
	})
}

// With Clone every reader has its own copy.
func TestClone(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		k := space(t, r.nodes[0].cache, "clone", larder.KeyspaceOptions[string, []int]{
			Clone: func(v []int) []int { return append([]int(nil), v...) }})
		load := func(context.Context, string) ([]int, error) { return []int{1, 2, 3}, nil }
		many := func(context.Context, []string) (map[string][]int, error) { return nil, errors.New("not loaded") }
		for range 3 {
			v, err := k.Get(r.ctx, "k", load)
			if err != nil || v[0] != 1 {
				t.Fatal(v, err)
			}
			v[0] = 99
			w, err := k.GetMany(r.ctx, []string{"k"}, many)
			if err != nil || w["k"][0] != 1 {
				t.Fatal(w, err)
			}
			w["k"][0] = 99
			if v, err = k.Lookup(r.ctx, "k"); err != nil || v[0] != 1 {
				t.Fatal(v, err)
			}
			v[0] = 99
		}
	})
}

// A load that outdates while Set stores does not displace what Set stored.
func TestSetBeatsASlowLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := larder.New(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		src := newSource()
		k := space(t, c, "k", larder.KeyspaceOptions[string, int]{})
		gate := src.slow("k")
		done := make(chan struct{})
		go func() { defer close(done); k.Get(t.Context(), "k", src.load) }()
		<-gate.entered
		if err := k.Set(t.Context(), "k", 7); err != nil {
			t.Fatal(err)
		}
		gate.pass()
		<-done
		if v, err := k.Lookup(t.Context(), "k"); v != 7 || err != nil {
			t.Errorf("%d, %v", v, err)
		}
	})
}
