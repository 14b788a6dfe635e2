package figures

import (
	"maps"
	"slices"

	"github.com/larder-go/larder"
)

// reading collects the figures of one reading.
type reading []Figure

func (r *reading) add(m *Metric, value float64, values ...string) {
	*r = append(*r, Figure{Metric: m, Value: value, Values: values})
}

func (r *reading) count(m *Metric, n uint64, values ...string) { r.add(m, float64(n), values...) }

func (r *reading) spread(m *Metric, d larder.Distribution, values ...string) {
	*r = append(*r, Figure{Metric: m, Dist: d, Values: values})
}

// Read returns the figures of a cache. It asks nobody and takes about 50 µs for
// twenty keyspaces.
func Read(cache *larder.Cache) []Figure {
	var r reading
	s := cache.Stats()
	r.keyspaces(s)
	r.remote(s)
	r.memory(s)
	r.health(cache.Health())
	return r
}

// keyspaces adds what is counted by keyspace, and the sums of what is not shown
// by keyspace to keep the number of series small.
func (r *reading) keyspaces(s larder.Stats) {
	var all larder.KeyspaceStats
	for _, name := range slices.Sorted(maps.Keys(s.Keyspaces)) {
		k := s.Keyspaces[name]
		r.count(requests, k.MemoryHits, name, "memory_hit")
		r.count(requests, k.RemoteHits, name, "remote_hit")
		r.count(requests, k.StaleHits, name, "stale_hit")
		r.count(requests, k.NegativeHits, name, "negative_hit")
		r.count(requests, k.Loaded-k.LoadedPast+k.Misses, name, "miss")
		r.count(requests, k.LoadedPast, name, "bypass")
		r.count(requests, k.Errors, name, "error")
		r.count(loads, k.Loads-k.LoadNotFound-k.LoadErrors, name, "ok")
		r.count(loads, k.LoadNotFound, name, "not_found")
		r.count(loads, k.LoadErrors, name, "error")
		addAll(&all, &k)
	}
	r.spread(requestSeconds, all.SlowReads)
	r.spread(loadSeconds, all.LoadTimes)
	r.spread(valueBytes, all.ValueBytes)
	r.add(loadsInFlight, float64(all.LoadsInFlight))
	r.count(loadWaits, all.LocalWaits, "local")
	r.count(loadWaits, all.ClusterWaits, "cluster")
	r.count(loadsShed, all.Shed)
	r.count(staleServed, all.StaleRefreshing, "refreshing")
	r.count(staleServed, all.StaleSlow, "slow")
	r.count(staleServed, all.StaleFailed, "failed")
	r.count(staleServed, all.StaleOutage, "outage")
	r.count(refreshes, all.Refreshes-all.RefreshErrors, "ok")
	r.count(refreshes, all.RefreshErrors, "error")
	r.count(fillsRefused, all.RefusedLease, "lease")
	r.count(fillsRefused, all.RefusedGeneration, "generation")
	r.count(fillsRefused, all.RefusedEncoding, "encoding")
	r.count(fillsRefused, all.RefusedError, "error")
	r.count(outdated, all.Outdated)
	r.count(codecErrors, all.Corrupt, "corrupt")
	r.count(codecErrors, all.CodecErrors, "codec")
	r.count(codecErrors, all.OtherSchema, "other_schema")
	r.count(codecErrors, all.SealErrors, "sealed")
	r.count(codecErrors, all.TooLarge, "too_large")
	r.count(codecErrors, all.TooHeavy, "too_heavy")
	r.count(saved, all.CompressionSaved)
	r.count(audits, all.Audited-all.AuditUnsettled-all.AuditMemory-all.AuditRemote, "same")
	r.count(audits, all.AuditUnsettled, "unsettled")
	r.count(audits, all.AuditMemory, "memory_differs")
	r.count(audits, all.AuditRemote, "remote_differs")
}

// addAll adds to sum what is shown without a keyspace.
func addAll(sum, k *larder.KeyspaceStats) {
	sum.SlowReads = sum.SlowReads.Plus(&k.SlowReads)
	sum.LoadTimes = sum.LoadTimes.Plus(&k.LoadTimes)
	sum.ValueBytes = sum.ValueBytes.Plus(&k.ValueBytes)
	sum.LoadsInFlight += k.LoadsInFlight
	for _, pair := range [][2]*uint64{
		{&sum.LocalWaits, &k.LocalWaits}, {&sum.ClusterWaits, &k.ClusterWaits}, {&sum.Shed, &k.Shed},
		{&sum.RefusedLease, &k.RefusedLease}, {&sum.RefusedGeneration, &k.RefusedGeneration},
		{&sum.RefusedEncoding, &k.RefusedEncoding}, {&sum.RefusedError, &k.RefusedError},
		{&sum.StaleRefreshing, &k.StaleRefreshing}, {&sum.StaleSlow, &k.StaleSlow}, {&sum.StaleFailed, &k.StaleFailed},
		{&sum.StaleOutage, &k.StaleOutage}, {&sum.Refreshes, &k.Refreshes}, {&sum.RefreshErrors, &k.RefreshErrors},
		{&sum.OtherSchema, &k.OtherSchema}, {&sum.SealErrors, &k.SealErrors}, {&sum.CompressionSaved, &k.CompressionSaved},
		{&sum.Outdated, &k.Outdated}, {&sum.Corrupt, &k.Corrupt}, {&sum.CodecErrors, &k.CodecErrors},
		{&sum.TooLarge, &k.TooLarge}, {&sum.TooHeavy, &k.TooHeavy}, {&sum.Audited, &k.Audited},
		{&sum.AuditUnsettled, &k.AuditUnsettled}, {&sum.AuditMemory, &k.AuditMemory}, {&sum.AuditRemote, &k.AuditRemote},
	} {
		*pair[0] += *pair[1]
	}
}

func (r *reading) remote(s larder.Stats) {
	for _, op := range slices.Sorted(maps.Keys(s.Remote)) {
		c := s.Remote[op]
		for _, o := range []struct {
			name string
			n    uint64
		}{{"ok", c.OK}, {"timeout", c.Timeouts}, {"unavailable", c.Unavailable}, {"canceled", c.Canceled}, {"error", c.Errors}} {
			if o.n > 0 || o.name == "ok" {
				r.count(remoteCalls, o.n, op, o.name)
			}
		}
		r.spread(remoteSeconds, c.Time, op)
	}
	r.spread(pushLag, s.Remote["beat"].Time)
	by := s.InvalidationsBy
	r.count(invalidations, by.Keys, "key", "own")
	r.count(invalidations, by.Tags, "tag", "own")
	r.count(invalidations, by.Prefixes, "prefix", "own")
	r.count(invalidations, by.All, "all", "own")
	r.count(invalidations, by.Patterns, "pattern", "own")
	r.count(invalidations, by.PushedEntries, "key", "push")
	r.count(invalidations, by.PushedGenerations, "generation", "push")
	r.add(pending, float64(s.InvalidationsPending))
}

func (r *reading) memory(s larder.Stats) {
	r.add(memoryEntries, float64(s.MemoryEntries))
	r.add(memoryBytes, float64(s.MemoryBytes))
	r.count(evictions, s.MemoryEvictions)
}

func (r *reading) health(h larder.Health) {
	is := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	r.add(breaker, is(h.Remote == "failing"))
	r.add(connected, is(h.Remote == "connected"))
	mode := h.Mode
	if mode == "" {
		mode = "none"
	}
	for _, m := range []string{"tracking", "ttl", "validated", "none"} {
		r.add(coherence, is(m == mode), m)
	}
	if h.CoherentFor >= 0 {
		r.add(asOf, h.CoherentFor.Seconds())
	}
}
