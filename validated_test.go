package larder_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// inValidated runs a test with a cache a that hears pushes and a cache b that
// hears none and asks for every read.
func inValidated(t *testing.T, s setup, run func(r *rig, a, b *node)) {
	t.Helper()
	s.nodes = 1
	inSetup(t, s, func(r *rig) {
		s.remote.Validated = true
		b := r.join(s)
		run(r, r.nodes[0], b)
	})
}

// trips expects how many round trips f takes.
func (n *node) trips(want int64, f func()) {
	n.rig.Helper()
	before := n.remote.Trips()
	f()
	if got := n.remote.Trips() - before; got != want {
		n.rig.Errorf("%d round trips, want %d", got, want)
	}
}

// In validated mode every Get is one round trip, declared tags included, and
// nothing is in memory; so what another process changed is seen by the next
// read of either kind, though nobody told of it.
func TestValidatedAsksForEveryRead(t *testing.T) {
	inValidated(t, setup{}, func(r *rig, a, b *node) {
		for name, k := range map[string][2]*larder.Keyspace[string, int]{"plain": {a.plain, b.plain}, "tagged": {a.tagged, b.tagged}} {
			b.getFrom(k[1], name)
			r.loads(name, 1)
			for _, opts := range [][]larder.ReadOption{nil, {larder.Exact}} {
				b.trips(1, func() { b.getFrom(k[1], name, opts...) })
				want := r.src.change(name)
				a.invalidate(k[0].Key(name))
				if got := b.getFrom(k[1], name, opts...); got != want {
					t.Errorf("%s: version %d, want %d", name, got, want)
				}
				r.loads(name, 1)
			}
			b.trips(1, func() {
				if _, err := k[1].Lookup(r.ctx, name); err != nil {
					t.Error(err)
				}
			})
		}
		want := r.src.change("tagged")
		a.invalidate(larder.Tag("group"))
		if got := b.getFrom(b.tagged, "tagged"); got != want {
			t.Errorf("version %d after its tag was invalidated, want %d", got, want)
		}
		if st := b.cache.Stats(); st.MemoryEntries != 0 || st.Keyspaces["plain"].MemoryHits+st.Keyspaces["tagged"].MemoryHits != 0 || st.Pushes != 0 {
			t.Errorf("something was kept: %+v", st)
		}
		if h := b.cache.Health(); h.Mode != "validated" || h.Remote != "connected" {
			t.Errorf("%+v", h)
		}
		if h := a.cache.Health(); h.Mode != "tracking" {
			t.Errorf("%+v", h)
		}
	})
}

// A batch is one round trip each time as well.
func TestValidatedBatch(t *testing.T) {
	inValidated(t, setup{}, func(r *rig, a, b *node) {
		keys := []string{"x", "y", "z"}
		read := func() map[string]int {
			values, err := b.tagged.GetMany(r.ctx, keys, r.src.loadMany)
			if err != nil {
				t.Fatal(err)
			}
			return values
		}
		read()
		b.trips(1, func() { read() })
		want := r.src.change("y")
		a.invalidate(a.tagged.Key("y"))
		if got := read(); got["y"] != want || got["x"] != 0 {
			t.Errorf("got %v", got)
		}
	})
}

// Values of MemoryOnly keyspaces are nowhere else: they stay, and are used
// under generations that were read anew.
func TestValidatedMemoryOnly(t *testing.T) {
	inValidated(t, setup{}, func(r *rig, a, b *node) {
		o := larder.KeyspaceOptions[string, int]{Tiers: larder.MemoryOnly, Tags: func(string) []string { return []string{"group"} }}
		ka, kb := space(t, a.cache, "local", o), space(t, b.cache, "local", o)
		b.getFrom(kb, "k")
		for _, opts := range [][]larder.ReadOption{nil, {larder.Exact}} {
			b.trips(1, func() { b.getFrom(kb, "k", opts...) })
		}
		r.loads("k", 1)
		for _, target := range []larder.Target{ka.Key("k"), larder.Tag("group"), larder.All()} {
			want := r.src.change("k")
			a.invalidate(target)
			if got := b.getFrom(kb, "k"); got != want {
				t.Errorf("%v: version %d, want %d", target, got, want)
			}
			b.trips(1, func() { b.getFrom(kb, "k") })
			r.loads("k", 1)
		}
	})
}

// P3: a cache without pushes cannot acknowledge; a strict invalidation waits
// until who comes later joins no flight that is older than it.
func TestP3_Validated(t *testing.T) {
	inValidated(t, setup{cache: larder.Options{AcknowledgedStrict: true}}, func(r *rig, a, b *node) {
		gate := r.src.slow("k")
		slow := b.begin("k")
		want := r.src.change("k")
		start := time.Now()
		a.invalidate(a.plain.Key("k"), larder.Strict)
		if waited := time.Since(start); waited < tolerance {
			t.Errorf("waited %v for a cache that hears nothing", waited)
		}
		late := b.begin("k")
		gate.pass()
		slow.brings(t, want-1)
		late.brings(t, want)
	})
}

// Who waits for the load of another process looks again with each heartbeat.
func TestValidatedWaitsForAnothersLoad(t *testing.T) {
	inValidated(t, setup{}, func(r *rig, a, b *node) {
		gate := r.src.slow("k")
		first := a.begin("k")
		<-gate.entered
		waiting := b.begin("k")
		gate.pass()
		first.brings(t, 0)
		r.pass(tolerance / 2)
		if !waiting.ended() {
			t.Error("still waits half of MaxStaleness later")
		}
		waiting.brings(t, 0)
		r.loads("k", 1)
	})
}

// While Redis cannot be asked, a value is kept for MaxStaleness, so that the
// source is not asked by every read.
func TestValidatedDuringAnOutage(t *testing.T) {
	inValidated(t, setup{}, func(r *rig, _, b *node) {
		b.remote.Cut()
		synctest.Wait()
		for range 5 {
			b.get("k")
		}
		r.loads("k", 1)
		r.pass(tolerance)
		b.get("k")
		r.loads("k", 1)
		b.remote.Resume()
		r.pass(2 * tolerance)
		b.get("k") // loads, and fills
		b.trips(1, func() { b.get("k") })
		r.loads("k", 1)
		if n := b.cache.Stats().Keyspaces["plain"].MemoryHits; n != 4 {
			t.Errorf("%d memory hits, want those of the outage", n)
		}
	})
}

// A load that stores nothing because one request failed is not kept: the next
// read asks again.
func TestValidatedAfterAFailedRead(t *testing.T) {
	inValidated(t, setup{}, func(r *rig, a, b *node) {
		r.failing(b, larder.OpGet, lardertest.ReplyError)
		b.get("k")
		r.healthy()
		want := r.src.change("k")
		a.invalidate(a.plain.Key("k"))
		b.expect("k", want)
	})
}

// Tags that a loader adds hold as well: the newest birth is read before each load.
func TestValidatedDynamicTags(t *testing.T) {
	inValidated(t, setup{}, func(r *rig, a, b *node) {
		dynamic(a)
		kb, load := dynamic(b)
		get := func() int {
			v, err := kb.Get(r.ctx, "k", load)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		get()
		get()
		r.src.takeLoads("k")
		b.trips(2, func() { get() }) // the tag is known from the value
		want := r.src.change("k")
		a.invalidate(larder.Tag("of-k"))
		if got := get(); got != want {
			t.Errorf("version %d, want %d", got, want)
		}
		if _, err := kb.Lookup(r.ctx, "k"); err != nil && !errors.Is(err, larder.ErrMiss) {
			t.Error(err)
		}
	})
}
