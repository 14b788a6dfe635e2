// Package larderotel shows the counters and the work of a cache to
// OpenTelemetry:
//
//	reader := metric.NewPeriodicReader(exporter, metric.WithProducer(larderotel.Producer(cache)))
//	options := larder.Options{Tracer: larderotel.Tracer(otel.GetTracerProvider())}
//
// The metrics are those of docs/operations.md, without the suffix "_total",
// which exporters to Prometheus add.
package larderotel

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/telemetry/internal/figures"
)

// Producer returns a producer of the metrics of cache, which a reader asks when
// it collects. It runs nothing itself, and may be asked concurrently. The sums it
// gives are cumulative since its making at the latest.
func Producer(cache *larder.Cache) metric.Producer {
	return &producer{cache: cache, since: time.Now()}
}

type producer struct {
	cache *larder.Cache
	since time.Time
}

// Produce implements metric.Producer.
func (p *producer) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	now := time.Now()
	var list []metricdata.Metrics
	for _, f := range figures.Read(p.cache) {
		name := strings.TrimSuffix(f.Name, "_total")
		if len(list) == 0 || list[len(list)-1].Name != name {
			list = appendMetric(list, name, f.Metric)
		}
		p.add(&list[at(list, name)], f, now)
	}
	scope := instrumentation.Scope{Name: scopeName}
	return []metricdata.ScopeMetrics{{Scope: scope, Metrics: list}}, nil
}

// at returns the index of the metric called name.
func at(list []metricdata.Metrics, name string) int {
	for i := range list {
		if list[i].Name == name {
			return i
		}
	}
	return -1
}

// appendMetric adds an empty metric unless there is one of that name.
func appendMetric(list []metricdata.Metrics, name string, m *figures.Metric) []metricdata.Metrics {
	if at(list, name) >= 0 {
		return list
	}
	one := metricdata.Metrics{Name: name, Description: m.Help, Unit: m.Unit}
	switch m.Kind {
	case figures.Counter:
		one.Data = metricdata.Sum[float64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true}
	case figures.Histogram:
		one.Data = metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality}
	default:
		one.Data = metricdata.Gauge[float64]{}
	}
	return append(list, one)
}

// add adds the figure of one set of labels to its metric.
func (p *producer) add(m *metricdata.Metrics, f figures.Figure, now time.Time) {
	var labels []attribute.KeyValue
	for i, name := range f.Labels {
		labels = append(labels, attribute.String(name, f.Values[i]))
	}
	set := attribute.NewSet(labels...)
	point := metricdata.DataPoint[float64]{Attributes: set, StartTime: p.since, Time: now, Value: f.Value}
	switch data := m.Data.(type) {
	case metricdata.Sum[float64]:
		data.DataPoints = append(data.DataPoints, point)
		m.Data = data
	case metricdata.Gauge[float64]:
		data.DataPoints = append(data.DataPoints, point)
		m.Data = data
	case metricdata.Histogram[float64]:
		data.DataPoints = append(data.DataPoints, p.spread(f, set, now))
		m.Data = data
	}
}

// spread is a histogram with a count for each interval between bounds.
func (p *producer) spread(f figures.Figure, set attribute.Set, now time.Time) metricdata.HistogramDataPoint[float64] {
	h := metricdata.HistogramDataPoint[float64]{Attributes: set, StartTime: p.since, Time: now, Count: f.Dist.Count(), Sum: float64(f.Dist.Sum) * f.Scale}
	var below uint64
	for _, bound := range f.Bounds {
		n := f.Dist.AtMost(bound)
		h.Bounds, h.BucketCounts = append(h.Bounds, float64(bound)*f.Scale), append(h.BucketCounts, n-below)
		below = n
	}
	h.BucketCounts = append(h.BucketCounts, h.Count-below)
	return h
}
