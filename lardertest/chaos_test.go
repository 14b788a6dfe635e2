package lardertest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// chaosT is the MaxStaleness of the chaos test.
const chaosT = 250 * time.Millisecond

// What a scene must have seen of each promise before it ends: on a busy machine
// it lasts longer for that, up to patience.
const (
	leastReads     = 100
	leastConfirmed = 3
	patience       = 10 * time.Second
)

// aftermath is how long reads go on after the last fault.
const aftermath = 300 * time.Millisecond

// promise is what a group of nodes is held to.
type promise struct {
	name   string
	opts   []larder.ReadOption
	strict bool
	bound  time.Duration // 0: no stale read at all
}

var promises = []promise{
	{name: "exact", opts: []larder.ReadOption{larder.Exact}},
	{name: "strict", strict: true},
	{name: "default", bound: chaosT},
}

// scene is one fault on one topology. What it plays repeats until ctx ends, or
// happens once and takes its time; the servers work again when it returns.
type scene struct {
	t               *testing.T
	topology, fault string
	config          redistier.Config
	proxied         redistier.Config // of the second node
	play            func(ctx context.Context)
	// twoMasters says that for a while two servers take writes, during which
	// every promise is weaker by that while.
	twoMasters time.Duration
	// apart is told of each second node, which is a process of its own then.
	// May be nil.
	apart func(*processNode)
}

// chaosPlan is how much the chaos test does.
type chaosPlan struct {
	lasts time.Duration // each scene, at least
	reads uint64        // each scene, unless it lasts twice as long; 0: whatever comes
	total uint64        // all reads, or the test fails
	table string        // the document that the table goes into; empty: none
}

// chaosScenes is how many scenes a long run has.
const chaosScenes = 20

// planChaos reads LARDER_CHAOS, LARDER_CHAOS_READS and LARDER_CHAOS_TABLE.
func planChaos(t *testing.T) chaosPlan {
	p := chaosPlan{lasts: 800 * time.Millisecond, table: os.Getenv("LARDER_CHAOS_TABLE")}
	if env := os.Getenv("LARDER_CHAOS"); env != "" {
		d, err := time.ParseDuration(env)
		if err != nil || d <= 0 {
			t.Fatalf("LARDER_CHAOS is %q, want the duration of each scene such as 30s", env)
		}
		p.lasts = d
	}
	if env := os.Getenv("LARDER_CHAOS_READS"); env != "" {
		n, err := strconv.ParseUint(env, 10, 64)
		if err != nil {
			t.Fatalf("LARDER_CHAOS_READS is %q, want the number of reads such as 10000000", env)
		}
		p.total, p.reads = n, n/chaosScenes
	}
	return p
}

func (p chaosPlan) long() bool { return os.Getenv("LARDER_CHAOS") != "" }

// share lets a short scene run beside others: each lasts as long as before, and a
// busier machine is one trouble more. In a long run each has the machine to itself,
// and its lines stand in the order of the scenes.
func (p chaosPlan) share(t *testing.T) {
	if !p.long() {
		t.Parallel()
	}
}

// TestChaos holds the promises while servers, connections and topologies
// suffer, one fault after the other, each for three groups of two nodes at a
// time, and prints what was seen, also when a scene fails.
//
//	LARDER_CHAOS=1m go test ./lardertest -run TestChaos -timeout 2h -v
func TestChaos(t *testing.T) {
	countCycles(t)
	plan := planChaos(t)
	var mu sync.Mutex
	var lines []line
	t.Cleanup(func() { // after a scene that could not go on as well
		total, confirmed := sum(lines)
		t.Logf("%d scenes, %d reads, %d confirmed invalidations\n%s", len(lines)/len(promises), total, confirmed, plainTable(lines))
		if plan.table != "" {
			if err := renderChaos(plan.table, lines); err != nil {
				t.Error(err)
			}
		}
		if total < plan.total {
			t.Errorf("%d reads, want at least %d: set a longer LARDER_CHAOS", total, plan.total)
		}
		if confirmed == 0 {
			t.Error("without confirmed invalidations nothing is held to anything")
		}
	})
	play := func(s scene) {
		seen := s.run(s.t, plan)
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, seen...)
	}
	t.Run("sentinel", func(t *testing.T) { plan.share(t); sentinelScenes(t, plan, play) })
	t.Run("cluster", func(t *testing.T) { plan.share(t); clusterScenes(t, plan, play) })
	t.Run("standalone", func(t *testing.T) { plan.share(t); standaloneScenes(t, plan, play) })
}

// run plays the scene for all promises at once.
func (s scene) run(t *testing.T, plan chaosPlan) []line {
	t.Helper()
	lines := make([]line, len(promises))
	groups := make([]*group, len(promises))
	for i, p := range promises {
		groups[i] = newGroup(t, s, p)
		defer groups[i].close()
	}
	began := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i, g := range groups {
		all.Go(func() { lines[i] = g.work(ctx, t, s, promises[i]) })
	}
	defer all.Wait()
	defer stop() // also when the scene ends the test
	playing, cancel := context.WithCancel(ctx)
	defer cancel()
	all.Go(func() { plan.await(playing, groups); cancel() })
	s.play(playing)
	<-playing.Done()
	time.Sleep(aftermath)
	stop()
	all.Wait()
	t.Logf("%s, %s: %v", s.topology, s.fault, time.Since(began).Round(time.Millisecond))
	return lines
}

// await returns when a scene has lasted long enough and has seen enough.
func (p chaosPlan) await(ctx context.Context, groups []*group) {
	began := time.Now()
	for wait(ctx, 50*time.Millisecond) {
		lasted := time.Since(began)
		if lasted < p.lasts {
			continue
		}
		poor, reads := false, uint64(0)
		for _, g := range groups {
			r := g.checker.Report()
			reads += r.Reads
			poor = poor || r.Reads < leastReads || r.Writes-r.Unconfirmed < leastConfirmed
		}
		if (!poor || lasted > p.lasts+patience) && (reads >= p.reads || lasted > 2*p.lasts) {
			return
		}
	}
}

// group is two nodes of one promise with their own namespace and source.
type group struct {
	checker  *lardertest.Checker
	nodes    []*chaosNode // in this process
	subjects []lardertest.Subject
	closers  []io.Closer
}

// chaosNode is a node whose invalidations may be strict.
type chaosNode struct {
	*node
	strict bool
}

// Invalidate implements lardertest.Subject.
func (n *chaosNode) Invalidate(ctx context.Context, key int) error {
	if !n.strict {
		return n.node.Invalidate(ctx, key)
	}
	return n.Cache.Invalidate(ctx, n.values.Key(int64(key)), larder.Strict)
}

func newGroup(t *testing.T, s scene, p promise) *group {
	t.Helper()
	g := &group{checker: lardertest.NewChecker(lardertest.CheckerOptions{SlowLoad: slowest})}
	name := strings.NewReplacer(" ", "-", ",", "").Replace(fmt.Sprintf("%s-%s-%s", s.topology, s.fault, p.name))
	load := func(ctx context.Context, key int64) (uint64, error) { return g.checker.Load(ctx, int(key)) }
	for i, cfg := range []redistier.Config{s.config, s.proxied} {
		if i == 1 && s.apart != nil {
			n := startNode(t, g.checker, cfg.Address, name, p.name)
			s.apart(n)
			g.subjects, g.closers = append(g.subjects, n), append(g.closers, n)
			continue
		}
		n, err := openNode(t.Context(), cfg, name, p, load)
		if err != nil {
			t.Fatal(err)
		}
		g.nodes, g.subjects, g.closers = append(g.nodes, n), append(g.subjects, n), append(g.closers, n)
	}
	return g
}

// silent is for caches whose troubles are intended.
var silent = slog.New(slog.NewTextHandler(io.Discard, nil))

func (g *group) close() {
	for _, n := range g.closers {
		_ = n.Close() // what is still pending was reported when it was
	}
}

// work reads and writes until ctx ends, with which some reads fail, and judges
// what was seen.
func (g *group) work(ctx context.Context, t *testing.T, s scene, p promise) line {
	w := lardertest.Workload{Lasts: time.Hour, Workers: 12, ReadsPerWrite: 50, Pause: 500 * time.Microsecond}
	r := g.checker.Run(ctx, w, g.subjects...)
	var refused uint64
	for _, n := range g.nodes {
		k := n.Stats().Keyspaces["register"]
		refused += k.RefusedLease + k.RefusedGeneration + k.RefusedError
	}
	bound := p.bound + s.twoMasters
	l := line{scene: s, promise: p, report: r, keys: uint64(g.checker.Keys()), refused: refused}
	if r.Invented > 0 || bound == 0 && r.Stale > 0 || bound > 0 && r.AgeMax >= bound {
		t.Errorf("%s, %s, %s: expected %s\n%v", s.topology, s.fault, p.name, l.expected(), r)
	}
	return l
}

// findsNaive is how long a naive cache may take to show a stale read: a
// thousand times what it takes on an idle machine.
const findsNaive = time.Minute

// TestChaosFindsNaive holds that a naive cache under the same workload has
// stale reads without any fault: else the table would prove nothing. A busy
// machine lets few loads meet a change, so it goes on until one does.
func TestChaosFindsNaive(t *testing.T) {
	s := lardertest.StartRedis(t)
	c := lardertest.NewChecker(lardertest.CheckerOptions{SlowLoad: slowest})
	w := lardertest.Workload{Lasts: planChaos(t).lasts, Workers: 12, ReadsPerWrite: 50, Pause: 500 * time.Microsecond}
	naive := lardertest.NewNaive(t, c, s, 12)
	r := c.Run(t.Context(), w, naive)
	for until := time.Now().Add(findsNaive); r.Stale == 0 && time.Now().Before(until); {
		r = c.Run(t.Context(), w, naive)
	}
	t.Logf("\n%v", r)
	if r.Stale == 0 {
		t.Error("a naive cache had no stale read; the harness does not find them")
	}
}
