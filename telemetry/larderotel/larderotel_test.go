package larderotel_test

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/telemetry/internal/figures"
	"github.com/larder-go/larder/telemetry/larderotel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A reader of OpenTelemetry receives every listed metric once, and sums, counts
// and buckets that agree with what was done.
func TestAReaderReceivesEveryMetric(t *testing.T) {
	cache, err := larder.NewWithRemote(t.Context(), lardertest.NewServer().Node(), larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	space, err := larder.NewKeyspace(cache, "space", larder.KeyspaceOptions[int, string]{})
	if err != nil {
		t.Fatal(err)
	}
	const reads = 30
	for i := range reads {
		if _, err := space.Get(t.Context(), i%10, func(context.Context, int) (string, error) { return "v", nil }); err != nil {
			t.Fatal(err)
		}
	}
	reader := metric.NewManualReader(metric.WithProducer(larderotel.Producer(cache)))
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	defer provider.Shutdown(context.Background())
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	metrics := map[string]metricdata.Metrics{}
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			if _, twice := metrics[m.Name]; twice {
				t.Errorf("%s comes twice", m.Name)
			}
			metrics[m.Name] = m
		}
	}
	for _, m := range figures.Metrics() {
		if _, ok := metrics[strings.TrimSuffix(m.Name, "_total")]; !ok {
			t.Errorf("%s is missing", m.Name)
		}
	}
	var sum float64
	for _, p := range metrics["larder_requests"].Data.(metricdata.Sum[float64]).DataPoints {
		sum += p.Value
		if keyspace, _ := p.Attributes.Value("keyspace"); keyspace.AsString() != "space" {
			t.Errorf("a point of %v", p.Attributes)
		}
	}
	if sum != reads {
		t.Errorf("%v requests, there were %d", sum, reads)
	}
	h := metrics["larder_load_seconds"].Data.(metricdata.Histogram[float64]).DataPoints[0]
	var inBuckets uint64
	for _, n := range h.BucketCounts {
		inBuckets += n
	}
	if h.Count != 10 || inBuckets != 10 || len(h.BucketCounts) != len(h.Bounds)+1 {
		t.Errorf("%d loads, %d in %d buckets of %d bounds", h.Count, inBuckets, len(h.BucketCounts), len(h.Bounds))
	}
}
