package cachedstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/cachedstore"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/storetest"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/outbox"
	"github.com/larder-go/larder/redistier"
)

// staleness is T of the caches under test: short, so that waiting for it is.
const staleness = 200 * time.Millisecond

// manyCases is more than a store invalidates one by one.
const manyCases = 210

// node is one process: its own connections and its own cache.
type node struct {
	store    *cachedstore.Store
	cache    *larder.Cache
	database *sqlstore.Store
}

// world is two nodes with one database and one Redis, and the database itself as
// the twin that has no cache.
type world struct {
	*testing.T
	redis *lardertest.RedisServer
	path  string // of the database
	nodes [2]node
	twin  dashboard.Store
	tally tally // of what the nodes have done and been asked
	clock *storetest.Clock
	rand  *rand.Rand
	// ids are the highest so far.
	suites, cases, executions int64
	names                     int
}

// set is how the nodes of a world are built.
type set struct {
	rows     larder.Tiers
	outbox   bool
	postgres bool
}

func newWorld(t *testing.T, how set, seed uint64) *world {
	w := &world{T: t, redis: lardertest.StartRedis(t), clock: storetest.NewClock(), rand: rand.New(rand.NewPCG(seed, 0)), tally: tally{done: new(sync.Map)}}
	path, dialect := emptydb.SQLite(t), outbox.SQLite
	if how.postgres {
		path, dialect = lardertest.StartPostgres(t).URL(), outbox.PostgreSQL
	}
	for i := range w.nodes {
		cache, err := redistier.Open(t.Context(), redistier.Config{Address: w.redis.Addr()},
			larder.Options{Namespace: "twin", MaxStaleness: staleness, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cache.Close() })
		db, options := openDatabase(t, path, w.clock), cachedstore.Options{Rows: how.rows}
		if how.outbox {
			options.Outbox = relayed(t, db, cache, dialect)
		}
		w.nodes[i] = node{store: cached(t, db, cache, options), cache: cache, database: db}
	}
	w.path, w.twin = path, openDatabase(t, path, w.clock)
	return w
}

// relayed returns an outbox whose relay runs until the end of the test.
func relayed(t *testing.T, db *sqlstore.Store, cache *larder.Cache, dialect outbox.Dialect) *outbox.Box {
	t.Helper()
	box, err := outbox.New(db.DB(), cache, outbox.Options{Dialect: dialect, PollInterval: 50 * time.Millisecond, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("relay: %v", err)
		}
	})
	return box
}

// tallied notes what is done through a store.
func (w *world) tallied(s dashboard.Store) dashboard.Store { return tally{s, w.tally.done} }

// compare holds that every read of every node equals that of the twin: exactly
// and at once where the read is exact or its node made the last change, within T
// elsewhere.
func (w *world) compare(changed node, after string) {
	w.Helper()
	exact := dashboard.WithExact(w.Context())
	for _, x := range w.questions() {
		want := x.put(w.Context(), w.twin)
		for i, n := range w.nodes {
			if got := x.put(exact, w.tallied(n.store)); !reflect.DeepEqual(got, want) {
				w.Fatalf("after %s, exact read of %s by node %d:\n%+v\nwant\n%+v", after, x.name, i, got, want)
			}
			within := time.Duration(0)
			if n != changed {
				within = staleness
			}
			w.equalWithin(within, func() answer { return x.put(w.Context(), w.tallied(n.store)) }, want, fmt.Sprintf("after %s, read of %s by node %d", after, x.name, i))
		}
	}
}

// equalWithin asks until the answer is the wanted one, at most for d.
func (w *world) equalWithin(d time.Duration, ask func() answer, want answer, what string) {
	w.Helper()
	deadline := time.Now().Add(d)
	for {
		begun := time.Now()
		got := ask()
		if reflect.DeepEqual(got, want) {
			return
		}
		if begun.After(deadline) || d == 0 {
			w.Fatalf("%s:\n%+v\nwant\n%+v", what, got, want)
		}
		time.Sleep(time.Millisecond)
	}
}

// settled waits until both nodes are connected and owe no invalidation.
func (w *world) settled() {
	w.Helper()
	deadline := time.Now().Add(time.Minute)
	for _, n := range w.nodes {
		for h := n.cache.Health(); h.Remote != "connected" || h.Pending > 0; h = n.cache.Health() {
			if time.Now().After(deadline) {
				w.Fatalf("health is still %+v", h)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// After every mutation each cached read of two nodes equals that of a twin
// without cache, also while Redis hangs, after it was killed and while it is gone.
func TestTwinWithoutCache(t *testing.T) {
	for name, how := range map[string]set{
		"rows in both tiers":             {},
		"rows in memory, with an outbox": {rows: larder.MemoryOnly, outbox: true},
		"PostgreSQL, with an outbox":     {outbox: true, postgres: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			w := newWorld(t, how, seed)
			w.runAll()
			w.run("at the start", 10*long())
			w.ok(w.redis.Stop())
			w.run("while Redis hangs", 6)
			w.ok(w.redis.Cont())
			w.settled()
			w.run("after Redis hung", 10*long())
			w.ok(w.redis.Kill())
			w.run("while Redis is gone", 6)
			w.ok(w.redis.Restart(t.Context()))
			w.settled()
			w.run("after Redis came back", 10*long())
			for i, n := range w.nodes {
				st := n.cache.Stats()
				t.Logf("node %d: %d invalidations, %d pushes, %d entries", i, st.Invalidations, st.Pushes, st.MemoryEntries)
				for space, k := range st.Keyspaces {
					if how.rows == larder.BothTiers && (k.MemoryHits == 0 || k.RemoteHits+k.NegativeHits == 0) || k.Loads == 0 {
						t.Errorf("the test did not reach every tier of %s: %+v", space, k)
					}
				}
			}
		})
	}
}

// long is how many times as much is tried as in a run that others wait for.
func long() int {
	if os.Getenv("LARDER_LONG") != "" {
		return 10
	}
	return 1
}

func (w *world) run(when string, mutations int) {
	w.Helper()
	for i := range mutations {
		n, kind := w.mutate()
		w.compare(n, fmt.Sprintf("%s %s (%d)", kind, when, i))
	}
}

// A process that dies between its commit and its invalidation leaves a row in the
// outbox, and the relay of another one carries it out. Here the mutation goes
// past the cached store, which is the same.
func TestOutboxOutlivesTheMutation(t *testing.T) {
	w := newWorld(t, set{rows: larder.MemoryOnly, outbox: true}, 1)
	w.settled()
	suite, _, err := w.nodes[0].store.CreateSuite(t.Context(), dashboard.NewSuite{Name: "before"})
	w.ok(err)
	ask := q("suite", func(ctx context.Context, s dashboard.Store) (any, error) {
		l, err := s.Suites(ctx, dashboard.SuiteFilter{}, dashboard.Page{})
		return l, err
	})
	for _, n := range w.nodes {
		ask.put(t.Context(), n.store)
	}
	_, _, err = w.nodes[0].database.UpdateSuite(t.Context(), suite.ID, dashboard.SuitePatch{Name: new("after")})
	w.ok(err)
	want := ask.put(t.Context(), w.twin)
	for i, n := range w.nodes {
		w.equalWithin(5*time.Second, func() answer { return ask.put(t.Context(), n.store) }, want, fmt.Sprint("list of suites by node ", i))
	}
}
