package bench

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/larder-go/larder/lardertest"
)

// BenchmarkMemorySpace measures the heap of 100,000 cached rows of 200 bytes.
func BenchmarkMemorySpace(b *testing.B) {
	const entries = 100_000
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

// BenchmarkRedisSpace measures what an entry of 200 bytes takes in Redis.
func BenchmarkRedisSpace(b *testing.B) {
	const entries = 20_000
	keys := names(entries)
	for _, o := range append(append([]Opener{}, RemoteStores...), FleetStores...) {
		if o.Name == "larder-exact" || o.Name == "rockscache-strong" {
			continue // the same entries
		}
		b.Run("cache="+o.Name, func(b *testing.B) {
			for range b.N {
				s := startRedis(b)
				store := openStore(b, o, Config{Addr: s.Addr(), Load: ofSize(200)})
				if _, err := store.Get(context.Background(), "first"); err != nil {
					b.Fatal(err)
				}
				before := usedMemory(b, s)
				warm(b, store, keys)
				b.ReportMetric(float64(usedMemory(b, s)-before)/entries, "B/entry")
				store.Close()
			}
		})
	}
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
