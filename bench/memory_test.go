package bench

import (
	"context"
	"sync/atomic"
	"testing"
)

const (
	hitKeys  = 1 << 14
	hitDraws = 1 << 16
)

// BenchmarkMemoryHit reads rows that are in memory. Caches of string keys build
// theirs from integers on every call, as a service would.
func BenchmarkMemoryHit(b *testing.B) {
	addr := startRedis(b).Addr()
	keys := zipf(hitKeys, hitDraws)
	strings, integers := Memories[string](addr), Memories[int64](addr)
	for i := range integers {
		memoryHits(b, integers[i], "int64", keys)
		memoryHits(b, strings[i], "string", asText(keys))
	}
}

// memoryHits opens and fills the cache once for all runs of the benchmark.
func memoryHits[K interface{ int64 | string }](b *testing.B, m Memory[K], form string, keys []K) {
	var loads atomic.Int64
	var get RowGet[K]
	closeCache := func() {}
	b.Run("cache="+m.Name+"/keys="+form, func(b *testing.B) {
		if get == nil {
			var err error
			get, closeCache, err = m.Open(2*hitKeys, func(context.Context, K) (*Row, error) {
				loads.Add(1)
				return new(Row), nil
			})
			if err != nil {
				b.Fatal(err)
			}
			for range 3 { // some accept new entries reluctantly
				readAll(b, get, keys)
			}
		}
		loads.Store(0)
		hits(b, get, keys)
		b.ReportMetric(100-100*float64(loads.Load())/float64(b.N), "hit%")
	})
	closeCache()
}

func readAll[K comparable](b *testing.B, get RowGet[K], keys []K) {
	for _, key := range keys {
		if _, err := get(context.Background(), key); err != nil {
			b.Fatal(err)
		}
	}
}

// hits reads keys in turn, each core beginning elsewhere.
func hits[K comparable](b *testing.B, get RowGet[K], keys []K) {
	ctx := context.Background()
	var worker atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		i := int(worker.Add(1)) * 7919 % len(keys)
		for pb.Next() {
			if _, err := get(ctx, keys[i]); err != nil {
				b.Error(err)
				return
			}
			if i++; i == len(keys) {
				i = 0
			}
		}
	})
}

// BenchmarkHitRatio counts how much of a trace is found by caches of 1,000
// entries: zipf over 20,000 keys; the same mixed with scans that are never read
// again; a loop over 1,500 keys. An operation is the whole trace.
func BenchmarkHitRatio(b *testing.B) {
	for _, t := range []struct {
		name string
		keys []int64
	}{{"zipf", zipf(20_000, 200_000)}, {"scans", withScans(zipf(20_000, 200_000))}, {"loop", loop(1500, 200_000)}} {
		for _, m := range []Memory[int64]{{"larder", larderMemory[int64]}, {"otter", openOtter[int64]}, {"theine", openTheine[int64]},
			{"ristretto", openRistretto[int64]}, {"golang-lru", openLRU[int64]}, {"hot", openHot[int64]}} {
			b.Run("trace="+t.name+"/cache="+m.Name, func(b *testing.B) { hitRatio(b, m, t.keys) })
		}
	}
}

func hitRatio(b *testing.B, m Memory[int64], keys []int64) {
	var loads atomic.Int64
	ctx := context.Background()
	for range b.N {
		get, closeCache, err := m.Open(1000, func(context.Context, int64) (*Row, error) {
			loads.Add(1)
			return new(Row), nil
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, key := range keys {
			if _, err := get(ctx, key); err != nil {
				b.Fatal(err)
			}
		}
		closeCache()
	}
	b.ReportMetric(100-100*float64(loads.Load())/float64(b.N)/float64(len(keys)), "hit%")
}

// withScans puts a scan of 2,000 new keys after every 20,000 draws.
func withScans(keys []int64) (mixed []int64) {
	next := int64(1 << 40)
	for i, key := range keys {
		mixed = append(mixed, key)
		if i%20_000 == 19_999 {
			for range 2_000 {
				next++
				mixed = append(mixed, next)
			}
		}
	}
	return mixed
}

func loop(n, draws int) []int64 {
	keys := make([]int64, draws)
	for i := range keys {
		keys[i] = int64(i % n)
	}
	return keys
}
