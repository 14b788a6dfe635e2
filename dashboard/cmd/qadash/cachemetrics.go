package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/larder-go/larder"
)

// cacheMetrics shows the counters of the cache when metrics are asked for. Its
// labels are static names: never a key, an id or a tag.
type cacheMetrics struct{ cache *larder.Cache }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("larder_"+name, help, labels, nil)
}

var (
	cacheRequests      = desc("requests_total", "Reads by keyspace and by who answered.", "keyspace", "result")
	cacheLoads         = desc("loads_total", "Calls of loaders by outcome.", "keyspace", "outcome")
	cacheLoadTime      = desc("load_seconds_total", "Time spent in loaders.", "keyspace")
	cacheBypassed      = desc("bypassed_total", "Loads while Redis could not be asked or trusted.", "keyspace")
	cacheShed          = desc("loads_shed_total", "Loads refused by the bulkhead.", "keyspace")
	cacheWaits         = desc("load_waits_total", "Reads that waited for a load of somebody else.", "keyspace", "scope")
	cacheRefused       = desc("fills_refused_total", "Loaded values that were not stored.", "keyspace", "reason")
	cacheCodec         = desc("codec_errors_total", "Entries that could not be read or written.", "keyspace", "kind")
	cacheOutdated      = desc("outdated_total", "Entries found whose tags had been invalidated.", "keyspace")
	cacheInvalidations = desc("invalidations_total", "Invalidations by origin: own calls, or keys that other processes changed.", "origin")
	cachePending       = desc("invalidations_pending", "Keys whose invalidation Redis has not confirmed.")
	cacheEntries       = desc("memory_entries", "Entries in the memory tier, about.")
	cacheBytes         = desc("memory_bytes", "Bytes in the memory tier, about.")
	cacheEvictions     = desc("memory_evictions_total", "Entries that left the memory tier for room.")
	cacheConnected     = desc("remote_state", "1 for the present state of Redis: connected, failing, disconnected.", "state")
	cacheAsOf          = desc("coherent_as_of_seconds", "Age of the last heartbeat that Redis acknowledged.")
)

// Describe implements prometheus.Collector.
func (m *cacheMetrics) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, to) }

// Collect implements prometheus.Collector.
func (m *cacheMetrics) Collect(to chan<- prometheus.Metric) {
	s := m.cache.Stats()
	for name, k := range s.Keyspaces {
		collectKeyspace(to, name, k)
	}
	put(to, cacheInvalidations, prometheus.CounterValue, float64(s.Invalidations), "own")
	put(to, cacheInvalidations, prometheus.CounterValue, float64(s.Pushes), "push")
	put(to, cachePending, prometheus.GaugeValue, float64(s.InvalidationsPending))
	put(to, cacheEntries, prometheus.GaugeValue, float64(s.MemoryEntries))
	put(to, cacheBytes, prometheus.GaugeValue, float64(s.MemoryBytes))
	put(to, cacheEvictions, prometheus.CounterValue, float64(s.MemoryEvictions))
	h := m.cache.Health()
	for _, state := range []string{"connected", "failing", "disconnected"} {
		is := 0.0
		if h.Remote == state {
			is = 1
		}
		put(to, cacheConnected, prometheus.GaugeValue, is, state)
	}
	if h.CoherentFor >= 0 {
		put(to, cacheAsOf, prometheus.GaugeValue, h.CoherentFor.Seconds())
	}
}

func put(to chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
}

func collectKeyspace(to chan<- prometheus.Metric, name string, k larder.KeyspaceStats) {
	counters := func(d *prometheus.Desc, values map[string]uint64) {
		for label, n := range values {
			put(to, d, prometheus.CounterValue, float64(n), name, label)
		}
	}
	counters(cacheRequests, map[string]uint64{"memory_hit": k.MemoryHits, "remote_hit": k.RemoteHits, "negative_hit": k.NegativeHits,
		"miss": k.Loaded + k.Misses, "error": k.Errors})
	counters(cacheLoads, map[string]uint64{"ok": k.Loads - k.LoadNotFound - k.LoadErrors, "not_found": k.LoadNotFound, "error": k.LoadErrors})
	counters(cacheWaits, map[string]uint64{"local": k.LocalWaits, "cluster": k.ClusterWaits})
	counters(cacheRefused, map[string]uint64{"lease": k.RefusedLease, "generation": k.RefusedGeneration, "encoding": k.RefusedEncoding, "error": k.RefusedError})
	counters(cacheCodec, map[string]uint64{"corrupt": k.Corrupt, "codec": k.CodecErrors, "too_large": k.TooLarge, "too_heavy": k.TooHeavy})
	put(to, cacheLoadTime, prometheus.CounterValue, k.LoadTime.Seconds(), name)
	put(to, cacheBypassed, prometheus.CounterValue, float64(k.Bypassed), name)
	put(to, cacheShed, prometheus.CounterValue, float64(k.Shed), name)
	put(to, cacheOutdated, prometheus.CounterValue, float64(k.Outdated), name)
}
