package lardertest

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// Report is what a [Checker] has seen.
type Report struct {
	Reads    uint64        // all reads
	Failed   uint64        // of them, those that returned an error
	Stale    uint64        // of them, those that returned less than was due
	Invented uint64        // of them, those that returned what was never written
	Took     time.Duration // since the checker was made

	Writes      uint64 // all changes
	Unconfirmed uint64 // of them, those whose invalidation returned an error

	Loads    uint64 // all loads
	Repeated uint64 // of them, those of a key that nobody changed since its last load

	// How long stale values had been invalid when their reads began: the
	// median and the 99th percentile, each rounded up to a power of two of
	// microseconds, and the exact maximum.
	AgeP50, AgeP99, AgeMax time.Duration

	Samples []StaleRead    // the first stale reads
	Errors  map[string]int // messages of failed reads and invalidations, the first ten
}

// Report returns what was seen so far.
func (c *Checker) Report() Report {
	r := Report{
		Took: c.now(), Reads: c.reads.Load(), Failed: c.failed.Load(), Stale: c.stale.Load(), Invented: c.invented.Load(),
		Writes: c.writes.Load(), Unconfirmed: c.unconfirmed.Load(), Loads: c.loads.Load(), Repeated: c.repeated.Load(),
		AgeP50: c.ages.quantile(0.5), AgeP99: c.ages.quantile(0.99), AgeMax: time.Duration(c.ages.max.Load()),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Samples, r.Errors = slices.Clone(c.samples), maps.Clone(c.errors)
	return r
}

// String returns the report as a table.
func (r Report) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(what string, n, of uint64) { fmt.Fprintf(w, "%s\t%d\t%s\t\n", what, n, percent(n, of)) }
	row("reads", r.Reads, 0)
	row("stale", r.Stale, r.Reads)
	row("invented", r.Invented, r.Reads)
	row("failed", r.Failed, r.Reads)
	row("writes", r.Writes, 0)
	row("unconfirmed", r.Unconfirmed, r.Writes)
	row("loads", r.Loads, 0)
	row("repeated", r.Repeated, r.Loads)
	_ = w.Flush()
	fmt.Fprintf(&b, "%v, %.0f reads/s", r.Took.Round(time.Millisecond), float64(r.Reads)/r.Took.Seconds())
	if r.Stale > 0 {
		fmt.Fprintf(&b, "\nage of stale values: p50 ≤ %v, p99 ≤ %v, longest %v", r.AgeP50, r.AgeP99, r.AgeMax)
		for _, s := range r.Samples {
			fmt.Fprintf(&b, "\n  %v", s)
		}
	}
	for _, message := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(&b, "\n%d × %s", r.Errors[message], message)
	}
	return b.String()
}

func percent(n, of uint64) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.4f %%", 100*float64(n)/float64(of))
}

// histogram counts durations by the power of two of their microseconds.
type histogram struct {
	buckets [65]atomic.Uint64
	max     atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bits.Len64(uint64(d.Microseconds()))].Add(1)
	for {
		old := h.max.Load()
		if int64(d) <= old || h.max.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// quantile returns an upper bound of the q-quantile, 0 without values.
func (h *histogram) quantile(q float64) time.Duration {
	var total, sum uint64
	for i := range h.buckets {
		total += h.buckets[i].Load()
	}
	for i := range h.buckets {
		sum += h.buckets[i].Load()
		if total > 0 && float64(sum) >= q*float64(total) {
			bound := time.Duration(1<<i) * time.Microsecond
			return min(bound, time.Duration(h.max.Load()))
		}
	}
	return 0
}
