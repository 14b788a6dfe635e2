package larder_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// Every wrong field of Options is refused, by its name; the largest and
// smallest right values are not.
func TestOptions(t *testing.T) {
	for _, c := range []struct {
		field string // "": right
		opts  larder.Options
	}{
		{"", larder.Options{}},
		{"", larder.Options{Namespace: "shop-1_2.eu:x"}},
		{"Namespace", larder.Options{Namespace: "a b"}},
		{"Namespace", larder.Options{Namespace: "a*"}},
		{"Namespace", larder.Options{Namespace: "a{1}"}},
		{"Namespace", larder.Options{Namespace: "#a"}},
		{"Namespace", larder.Options{Namespace: "a\n"}},
		{"Namespace", larder.Options{Namespace: "ä"}},
		{"Namespace", larder.Options{Namespace: "\xff"}},
		{"Namespace", larder.Options{Namespace: strings.Repeat("a", 65)}},
		{"", larder.Options{Namespace: strings.Repeat("a", 64)}},
		{"", larder.Options{MemoryBytes: -1}},
		{"", larder.Options{MemoryBytes: 64 << 10}},
		{"MemoryBytes", larder.Options{MemoryBytes: 1}},
		{"MemoryBytes", larder.Options{MemoryBytes: math.MaxInt64}},
		{"MaxStaleness", larder.Options{MaxStaleness: -time.Second}},
		{"MaxStaleness", larder.Options{MaxStaleness: time.Millisecond}},
		{"MaxStaleness", larder.Options{MaxStaleness: math.MaxInt64}},
		{"", larder.Options{MaxStaleness: 20 * time.Millisecond}},
		{"ReadTimeout", larder.Options{ReadTimeout: -1}},
		{"ReadTimeout", larder.Options{ReadTimeout: math.MaxInt64}},
		{"WriteTimeout", larder.Options{WriteTimeout: time.Nanosecond}},
		{"WriteTimeout", larder.Options{WriteTimeout: math.MaxInt64}},
		{"LeaseTime", larder.Options{LeaseTime: time.Millisecond}},
		{"LeaseTime", larder.Options{LeaseTime: math.MaxInt64}},
		{"", larder.Options{BreakerFailures: -5}},
		{"BreakerRatio", larder.Options{BreakerRatio: 1.5}},
		{"BreakerRatio", larder.Options{BreakerRatio: math.NaN()}},
		{"BreakerSlow", larder.Options{BreakerSlow: time.Nanosecond}},
		{"", larder.Options{BreakerRatio: -1, BreakerSlow: -1}},
		{"MaxValueBytes", larder.Options{MaxValueBytes: -1}},
		{"DefaultTTL", larder.Options{DefaultTTL: -1}},
		{"DefaultTTL", larder.Options{DefaultTTL: time.Microsecond}},
		{"DefaultTTL", larder.Options{DefaultTTL: 400 * 24 * time.Hour}},
		{"AsyncLimit", larder.Options{AsyncLimit: -1}},
	} {
		cache, err := larder.New(c.opts)
		if err == nil {
			cache.Close()
		}
		if (err == nil) != (c.field == "") || err != nil && !strings.Contains(err.Error(), c.field+":") {
			t.Errorf("%+v: error %v, want one about %q", c.opts, err, c.field)
		}
	}
	_, err := larder.New(larder.Options{MemoryBytes: 1, LeaseTime: -1, Namespace: "*"})
	for _, field := range []string{"MemoryBytes:", "LeaseTime:", "Namespace:"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("of several faults %q is not named: %v", field, err)
		}
	}
}

// The same for keyspaces.
func TestKeyspaceOptions(t *testing.T) {
	type opts = larder.KeyspaceOptions[string, int]
	c := alone(t)
	for _, bad := range []struct {
		field string
		opts  opts
	}{
		{"TTL", opts{TTL: -1}}, {"TTL", opts{TTL: time.Microsecond}}, {"TTL", opts{TTL: 366 * 24 * time.Hour}},
		{"NegativeTTL", opts{NegativeTTL: time.Microsecond}}, {"NegativeTTL", opts{NegativeTTL: math.MaxInt64}},
		{"LoadTimeout", opts{LoadTimeout: time.Nanosecond}}, {"LoadQueue", opts{LoadQueue: -1}},
		{"LoadMinimum", opts{LoadMinimum: -1}}, {"LoadMinimum", opts{LoadMinimum: 65}}, {"LoadMinimum", opts{LoadMinimum: 1, LoadLimit: -1}},
		{"Tiers", opts{Tiers: 7}}, {"HoldOff", opts{HoldOff: -1}}, {"HoldOff", opts{HoldOff: 2 * time.Hour}},
		{"Prefixes", opts{Prefixes: []string{""}}}, {"Prefixes", opts{Prefixes: []string{strings.Repeat("x", 257)}}},
	} {
		_, err := larder.NewKeyspace(c, "k", bad.opts)
		if err == nil || !strings.Contains(err.Error(), bad.field+":") {
			t.Errorf("%+v: error %v, want one about %s", bad.opts, err, bad.field)
		}
	}
	for _, good := range []opts{{}, {NegativeTTL: -1, LoadTimeout: -1, LoadLimit: -1}, {TTL: time.Millisecond}} {
		if _, err := larder.NewKeyspace(c, "good-"+(good.TTL+good.LoadTimeout).String(), good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

func alone(t testing.TB) *larder.Cache {
	t.Helper()
	c, err := larder.New(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Names of keyspaces: what would be ambiguous in a key or a pattern is refused,
// as is a name that is taken.
func TestKeyspaceNames(t *testing.T) {
	c := alone(t)
	for name, right := range map[string]bool{
		"suite": true, "suites.list-1_x": true, "": false, "a b": false, "a*": false, "a?": false, "[a]": false,
		"a{b}": false, "a%b": false, "a~b": false, "#a": false, "a\x00": false, "ü": false, "a:b": true, "a:b:c": true, ":a": false, "a:": false, ":": false,
		strings.Repeat("n", 64): true, strings.Repeat("n", 65): false,
	} {
		_, err := larder.NewKeyspace(c, name, larder.KeyspaceOptions[int, int]{})
		if (err == nil) != right {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := larder.NewKeyspace(c, "suite", larder.KeyspaceOptions[string, string]{}); err == nil {
		t.Error("a name was declared twice")
	}
	if _, err := larder.NewKeyspace[string, int](nil, "nil", larder.KeyspaceOptions[string, int]{}); err == nil {
		t.Error("a nil cache")
	}
	if _, err := larder.Memoize[string, int](nil, "nil", larder.KeyspaceOptions[string, int]{}, nil); err == nil {
		t.Error("a nil cache")
	}
	type pair [2]int
	if _, err := larder.NewKeyspace(c, "pairs", larder.KeyspaceOptions[pair, int]{}); err == nil || !strings.Contains(err.Error(), "AppendKey:") {
		t.Errorf("a key type without a form: %v", err)
	}
}

// awkward are keys that users might send.
var awkward = []string{
	"a", ":", "::", "*", "a*b", "?", "[a-z]", "\\", "{slot}", "%", "%3A", "a b", " ", "~", "#larder:tag:x", "\x00", "\n", "\r\n",
	"\xff", "\xc3", "é", "\u0085", "日本", "🦀", strings.Repeat("x", 10<<10), strings.Repeat("x", 10<<10) + "y",
	strings.Repeat(":", 600), strings.Repeat("é", 300),
}

// Every key has its own entry, in memory and in Redis, whatever bytes it has;
// the empty key has none.
func TestAwkwardKeys(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		for i, key := range awkward {
			if err := a.plain.Set(r.ctx, key, i); err != nil {
				t.Fatalf("Set(%.20q): %v", key, err)
			}
		}
		for i, key := range awkward {
			for _, n := range []*node{a, b} {
				if v, err := n.lookup(key); v != i || err != nil {
					t.Errorf("Lookup(%.20q) = %d, %v; want %d", key, v, err, i)
				}
			}
		}
		for i, key := range awkward {
			b.invalidate(b.plain.Key(key))
			if _, err := a.plain.Lookup(r.ctx, key, larder.Exact); err != larder.ErrMiss {
				t.Errorf("%.20q is still there: %v", key, err)
			}
			if i+1 < len(awkward) {
				if _, err := a.plain.Lookup(r.ctx, awkward[i+1], larder.Exact); err != nil {
					t.Errorf("%.20q took %.20q along: %v", key, awkward[i+1], err)
				}
			}
		}
		n, err := a.cache.DeletePattern(r.ctx, "plain:*")
		if err != nil || n != 0 {
			t.Errorf("DeletePattern = %d, %v", n, err)
		}
	})
}

// What no key can be is refused everywhere, and nothing is loaded for it.
func TestEmptyKey(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		k, ctx := r.nodes[0].plain, r.ctx
		_, get := k.Get(ctx, "", r.src.load)
		_, many := k.GetMany(ctx, []string{""}, r.src.loadMany)
		_, lookup := k.Lookup(ctx, "")
		_, exists := k.Exists(ctx, "")
		_, ttl := k.TTL(ctx, "")
		for what, err := range map[string]error{
			"Get": get, "GetMany": many, "Lookup": lookup, "Exists": exists, "TTL": ttl,
			"Set": k.Set(ctx, "", 1), "SetMany": k.SetMany(ctx, map[string]int{"": 1}), "Delete": k.Delete(ctx, ""),
			"Invalidate": r.nodes[0].cache.Invalidate(ctx, k.Key("")),
			"Mutate":     k.Mutate(ctx, "", func(context.Context) error { t.Error("changed"); return nil }),
		} {
			if !errors.Is(err, larder.ErrInvalidKey) {
				t.Errorf("%s = %v", what, err)
			}
		}
		r.loads("", 0)
	})
}

// Tags: any text up to 512 bytes but what is kept for internal ones.
func TestTags(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		for tag, right := range map[string]bool{
			"a": true, "with space:and*stars\x00\xff": true, strings.Repeat("t", 512): true,
			"": false, strings.Repeat("t", 513): false, strings.Repeat("t", 1<<20): false, "=k": false, "^p": false,
		} {
			err := a.cache.Invalidate(r.ctx, larder.Tag(tag))
			if (err == nil) != right || err != nil && !errors.Is(err, larder.ErrInvalidKey) {
				t.Errorf("Invalidate(Tag(%.20q)): %v", tag, err)
			}
			k := space(t, a.cache, "of-"+time.Duration(len(tag)+int(tagSum(tag))<<24).String(), larder.KeyspaceOptions[string, int]{
				Tags: func(string) []string { return []string{tag, "x", tag} }})
			_, err = k.Get(r.ctx, "k", r.src.load)
			if (err == nil) != right {
				t.Errorf("Get under tag %.20q: %v", tag, err)
			}
			if !right {
				continue
			}
			r.src.takeLoads("k")
			k.Get(r.ctx, "k", r.src.load)
			a.cache.Invalidate(r.ctx, larder.Tag(tag))
			k.Get(r.ctx, "k", r.src.load)
			r.loads("k", 1)
		}
	})
}

func tagSum(tag string) (sum byte) {
	for i := range min(len(tag), 9) {
		sum = sum*31 + tag[i]
	}
	return sum
}

// More tags than an entry can carry: it is not cached, and said so by counters.
func TestTooManyTags(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		tags := make([]string, 300)
		for i := range tags {
			tags[i] = time.Duration(i).String()
		}
		k := space(t, r.nodes[0].cache, "many-tags", larder.KeyspaceOptions[string, int]{Tags: func(string) []string { return tags }})
		for range 2 {
			if _, err := k.Get(r.ctx, "k", r.src.load); err != nil {
				t.Error(err)
			}
		}
		r.loads("k", 2)
		if s := r.nodes[0].cache.Stats().Keyspaces["many-tags"]; s.RefusedEncoding != 2 {
			t.Errorf("counted %+v", s)
		}
	})
}

// Times to live of single calls.
func TestTTLs(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		k := r.nodes[0].plain
		for ttl, right := range map[time.Duration]bool{
			0: true, time.Millisecond: true, 365 * 24 * time.Hour: true,
			-1: false, -time.Hour: false, time.Microsecond: false, 366 * 24 * time.Hour: false, math.MaxInt64: false,
		} {
			if err := k.SetTTL(r.ctx, "k", 1, ttl); (err == nil) != right {
				t.Errorf("SetTTL(%v): %v", ttl, err)
			}
		}
	})
}

// Patterns: Redis's rules, and no empty one.
func TestPatterns(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		if _, err := a.cache.DeletePattern(r.ctx, ""); !errors.Is(err, larder.ErrInvalidKey) {
			t.Errorf("the empty pattern: %v", err)
		}
		for pattern, want := range map[string]int{"plain:k?": 3, "plain:[k]1": 1, "plain:": 0, "*": 3, "p*k[0-1]": 2, "[": 0, "\\": 0, "tagged:*": 0} {
			for _, key := range []string{"k0", "k1", "k2"} {
				a.get(key)
			}
			if n, err := a.cache.DeletePattern(r.ctx, pattern); n != want || err != nil {
				t.Errorf("DeletePattern(%q) = %d, %v; want %d", pattern, n, err, want)
			}
			a.cache.DeletePattern(r.ctx, "*")
		}
	})
}

// A Get or a batch without a loader is refused, also when the value is cached
// nowhere.
func TestNoLoader(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		k := r.nodes[0].plain
		if _, err := k.Get(r.ctx, "k", nil); err == nil {
			t.Error("Get without a loader")
		}
		if _, err := k.GetMany(r.ctx, []string{"k"}, nil); err == nil {
			t.Error("GetMany without a loader")
		}
	})
}

// Targets that name nothing, or something invalid among valid ones: nothing is
// invalidated.
func TestBadTargets(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		a.get("k")
		if err := a.cache.Invalidate(r.ctx); err != nil {
			t.Errorf("no targets: %v", err)
		}
		for name, bad := range map[string]larder.Target{
			"zero": {}, "empty key": a.plain.Key(""), "empty tag": larder.Tag(""), "prefix": larder.Prefix("nobody's"),
		} {
			if err := a.cache.Invalidate(r.ctx, a.plain.Key("k"), bad); !errors.Is(err, larder.ErrInvalidKey) || errors.Is(err, larder.ErrPending) {
				t.Errorf("%s: %v", name, err)
			}
		}
		r.src.takeLoads("k")
		a.get("k")
		r.loads("k", 0)
	})
}

// The package functions without a default cache, with bad names, and with so
// many names that they cannot be written by hand.
func TestPackageFunctions(t *testing.T) {
	ctx := t.Context()
	get := func(key string) error { _, err := larder.Get[int](ctx, key); return err }
	for what, err := range map[string]error{
		"Get": get("a:b"), "Set": larder.Set(ctx, "a:b", 1, 0), "Delete": larder.Delete(ctx, "a:b"),
		"DeletePattern": func() error { _, err := larder.DeletePattern(ctx, "*"); return err }(),
	} {
		if !errors.Is(err, larder.ErrNoDefault) {
			t.Errorf("%s without a default cache: %v", what, err)
		}
	}
	c := alone(t)
	larder.SetDefault(c)
	defer larder.SetDefault(nil)
	if larder.Default() != c {
		t.Error("another default")
	}
	for _, key := range []string{"", "a", ":", "a:", ":a", "a b:c", "*:a", "#x:y"} {
		if err := larder.Set(ctx, key, 1, 0); !errors.Is(err, larder.ErrInvalidKey) {
			t.Errorf("Set(%q): %v", key, err)
		}
	}
	if err := larder.Set(ctx, "suite:1", "one", 0); err != nil {
		t.Fatal(err)
	}
	if v, err := larder.Get[string](ctx, "suite:1"); v != "one" || err != nil {
		t.Errorf("Get = %q, %v", v, err)
	}
	if err := larder.Delete(ctx, "suite:1", "suite:2"); err != nil {
		t.Error(err)
	}
	if _, err := larder.Get[string](ctx, "suite:1"); err != larder.ErrMiss {
		t.Errorf("after Delete: %v", err)
	}
	var err error
	for i := 0; i < 10_000 && err == nil; i++ {
		err = larder.Set(ctx, "user"+time.Duration(i).String()+":x", 1, 0)
	}
	if !errors.Is(err, larder.ErrInvalidKey) {
		t.Errorf("names without end: %v", err)
	}
	if err := larder.Set(ctx, "suite:1", "one", 0); err != nil {
		t.Errorf("a known name after that: %v", err)
	}
}
