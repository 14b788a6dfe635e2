package acceptance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// The ill source: a load takes 100 ms to 2 s and fails in three cases of ten,
// while 1000 reads come in each second and values are fresh for 60 s. All times
// are divided by the scale, the rate is not.
const (
	policyKeys   = 100
	policyRate   = 1000
	policyTTL    = time.Minute
	policyFails  = 0.3
	shortestLoad = 100 * time.Millisecond
	longestLoad  = 2 * time.Second
)

// policyScale returns by what times are divided, and for how many TTLs is
// measured.
func policyScale(t *testing.T) (scale, ttls int) {
	if text := os.Getenv("LARDER_POLICIES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 60 {
			t.Fatalf("LARDER_POLICIES=%q: want a number from 1 to 60", text)
		}
		return n, 5
	}
	return 60, 2
}

var errIllSource = errors.New("the source fails")

// policy is one way to read from the ill source.
type policy struct {
	name  string
	read  func(ctx context.Context, key int64) (int64, error)
	loads atomic.Int64

	mu     sync.Mutex
	took   []time.Duration
	failed int
}

// load is the ill source as this policy uses it.
func (p *policy) load(scale int) larder.Loader[int64, int64] {
	return func(ctx context.Context, key int64) (int64, error) {
		p.loads.Add(1)
		takes := shortestLoad + time.Duration(rand.Int64N(int64(longestLoad-shortestLoad)))
		select {
		case <-time.After(takes / time.Duration(scale)):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if rand.Float64() < policyFails {
			return 0, errIllSource
		}
		return key, nil
	}
}

// measure reads at the rate for a time, whatever the answers take.
func (p *policy) measure(ctx context.Context, length time.Duration) {
	var reads sync.WaitGroup
	begin, every := time.Now(), time.Second/policyRate
	for n := 0; time.Since(begin) < length; n++ {
		due := begin.Add(time.Duration(n) * every)
		time.Sleep(time.Until(due))
		reads.Go(func() {
			_, err := p.read(ctx, rand.Int64N(policyKeys))
			p.note(time.Since(due), err)
		})
	}
	reads.Wait()
}

func (p *policy) note(took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = append(p.took, took)
	if err != nil {
		p.failed++
	}
}

// warm reads every key until it has a value.
func (p *policy) warm(t *testing.T, ctx context.Context) {
	var keys sync.WaitGroup
	for key := range int64(policyKeys) {
		keys.Go(func() {
			for range 200 {
				if _, err := p.read(ctx, key); err == nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("%s: key %d never got a value", p.name, key)
		})
	}
	keys.Wait()
	p.loads.Store(0)
}

// cached returns a policy that reads from two caches over one Redis in turn.
func cached(t *testing.T, name, addr string, scale int, o larder.KeyspaceOptions[int64, int64]) *policy {
	p := &policy{name: name}
	o.TTL = policyTTL / time.Duration(scale)
	var spaces []*larder.Keyspace[int64, int64]
	for range 2 {
		c, err := redistier.Open(t.Context(), redistier.Config{Address: addr}, larder.Options{
			Namespace: strconv.Itoa(len(name)), ReadTimeout: time.Second, WriteTimeout: time.Second, MaxStaleness: 5 * time.Second})
		check(t, err)
		t.Cleanup(func() { c.Close() })
		k, err := larder.NewKeyspace(c, "doc", o)
		check(t, err)
		spaces = append(spaces, k)
	}
	load := p.load(scale)
	p.read = func(ctx context.Context, key int64) (int64, error) {
		return spaces[rand.IntN(len(spaces))].Get(ctx, key, load)
	}
	return p
}

// TestPolicies compares what readers of an ill source see without a cache, with
// a plain TTL and with grace. It holds that with grace nobody waits for the
// source or sees its failures.
func TestPolicies(t *testing.T) {
	scale, ttls := policyScale(t)
	redis := lardertest.StartRedis(t)
	none := &policy{name: "no cache"}
	none.read = none.load(scale)
	plain := cached(t, "plain TTL", redis.Addr(), scale, larder.KeyspaceOptions[int64, int64]{})
	lasts := policyTTL / time.Duration(scale)
	if scale == 60 { // a busy machine stands still for more than a second
		lasts = policyTTL
	}
	grace := cached(t, "TTL and grace", redis.Addr(), scale, larder.KeyspaceOptions[int64, int64]{
		Grace: lasts, Backoff: time.Second / time.Duration(scale)})

	length := time.Duration(ttls) * policyTTL / time.Duration(scale)
	t.Logf("times divided by %d: TTL %v, loads of %v to %v, %d keys, %v each", scale, policyTTL/time.Duration(scale),
		shortestLoad/time.Duration(scale), longestLoad/time.Duration(scale), policyKeys, length)
	t.Logf("| policy | reads | p50 | p99 | max | errors | loads |")
	t.Logf("|---|---:|---:|---:|---:|---:|---:|")
	for _, p := range []*policy{none, plain, grace} {
		p.warm(t, t.Context())
		p.measure(t.Context(), length)
		t.Log(p.row())
	}
	if grace.failed != 0 {
		t.Errorf("%d reads failed within grace", grace.failed)
	}
	if plain.failed == 0 || none.failed == 0 {
		t.Error("the source is not ill: nobody else saw an error")
	}
	if g, p := grace.percentile(99), plain.percentile(99); g >= p && scale < 60 { // below, a busy machine decides
		t.Errorf("p99 with grace %v, without %v", g, p)
	}
	if grace.loads.Load() > none.loads.Load()/5 {
		t.Errorf("%d loads with grace, %d without a cache", grace.loads.Load(), none.loads.Load())
	}
}

func (p *policy) percentile(n int) time.Duration {
	slices.Sort(p.took)
	return p.took[min(len(p.took)*n/100, len(p.took)-1)]
}

func (p *policy) row() string {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return fmt.Sprintf("| %s | %d | %v | %v | %v | %.2f %% | %d |", p.name, len(p.took), round(p.percentile(50)),
		round(p.percentile(99)), round(p.percentile(100)), 100*float64(p.failed)/float64(len(p.took)), p.loads.Load())
}
