package lardertest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// chaosT is the MaxStaleness of the chaos test.
const chaosT = 250 * time.Millisecond

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

// chaosFor returns how long each scene lasts: LARDER_CHAOS, else a short time.
func chaosFor(t *testing.T) time.Duration {
	env := os.Getenv("LARDER_CHAOS")
	if env == "" {
		return 800 * time.Millisecond
	}
	d, err := time.ParseDuration(env)
	if err != nil || d <= 0 {
		t.Fatalf("LARDER_CHAOS is %q, want the duration of each scene such as 30s", env)
	}
	return d
}

// TestChaos holds the promises while servers, connections and topologies
// suffer, one fault after the other, each for three groups of two nodes at a
// time, and prints what was seen.
//
//	LARDER_CHAOS=1m go test ./lardertest -run TestChaos -timeout 2h -v
func TestChaos(t *testing.T) {
	table := new(strings.Builder)
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "topology\tfault\tpromise\treads\tstale\toldest\tloads per version\trepeated\trefused fills\tunconfirmed\tfailed\texpected\t")
	var total, confirmed uint64
	for _, troupe := range []func(*testing.T, func(scene)){standaloneScenes, sentinelScenes, clusterScenes} {
		troupe(t, func(s scene) {
			for _, line := range s.run(t) {
				fmt.Fprintln(w, line.text)
				total += line.reads
				confirmed += line.confirmed
			}
		})
	}
	_ = w.Flush()
	t.Logf("%d reads, %d confirmed invalidations\n%s", total, confirmed, table)
	if confirmed < 100 { // on a busy machine single scenes may have none
		t.Errorf("%d confirmed invalidations hold nothing to anything", confirmed)
	}
}

// line is a row of the table.
type line struct {
	text             string
	reads, confirmed uint64
}

// run plays the scene for all promises at once.
func (s scene) run(t *testing.T) []line {
	t.Helper()
	long := chaosFor(t)
	lines := make([]line, len(promises))
	groups := make([]*group, len(promises))
	for i, p := range promises {
		groups[i] = newGroup(t, s, p)
	}
	began := time.Now()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i, g := range groups {
		all.Go(func() { lines[i] = g.work(ctx, t, s, promises[i]) })
	}
	playing, cancel := context.WithTimeout(ctx, long)
	s.play(playing)
	<-playing.Done()
	cancel()
	time.Sleep(aftermath)
	stop()
	all.Wait()
	t.Logf("%s, %s: %v", s.topology, s.fault, time.Since(began).Round(time.Millisecond))
	for _, g := range groups {
		g.close()
	}
	return lines
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
	bound, expected := p.bound+s.twoMasters, "no stale read"
	if bound > 0 {
		expected = "younger than " + bound.String()
	}
	if r.Invented > 0 || bound == 0 && r.Stale > 0 || bound > 0 && r.AgeMax >= bound {
		t.Errorf("%s, %s, %s: expected %s\n%v", s.topology, s.fault, p.name, expected, r)
	}
	versions := r.Writes + uint64(g.checker.Keys())
	return line{reads: r.Reads, confirmed: r.Writes - r.Unconfirmed, text: fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%v\t%.2f\t%d\t%d\t%d of %d\t%d\t%s\t", s.topology, s.fault, p.name,
		r.Reads, r.Stale, r.AgeMax.Round(time.Microsecond), float64(r.Loads)/float64(versions), r.Repeated, refused, r.Unconfirmed, r.Writes, r.Failed, expected)}
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
	w := lardertest.Workload{Lasts: chaosFor(t), Workers: 12, ReadsPerWrite: 50, Pause: 500 * time.Microsecond}
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
