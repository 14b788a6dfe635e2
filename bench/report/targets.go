package main

import (
	"fmt"
	"strings"
)

// target is a promise about one run: a number that must not be above, or
// below, a limit.
type target struct {
	what    string
	measure func(m *measurements) float64
	limit   float64
	least   bool // the limit is the least, not the most
}

// over returns a ratio of medians of the first metric.
func over(unit, above, below string) func(*measurements) float64 {
	return func(m *measurements) float64 {
		a, _ := m.median(above, unit)
		b, _ := m.median(below, unit)
		return a / b
	}
}

// plain returns a median.
func plain(unit, name string) func(*measurements) float64 {
	return func(m *measurements) float64 {
		v, _ := m.median(name, unit)
		return v
	}
}

const (
	hit   = "MemoryHit/cache=%s/keys=int64"
	redis = "RedisHit/cache=%s/value=100B/goroutines=64-2"
	many  = "GetMany/cache=%s/goroutines=1-2"
)

func at(format, cache string) string { return fmt.Sprintf(format, cache) }

var targets = []target{
	{"memory hit / otter Get(loader) with expiry", over("ns/op", at(hit, "larder"), at(hit, "otter")), 0.95, false},
	{"memory hit without Redis / otter Get(loader) with expiry", over("ns/op", at(hit, "larder-memory"), at(hit, "otter")), 0.75, false},
	{"memory hit without Redis / sync.Map", over("ns/op", at(hit, "larder-memory"), at(hit, "sync.Map")), 1.8, false},
	{"memory hit, allocations", plain("allocs/op", at(hit, "larder")), 0, false},
	{"memory hits on two cores / on one", over("ns/op", at(hit, "larder"), at(hit, "larder")+"-2"), 1.6, true},
	{"Redis hits at 64 goroutines / rueidis", over("ns/op", at(redis, "rueidis"), at(redis, "larder")), 2.5, true},
	{"Redis hits at 64 goroutines / go-redis", over("ns/op", at(redis, "go-redis"), at(redis, "larder")), 7, true},
	{"Redis hits at 64 goroutines / redis-benchmark -P 16", over("ns/op", at(redis, "redis-benchmark"), at(redis, "larder")), 0.6, true},
	{"exact Redis hits at 64 goroutines / default ones", over("ns/op", at(redis, "larder"), at(redis, "larder-exact")), 0.7, true},
	{"Redis hit, one goroutine / bare socket", over("ns/op", "RedisHit/cache=larder/value=100B/goroutines=1-2", "RedisHit/cache=socket/value=100B/goroutines=1-2"), 1.15, false},
	{"hit and decoding at 64 goroutines, client CPU / best peer", decodeRatio(64), 0.70, false},
	{"the same with one goroutine", decodeRatio(1), 0.70, false},
	{"hit and decoding, allocations beside the client's and the codec's", func(m *measurements) float64 {
		return plain("allocs/op", "Decode/cache=larder/goroutines=1-2")(m) - plain("allocs/op", "Decode/cache=rueidis-json/goroutines=1-2")(m)
	}, 2, false},
	{"100 keys at once / bare MGET", over("ns/op", at(many, "larder"), at(many, "rueidis")), 1.15, false},
	{"the same / MGET by a connection that takes pushes", over("ns/op", at(many, "larder"), at(many, "rueidis-pipelined")), 1.15, false},
	{"stampede: loads", plain("loads/op", "Stampede/cache=larder/killed=no-2"), 1, false},
	{"stampede: p99, ms, of a load of 100", plain("p99-ms", "Stampede/cache=larder/killed=no-2"), 110, false},
	{"stampede, loader killed: loads", plain("loads/op", "Stampede/cache=larder/killed=yes-2"), 2, false},
	{"stampede, loader killed: second load after, ms, of a lease of 1,000", plain("second-load-ms", "Stampede/cache=larder/killed=yes-2"), 1010, false},
	{"Redis hangs: p99, ms, beyond that of the source alone at the same time", func(m *measurements) float64 {
		return plain("p99-ms", "Outage/cache=larder-2")(m) - plain("p99-ms", "Outage/cache=source-2")(m)
	}, 1, false},
	{"Redis hangs: p99 of memory hits / before", over("p99-us", "OutageMemory/redis=hung-2", "OutageMemory/redis=calm-2"), 1.2, false},
	{"Redis is back: read again after, ms", plain("back-ms", "OutageBack-2"), 1000, false},
	{"group invalidation, ms", func(m *measurements) float64 { return plain("ns/op", "GroupInvalidation/way=larder-tag-2")(m) / 1e6 }, 1, false},
	{"group invalidation, p99 of others / before", func(m *measurements) float64 {
		const tag = "GroupInvalidation/way=larder-tag-2"
		return plain("others-p99-us", tag)(m) / plain("before-p99-us", tag)(m)
	}, 1.2, false},
	{"heap for an entry / otter with expiry", over("B/entry", "MemorySpace/cache=larder-2", "MemorySpace/cache=otter-2"), 1.1, false},
	{"Redis memory for an entry / bare SET EX", over("key-B", "RedisSpace/cache=larder/value=200B-2", "RedisSpace/cache=naive/value=200B-2"), 1.05, false},
	{"the same for a document of 580 bytes", over("key-B", "RedisSpace/cache=larder/value=580B-2", "RedisSpace/cache=naive/value=580B-2"), 1.05, false},
	{"stale reads, exact", plain("stale", "Freshness/cache=larder-exact-2"), 0, false},
	{"stale reads, strict", plain("stale", "Freshness/cache=larder-strict-2"), 0, false},
	{"longest age of a stale value in the default mode, ms", plain("age-max-ms", "Freshness/cache=larder-default-2"), 1000, false},
	{"stale reads under faults, exact", plain("stale", "FreshnessUnderFaults/cache=larder-exact-2"), 0, false},
	{"stale reads under faults, strict", plain("stale", "FreshnessUnderFaults/cache=larder-strict-2"), 0, false},
	{"longest age under faults in the default mode, ms", plain("age-max-ms", "FreshnessUnderFaults/cache=larder-default-2"), 1000, false},
}

// decodeRatio returns how much CPU time a decoded hit takes in relation to the
// leanest peer.
func decodeRatio(goroutines int) func(m *measurements) float64 {
	const unit = "cpu-ns/op"
	name := func(cache string) string { return fmt.Sprintf("Decode/cache=%s/goroutines=%d-2", cache, goroutines) }
	return func(m *measurements) float64 {
		ours, _ := m.median(name("larder"), unit)
		best := 0.0
		for _, peer := range []string{"go-redis-cache", "jetcache", "jetcache-sonic", "gocache"} {
			if v, ok := m.median(name(peer), unit); ok && (best == 0 || v < best) {
				best = v
			}
		}
		return ours / best
	}
}

// targets prints which promises this run keeps.
func (m *measurements) targets(targets []target) string {
	var b strings.Builder
	b.WriteString("### Targets\n\n| what | measured | target | |\n|---|---:|---:|---|\n")
	for _, t := range targets {
		v := t.measure(m)
		kept, sign := v <= t.limit, "≤"
		if t.least {
			kept, sign = v >= t.limit, "≥"
		}
		mark, measured := "**missed**", number(v)
		switch {
		case v != v: // NaN
			mark, measured = "not measured", "—"
		case kept:
			mark = "kept"
		}
		fmt.Fprintf(&b, "| %s | %s | %s %s | %s |\n", t.what, measured, sign, number(t.limit), mark)
	}
	b.WriteString("\n")
	return b.String()
}
