package larder_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// Times are counted once for what they measure: each read that memory did not
// answer, each load, each remote operation.
func TestTimesAreCountedOnce(t *testing.T) {
	for seed := range uint64(12) {
		inRig(t, 2, func(r *rig) {
			countWorkload(r, seed)
			for _, n := range r.nodes {
				n.timesAddUp()
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (n *node) timesAddUp() {
	s := n.stats()
	if slow := s.SlowReads.Count(); slow != s.Reads-s.MemoryHits {
		n.rig.Errorf("%d times of reads for %d reads of which memory answered %d", slow, s.Reads, s.MemoryHits)
	}
	if times := s.LoadTimes.Count(); times != s.Loads || s.LoadTimes.Sum != uint64(s.LoadTime) {
		n.rig.Errorf("%d times of loads with the sum %d for %d loads that took %v", times, s.LoadTimes.Sum, s.Loads, s.LoadTime)
	}
	if s.LoadsInFlight != 0 {
		n.rig.Errorf("%d loads run, all have ended", s.LoadsInFlight)
	}
	for op, c := range n.cache.Stats().Remote {
		if c.Time.Count() != c.Calls() {
			n.rig.Errorf("%s: %d times for %d calls", op, c.Time.Count(), c.Calls())
		}
	}
}

// A read that asks Redis whether its copy in memory is current is none that memory
// answers at once, and has a time; so has a Lookup that finds a stale copy.
func TestTimesOfMemoryThatRedisConfirms(t *testing.T) {
	inSetup(t, setup{nodes: 1, spaces: larder.KeyspaceOptions[string, int]{Tiers: larder.MemoryOnly, TTL: 10 * time.Second, Grace: time.Minute, EarlyRefresh: -1}}, func(r *rig) {
		a := r.nodes[0]
		for range 3 {
			a.expect("k", 0, larder.Exact) // asks Redis whether the copy is current
		}
		a.expect("k", 0)
		r.pass(15 * time.Second)
		if v, err := a.lookup("k"); v != 0 || err != nil { // stale
			t.Errorf("lookup: %d, %v", v, err)
		}
		if s := a.stats(); s.Reads != 5 || s.MemoryHits != 1 || s.RemoteHits != 2 || s.StaleHits != 1 || s.Loaded != 1 {
			t.Errorf("counted %+v", s)
		}
		a.timesAddUp()
	})
}

// What the nodes count as sent is what the server counts as carried out, kind
// by kind: no call goes past the meter.
func TestEveryRemoteCallIsCounted(t *testing.T) {
	kinds := map[string]larder.OpKind{"get": larder.OpGet, "acquire": larder.OpAcquire, "takeover": larder.OpTakeover,
		"fill": larder.OpFill, "release": larder.OpRelease, "set": larder.OpSet, "delete": larder.OpDelete,
		"generation": larder.OpGeneration, "inspect": larder.OpInspect}
	inRig(t, 2, func(r *rig) {
		started := map[string]int{} // the remotes ask a few things themselves when they connect
		for name, kind := range kinds {
			started[name] = r.server.Count(kind)
		}
		countWorkload(r, 4)
		n := r.nodes[0]
		if err := n.tagged.Set(r.ctx, "a", 1); err != nil {
			r.Error(err)
		}
		if _, err := n.tagged.TTL(r.ctx, "a"); err != nil {
			r.Error(err)
		}
		n.invalidate(larder.Tag("group"))
		n.getFrom(n.tagged, "a")
		for name, kind := range kinds {
			var counted uint64
			for _, n := range r.nodes {
				one := n.cache.Stats().Remote[name]
				counted += one.OK
			}
			if carried := r.server.Count(kind) - started[name]; counted != uint64(carried) {
				r.Errorf("%d %s operations are counted, %d were carried out", counted, name, carried)
			}
		}
	})
}

// The outcome of a call says whether it was answered, late, not sent or failed.
func TestRemoteCallsByOutcome(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		n := r.nodes[0]
		gets := func() larder.RemoteStats { return n.cache.Stats().Remote["get"] }
		n.get("a")
		before := gets()
		r.server.Script(func(lardertest.Request) lardertest.Fault { return lardertest.ReplyError })
		n.lookup("b")
		if got := gets(); got.Errors != before.Errors+1 {
			r.Errorf("after an error reply: %+v", got)
		}
		r.server.Script(nil)
		n.remote.Delay(time.Second)
		n.lookup("b")
		if got := gets(); got.Timeouts != before.Timeouts+1 {
			r.Errorf("after a reply that did not come in time: %+v", got)
		}
	})
}

// A load past Redis is told apart from one that Redis spread.
func TestLoadsPastRedisAreToldApart(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		n := r.nodes[0]
		n.get("a")
		if s := n.stats(); s.Loaded != 1 || s.LoadedPast != 0 {
			r.Errorf("with Redis: %d loaded, %d past it", s.Loaded, s.LoadedPast)
		}
		r.server.Stop()
		r.pass(2 * tolerance)
		n.get("b")
		if s := n.stats(); s.Loaded != 2 || s.LoadedPast != 1 {
			r.Errorf("without Redis: %d loaded, %d past it", s.Loaded, s.LoadedPast)
		}
	})
}

// Invalidations are counted by what named them, and reach others as pushes of
// entries and generations.
func TestInvalidationsByKind(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		a.getFrom(a.tagged, "x")
		b.getFrom(b.tagged, "x")
		r.pass(10 * time.Millisecond)
		entries, generations := b.pushed()
		a.invalidate(a.tagged.Key("x"), a.tagged.Key("y"), larder.Tag("group"), larder.All())
		if _, err := a.cache.DeletePattern(r.ctx, "z*"); err != nil {
			r.Error(err)
		}
		r.pass(10 * time.Millisecond)
		want := larder.InvalidationStats{Keys: 2, Tags: 1, All: 1, Patterns: 1}
		if got := a.cache.Stats().InvalidationsBy; got.Keys != want.Keys || got.Tags != want.Tags || got.All != want.All || got.Patterns != want.Patterns {
			r.Errorf("counted %+v, want %+v", got, want)
		}
		s := b.cache.Stats()
		by := s.InvalidationsBy
		if by.PushedEntries-entries != 1 || by.PushedGenerations-generations < 2 {
			r.Errorf("pushed %d entries and %d generations, want 1 and at least 2", by.PushedEntries-entries, by.PushedGenerations-generations)
		}
		if by.PushedEntries+by.PushedGenerations != s.Pushes {
			r.Errorf("%d + %d pushes of %d", by.PushedEntries, by.PushedGenerations, s.Pushes)
		}
	})
}

func (n *node) pushed() (entries, generations uint64) {
	by := n.cache.Stats().InvalidationsBy
	return by.PushedEntries, by.PushedGenerations
}

func TestDistribution(t *testing.T) {
	c, err := larder.New(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := space(t, c, "k", larder.KeyspaceOptions[int, int]{})
	load := func(context.Context, int) (int, error) { return 1, nil }
	for i := range 100 {
		if _, err := k.Get(t.Context(), i, load); err != nil {
			t.Fatal(err)
		}
	}
	first := c.Stats().Keyspaces["k"].SlowReads
	if n := first.Count(); n != 100 {
		t.Fatalf("%d values", n)
	}
	low, high := first.Quantile(0), first.Quantile(1)
	if low == 0 || low > high || first.AtMost(high) != 100 || first.AtMost(low-1) == 100 || first.Sum < 100*low/2 {
		t.Errorf("from %d to %d with the sum %d: %v", low, high, first.Sum, first)
	}
	for i := range 150 {
		if _, err := k.Get(t.Context(), i, load); err != nil {
			t.Fatal(err)
		}
	}
	second := c.Stats().Keyspaces["k"].SlowReads
	if diff := second.Since(&first); diff.Count() != 50 || diff.Sum != second.Sum-first.Sum {
		t.Errorf("%v since %v is %v", second, first, diff)
	}
	if sum := first.Plus(&second); sum.Count() != 250 {
		t.Errorf("the sum counts %d", sum.Count())
	}
	if none := new(larder.Distribution); none.Quantile(0.5) != 0 || !strings.Contains(fmt.Sprintf("%+v", second), "n=150") {
		t.Errorf("%v and %+v", none, second)
	}
}

// A watcher is told of everything but hits in memory, and never of a value.
func TestWatch(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		w := a.cache.Watch(1)
		a.get("x") // a load
		b.get("x")
		b.get("x") // from memory
		a.invalidate(a.plain.Key("x"), larder.Tag("group"))
		r.pass(10 * time.Millisecond)
		b.get("x") // loaded there
		a.get("x") // a hit in Redis
		r.src.hook = func(context.Context, string) error { return errors.New("secret of the source") }
		_, _ = a.plain.Get(r.ctx, "y", r.src.load)
		r.server.Kill()
		r.pass(2 * tolerance)
		w.Stop()
		w.Stop()
		got := map[string]int{}
		for e := range w.Events {
			if strings.Contains(fmt.Sprint(e), "secret") {
				r.Errorf("an event tells of the source: %v", e)
			}
			got[string(e.Kind)+" "+e.Keyspace+" "+e.Name+" "+e.Detail]++
		}
		for _, want := range []string{"load plain plain:x ok", "load plain plain:y error", "invalidate  plain:x key", "invalidate  group tag",
			"hit plain plain:x ", "state   disconnected"} {
			if got[want] != 1 {
				r.Errorf("%q was told %d times of %v", want, got[want], got)
			}
		}
	})
}

// Of hits and loads a watcher sees one in so many, of all else everything; who
// does not read loses events and learns how many.
func TestWatchIsSampledAndBounded(t *testing.T) {
	c, err := larder.New(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := space(t, c, "k", larder.KeyspaceOptions[int, int]{})
	w := c.Watch(10)
	var wg sync.WaitGroup
	for i := range 4 {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		wg.Go(func() {
			for range 500 {
				_, _ = k.Get(t.Context(), random.Int(), func(context.Context, int) (int, error) { return 1, nil })
			}
		})
	}
	wg.Wait()
	if len(w.Events) != 200 || w.Dropped() != 0 {
		t.Errorf("%d events of 2000 loads, %d lost", len(w.Events), w.Dropped())
	}
	for range 100 {
		if err := c.Invalidate(t.Context(), larder.Tag("t")); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.Events) != cap(w.Events) || int(w.Dropped()) != 300-cap(w.Events) {
		t.Errorf("%d events wait of 300, %d lost", len(w.Events), w.Dropped())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range w.Events {
	} // Close ended it
	if _, open := <-c.Watch(1).Events; open {
		t.Error("a closed cache is watched")
	}
}
