// Package histogram counts durations and sizes in fixed buckets whose width
// grows with the value: four per power of two, so that a quantile is off by at
// most a fifth, in a constant number of bytes and without allocating.
//
// The buckets are those of HdrHistogram with two significant bits
// (https://hdrhistogram.org), and of Prometheus's native histograms with
// schema 2, but for being linear within a power of two.
package histogram

import (
	"math/bits"
	"sync/atomic"
)

const (
	perOctave = 4
	// octaves end at 2^36: 68 s in nanoseconds, 64 GiB in bytes. What is above
	// counts in the last bucket.
	octaves = 36

	// Buckets is how many there are.
	Buckets = (octaves - 1) * perOctave
)

// Histogram counts values. The zero value is ready; a Histogram must not be
// copied after first use. All methods may be called concurrently.
type Histogram struct {
	stripes [stripes]stripe
}

// stripes is how many cores may count at once without waiting for each other's
// cache lines; a power of two.
const stripes = 4

type stripe struct {
	sum   atomic.Uint64
	count [Buckets]atomic.Uint64
	_     [56]byte
}

// Counts is how many values fell into each bucket.
type Counts [Buckets]uint64

// Observe counts value. It takes two atomic additions.
func (h *Histogram) Observe(value uint64) { h.ObserveN(value, 1) }

// ObserveN counts value n times.
func (h *Histogram) ObserveN(value, n uint64) {
	s := &h.stripes[value%stripes] // the lowest digits of a time are as good as random
	s.sum.Add(value * n)
	s.count[index(value)].Add(n)
}

// Read adds what was counted so far to counts and returns the sum of the
// values. Observations that run at the same time may be missing in either.
func (h *Histogram) Read(counts *Counts) (sum uint64) {
	for i := range h.stripes {
		s := &h.stripes[i]
		for j := range s.count {
			counts[j] += s.count[j].Load()
		}
		sum += s.sum.Load()
	}
	return sum
}

// index returns the bucket of value: bucket i holds what is above Upper(i-1)
// and at most Upper(i).
func index(value uint64) int {
	if value > 0 {
		value-- // upper bounds are inclusive
	}
	if value < perOctave {
		return int(value)
	}
	exponent := bits.Len64(value) - 1
	i := (exponent-1)*perOctave + int(value>>(exponent-2))&(perOctave-1)
	return min(i, Buckets-1)
}

// Upper returns the largest value of bucket i; that of the last one is a lower
// limit, as it holds everything above too.
func Upper(i int) uint64 {
	if i < perOctave {
		return uint64(i) + 1
	}
	exponent, within := i/perOctave+1, i%perOctave
	return uint64(perOctave+within+1) << (exponent - 2)
}
