package larder_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// The counters are equations: every key that was asked for is counted under
// exactly one outcome, every call of a loader under one of its own, whatever
// goes wrong. The other side of each equation is counted here.
func TestCountersAddUp(t *testing.T) {
	for seed := range uint64(40) {
		inRig(t, 2, func(r *rig) { countWorkload(r, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// tally is what a workload counts about one node.
type tally struct{ asked, answered, notFound, failed, missed atomic.Int64 }

func countWorkload(r *rig, seed uint64) {
	var loads, none, ill atomic.Int64
	dice := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return dice.IntN(n)
	}
	r.src.hook = func(ctx context.Context, _ string) error {
		loads.Add(1)
		time.Sleep(time.Duration(roll(20)) * time.Millisecond)
		switch n := roll(8); {
		case n == 0, n == 1 && ctx.Value(inBatch{}) != nil:
			none.Add(1)
			return larder.ErrNotFound
		case n == 1:
			ill.Add(1)
			return errSimulated
		}
		return nil
	}
	if seed%2 == 1 {
		r.server.Script(func(lardertest.Request) lardertest.Fault {
			if roll(20) == 0 {
				return lardertest.LoseReply
			}
			return lardertest.NoFault
		})
	}
	tallies := make([]tally, len(r.nodes))
	var wg sync.WaitGroup
	for i := range 8 {
		random := rand.New(rand.NewPCG(seed, uint64(10+i)))
		n := r.nodes[i%len(r.nodes)]
		wg.Go(func() {
			for range 30 {
				time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
				n.countOne(random, &tallies[i%len(r.nodes)])
			}
		})
	}
	wg.Wait()
	r.pass(time.Second) // loads that nobody waits for any more
	var counted larder.KeyspaceStats
	for i, n := range r.nodes {
		s := n.stats()
		tallies[i].compare(r, s)
		counted.Loads += s.Loads
		counted.LoadNotFound += s.LoadNotFound
		counted.LoadErrors += s.LoadErrors
	}
	r.healthy()
	if counted.Loads != uint64(loads.Load()) || counted.LoadNotFound != uint64(none.Load()) || counted.LoadErrors != uint64(ill.Load()) {
		r.Errorf("counted %d loads, %d found nothing, %d failed; there were %d, %d and %d",
			counted.Loads, counted.LoadNotFound, counted.LoadErrors, loads.Load(), none.Load(), ill.Load())
	}
}

// countOne does one random operation and counts its outcome.
func (n *node) countOne(random *rand.Rand, c *tally) {
	ctx, cancel := n.rig.ctx, func() {}
	if random.IntN(5) == 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(10))*time.Millisecond)
	}
	defer cancel()
	key := pick(random, []string{"k0", "k1", "k2", ""})
	var opts []larder.ReadOption
	if random.IntN(3) == 0 {
		opts = append(opts, larder.Exact)
	}
	switch random.IntN(6) {
	case 0:
		n.plain.Delete(ctx, key)
	case 1:
		c.count(1, func() error { _, err := n.plain.Lookup(ctx, key, opts...); return err })
	case 2:
		n.countBatch(ctx, random, c, opts)
	default:
		c.count(1, func() error { _, err := n.plain.Get(ctx, key, n.rig.src.load, opts...); return err })
	}
}

// countBatch asks for several keys, some twice.
func (n *node) countBatch(ctx context.Context, random *rand.Rand, c *tally, opts []larder.ReadOption) {
	keys := []string{"k0", "k1", "k2", "k0"}[:1+random.IntN(4)]
	unique := slices.Clone(keys)
	slices.Sort(unique)
	c.asked.Add(int64(len(slices.Compact(unique))))
	values, _ := n.plain.GetMany(ctx, keys, n.rig.loadEach, opts...)
	c.answered.Add(int64(len(values)))
}

// loadEach is a batch loader that asks for each key once and never fails as a
// whole: a key it has no value for is not found.
func (r *rig) loadEach(ctx context.Context, keys []string) (map[string]int, error) {
	values := map[string]int{}
	for _, key := range keys {
		v, err := r.src.load(context.WithValue(ctx, inBatch{}, true), key)
		if err == nil {
			values[key] = v
		}
	}
	return values, nil
}

type inBatch struct{}

func (c *tally) count(keys int64, read func() error) {
	c.asked.Add(keys)
	switch err := read(); {
	case err == nil:
		c.answered.Add(1)
	case errors.Is(err, larder.ErrNotFound):
		c.notFound.Add(1)
	case errors.Is(err, larder.ErrMiss):
		c.missed.Add(1)
	default:
		c.failed.Add(1)
	}
}

func (c *tally) compare(r *rig, s larder.KeyspaceStats) {
	if s.Reads != uint64(c.asked.Load()) {
		r.Errorf("%d reads are counted, there were %d: %+v", s.Reads, c.asked.Load(), s)
	}
	if s.Misses != uint64(c.missed.Load()) {
		r.Errorf("%d misses are counted, there were %d", s.Misses, c.missed.Load())
	}
	if hits := s.MemoryHits + s.RemoteHits + s.NegativeHits + s.Loaded; hits < uint64(c.answered.Load()+c.notFound.Load()) {
		r.Errorf("%d answers are counted, there were at least %d", hits, c.answered.Load()+c.notFound.Load())
	}
}
