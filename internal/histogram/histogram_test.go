package histogram

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// Each value lies in the one bucket whose bounds enclose it, powers of two end
// a bucket, and no bucket is wider than a fourth of its values.
func TestBucketsEncloseTheirValues(t *testing.T) {
	values := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 1023, 1024, 1025, 1 << 35, 1<<36 - 1, 1 << 36}
	random := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		values = append(values, random.Uint64()>>random.IntN(64)&(1<<36-1))
	}
	for _, v := range values {
		i := index(v)
		if upper := Upper(i); v > upper {
			t.Errorf("%d is above bucket %d, which ends at %d", v, i, upper)
		}
		if i > 0 && v <= Upper(i-1) {
			t.Errorf("%d is not above %d, where bucket %d begins", v, Upper(i-1), i)
		}
	}
	for i := perOctave + 1; i < Buckets; i++ {
		if low, high := Upper(i-1), Upper(i); (high-low)*4 > low {
			t.Errorf("bucket %d from %d to %d is wider than a fourth", i, low, high)
		}
	}
	for power := uint64(1); power < 1<<36; power *= 2 {
		if Upper(index(power)) != power {
			t.Errorf("%d ends no bucket", power)
		}
	}
}

func TestWhatIsTooLargeCountsInTheLastBucket(t *testing.T) {
	for _, v := range []uint64{1<<36 + 1, 1 << 50, 1<<64 - 1} {
		if index(v) != Buckets-1 {
			t.Errorf("%d is in bucket %d", v, index(v))
		}
	}
}

func TestConcurrentObservationsAreAllCounted(t *testing.T) {
	var h Histogram
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range uint64(1000) {
				h.Observe(i)
			}
			h.ObserveN(7, 10)
		})
	}
	wg.Wait()
	var counts Counts
	sum, n := h.Read(&counts), uint64(0)
	for _, c := range counts {
		n += c
	}
	if n != 4*1010 || sum != 4*(999*500+70) {
		t.Errorf("%d values with the sum %d", n, sum)
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Observe(1234) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	for i := range uint64(b.N) {
		h.Observe(i)
	}
}
