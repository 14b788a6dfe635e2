package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/larder-go/larder/lardertest"
)

// BenchmarkMemorySpace measures the heap of 50,000 cached rows of 200 bytes.
func BenchmarkMemorySpace(b *testing.B) {
	const entries = 50_000
	addr := startRedis(b).Addr()
	for _, m := range Memories[int64](addr) {
		b.Run("cache="+m.Name, func(b *testing.B) {
			for range b.N {
				before := heap()
				get, closeCache, err := m.Open(2*entries, func(_ context.Context, id int64) (*Row, error) { return &Row{ID: id}, nil })
				if err != nil {
					b.Fatal(err)
				}
				for i := range entries {
					if _, err := get(context.Background(), int64(i)); err != nil {
						b.Fatal(err)
					}
				}
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

// BenchmarkRedisSpace measures what an entry of 200 bytes takes in Redis: the
// server's memory with all it keeps about entries and their readers, and the
// keys alone as MEMORY USAGE counts them.
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
		b.Run("cache="+o.Name, func(b *testing.B) {
			for range b.N {
				redisSpace(b, o)
			}
		})
	}
}

func redisSpace(b *testing.B, o Opener) {
	const entries, samples = 20_000, 100
	s := startRedis(b)
	store, closeStore := openStore(b, o, Config{Addr: s.Addr(), Load: ofSize(200)})
	defer closeStore()
	if _, err := store.Get(context.Background(), "first"); err != nil {
		b.Fatal(err)
	}
	before := usedMemory(b, s)
	warm(b, store, names(entries))
	b.ReportMetric(float64(usedMemory(b, s)-before)/entries, "B/entry")
	total := 0
	for range samples {
		key, err := s.Command("RANDOMKEY")
		if err != nil {
			b.Fatal(err)
		}
		size, err := s.Command("MEMORY", "USAGE", key)
		if err != nil {
			b.Fatal(err)
		}
		n, err := strconv.Atoi(size)
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
