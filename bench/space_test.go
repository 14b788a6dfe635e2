package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/larder-go/larder/lardertest"
)

// BenchmarkMemorySpace measures the heap of 200,000 cached rows of 200 bytes,
// with what a cache takes once.
func BenchmarkMemorySpace(b *testing.B) {
	const entries, readers = 200_000, 16
	addr := startRedis(b).Addr()
	for _, m := range Memories[int64](addr) {
		b.Run("cache="+m.Name, func(b *testing.B) {
			for range b.N {
				before := heap()
				get, closeCache, err := m.Open(2*entries, func(_ context.Context, id int64) (*Row, error) { return &Row{ID: id}, nil })
				if err != nil {
					b.Fatal(err)
				}
				var all sync.WaitGroup
				for reader := range readers {
					all.Go(func() {
						for i := reader; i < entries; i += readers {
							if _, err := get(context.Background(), int64(i)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(heap()-before)/entries, "B/entry")
				_, _ = get(context.Background(), 0) // it lives until here
				closeCache()
			}
		})
	}
}

// heap returns the bytes in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkRedisSpace measures what an entry takes in Redis: the server's memory
// with all it keeps about entries and their readers, and the keys alone as MEMORY
// USAGE counts them. What an entry adds to a bare value falls into the steps of
// the server's allocator, so Larder and the bare value are shown at several
// sizes, under keys of one length.
func BenchmarkRedisSpace(b *testing.B) {
	stores := append([]Opener{}, RemoteStores...)
	for _, o := range FleetStores {
		if !slices.ContainsFunc(stores, func(s Opener) bool { return s.Name == o.Name }) {
			stores = append(stores, o)
		}
	}
	for _, o := range stores {
		if o.Name == "larder-exact" || o.Name == "rockscache-strong" {
			continue // the same entries
		}
		sizes := []int{200}
		if o.Name == "larder" || o.Name == "naive" {
			sizes = []int{100, 200, 580, 1024}
		}
		for _, size := range sizes {
			b.Run(fmt.Sprintf("cache=%s/value=%dB", o.Name, size), func(b *testing.B) {
				for range b.N {
					redisSpace(b, o, size)
				}
			})
		}
	}
}

func redisSpace(b *testing.B, o Opener, size int) {
	const entries, samples = 20_000, 100
	s := startRedis(b)
	store, closeStore := openStore(b, o, Config{Addr: s.Addr(), Load: ofSize(size)})
	defer closeStore()
	if _, err := store.Get(context.Background(), "first"); err != nil {
		b.Fatal(err)
	}
	before := usedMemory(b, s)
	keys := names(entries)
	if o.Name == "naive" {
		for i := range keys {
			keys[i] = "v:" + keys[i] // as Larder's, which begin with the keyspace
		}
	}
	warm(b, store, keys)
	b.ReportMetric(float64(usedMemory(b, s)-before)/entries, "B/entry")
	total := 0
	for range samples {
		key, err := s.Command("RANDOMKEY")
		if err != nil {
			b.Fatal(err)
		}
		usage, err := s.Command("MEMORY", "USAGE", key)
		if err != nil {
			b.Fatal(err)
		}
		n, err := strconv.Atoi(usage)
		if err != nil {
			b.Fatal(err)
		}
		total += n
	}
	b.ReportMetric(float64(total)/samples, "key-B")
}

func usedMemory(tb testing.TB, s *lardertest.RedisServer) int64 {
	tb.Helper()
	info, err := s.Command("INFO", "memory")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	digits, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		tb.Fatal(fmt.Errorf("used_memory: %w", err))
	}
	return n
}
