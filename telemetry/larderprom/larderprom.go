// Package larderprom shows the counters of a cache to Prometheus:
//
//	prometheus.MustRegister(larderprom.Collector(cache))
//
// The metrics are listed in docs/operations.md. Labels are names of keyspaces,
// operations and outcomes, never keys, ids or tags: twenty keyspaces give fewer
// than a thousand series.
package larderprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/telemetry/internal/figures"
)

// Collector returns a collector of the metrics of cache, which it reads when it
// is asked: it runs nothing itself, and may be asked concurrently. For several
// caches in one process, give each a label of its own with
// [prometheus.WrapRegistererWith].
func Collector(cache *larder.Cache) prometheus.Collector {
	c := &collector{cache: cache, descs: make(map[*figures.Metric]*prometheus.Desc)}
	for _, m := range figures.Metrics() {
		c.descs[m] = prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
	}
	return c
}

type collector struct {
	cache *larder.Cache
	descs map[*figures.Metric]*prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, f := range figures.Read(c.cache) {
		d := c.descs[f.Metric]
		switch f.Kind {
		case figures.Histogram:
			buckets := make(map[float64]uint64, len(f.Bounds))
			for _, bound := range f.Bounds {
				buckets[float64(bound)*f.Scale] = f.Dist.AtMost(bound)
			}
			to <- prometheus.MustNewConstHistogram(d, f.Dist.Count(), float64(f.Dist.Sum)*f.Scale, buckets, f.Values...)
		case figures.Counter:
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, f.Value, f.Values...)
		default:
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, f.Value, f.Values...)
		}
	}
}
