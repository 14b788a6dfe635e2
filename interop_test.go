package larder_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

func inInterop(t *testing.T, run func(r *rig, a, b *larder.Keyspace[string, document])) {
	inRig(t, 2, func(r *rig) {
		o := documents{Interop: true}
		run(r, space(r.T, r.nodes[0].cache, "doc", o), space(r.T, r.nodes[1].cache, "doc", o))
	})
}

// An interop keyspace stores the document alone, with its TTL, however large it
// is, and loads it once in the cluster.
func TestInteropStoresPlainJSON(t *testing.T) {
	inInterop(t, func(r *rig, a, b *larder.Keyspace[string, document]) {
		want := document{"n", body(5000)}
		if got, err := a.Get(r.ctx, "k", fixed(want)); got != want || err != nil {
			t.Fatal(err)
		}
		data, ttl, _ := r.server.Peek("doc:k")
		if data != `{"name":"n","body":"`+want.Body+`"}` || ttl != larder.DefaultTTL {
			t.Errorf("stored %.60q for %v", data, ttl)
		}
		if got, err := b.Get(r.ctx, "k", fixed(document{Name: "loaded again"})); got != want || err != nil {
			t.Errorf("elsewhere %.60v, %v", got, err)
		}
		if got, err := a.Get(r.ctx, "k", fixed(document{Name: "loaded again"})); got != want || err != nil {
			t.Errorf("once more %.60v, %v", got, err)
		}
		if s := stats(r.nodes[0].cache, "doc"); s.MemoryHits != 1 || s.Loads != 1 {
			t.Errorf("the one who filled it: %+v", s)
		}
	})
}

// What another program writes is read by the next Get, also where memory held
// the old value, as its write is told like any other.
func TestInteropReadsWhatOthersWrite(t *testing.T) {
	inInterop(t, func(r *rig, a, b *larder.Keyspace[string, document]) {
		if _, err := a.Get(r.ctx, "k", fixed(document{Name: "ours"})); err != nil {
			t.Fatal(err)
		}
		r.server.Set("doc:k", `{"name":"theirs"}`, time.Minute)
		r.pass(0)
		for _, k := range []*larder.Keyspace[string, document]{a, b} {
			if got, err := k.Get(r.ctx, "k", fixed(document{Name: "loaded"})); got.Name != "theirs" || err != nil {
				t.Errorf("read %v, %v", got, err)
			}
		}
		r.server.Set("doc:k", `null`, 0)
		r.pass(0)
		if got, err := a.Lookup(r.ctx, "k"); got != (document{}) || err != nil {
			t.Errorf("null is read as %v, %v", got, err)
		}
		r.server.Set("doc:k", `{"name":`, 0)
		r.pass(0)
		if got, err := a.Get(r.ctx, "k", fixed(document{Name: "loaded"})); got.Name != "loaded" || err != nil {
			t.Errorf("for trash %v, %v", got, err)
		}
	})
}

// Key invalidation holds as everywhere: a load that began before it is not
// stored, by the lease.
func TestInteropInvalidation(t *testing.T) {
	inInterop(t, func(r *rig, a, b *larder.Keyspace[string, document]) {
		entered, open := make(chan struct{}), make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Get(r.ctx, "k", func(context.Context, string) (document, error) {
				close(entered)
				<-open
				return document{Name: "old"}, nil
			})
		}()
		<-entered
		if err := r.nodes[1].cache.Invalidate(r.ctx, b.Key("k")); err != nil {
			t.Fatal(err)
		}
		close(open)
		<-done
		if data, _, ok := r.server.Peek("doc:k"); ok {
			t.Errorf("stored %q", data)
		}
		if got, err := b.Get(r.ctx, "k", fixed(document{Name: "new"}), larder.Exact); got.Name != "new" || err != nil {
			t.Errorf("read %v, %v", got, err)
		}
		if err := b.Delete(r.ctx, "k"); err != nil {
			t.Fatal(err)
		}
		r.pass(0)
		if _, err := b.Lookup(r.ctx, "k"); err != larder.ErrMiss {
			t.Errorf("after Delete: %v", err)
		}
	})
}

// Clear empties memory and leaves plain values in Redis; DeletePattern removes
// them.
func TestInteropAndClear(t *testing.T) {
	inInterop(t, func(r *rig, a, _ *larder.Keyspace[string, document]) {
		if _, err := a.Get(r.ctx, "k", fixed(document{Name: "n"})); err != nil {
			t.Fatal(err)
		}
		if err := r.nodes[0].cache.Clear(r.ctx); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Lookup(r.ctx, "k"); got.Name != "n" || err != nil {
			t.Errorf("after Clear: %v, %v", got, err)
		}
		if n, err := r.nodes[1].cache.DeletePattern(r.ctx, "doc:*"); n != 1 || err != nil {
			t.Errorf("DeletePattern = %d, %v", n, err)
		}
		r.pass(0)
		if _, err := a.Lookup(r.ctx, "k"); err != larder.ErrMiss {
			t.Errorf("after DeletePattern: %v", err)
		}
	})
}

// "Not found" has no plain form and is not cached; Set and SetMany write plain,
// SetVersion, which needs a version beside the value, invalidates.
func TestInteropWrites(t *testing.T) {
	inInterop(t, func(r *rig, a, b *larder.Keyspace[string, document]) {
		loads := 0
		none := func(context.Context, string) (document, error) { loads++; return document{}, larder.ErrNotFound }
		for range 2 {
			if _, err := a.Get(r.ctx, "none", none); err != larder.ErrNotFound {
				t.Error(err)
			}
		}
		if _, _, ok := r.server.Peek("doc:none"); ok || loads != 2 {
			t.Errorf("%d loads, stored: %v", loads, ok)
		}
		if err := a.SetMany(r.ctx, map[string]document{"x": {Name: "x"}, "y": {Name: "y"}}); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"x", "y"} {
			if data, _, _ := r.server.Peek("doc:" + key); !strings.HasPrefix(data, `{"name":"`+key) {
				t.Errorf("stored %q", data)
			}
		}
		if err := b.SetVersion(r.ctx, "x", document{Name: "z"}, 9); err != nil {
			t.Fatal(err)
		}
		if _, _, ok := r.server.Peek("doc:x"); ok {
			t.Error("SetVersion left the value")
		}
	})
}

// A keyspace whose loaders add tags serves no foreign value: an invalidation of
// those tags would not reach it.
func TestForeignValuesAndDynamicTags(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		k := space(r.T, r.nodes[0].cache, "doc", documents{DynamicTags: true})
		r.server.Set("doc:k", `{"name":"theirs"}`, 0)
		if _, err := k.Lookup(r.ctx, "k"); err != larder.ErrMiss {
			t.Errorf("Lookup: %v", err)
		}
	})
}

// What plain values have no room for is refused, each with its reason.
func TestInteropRefuses(t *testing.T) {
	type opts = larder.KeyspaceOptions[string, int]
	cache := alone(t)
	for reason, o := range map[string]opts{
		"JSON codec":           {Codec: otherCodec{}},
		"no tags":              {Tags: func(string) []string { return nil }},
		"carry no tags":        {DynamicTags: true},
		"no prefixes":          {Prefixes: []string{"x"}},
		"MemoryOnly":           {Tiers: larder.MemoryOnly},
		"not compressed":       {Compression: larder.CompressZstd},
		"no schema":            {Schema: 3},
		"leave NegativeTTL":    {NegativeTTL: time.Second},
		"leave Grace out":      {Grace: time.Minute},
		"leave EarlyRefresh":   {EarlyRefresh: 1},
		"needs RefreshBatch":   {RefreshWindow: time.Second},
		"nothing is refreshed": {RefreshBatch: func(context.Context, []string) (map[string]int, error) { return nil, nil }},
		"SoftTimeout: needs":   {SoftTimeout: time.Second},
	} {
		o.Interop = true
		if _, err := larder.NewKeyspace(cache, "k", o); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v", reason, err)
		}
	}
	if _, err := larder.NewKeyspace(cache, "k", opts{Interop: true, EarlyRefresh: -1, Jitter: 0.5, HoldOff: time.Second}); err != nil {
		t.Errorf("what the header has no part in: %v", err)
	}
}
