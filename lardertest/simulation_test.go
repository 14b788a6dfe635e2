package lardertest_test

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// simT is the tolerance of simulated caches.
const simT = 200 * time.Millisecond

// simulation is a cluster of caches over fake servers in virtual time, with
// faults of every kind at random.
type simulation struct {
	rand    *rand.Rand
	servers []*lardertest.Server
	remotes []*lardertest.Remote
	checker *lardertest.Checker
	nodes   []lardertest.Subject
}

func newSimulation(t *testing.T, seed uint64, servers int, opts ...larder.ReadOption) *simulation {
	s := &simulation{rand: rand.New(rand.NewPCG(seed, 7))}
	for range servers {
		s.servers = append(s.servers, lardertest.NewServer())
	}
	s.checker = lardertest.NewChecker(lardertest.CheckerOptions{Keys: 16, SlowLoad: 30 * time.Millisecond})
	for i := range 3 {
		r := lardertest.NewRemote(lardertest.RemoteOptions{}, s.servers...)
		r.Delay(time.Millisecond)
		s.remotes = append(s.remotes, r)
		n := simulatedNode(t, s.checker, r, opts...)
		n.byTag = i == 2
		s.nodes = append(s.nodes, n)
	}
	return s
}

func simulatedNode(t *testing.T, c *lardertest.Checker, r larder.Remote, opts ...larder.ReadOption) *node {
	cache, err := larder.NewWithRemote(t.Context(), r, larder.Options{
		MaxStaleness: simT, LeaseTime: 300 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close() })
	values, err := larder.NewKeyspace(cache, "register", larder.KeyspaceOptions[int64, uint64]{
		Tags: func(key int64) []string { return []string{tagOf(key)} },
	})
	if err != nil {
		t.Fatal(err)
	}
	load := func(ctx context.Context, key int64) (uint64, error) { return c.Load(ctx, int(key)) }
	return &node{Cache: cache, values: values, load: load, opts: opts}
}

// run uses the caches for a while, with faults, and reports.
func (s *simulation) run(t *testing.T) lardertest.Report {
	return s.checker.Run(t.Context(), lardertest.Workload{
		Workers: 9, ReadsPerWrite: 20, Pause: 4 * time.Millisecond, Lasts: 10 * time.Second, Chaos: s.torment,
	}, s.nodes...)
}

// torment plays one random fault after the other until ctx ends, then ends
// them all.
func (s *simulation) torment(ctx context.Context) {
	for wait(ctx, s.upTo(300*time.Millisecond)) {
		s.fault(ctx)
	}
	for _, r := range s.remotes {
		r.Resume()
	}
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.rand.Int64N(int64(d)))
}

func (s *simulation) fault(ctx context.Context) {
	remote, server := s.remotes[s.rand.IntN(len(s.remotes))], s.servers[s.rand.IntN(len(s.servers))]
	last := s.upTo(3 * simT)
	during := func(begin, end func()) { begin(); wait(ctx, last); end() }
	faults := []func(){
		func() { during(remote.Hold, remote.Resume) },
		func() { during(remote.HoldPushes, remote.Resume) },
		func() { during(remote.Cut, remote.Resume) },
		remote.Drop,
		func() { remote.Delay(s.upTo(30 * time.Millisecond)) },
		func() { remote.Delay(0) },
		func() { during(server.Stop, server.Cont) },
		func() { during(func() { server.SetReadOnly(true) }, func() { server.SetReadOnly(false) }) },
		func() { during(server.Kill, server.Restart) },
		server.Save,
		server.Failover,
		server.FlushAll,
		func() { server.EvictAny() },
		func() { server.EvictAny() },
		func() { during(func() { server.Script(s.rarely()) }, func() { server.Script(nil) }) },
	}
	faults[s.rand.IntN(len(faults))]()
}

// rarely returns a script that breaks every tenth operation in some way.
func (s *simulation) rarely() func(lardertest.Request) lardertest.Fault {
	return func(lardertest.Request) lardertest.Fault {
		if rand.IntN(10) > 0 {
			return lardertest.NoFault
		}
		return lardertest.Fault(1 + rand.IntN(3))
	}
}

// seeds returns the seeds to simulate: LARDER_SEED alone, or so many random
// ones, twenty times as many in a long run.
func seeds(t *testing.T, n int) []uint64 {
	if env := os.Getenv("LARDER_SEED"); env != "" {
		seed, err := strconv.ParseUint(env, 10, 64)
		if err != nil {
			t.Fatalf("LARDER_SEED is %q, want a number that a failed run has printed", env)
		}
		return []uint64{seed}
	}
	if os.Getenv("LARDER_READS") != "" {
		n *= 20
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = rand.Uint64()
	}
	return list
}

// TestSimulationExact holds promise P1 in virtual time: whatever the network
// and the servers do, an exact read returns nothing that was invalidated
// before it began. The seed decides about the faults, not about the order of
// goroutines.
func TestSimulationExact(t *testing.T) {
	for _, seed := range seeds(t, 3) {
		synctest.Test(t, func(t *testing.T) {
			r := newSimulation(t, seed, 1+int(seed%2), larder.Exact).run(t)
			if r.Stale != 0 || r.Invented != 0 {
				t.Errorf("seed %d: %d stale reads\n%v", seed, r.Stale, r)
			}
			expectSubstance(t, seed, r)
		})
	}
}

// TestSimulationDefault holds promise P2 in virtual time, to the nanosecond: no
// read returns what has been invalid for longer than MaxStaleness.
func TestSimulationDefault(t *testing.T) {
	for _, seed := range seeds(t, 3) {
		synctest.Test(t, func(t *testing.T) {
			r := newSimulation(t, seed, 1+int(seed%2)).run(t)
			if r.AgeMax > simT || r.Invented != 0 {
				t.Errorf("seed %d: a value was returned that had been invalid for %v, the bound is %v\n%v", seed, r.AgeMax, simT, r)
			}
			expectSubstance(t, seed, r)
		})
	}
}

// TestSimulationStrict holds promise P3 in virtual time: once a strict
// invalidation has returned, no memory hit is stale either.
func TestSimulationStrict(t *testing.T) {
	for _, seed := range seeds(t, 3) {
		synctest.Test(t, func(t *testing.T) {
			s := newSimulation(t, seed, 1+int(seed%2))
			for _, n := range s.nodes {
				n.(*node).strict = true
			}
			r := s.run(t)
			if r.Stale != 0 || r.Invented != 0 {
				t.Errorf("seed %d: %d stale reads\n%v", seed, r.Stale, r)
			}
			expectSubstance(t, seed, r)
		})
	}
}

// expectSubstance makes sure that a simulation tested something.
func expectSubstance(t *testing.T, seed uint64, r lardertest.Report) {
	t.Logf("seed %d: %d reads, %d failed, %d stale up to %v; %d of %d writes confirmed; %d loads",
		seed, r.Reads, r.Failed, r.Stale, r.AgeMax, r.Writes-r.Unconfirmed, r.Writes, r.Loads)
	if r.Reads < 1000 || r.Writes-r.Unconfirmed < 20 || r.Loads < 50 {
		t.Errorf("seed %d: nothing much happened\n%v", seed, r)
	}
}

// TestRestartOfATagsServer holds that a server which restarts from a snapshot
// and brings back the old generation of a tag revives no entry elsewhere.
func TestRestartOfATagsServer(t *testing.T) {
	for range 10 { // the servers of keys and tags follow from hashes
		synctest.Test(t, func(t *testing.T) {
			s := newSimulation(t, 1, 2, larder.Exact)
			n := s.nodes[2].(*node) // invalidates by tag
			for key := range s.checker.Keys() {
				if err := s.checker.Read(t.Context(), key, n.Get); err != nil {
					t.Fatal(err)
				}
			}
			for _, server := range s.servers {
				server.Save()
			}
			for key := range s.checker.Keys() {
				if err := s.checker.Write(t.Context(), key, n.Invalidate); err != nil {
					t.Fatal(err)
				}
			}
			if err := n.Close(); err != nil { // it would repeat its invalidations
				t.Fatal(err)
			}
			s.servers[rand.IntN(2)].Failover()
			time.Sleep(time.Second)
			for key := range s.checker.Keys() {
				_ = s.checker.Read(t.Context(), key, s.nodes[0].Get)
			}
			if r := s.checker.Report(); r.Stale != 0 {
				t.Fatalf("a restart revived entries:\n%v", r)
			}
		})
	}
}

// TestSimulationFindsLostPushes holds that the simulation would find a broken
// memory tier: on a server that pushes nothing, values outlive the bound.
func TestSimulationFindsLostPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 1, 1)
		s.servers[0].Deaf()
		r := s.checker.Run(t.Context(), lardertest.Workload{
			Workers: 9, ReadsPerWrite: 20, Pause: 4 * time.Millisecond, Lasts: 5 * time.Second,
		}, s.nodes...)
		if r.AgeMax <= simT {
			t.Errorf("lost pushes went unnoticed: %v", r)
		}
	})
}

// TestSimulationFindsLateFills holds that the simulation would find a broken
// lease: on a server that fills without one, exact reads are stale.
func TestSimulationFindsLateFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 1, 1, larder.Exact)
		s.servers[0].Careless()
		for _, n := range s.nodes {
			n.(*node).byTag = false
		}
		r := s.checker.Run(t.Context(), lardertest.Workload{
			Workers: 9, ReadsPerWrite: 20, Pause: 4 * time.Millisecond, Lasts: 5 * time.Second,
		}, s.nodes...)
		if r.Stale == 0 {
			t.Errorf("late fills went unnoticed: %v", r)
		}
	})
}
