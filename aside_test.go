package larder_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// Two versions of a struct; the second has a field more, and one of another
// type.
type (
	suiteV1 struct {
		ID   int64  `json:"id"`
		Name string `json:"name"`
	}
	suiteV2 struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		Owner string `json:"owner"`
	}
)

// versions is a deployment under way: two nodes of each version of a program.
type versions struct {
	*rig
	old                 [2]*larder.Keyspace[string, suiteV1]
	new                 [2]*larder.Keyspace[string, suiteV2]
	oldLoads, newLoads  atomic.Int64
	oldCaches, newCache [2]*larder.Cache
}

func inVersions(t *testing.T, tiers larder.Tiers, run func(v *versions)) {
	inSetup(t, setup{nodes: 4}, func(r *rig) {
		v := &versions{rig: r}
		for i := range 2 {
			v.oldCaches[i], v.newCache[i] = r.nodes[i].cache, r.nodes[i+2].cache
			v.old[i] = space(r.T, v.oldCaches[i], "suite", larder.KeyspaceOptions[string, suiteV1]{Tiers: tiers})
			v.new[i] = space(r.T, v.newCache[i], "suite", larder.KeyspaceOptions[string, suiteV2]{Tiers: tiers})
		}
		run(v)
	})
}

func (v *versions) loadOld(context.Context, string) (suiteV1, error) {
	v.oldLoads.Add(1)
	return suiteV1{ID: 1, Name: "checkout"}, nil
}

func (v *versions) loadNew(context.Context, string) (suiteV2, error) {
	v.newLoads.Add(1)
	return suiteV2{ID: "1", Name: "checkout", Owner: "payments"}, nil
}

func (v *versions) readAll() {
	v.Helper()
	for i := range 2 {
		if got, err := v.old[i].Get(v.ctx, "k", v.loadOld); got.ID != 1 || err != nil {
			v.Errorf("old version: %+v, %v", got, err)
		}
		if got, err := v.new[i].Get(v.ctx, "k", v.loadNew); got.Owner != "payments" || err != nil {
			v.Errorf("new version: %+v, %v", got, err)
		}
	}
}

// A changed struct is a counted miss and no error, read by the new version
// after the old one and the other way round.
func TestChangedStructIsAMiss(t *testing.T) {
	inVersions(t, larder.BothTiers, func(v *versions) {
		if _, err := v.old[0].Get(v.ctx, "k", v.loadOld); err != nil {
			t.Fatal(err)
		}
		if _, err := v.new[0].Lookup(v.ctx, "k"); err != larder.ErrMiss {
			t.Errorf("new version: %v", err)
		}
		if _, err := v.new[0].Get(v.ctx, "l", v.loadNew); err != nil {
			t.Fatal(err)
		}
		if _, err := v.old[0].Lookup(v.ctx, "l"); err != larder.ErrMiss {
			t.Errorf("old version: %v", err)
		}
		for _, c := range []*larder.Cache{v.oldCaches[0], v.newCache[0]} {
			if s := stats(c, "suite"); s.OtherSchema != 1 || s.Misses != 1 || s.Errors != 0 || s.CodecErrors != 0 {
				t.Errorf("counted %+v", s)
			}
		}
	})
}

// For a minute four nodes of two versions read one key a hundred times a
// second, and it is invalidated every five: nobody gets an error, and no node loads more
// than once for each invalidation.
func TestTwoVersionsDoNotFight(t *testing.T) {
	inVersions(t, larder.BothTiers, func(v *versions) {
		const invalidations = 12
		for i := range invalidations {
			for range 500 {
				v.readAll()
				v.pass(10 * time.Millisecond)
			}
			if err := v.oldCaches[i%2].Invalidate(v.ctx, v.old[0].Key("k")); err != nil {
				t.Fatal(err)
			}
		}
		if loads := v.oldLoads.Load() + v.newLoads.Load(); loads < invalidations*2 || loads > invalidations*4 {
			t.Errorf("%d loads of 24,000 reads", loads)
		}
		misses := uint64(0)
		for _, c := range append(v.oldCaches[:], v.newCache[:]...) {
			s := stats(c, "suite")
			if s.Errors != 0 || s.CodecErrors != 0 || s.Reads != s.MemoryHits+s.RemoteHits+s.Loaded {
				t.Errorf("counted %+v", s)
			}
			misses += s.OtherSchema
		}
		if misses < invalidations || misses > invalidations*4 {
			t.Errorf("%d entries of another schema were met", misses)
		}
	})
}

// When the old version is gone, Redis serves the new one after ten seconds at
// the latest, whatever the TTL.
func TestTheLastVersionTakesOver(t *testing.T) {
	inVersions(t, larder.RemoteOnly, func(v *versions) {
		if _, err := v.old[0].Get(v.ctx, "k", v.loadOld); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			for i := range 2 {
				if _, err := v.new[i].Get(v.ctx, "k", v.loadNew); err != nil {
					t.Fatal(err)
				}
			}
			v.pass(time.Second + time.Millisecond)
		}
		v.newLoads.Store(0)
		for range 2 {
			for i := range 2 {
				if _, err := v.new[i].Get(v.ctx, "k", v.loadNew); err != nil {
					t.Fatal(err)
				}
			}
		}
		if n := v.newLoads.Load(); n != 1 {
			t.Errorf("%d loads", n)
		}
	})
}

// What was loaded beside an entry of the other version is invalidated with it:
// by key, by tag of the namespace, from any process, and it lives no longer.
func TestLoadedAsideIsInvalidated(t *testing.T) {
	for name, invalidate := range map[string]func(v *versions) error{
		"by the other version": func(v *versions) error { return v.oldCaches[0].Invalidate(v.ctx, v.old[0].Key("k")) },
		"by the own version":   func(v *versions) error { return v.newCache[1].Invalidate(v.ctx, v.new[1].Key("k")) },
		"with the namespace":   func(v *versions) error { return v.oldCaches[0].Clear(v.ctx) },
		"by pattern": func(v *versions) error {
			_, err := v.oldCaches[1].DeletePattern(v.ctx, "suite:*")
			return err
		},
		"by a plain DEL":         func(v *versions) error { v.server.Delete("suite:k"); return nil },
		"with the other's value": func(v *versions) error { v.pass(larder.DefaultTTL + time.Second); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inVersions(t, larder.BothTiers, func(v *versions) {
				if _, err := v.old[0].Get(v.ctx, "k", v.loadOld); err != nil {
					t.Fatal(err)
				}
				for range 3 {
					if _, err := v.new[0].Get(v.ctx, "k", v.loadNew); err != nil {
						t.Fatal(err)
					}
				}
				if n := v.newLoads.Swap(0); n != 1 {
					t.Errorf("%d loads aside", n)
				}
				if err := invalidate(v); err != nil {
					t.Fatal(err)
				}
				v.pass(0)
				if _, err := v.new[0].Get(v.ctx, "k", v.loadNew); err != nil || v.newLoads.Load() != 1 {
					t.Errorf("%d loads after the invalidation, %v", v.newLoads.Load(), err)
				}
			})
		})
	}
}

// A batch loads aside what it cannot use and leaves it where it is.
func TestBatchLoadsAside(t *testing.T) {
	inVersions(t, larder.BothTiers, func(v *versions) {
		if _, err := v.old[0].Get(v.ctx, "k", v.loadOld); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := v.new[0].GetMany(v.ctx, []string{"k", "l"}, func(_ context.Context, keys []string) (map[string]suiteV2, error) {
				v.newLoads.Add(int64(len(keys)))
				return map[string]suiteV2{"k": {Owner: "k"}, "l": {Owner: "l"}}, nil
			})
			if err != nil || got["k"].Owner != "k" || got["l"].Owner != "l" {
				t.Errorf("GetMany = %v, %v", got, err)
			}
		}
		if n := v.newLoads.Load(); n != 2 {
			t.Errorf("%d loads", n)
		}
		if got, err := v.old[1].Lookup(v.ctx, "k"); got.ID != 1 || err != nil {
			t.Errorf("the old version reads %v, %v", got, err)
		}
	})
}

// SchemaOf: what changes a document changes the fingerprint, what does not
// does not.
func TestSchemaOf(t *testing.T) {
	type inner struct{ A, B int }
	type same struct {
		Name  string `json:"name" db:"other"`
		ID    int64  `json:"id"`
		cache int    //nolint:unused // not exported: no part of the document
	}
	type node struct {
		Next  *node
		Value int
	}
	base := larder.SchemaOf[suiteV1]()
	if base != larder.SchemaOf[same]() || base == 0 {
		t.Error("order, type names and other tags matter")
	}
	if base != larder.SchemaOf[suiteV1]() {
		t.Error("not the same twice")
	}
	seen := map[uint32]string{base: "base"}
	for name, schema := range map[string]uint32{
		"type": larder.SchemaOf[struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		}](),
		"tag": larder.SchemaOf[struct {
			ID   int64  `json:"key"`
			Name string `json:"name"`
		}](),
		"option": larder.SchemaOf[struct {
			ID   int64  `json:"id,omitempty"`
			Name string `json:"name"`
		}](),
		"more":    larder.SchemaOf[suiteV2](),
		"pointer": larder.SchemaOf[*suiteV1](), "slice": larder.SchemaOf[[]suiteV1](), "array": larder.SchemaOf[[3]suiteV1](),
		"map": larder.SchemaOf[map[string]suiteV1](), "nested": larder.SchemaOf[struct{ X inner }](), "embedded": larder.SchemaOf[struct{ inner }](),
		"time": larder.SchemaOf[struct{ X time.Time }](), "recursive": larder.SchemaOf[node](), "empty": larder.SchemaOf[struct{}](),
	} {
		if other, twice := seen[schema]; twice || schema == 0 {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[schema] = name
	}
	for name, schema := range map[string]uint32{"int": larder.SchemaOf[int](), "strings": larder.SchemaOf[[]string](), "map": larder.SchemaOf[map[string]int](), "any": larder.SchemaOf[any]()} {
		if schema != 0 {
			t.Errorf("%s has a fingerprint", name)
		}
	}
}

// A number of one's own tells versions apart that look alike, and -1 none.
func TestSchemaOptions(t *testing.T) {
	inSetup(t, setup{nodes: 4}, func(r *rig) {
		schemas := []int64{7, 7, 8, -1}
		var spaces []*larder.Keyspace[string, suiteV1]
		for i, schema := range schemas {
			spaces = append(spaces, space(r.T, r.nodes[i].cache, "suite", larder.KeyspaceOptions[string, suiteV1]{Schema: schema}))
		}
		if err := spaces[0].Set(r.ctx, "k", suiteV1{ID: 7}); err != nil {
			t.Fatal(err)
		}
		for i, want := range []error{nil, nil, larder.ErrMiss, larder.ErrMiss} {
			if _, err := spaces[i].Lookup(r.ctx, "k"); err != want {
				t.Errorf("schema %d: %v", schemas[i], err)
			}
		}
	})
}
