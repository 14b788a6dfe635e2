// Package figures reads a cache once and returns what every monitoring system
// is shown of it: names, labels and values, in one place for all of them.
package figures

import (
	"github.com/larder-go/larder"
)

// Kind is how a figure behaves.
type Kind string

// The kinds of figures.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric describes figures of one name. Labels are static names: never a key,
// an id or a tag.
type Metric struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string
	Unit   string   // of UCUM: s, By or 1
	Bounds []uint64 // of a histogram, in what the library counts
	Scale  float64  // of a histogram: from that to Unit
}

// Figure is the value of a metric for one set of label values.
type Figure struct {
	*Metric
	Values []string // as Labels
	Value  float64  // of counters and gauges
	Dist   larder.Distribution
}

// bounds are powers of four between two powers of two, which are exact limits
// of the library's buckets.
func bounds(from, to, step int) (list []uint64) {
	for e := from; e <= to; e += step {
		list = append(list, 1<<e)
	}
	return list
}

// In nanoseconds: 66 µs to 17 s, for calls 66 µs to 4.3 s; in bytes 64 to 16 MiB.
var (
	durations = bounds(16, 34, 1)
	calls     = bounds(16, 32, 2)
	sizes     = bounds(6, 24, 2)
)

const nanosecond = 1e-9

func counter(name, help string, labels ...string) *Metric {
	return &Metric{Name: name, Kind: Counter, Help: help, Labels: labels, Unit: "1"}
}

func gauge(name, unit, help string, labels ...string) *Metric {
	return &Metric{Name: name, Kind: Gauge, Help: help, Labels: labels, Unit: unit}
}

func seconds(name, help string, bounds []uint64, labels ...string) *Metric {
	return &Metric{Name: name, Kind: Histogram, Help: help, Labels: labels, Unit: "s", Bounds: bounds, Scale: nanosecond}
}

var (
	requests       = counter("larder_requests_total", "Reads by keyspace and by who answered; they add up to all reads.", "keyspace", "result")
	requestSeconds = seconds("larder_request_seconds", "Time of reads that memory did not answer at once.", durations)
	remoteCalls    = counter("larder_remote_calls_total", "Operations on Redis; each of a pipeline counts.", "op", "outcome")
	remoteSeconds  = seconds("larder_remote_call_seconds", "Time of operations on Redis; one of a pipeline takes as long as the pipeline.", calls, "op")
	loads          = counter("larder_loads_total", "Calls of loaders by outcome.", "keyspace", "outcome")
	loadSeconds    = seconds("larder_load_seconds", "Time of loads.", durations)
	loadsInFlight  = gauge("larder_loads_in_flight", "1", "Loaders that run.")
	loadWaits      = counter("larder_load_waits_total", "Reads that waited for a load of this process (local) or of another one (cluster).", "scope")
	loadsShed      = counter("larder_loads_shed_total", "Loads refused by the bulkhead.")
	staleServed    = counter("larder_stale_served_total", "Answers past their TTL or beyond MaxStaleness, by why they were allowed.", "reason")
	deferred       = counter("larder_refreshes_deferred_total", "Refreshes that were due and left to a later read, as RefreshLimit of them ran.")
	refreshes      = counter("larder_refreshes_total", "Loads that replaced a value which was served meanwhile; among all loads.", "outcome")
	fillsRefused   = counter("larder_fills_refused_total", "Loaded values that were not stored.", "reason")
	outdated       = counter("larder_outdated_total", "Entries found in Redis whose tags had been invalidated.")
	invalidations  = counter("larder_invalidations_total", "What was invalidated, by what named it: by this process (own), or told by Redis (push).", "kind", "origin")
	pending        = gauge("larder_invalidations_pending", "1", "Keys whose invalidation Redis has not confirmed.")
	pushLag        = seconds("larder_push_lag_seconds", "Round trip of heartbeats: no push that Redis sent before took longer.", calls)
	memoryEntries  = gauge("larder_memory_entries", "1", "Entries in the memory tier, about.")
	memoryBytes    = gauge("larder_memory_bytes", "By", "Bytes in the memory tier, about.")
	evictions      = counter("larder_memory_evictions_total", "Entries that left the memory tier for room.")
	valueBytes     = &Metric{Name: "larder_value_bytes", Kind: Histogram, Help: "Sizes of encoded values.", Unit: "By", Bounds: sizes, Scale: 1}
	saved          = counter("larder_compression_saved_bytes_total", "Bytes that compression kept out of Redis.")
	codecErrors    = counter("larder_codec_errors_total", "Entries that could not be read or written.", "kind")
	audits         = counter("larder_audits_total", "Answers compared with the source in production.", "result")
	breaker        = gauge("larder_breaker_state", "1", "1 while calls to Redis are held back because too many failed, else 0.")
	connected      = gauge("larder_connected", "1", "1 while Redis can be asked, else 0.")
	coherence      = gauge("larder_coherence_mode", "1", "1 for how memory is kept coherent: tracking (pushes), ttl or validated (the server does not push), none (no connection).", "mode")
	asOf           = gauge("larder_coherent_as_of_seconds", "s", "Age of the last heartbeat that Redis acknowledged; absent before the first.")
)

// Metrics lists all metrics in the order of the documentation.
func Metrics() []*Metric {
	return []*Metric{requests, requestSeconds, remoteCalls, remoteSeconds, loads, loadSeconds, loadsInFlight, loadWaits, loadsShed, staleServed, refreshes, deferred,
		fillsRefused, outdated, invalidations, pending, pushLag, memoryEntries, memoryBytes, evictions, valueBytes, saved, codecErrors, audits,
		breaker, connected, coherence, asOf}
}
