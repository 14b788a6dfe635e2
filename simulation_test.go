package larder_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// The simulation runs the real code against the fake server in virtual time:
// random reads, loads of random length, changes followed by invalidations of
// every kind, and a saboteur. A register of versions knows what each read may
// return.
//
//	LARDER_SIM_SEED=n    this seed alone
//	LARDER_SIM_SEEDS=n   so many, instead of 1000, or 60 under the race detector

// simSeeds returns the seeds to run.
func simSeeds(t *testing.T) (from, to uint64) {
	number := func(name string) uint64 {
		n, err := strconv.ParseUint(os.Getenv(name), 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return n
	}
	switch {
	case os.Getenv("LARDER_SIM_SEED") != "":
		n := number("LARDER_SIM_SEED")
		return n, n + 1
	case os.Getenv("LARDER_SIM_SEEDS") != "":
		return 1, number("LARDER_SIM_SEEDS") + 1
	}
	if underRace {
		return 1, 61
	}
	return 1, 1001
}

// TestSimulation holds P1 to P6 under random faults: a seed in four has none,
// and there P5 is counted. In a seed of five one cache hears no pushes and asks
// for every read.
func TestSimulation(t *testing.T) {
	from, to := simSeeds(t)
	var next atomic.Uint64
	next.Store(from)
	var reads atomic.Int64
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1) - 1; seed < to && !t.Failed(); seed = next.Add(1) - 1 {
					synctest.Test(t, func(t *testing.T) {
						defer func() {
							if t.Failed() {
								t.Logf("replay: LARDER_SIM_SEED=%d go test -count=1 -run '^TestSimulation$' .", seed)
							}
						}()
						reads.Add(simulate(t, seed))
					})
				}
			})
		}
	})
	t.Logf("%d reads checked", reads.Load())
	if reads.Load() < int64(to-from)*20 {
		t.Error("the simulation hardly reads")
	}
}

// sim is one run.
type sim struct {
	*rig
	faults bool
	kinds  []string
	spaces map[string][]*larder.Keyspace[string, int] // by kind and node
	ages   bool                                       // entries turn stale and are refreshed while they are served
	reg    *register
	reads  atomic.Int64
	loads  sync.Map // invalidations that concern a key: *atomic.Int64
}

// The keys of each keyspace; the source tells them apart.
var simKeys = map[string][]string{
	"plain": {"p0", "p1"}, "tagged": {"t0", "t1", "t2"},
	"local":   {"m0"},       // in memory alone
	"dynamic": {"d0", "d1"}, // whose loaders say the tag "learned"; with a prefix
	"held":    {"h0"},       // with a hold-off; in runs with faults
}

// tagged keys are those that the tag "group" concerns.
var simTagged = []string{"t0", "t1", "t2", "m0"}

const simPrefix = "dynamic:d"

// open declares the keyspaces of all kinds at every node.
func (s *sim) open() {
	s.spaces = map[string][]*larder.Keyspace[string, int]{"local": s.memoryOnly(func(string) []string { return []string{"group"} })}
	for _, n := range s.nodes {
		add := func(kind string, k *larder.Keyspace[string, int]) { s.spaces[kind] = append(s.spaces[kind], k) }
		add("plain", n.plain)
		add("tagged", n.tagged)
		add("dynamic", space(s.T, n.cache, "dynamic", larder.KeyspaceOptions[string, int]{DynamicTags: true, Prefixes: []string{simPrefix}}))
		if s.faults { // all tags and namespaces are held off with it, which costs loads
			add("held", space(s.T, n.cache, "held", larder.KeyspaceOptions[string, int]{HoldOff: 30 * time.Millisecond}))
		}
	}
	s.kinds = slices.Sorted(maps.Keys(s.spaces))
}

// load is the loader of a kind.
func (s *sim) load(kind string) larder.Loader[string, int] {
	return func(ctx context.Context, key string) (int, error) {
		v, err := s.src.load(ctx, key)
		l := larder.LoadFrom(ctx)
		if kind == "dynamic" {
			l.Tag("learned")
		}
		if v%4 != 3 { // some entries have no version
			l.Version(uint64(v) + 1)
		}
		return v, err
	}
}

func (s *sim) loadMany(kind string) larder.BatchLoader[string, int] {
	return func(ctx context.Context, keys []string) (map[string]int, error) {
		if kind == "dynamic" {
			larder.LoadFrom(ctx).Tag("learned")
		}
		return s.src.loadMany(ctx, keys)
	}
}

var errSimulated = errors.New("the source is ill")

func simulate(t *testing.T, seed uint64) (reads int64) {
	random := rand.New(rand.NewPCG(seed, 1))
	r := &rig{T: t, server: lardertest.NewServer(), src: newSource(), ctx: t.Context()}
	s := &sim{rig: r, faults: seed%4 != 0, ages: seed%3 == 0, reg: newRegister()}
	o := setup{cache: larder.Options{LeaseTime: 300 * time.Millisecond, MemoryBytes: 64 << 10}}
	if random.IntN(4) == 0 {
		o.cache.MemoryBytes = -1
	}
	if s.ages {
		o.spaces = larder.KeyspaceOptions[string, int]{TTL: 150 * time.Millisecond, Grace: time.Second, Jitter: 0.5,
			Backoff: 50 * time.Millisecond, EarlyRefresh: float64(random.IntN(3))}
		if random.IntN(2) == 0 {
			o.spaces.SoftTimeout = 10 * time.Millisecond
		}
		if random.IntN(2) == 0 {
			o.spaces.RefreshBatch = r.src.loadMany
		}
	}
	for i := range 2 + random.IntN(2) {
		o.remote.Validated = seed%5 == 0 && i == 0
		o.delay = time.Duration(random.IntN(int(2 * time.Millisecond)))
		r.join(o)
	}
	s.open()
	loads := rand.New(rand.NewPCG(seed, 2))
	var mu sync.Mutex
	r.src.hook = func(ctx context.Context, _ string) error {
		mu.Lock()
		takes, ill := time.Duration(loads.ExpFloat64()*float64(20*time.Millisecond)), loads.IntN(50) == 0
		mu.Unlock()
		select {
		case <-time.After(takes):
		case <-ctx.Done():
			return ctx.Err()
		}
		if ill {
			return errSimulated
		}
		return nil
	}
	s.work(seed)
	s.settle()
	return s.reads.Load()
}

// work lets readers, writers and the saboteur act until the actors are done.
func (s *sim) work(seed uint64) {
	var actors, saboteur sync.WaitGroup
	over := make(chan struct{})
	for i := range 3 * len(s.nodes) {
		random := rand.New(rand.NewPCG(seed, uint64(10+i)))
		n := i % len(s.nodes)
		actors.Go(func() {
			for range 12 {
				time.Sleep(time.Duration(random.ExpFloat64() * float64(60*time.Millisecond)))
				if i/len(s.nodes) == 0 && random.IntN(2) == 0 {
					s.write(random, n)
				} else {
					s.read(random, n)
				}
			}
		})
	}
	if s.faults {
		random := rand.New(rand.NewPCG(seed, 3))
		saboteur.Go(func() { s.sabotage(random, over) })
	}
	actors.Wait()
	close(over)
	saboteur.Wait()
}

// settle heals everything and expects every node to see the present.
func (s *sim) settle() {
	s.src.mu.Lock()
	s.src.hook = nil
	s.src.mu.Unlock()
	s.pass(4 * tolerance)
	for i, n := range s.nodes {
		if p := n.cache.Health().Pending; p != 0 {
			s.Errorf("node %d: %d keys pending after everything has healed", i, p)
		}
		for _, kind := range s.kinds {
			for _, key := range simKeys[kind] {
				s.src.mu.Lock()
				want := s.src.version[key]
				s.src.mu.Unlock()
				if got := n.getFrom(s.space(kind, i), key); got != want {
					s.Errorf("node %d: %s is at version %d in the end, want %d", i, key, got, want)
				}
			}
		}
		if st := n.stats(); st.Reads != st.MemoryHits+st.RemoteHits+st.StaleHits+st.NegativeHits+st.Loaded+st.Misses+st.Errors {
			s.Errorf("node %d: counters do not add up: %+v", i, st)
		}
	}
	if !s.faults && !s.ages {
		s.checkLoads()
	}
}

// checkLoads holds P5: without faults a key is loaded at most once more than
// it was invalidated. Failed loads count as invalidations: others load again.
func (s *sim) checkLoads() {
	failed := uint64(0)
	for _, n := range s.nodes {
		for _, st := range n.cache.Stats().Keyspaces {
			failed += st.LoadErrors
		}
	}
	for _, kind := range []string{"plain", "tagged"} {
		for _, key := range simKeys[kind] {
			if got, most := s.src.takeLoads(key), int(s.invalidations(key).Load())+1+int(failed); got > most {
				s.Errorf("%d loads of %s, at most %d are needed", got, key, most)
			}
		}
	}
}

func (s *sim) invalidations(key string) *atomic.Int64 {
	n, _ := s.loads.LoadOrStore(key, new(atomic.Int64))
	return n.(*atomic.Int64)
}

func (s *sim) space(kind string, n int) *larder.Keyspace[string, int] { return s.spaces[kind][n] }

func pick[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }
