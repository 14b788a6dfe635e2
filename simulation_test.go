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
//	LARDER_SIM_SEEDS=n   so many, instead of 1000, or 150 under the race detector

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
		return 1, 151
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

// read does one read and compares what it returns with what it may.
func (s *sim) read(random *rand.Rand, n int) {
	kind := pick(random, s.kinds)
	key := pick(random, simKeys[kind])
	tolerance := pick(random, []time.Duration{0, tolerance / 10, tolerance, tolerance})
	opts := []larder.ReadOption{larder.MaxStaleness(tolerance)}
	token, tokenVersions := s.reg.anyToken(random)
	if random.IntN(8) == 0 {
		opts = append(opts, larder.After(token))
	} else {
		tokenVersions = nil
	}
	ctx, cancel := s.ctx, func() {}
	if random.IntN(6) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(int(50*time.Millisecond))))
	}
	defer cancel()
	least := s.reg.least(n, tolerance)
	for k, v := range tokenVersions {
		least[k] = max(least[k], v)
	}
	values, err := s.readFrom(ctx, random, kind, key, n, opts)
	s.judge(ctx, err)
	for k, got := range values {
		s.reads.Add(1)
		if got < least[k] {
			s.Errorf("node %d, tolerance %v, %v: %s is version %d, at least %d was invalidated away",
				n, tolerance, opts, k, got, least[k]-1)
		}
	}
}

func (s *sim) readFrom(ctx context.Context, random *rand.Rand, kind, key string, n int, opts []larder.ReadOption) (map[string]int, error) {
	k := s.space(kind, n)
	switch random.IntN(6) {
	case 0:
		return k.GetMany(ctx, simKeys[kind], s.loadMany(kind), opts...)
	case 1:
		v, err := k.Lookup(ctx, key, opts...)
		if err != nil {
			return nil, nil // a miss, or no connection
		}
		return map[string]int{key: v}, nil
	}
	v, err := k.Get(ctx, key, s.load(kind), opts...)
	if err != nil {
		return nil, err
	}
	return map[string]int{key: v}, nil
}

// judge accepts the errors that a read may have.
func (s *sim) judge(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, errSimulated) && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
		s.Errorf("read: %v", err)
	}
}

// change is a set of keys that change together, and what invalidates them.
type change struct {
	kind     string
	keys     []string
	target   larder.Target
	versions map[string]int // after commit
}

func (s *sim) pickChange(random *rand.Rand, n int) *change {
	c := &change{kind: pick(random, s.kinds), versions: map[string]int{}}
	switch random.IntN(8) {
	case 0:
		c.keys, c.target = simTagged, larder.Tag("group")
	case 1:
		c.keys, c.target = slices.Concat(slices.Collect(maps.Values(simKeys))...), larder.All()
		slices.Sort(c.keys)
	case 2:
		c.keys, c.target = simKeys["dynamic"], larder.Tag("learned")
	case 3:
		c.keys, c.target = simKeys["dynamic"], larder.Prefix(simPrefix)
	default:
		c.keys = []string{pick(random, simKeys[c.kind])}
		c.target = s.space(c.kind, n).Key(c.keys[0])
	}
	return c
}

// commit changes the source.
func (s *sim) commit(c *change) {
	for _, key := range c.keys {
		s.invalidations(key).Add(2) // a hold-off costs a load as well
		c.versions[key] = s.src.change(key)
	}
}

// write changes one key or several and invalidates them.
func (s *sim) write(random *rand.Rand, n int) {
	if s.ages && random.IntN(3) == 0 {
		kind := pick(random, []string{"plain", "tagged"})
		s.renew(random, s.space(kind, n), pick(random, simKeys[kind]))
		return
	}
	c := s.pickChange(random, n)
	ctx, cancel := s.ctx, func() {}
	if s.faults && random.IntN(8) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(int(4*time.Millisecond))))
	}
	defer cancel()
	if len(c.keys) == 1 && random.IntN(2) == 0 {
		s.writeOne(ctx, random, c, n)
		return
	}
	s.commit(c)
	targets := []larder.Target{c.target}
	strict := random.IntN(8) == 0
	if strict {
		targets = append(targets, larder.Strict)
	}
	token, err := s.nodes[n].cache.InvalidateToken(ctx, targets...)
	s.reg.record(n, c.versions, err, strict)
	s.reg.keepToken(token, c.versions)
	s.judgeWrite(err)
}

// writeOne changes one key in one of the ways that there are for one alone.
func (s *sim) writeOne(ctx context.Context, random *rand.Rand, c *change, n int) {
	k, key := s.space(c.kind, n), c.keys[0]
	switch random.IntN(3) {
	case 0:
		err := k.Mutate(ctx, key, func(context.Context) error { s.commit(c); return nil })
		s.reg.record(n, c.versions, err, false)
		s.judgeWrite(err)
	case 1:
		if c.kind == "local" {
			return
		}
		s.commit(c)
		for _, other := range simKeys[c.kind] {
			s.invalidations(other).Add(2)
		}
		_, err := s.nodes[n].cache.DeletePattern(ctx, c.kind+":"+key[:1]+"*")
		if err != nil { // it is not carried out again by itself
			err = s.nodes[n].cache.Invalidate(ctx, c.target)
		}
		s.reg.record(n, c.versions, err, false)
		s.judgeWrite(err)
	default:
		s.commit(c)
		v := c.versions[key]
		if random.IntN(3) == 0 { // said late, when others may have changed it again
			time.Sleep(time.Duration(random.ExpFloat64() * float64(20*time.Millisecond)))
		}
		err := k.SetVersion(ctx, key, v, uint64(v)+1)
		s.reg.record(n, c.versions, err, false)
		s.judgeWrite(err)
	}
}

// renew expires or refreshes an entry: neither brings an invalidated value back.
func (s *sim) renew(random *rand.Rand, k *larder.Keyspace[string, int], key string) {
	if random.IntN(2) == 0 {
		if err := k.Expire(s.ctx, key); err != nil && !s.faults {
			s.Errorf("Expire without faults: %v", err)
		}
		return
	}
	if _, err := k.Refresh(s.ctx, key, s.src.load); err != nil && !errors.Is(err, errSimulated) {
		s.Errorf("Refresh: %v", err)
	}
}

func (s *sim) judgeWrite(err error) {
	if err != nil && !errors.Is(err, larder.ErrPending) && !errors.Is(err, larder.ErrNotStrict) {
		s.Errorf("invalidation: %v", err)
	}
	if err != nil && !s.faults {
		s.Errorf("invalidation without faults: %v", err)
	}
}

// sabotage breaks and heals things until over is closed.
func (s *sim) sabotage(random *rand.Rand, over <-chan struct{}) {
	defer func() {
		s.server.Restart()
		s.server.Cont()
		s.server.SetReadOnly(false)
		s.server.Script(nil)
		for _, n := range s.nodes {
			n.remote.Resume()
		}
	}()
	for {
		heal := s.fault(random)
		select {
		case <-time.After(time.Duration(random.ExpFloat64() * float64(100*time.Millisecond))):
		case <-over:
			return
		}
		if heal != nil {
			heal()
		}
	}
}

// fault does one thing, and returns what undoes it.
func (s *sim) fault(random *rand.Rand) (heal func()) {
	remote := pick(random, s.nodes).remote
	entry := remote.EntryKey(pick(random, []string{"plain:p0", "tagged:t0", "tagged:t1", "dynamic:d0", "held:h0"}))
	switch random.IntN(16) {
	case 0:
		remote.Hold()
		return remote.Resume
	case 1, 2, 3:
		remote.HoldPushes()
		return remote.Resume
	case 4:
		remote.Cut()
		return remote.Resume
	case 5:
		s.server.Drop()
	case 6:
		s.server.Stop()
		return s.server.Cont
	case 7:
		s.server.Kill()
		return s.server.Restart
	case 8:
		s.server.FlushAll()
	case 9:
		s.server.Evict(entry)
	case 10:
		s.server.Evict(pick(random, []string{remote.TagKey("group"), remote.TagKey("learned"), remote.LogKeys()[0]}))
	case 11:
		s.server.Evict(remote.NamespaceKeys()[0])
	case 12:
		s.server.Forget(entry)
	case 13:
		s.server.SetReadOnly(true)
		return func() { s.server.SetReadOnly(false) }
	default:
		fault := pick(random, []lardertest.Fault{lardertest.ReplyError, lardertest.LoseReply, lardertest.LoseRequest})
		seed := random.Uint64()
		var mu sync.Mutex
		dice := rand.New(rand.NewPCG(seed, 4))
		s.server.Script(func(lardertest.Request) lardertest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if dice.IntN(10) == 0 {
				return fault
			}
			return lardertest.NoFault
		})
		return func() { s.server.Script(nil) }
	}
	return nil
}

// register knows which versions have been invalidated away, and since when.
type register struct {
	mu     sync.Mutex
	marks  map[string][]mark      // confirmed invalidations, by key
	strict map[string]int         // confirmed strictly
	own    map[int]map[string]int // invalidated by a node, confirmed or pending
	tokens []heldToken
}

type mark struct {
	version int
	at      time.Time
}

type heldToken struct {
	token    larder.Token
	versions map[string]int
}

func newRegister() *register {
	return &register{marks: map[string][]mark{}, strict: map[string]int{}, own: map[int]map[string]int{}}
}

// record notes the outcome of an invalidation that node n made.
func (g *register) record(n int, versions map[string]int, err error, strict bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.own[n] == nil {
		g.own[n] = map[string]int{}
	}
	for key, v := range versions {
		g.own[n][key] = max(g.own[n][key], v)
		if err == nil || errors.Is(err, larder.ErrNotStrict) {
			g.marks[key] = append(g.marks[key], mark{v, time.Now()})
		}
		if err == nil && strict {
			g.strict[key] = max(g.strict[key], v)
		}
	}
}

// least returns the versions that a read of node n must at least bring.
func (g *register) least(n int, tolerance time.Duration) map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	least := maps.Clone(g.strict)
	for key, v := range g.own[n] {
		least[key] = max(least[key], v)
	}
	for key, marks := range g.marks {
		for _, m := range marks {
			if tolerance == 0 || time.Since(m.at) > tolerance {
				least[key] = max(least[key], m.version)
			}
		}
	}
	return least
}

func (g *register) keepToken(token larder.Token, versions map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens = append(g.tokens, heldToken{token, versions})
}

func (g *register) anyToken(random *rand.Rand) (larder.Token, map[string]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.tokens) == 0 {
		return larder.Token{}, nil
	}
	h := g.tokens[max(0, len(g.tokens)-1-random.IntN(3))]
	return h.token, h.versions
}
