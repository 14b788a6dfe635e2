package larderprom_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/telemetry/internal/figures"
	"github.com/larder-go/larder/telemetry/larderprom"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loaded is a cache of n keyspaces over a fake Redis.
func loaded(t *testing.T, n int) (*larder.Cache, []*larder.Keyspace[int, string]) {
	t.Helper()
	cache, err := larder.NewWithRemote(t.Context(), lardertest.NewServer().Node(), larder.Options{ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close() })
	spaces := make([]*larder.Keyspace[int, string], n)
	for i := range spaces {
		o := larder.KeyspaceOptions[int, string]{Tags: func(int) []string { return []string{"all"} }}
		if spaces[i], err = larder.NewKeyspace(cache, "space"+strconv.Itoa(i), o); err != nil {
			t.Fatal(err)
		}
	}
	return cache, spaces
}

// gathered are the metrics as a scrape shows them.
type gathered map[string]*dto.MetricFamily

func gather(t *testing.T, c *larder.Cache) gathered {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(larderprom.Collector(c))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	g := gathered{}
	for _, f := range families {
		g[f.GetName()] = f
	}
	return g
}

// sum adds the values of the series that have all labels, given as name=value;
// of histograms their counts.
func (g gathered) sum(name string, labels ...string) (sum float64) {
	for _, m := range g[name].GetMetric() {
		have := map[string]bool{}
		for _, l := range m.GetLabel() {
			have[l.GetName()+"="+l.GetValue()] = true
		}
		matches := true
		for _, l := range labels {
			matches = matches && have[l]
		}
		if matches {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// Under concurrent load with errors, misses and invalidations the counters of a
// scrape add up to what was done.
func TestCountersAddUpUnderLoad(t *testing.T) {
	cache, spaces := loaded(t, 3)
	var reads, loads, invalidated atomic.Int64
	load := func(_ context.Context, key int) (string, error) {
		loads.Add(1)
		switch key % 7 {
		case 0:
			return "", larder.ErrNotFound
		case 1:
			return "", errors.New("the source fails")
		}
		return strings.Repeat("x", key), nil
	}
	var wg sync.WaitGroup
	for i := range 8 {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		wg.Go(func() {
			for range 500 {
				k, key := spaces[random.IntN(len(spaces))], random.IntN(100)
				switch random.IntN(10) {
				case 0:
					invalidated.Add(1)
					_ = cache.Invalidate(t.Context(), k.Key(key))
				case 1:
					reads.Add(1)
					_, _ = k.Lookup(t.Context(), key)
				case 2:
					reads.Add(1)
					_, _ = k.Get(t.Context(), key, load, larder.Exact)
				default:
					reads.Add(1)
					_, _ = k.Get(t.Context(), key, load)
				}
			}
		})
	}
	wg.Wait()
	g := gather(t, cache)
	equal := func(what string, a, b float64) {
		t.Helper()
		if a != b {
			t.Errorf("%s: %v and %v", what, a, b)
		}
	}
	equal("reads", g.sum("larder_requests_total"), float64(reads.Load()))
	equal("reads = hits + misses + errors", g.sum("larder_requests_total"), g.sum("larder_requests_total", "result=memory_hit")+
		g.sum("larder_requests_total", "result=remote_hit")+g.sum("larder_requests_total", "result=negative_hit")+
		g.sum("larder_requests_total", "result=miss")+g.sum("larder_requests_total", "result=bypass")+
		g.sum("larder_requests_total", "result=stale_hit")+g.sum("larder_requests_total", "result=error"))
	equal("times of reads", g.sum("larder_request_seconds"), float64(reads.Load())-g.sum("larder_requests_total", "result=memory_hit"))
	equal("loads", g.sum("larder_loads_total"), float64(loads.Load()))
	equal("times of loads", g.sum("larder_load_seconds"), float64(loads.Load()))
	equal("loads in flight", g.sum("larder_loads_in_flight"), 0)
	equal("own invalidations", g.sum("larder_invalidations_total", "origin=own"), float64(invalidated.Load()))
	equal("calls and their times", g.sum("larder_remote_calls_total"), g.sum("larder_remote_call_seconds"))
	for _, op := range []string{"get", "fill", "delete"} {
		equal("times of "+op, g.sum("larder_remote_calls_total", "op="+op), g.sum("larder_remote_call_seconds", "op="+op))
		if g.sum("larder_remote_calls_total", "op="+op) == 0 {
			t.Errorf("no %s is counted", op)
		}
	}
	if encoded, fills := g.sum("larder_value_bytes"), g.sum("larder_remote_calls_total", "op=fill"); encoded < fills {
		t.Errorf("%v values were encoded for %v fills", encoded, fills)
	}
	if g.sum("larder_connected") != 1 || g.sum("larder_coherence_mode") != 1 {
		t.Errorf("connected %v, coherence modes %v", g.sum("larder_connected"), g["larder_coherence_mode"])
	}
}

// A scrape shows exactly the metrics that are listed, and so few series that
// nobody has to drop some.
func TestEveryListedMetricIsShown(t *testing.T) {
	cache, spaces := loaded(t, 20)
	for _, k := range spaces {
		if _, err := k.Get(t.Context(), 3, func(context.Context, int) (string, error) { return "v", nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := cache.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := gather(t, cache)
	for _, m := range figures.Metrics() {
		f := g[m.Name]
		if f == nil {
			t.Errorf("%s is listed and not shown", m.Name)
			continue
		}
		if want := strings.ToUpper(string(m.Kind)); f.GetType().String() != want {
			t.Errorf("%s is a %s, listed as %s", m.Name, f.GetType(), want)
		}
	}
	if len(g) != len(figures.Metrics()) {
		t.Errorf("%d metrics are shown, %d are listed", len(g), len(figures.Metrics()))
	}
	series := 0
	for _, f := range g {
		for _, m := range f.GetMetric() {
			series++
			if h := m.GetHistogram(); h != nil {
				series += len(h.GetBucket()) + 2
			}
		}
	}
	if series >= 1000 {
		t.Errorf("%d series for 20 keyspaces", series)
	}
	t.Logf("%d series for 20 keyspaces", series)
	if problems, err := testutil.CollectAndLint(larderprom.Collector(cache)); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
}
