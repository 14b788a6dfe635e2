//go:build !race

package smoke

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

const batchSize = 100

// batchOfHits returns a GetMany of as many keys that Redis has, or memory.
func batchOfHits(t *testing.T, tiers larder.Tiers) (get func()) {
	cache, err := redistier.Open(t.Context(), redistier.Config{Address: lardertest.StartRedis(t).Addr()},
		larder.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), MaxStaleness: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	k, err := larder.NewKeyspace(cache, "text", larder.KeyspaceOptions[string, string]{TTL: time.Hour, Tiers: tiers, Codec: larder.Text})
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, batchSize)
	for i := range keys {
		keys[i] = "key-" + strconv.Itoa(i)
	}
	load := func(_ context.Context, keys []string) (map[string]string, error) {
		found := make(map[string]string, len(keys))
		for _, key := range keys {
			found[key] = strings.Repeat("v", 100)
		}
		return found, nil
	}
	get = func() {
		if values, err := k.GetMany(context.Background(), keys, load); err != nil || len(values) != batchSize {
			t.Fatalf("%d values, %v", len(values), err)
		}
	}
	get()
	return get
}

// TestBatchOfHitsAllocatesLittle holds what a GetMany allocates when it has to
// load nothing. For each key that is the value, which the client reads, and
// nothing else; the rest is for all of them together, most of it the result.
func TestBatchOfHitsAllocatesLittle(t *testing.T) {
	for _, c := range []struct {
		name        string
		tiers       larder.Tiers
		allocations float64 // at most, for each key
		bytes       uint64
	}{
		{name: "Redis", tiers: larder.RemoteOnly, allocations: 1.2, bytes: 320},
		{name: "memory", tiers: larder.BothTiers, allocations: 0.08, bytes: 70},
	} {
		t.Run(c.name, func(t *testing.T) {
			get := batchOfHits(t, c.tiers)
			if n := testing.AllocsPerRun(500, get) / batchSize; n > c.allocations {
				t.Errorf("%.2f allocations for each key, at most %.2f", n, c.allocations)
			}
			const rounds = 500
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range rounds {
				get()
			}
			runtime.ReadMemStats(&after)
			if n := (after.TotalAlloc - before.TotalAlloc) / rounds / batchSize; n > c.bytes {
				t.Errorf("%d bytes for each key, at most %d", n, c.bytes)
			}
		})
	}
}
