package main

import (
	"fmt"
	"slices"
	"strings"
)

// tableSpec says how the results of one benchmark become a table: a row for
// each cache, a column for each combination of the other dimensions and each
// metric.
type tableSpec struct {
	bench string
	title string
	note  string
	row   string   // dimension of the rows; default: cache
	units []string // metrics, with headings after a '|'
	only  string   // a dimension that results must have, which is not shown
	ratio bool     // each metric in relation to Larder's as well
	cores bool     // measured with several numbers of cores
}

var tables = []tableSpec{
	{bench: "MemoryHit", title: "Memory hit", units: []string{"ns/op|ns"}, ratio: true, cores: true,
		note: "16,384 rows drawn from a zipf distribution, all in memory. `larder` is over Redis, with the evidence check on every hit; `larder-memory` has no Redis. " +
			"`map` (with a lock), `sync.Map` and `otter-no-expiry` do less than the others. Caches of string keys build theirs from the integer."},
	{bench: "MemoryHit", title: "Memory hit: allocations and hit ratio", only: "keys=int64", cores: true, units: []string{"allocs/op|allocations", "hit%|hits in %"}},
	{bench: "RedisHit", title: "Redis hit, 100 B, time for each", only: "value=100B", units: []string{"ns/op|ns"}, ratio: true,
		note: "Wall-clock time divided by the number of reads: the inverse of the throughput. `rueidis` and `go-redis` are bare clients, `rueidis-tuned` has one connection and a flush delay of 20 µs, " +
			"`socket` is a GET without any client, `redis-benchmark` is the server's tool with 50 connections and pipelines of 16."},
	{bench: "RedisHit", title: "Redis hit, 100 B, CPU of the client", only: "value=100B", units: []string{"cpu-ns/op|CPU ns"}, ratio: true},
	{bench: "RedisHit", title: "Redis hit, 1 KiB, time for each", only: "value=1024B", units: []string{"ns/op|ns"}, ratio: true},
	{bench: "Decode", title: "Redis hit and decoding of 580 bytes", units: []string{"ns/op|ns", "cpu-ns/op|CPU ns", "allocs/op|allocations"}},
	{bench: "GetMany", title: "100 keys at once", units: []string{"ns/op|ns", "allocs/op|allocations"}, ratio: true,
		note: "`rueidis` and `go-redis` are a bare MGET, written and read by the caller's goroutine; `rueidis-pipelined` leaves that to the goroutines that serve the connection, as one must on which the server pushes. `one-by-one` is 100 GETs."},
	{bench: "Miss", title: "Miss: look, load, store", units: []string{"ns/op|ns"}, ratio: true,
		note: "The source answers at once. Larder takes a lease first and stores only under it; `naive` is GET and SET."},
	{bench: "Stampede", title: "Stampede", units: []string{"loads/op|loads", "p50-ms|p50 ms", "p99-ms|p99 ms", "second-load-ms|second load after ms"},
		note: "8 processes with 125 readers each want one absent key; its load takes 100 ms. With `killed=yes` the process that loads dies; a lease lasts 1 s."},
	{bench: "Outage", title: "Redis hangs", units: []string{"p50-ms|p50 ms", "p99-ms|p99 ms", "max-ms|longest ms"},
		note: "The server is stopped with SIGSTOP while each cache is read 50 times a second, without deadlines in the contexts. The source takes 5 ms; `source` is what it takes without a cache at the same time."},
	{bench: "OutageMemory", title: "Redis hangs: memory hits", row: "redis", units: []string{"p50-us|p50 µs", "p99-us|p99 µs"},
		note: "Of Larder, 1,000 reads a second for less than MaxStaleness. After a hang of three seconds what Redis has is read from there again within the time that stands among the targets."},
	{bench: "GroupInvalidation", title: "Invalidating 1,000 entries among a million", row: "way",
		units: []string{"ns/op|ns", "others-p99-us|p99 of another client, µs", "before-p99-us|before, µs", "others-max-us|longest, µs"}},
	{bench: "MemorySpace", title: "Heap for an entry of 200 bytes", units: []string{"B/entry|bytes"}, ratio: true,
		note: "Of 200,000 entries, with what a cache takes once: its connection, its board of tickets, its sketch."},
	{bench: "RedisSpace", title: "Redis memory for an entry", units: []string{"key-B|key alone, bytes", "B/entry|server, bytes"}, ratio: true,
		note: "`naive` is a bare SET with EX. Larder puts 20 bytes before a value without tags, grace or schema; what that takes depends on where the value lies in the steps of the server's allocator (192, 224, 256, 320 …). The server's memory includes what it keeps to push invalidations to a reader, with `larder` and `rueidisaside`."},
	{bench: "HitRatio", title: "Hits of a memory tier of 1,000 entries, in %", units: []string{"hit%"},
		note: "zipf over 20,000 keys; the same with scans of 2,000 keys mixed in; a loop over 1,500 keys."},
}

var freshness = tableSpec{bench: "Freshness", title: "Stale reads of other caches", units: []string{"reads", "stale", "stale%|of them in %", "age-p50-ms|invalid for, p50 ms", "age-max-ms|longest ms"},
	note: "Two nodes on one Redis read and change 256 keys, 30 reads to a change, without any fault; every fourth load takes up to 5 ms. A read is stale if it returns what an invalidation " +
		"that was complete before the read began had outdated. Entries live for an hour: whoever has no further correction stays stale until then.\n\n" +
		"`naive` is GET, else load and SET, and DEL after a change. `go-redis-csc` and `rueidis-csc` are the same over the clients' own memory, which the server invalidates. " +
		"go-redis/cache, jetcache-go and gocache run without memory, which other nodes could not invalidate; sturdyc has memory on each node over Redis and no way to tell the other. " +
		"`rockscache` serves the outdated value while it loads, as documented; `rockscache-strong` is its option StrongConsistency."}

var underFaults = tableSpec{bench: "FreshnessUnderFaults", title: "Stale reads under faults", units: []string{"reads", "stale", "stale%|of them in %", "age-p50-ms|invalid for, p50 ms", "age-max-ms|longest ms", "failed%|failed reads in %"},
	note: "The same for at least 10 seconds while, in turn, the link of one of the nodes to Redis holds everything back, refuses everything or is broken, all clients are disconnected and all data is lost, each " +
		"followed by 400 ms of peace. Invalidations that fail promise nothing and are not counted; what is stale here was confirmed. Larder promises 1,000 ms to default reads."}

type column struct {
	dims string // the dimensions but those of row and only
	unit string
	head string
}

func (m *measurements) table(t tableSpec) string {
	if t.row == "" {
		t.row = "cache"
	}
	var rows []string
	var columns []column
	cells := map[string]string{} // row, dims → name of the benchmark
	for _, name := range m.names {
		row, dims, ok := place(name, t)
		if !ok {
			continue
		}
		if !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
		for _, unit := range t.units {
			unit, head, _ := strings.Cut(unit, "|")
			if head == "" {
				head = unit
			}
			c := column{dims, unit, strings.TrimSpace(strings.ReplaceAll(dims, "/", " ") + " " + head)}
			if _, ok := m.median(name, unit); ok && !slices.Contains(columns, c) {
				columns = append(columns, c)
			}
		}
		cells[row+"\x00"+dims] = name
	}
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.title)
	if t.note != "" {
		fmt.Fprintf(&b, "%s\n\n", t.note)
	}
	b.WriteString("| " + t.row + " |")
	for _, c := range columns {
		b.WriteString(" " + c.head + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for _, row := range rows {
		b.WriteString("| " + row + " |")
		for _, c := range columns {
			value, ok := m.median(cells[row+"\x00"+c.dims], c.unit)
			ours, _ := m.median(cells["larder\x00"+c.dims], c.unit)
			b.WriteString(" " + cell(value, ok, ours, t.ratio && row != "larder") + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	return b.String()
}

// place returns row and other dimensions of a benchmark that belongs into t.
func place(name string, t tableSpec) (row, rest string, ok bool) {
	bench, dims := parts(name)
	if bench != t.bench || t.only != "" && !slices.Contains(dims, t.only) {
		return "", "", false
	}
	var others []string
	for _, d := range dims {
		if value, found := strings.CutPrefix(d, t.row+"="); found {
			row = value
		} else if d != t.only && (t.cores || !strings.HasPrefix(d, "cores=")) {
			others = append(others, d)
		}
	}
	return row, strings.Join(others, "/"), row != ""
}

func cell(value float64, ok bool, ours float64, ratio bool) string {
	switch {
	case !ok:
		return ""
	case ratio && ours > 0:
		return fmt.Sprintf("%s (%.2f×)", number(value), value/ours)
	}
	return number(value)
}

// number prints three digits, or all before the point.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100 || v <= -100:
		return thousands(fmt.Sprintf("%.0f", v))
	case v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// thousands sets off groups of three digits, of numbers of five and more.
func thousands(digits string) string {
	if len(digits) <= 4 {
		return digits
	}
	var groups []string
	for len(digits) > 3 {
		groups = append(groups, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	groups = append(groups, digits)
	slices.Reverse(groups)
	return strings.Join(groups, ",")
}
