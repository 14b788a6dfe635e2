package larder

import (
	"fmt"
	"time"

	"github.com/larder-go/larder/internal/histogram"
)

// Distribution says how often which values occurred: durations in nanoseconds,
// or sizes in bytes. It counts in buckets, four for each power of two, so that
// quantiles are off by at most a fifth. The zero value counts nothing.
type Distribution struct {
	Sum     uint64 // of all values
	buckets histogram.Counts
}

func readHistogram(h *histogram.Histogram) (d Distribution) {
	d.Sum = h.Read(&d.buckets)
	return d
}

// Count returns how many values were counted.
func (d *Distribution) Count() (n uint64) {
	for _, c := range d.buckets {
		n += c
	}
	return n
}

// AtMost returns how many values were at most limit. It is exact for powers of
// two and else counts those up to the largest bound of a bucket below limit.
func (d *Distribution) AtMost(limit uint64) (n uint64) {
	for i, c := range d.buckets {
		if histogram.Upper(i) > limit {
			break
		}
		n += c
	}
	return n
}

// Quantile returns a value that the fraction q of all values does not exceed, 0
// when nothing was counted.
func (d *Distribution) Quantile(q float64) uint64 {
	all := d.Count()
	if all == 0 {
		return 0
	}
	rank := max(uint64(q*float64(all)+0.999999), 1)
	for i, c := range d.buckets {
		if c >= rank {
			return histogram.Upper(i)
		}
		rank -= c
	}
	return histogram.Upper(len(d.buckets) - 1)
}

// Plus returns what d and e counted together.
func (d *Distribution) Plus(e *Distribution) (sum Distribution) {
	sum.Sum = d.Sum + e.Sum
	for i := range d.buckets {
		sum.buckets[i] = d.buckets[i] + e.buckets[i]
	}
	return sum
}

// Since returns what d has counted more than before, an earlier reading of the
// same.
func (d *Distribution) Since(before *Distribution) (diff Distribution) {
	diff.Sum = d.Sum - min(d.Sum, before.Sum)
	for i := range d.buckets {
		diff.buckets[i] = d.buckets[i] - min(d.buckets[i], before.buckets[i])
	}
	return diff
}

// String shows the count with median and 99th percentile as durations.
func (d Distribution) String() string {
	return fmt.Sprintf("{n=%d p50=%v p99=%v}", d.Count(), time.Duration(d.Quantile(0.5)), time.Duration(d.Quantile(0.99)))
}
