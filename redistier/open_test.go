package redistier

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestOpenSharesLoads: what one process loaded, another finds in Redis, and an
// invalidation through one is seen by the next exact read through the other.
func TestOpenSharesLoads(t *testing.T) {
	srv := lardertest.StartRedis(t)
	var loads atomic.Int64
	load := func(_ context.Context, id int64) (int64, error) { return id * loads.Add(1), nil }
	var spaces []*larder.Keyspace[int64, int64]
	var caches []*larder.Cache
	for range 2 {
		// Times at which a busy machine does not pass for an absent Redis.
		cache, err := Open(testContext(t), Config{Address: srv.Addr(), DialTimeout: dialsSlowly, BeatTimeout: 2 * patience}, larder.Options{
			Namespace: "shop", Logger: quiet(), MaxStaleness: patience, ReadTimeout: patience, WriteTimeout: patience,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cache.Close() })
		space, err := larder.NewKeyspace(cache, "suite", larder.KeyspaceOptions[int64, int64]{})
		if err != nil {
			t.Fatal(err)
		}
		caches, spaces = append(caches, cache), append(spaces, space)
	}
	for round := int64(1); round < 50; round++ {
		for _, space := range spaces {
			if v, err := space.Get(testContext(t), 7, load, larder.Exact); v != 7*round || err != nil {
				t.Fatalf("round %d: %d, %v", round, v, err)
			}
		}
		if err := caches[round%2].Invalidate(testContext(t), spaces[round%2].Key(7)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOpenFailsForConfigurationOnly: a bad configuration is an error that tells
// all of it, an absent server is none.
func TestOpenFailsForConfigurationOnly(t *testing.T) {
	if _, err := Open(testContext(t), Config{Network: "udp", DB: -1}, larder.Options{}); err == nil ||
		!strings.Contains(err.Error(), "udp") || !strings.Contains(err.Error(), "DB") {
		t.Errorf("error %v", err)
	}
	if _, err := Open(testContext(t), Config{}, larder.Options{ReadTimeout: -1, Logger: quiet()}); err == nil || !strings.Contains(err.Error(), "ReadTimeout") {
		t.Errorf("error %v", err)
	}
	srv := lardertest.StartRedis(t)
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cfg := fromEnv(func(name string) string {
		return map[string]string{"REDIS_HOST": "127.0.0.1", "REDIS_PORT": strings.TrimPrefix(srv.Addr(), "127.0.0.1:"), "REDIS_PASSWORD": "None"}[name]
	})
	ctx, cancel := context.WithTimeout(testContext(t), time.Second)
	defer cancel()
	cache, err := Open(ctx, cfg, larder.Options{Namespace: "shop", Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	if err := cache.Close(); err != nil {
		t.Error(err)
	}
	if log := out.String(); strings.Count(log, "REDIS_PASSWORD") != 1 || strings.Count(log, "unavailable") != 1 {
		t.Errorf("log %s", log)
	}
}
