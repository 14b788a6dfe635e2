package larder_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// A process that backs off from a source still takes what another loads.
func TestBatchWaitsForALeaseDuringItsBackoff(t *testing.T) {
	spaces := larder.KeyspaceOptions[string, int]{Backoff: time.Minute}
	inSetup(t, setup{nodes: 2, spaces: spaces}, func(r *rig) {
		a, b := r.two()
		fails := func(context.Context, []string) (map[string]int, error) { return nil, errors.New("boom") }
		if _, err := a.plain.GetMany(r.ctx, names(0, 1), fails); err == nil {
			t.Error("no error")
		}
		gate := r.src.slow("k0")
		single := b.begin("k0")
		done := make(chan struct{})
		go func() {
			defer close(done)
			values, err := a.plain.GetMany(r.ctx, names(0, 1), fails)
			if _, found := values["k0"]; err != nil || !found {
				t.Errorf("%v, %v", values, err)
			}
		}()
		r.pass(0)
		gate.pass()
		single.brings(t, 0)
		<-done
	})
}

// A value depends on the tags that its load added, and no more on those of the
// value that it replaced.
func TestBatchForgetsTagsOfTheValueBefore(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		ka, tagging := dynamic(a)
		for range 2 { // the first creates the generation of the tag
			if _, err := ka.Get(r.ctx, "k0", tagging); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			r.src.takeLoads("k0")
			b.invalidate(larder.Tag("of-k0"))
			if values, err := ka.GetMany(r.ctx, names(0, 1), r.src.loadMany, larder.Exact); err != nil || len(values) != 1 {
				t.Errorf("%v, %v", values, err)
			}
		}
		r.loads("k0", 0)
	})
}

// A batch does not load what its source failed to bring a moment ago, whatever the
// tiers.
func TestBatchBacksOff(t *testing.T) {
	for _, tiers := range []larder.Tiers{larder.BothTiers, larder.MemoryOnly, larder.RemoteOnly} {
		spaces := larder.KeyspaceOptions[string, int]{Backoff: time.Minute, Tiers: tiers}
		inSetup(t, setup{nodes: 1, spaces: spaces}, func(r *rig) {
			a, calls, boom := r.nodes[0], 0, errors.New("boom")
			for range 3 {
				_, err := a.plain.GetMany(r.ctx, names(0, 2), func(context.Context, []string) (map[string]int, error) {
					calls++
					return nil, boom
				})
				var each *larder.BatchError
				if !errors.As(err, &each) || each.Of("k0") != boom || each.Of("k1") != boom {
					t.Errorf("tiers %d: %v", tiers, err)
				}
			}
			if s := a.stats(); calls != 1 || s.BackedOff != 4 || s.Errors != 6 {
				t.Errorf("tiers %d: %d loads, counted %+v", tiers, calls, s)
			}
		})
	}
}

// Each key of a batch depends on its own tags.
func TestBatchOfKeysWithTagsOfTheirOwn(t *testing.T) {
	spaces := larder.KeyspaceOptions[string, int]{Tags: func(key string) []string { return []string{"of-" + key} }}
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		k := space(t, a.cache, "own", spaces)
		read := func() map[string]int {
			values, err := k.GetMany(r.ctx, names(0, 3), r.src.loadMany, larder.Exact)
			if err != nil {
				t.Error(err)
			}
			return values
		}
		read()
		for _, key := range names(0, 3) {
			want := r.src.change(key)
			b.invalidate(larder.Tag("of-" + key))
			for _, each := range names(0, 3) {
				r.src.takeLoads(each)
			}
			if values := read(); values[key] != want {
				t.Errorf("%s: version %d, want %d", key, values[key], want)
			}
			for _, each := range names(0, 3) {
				r.loads(each, map[bool]int{true: 1}[each == key])
			}
		}
	})
}

// While an invalidation is pending, a batch loads each time: what it loads is kept
// nowhere.
func TestBatchDuringAPendingInvalidation(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		r.failing(a, larder.OpDelete, lardertest.ReplyError)
		a.mustBePending(r.ctx, a.plain.Key("k0"))
		for range 3 {
			if values, err := a.plain.GetMany(r.ctx, names(0, 2), r.src.loadMany); err != nil || len(values) != 2 {
				t.Errorf("%v, %v", values, err)
			}
		}
		r.loads("k0", 3)
		r.loads("k1", 1)
		r.healthy()
	})
}

// A key that is named twice is read once.
func TestBatchOfEqualKeys(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		for range 2 {
			if values, err := a.plain.GetMany(r.ctx, append(names(0, 3), names(0, 3)...), r.src.loadMany); err != nil || len(values) != 3 {
				t.Errorf("%v, %v", values, err)
			}
		}
		if s := a.stats(); s.Reads != 6 || s.Loaded != 3 || s.LocalWaits != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

// In a cluster each key of a batch depends on the part of the namespace it is in:
// what a batch stored, a Get of each key accepts.
func TestBatchInACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		remote := lardertest.NewRemote(lardertest.RemoteOptions{}, lardertest.NewServer(), lardertest.NewServer(), lardertest.NewServer())
		c, err := larder.NewWithRemote(t.Context(), remote, larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		src := newSource()
		k := space(t, c, "many", larder.KeyspaceOptions[string, int]{Tiers: larder.RemoteOnly})
		for range 2 {
			if values, err := k.GetMany(t.Context(), names(0, 30), src.loadMany); err != nil || len(values) != 30 {
				t.Errorf("%v, %v", values, err)
			}
		}
		for _, key := range names(0, 30) {
			if _, err := k.Get(t.Context(), key, src.load, larder.Exact); err != nil {
				t.Error(err)
			}
			if n := src.takeLoads(key); n != 1 {
				t.Errorf("%d loads of %q", n, key)
			}
		}
	})
}
