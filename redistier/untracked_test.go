package redistier

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// TestServerWithoutPushes: a server that speaks RESP2 only is used without
// tracking; what was read under one heartbeat cannot be used after the next.
func TestServerWithoutPushes(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Args: []string{"--rename-command", "HELLO", ""}})
	tier, events := openTier(t, Config{Address: srv.Addr()}, "shop")
	mark := events.await(t, 0, "connected")
	if got := tier.Mode(); got != "ttl" {
		t.Errorf("mode %q", got)
	}
	key := tier.EntryKey("k")
	for _, op := range []larder.Op{
		{Kind: larder.OpAcquire, Token: mine, TTL: time.Minute},
		{Kind: larder.OpFill, Token: mine, Value: []byte("v"), TTL: time.Minute},
		{Kind: larder.OpDelete},
		{Kind: larder.OpHold, Token: mine, TTL: time.Minute},
		{Kind: larder.OpUnhold, Token: mine},
	} {
		op.Key = key
		if r := one(t, tier, op); r.Err != nil || r.State != larder.Done && r.State != larder.Acquired {
			t.Errorf("operation %d: %+v", op.Kind, r)
		}
	}
	epoch := tier.Epoch(key)
	if err := tier.Beat(testContext(t)); err != nil {
		t.Fatal(err)
	}
	next := tier.Epoch(key)
	if epoch.Alive() || next == nil || !next.Alive() || next.AsOf() < epoch.AsOf() {
		t.Error("the epoch outlived a heartbeat")
	}
	events.await(t, mark, "flushed")
	tracked, other := openTier(t, Config{Address: lardertest.StartRedis(t).Addr()}, "shop")
	other.await(t, 0, "connected")
	if got := tracked.Mode(); got != "tracking" {
		t.Errorf("mode %q", got)
	}
}

// TestPromisesWithoutPushes: two caches without tracking keep the promises of
// exact, strict and default reads.
func TestPromisesWithoutPushes(t *testing.T) {
	t.Parallel()
	const staleness = 200 * time.Millisecond
	srv := lardertest.StartRedis(t)
	for _, c := range []struct {
		name   string
		how    Untracked
		opts   []larder.ReadOption
		strict []larder.Target
		bound  time.Duration
	}{
		{"exact", TTL, []larder.ReadOption{larder.Exact}, nil, 0},
		{"strict", TTL, nil, []larder.Target{larder.Strict}, 0},
		{"default", TTL, nil, nil, staleness},
		{"validated-exact", Validated, []larder.ReadOption{larder.Exact}, nil, 0},
		{"validated-default", Validated, nil, nil, staleness},
	} {
		checker := lardertest.NewChecker(lardertest.CheckerOptions{SlowLoad: 5 * time.Millisecond})
		var nodes []lardertest.Subject
		for range 2 {
			cache, err := Open(testContext(t), Config{Address: srv.Addr(), NoTracking: true, Untracked: c.how}, larder.Options{
				Namespace: c.name, MaxStaleness: staleness, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer cache.Close()
			values, err := larder.NewKeyspace(cache, "k", larder.KeyspaceOptions[int64, uint64]{})
			if err != nil {
				t.Fatal(err)
			}
			nodes = append(nodes, &subject{cache, values, checker, c.opts, c.strict})
		}
		r := checker.Run(t.Context(), lardertest.Workload{Lasts: time.Second, Workers: 8, ReadsPerWrite: 50, Pause: 300 * time.Microsecond}, nodes...)
		t.Logf("%s\n%v", c.name, r)
		if r.Invented > 0 || c.bound == 0 && r.Stale > 0 || r.AgeMax > c.bound || r.Unconfirmed == r.Writes {
			t.Errorf("%s: the promise was broken", c.name)
		}
	}
}

// TestValidatedMode: on a server without pushes nothing is kept, and the next
// read after another process's invalidation sees it, long before MaxStaleness
// has passed; the epoch lives through heartbeats.
func TestValidatedMode(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Args: []string{"--rename-command", "HELLO", ""}})
	checker := lardertest.NewChecker(lardertest.CheckerOptions{Keys: 1})
	var log lockedBuffer
	open := func() *subject {
		cache, err := Open(testContext(t), Config{Address: srv.Addr(), Untracked: Validated}, larder.Options{
			Namespace: "shop", MaxStaleness: time.Hour, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cache.Close() })
		values, err := larder.NewKeyspace(cache, "k", larder.KeyspaceOptions[int64, uint64]{Tags: func(int64) []string { return []string{"all"} }})
		if err != nil {
			t.Fatal(err)
		}
		return &subject{cache: cache, values: values, checker: checker}
	}
	a, b := open(), open()
	const rounds = 20
	for range rounds {
		for range 2 {
			if _, err := b.Get(testContext(t), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := checker.Write(testContext(t), 0, a.Invalidate); err != nil {
			t.Fatal(err)
		}
		if err := checker.Read(testContext(t), 0, b.Get); err != nil {
			t.Fatal(err)
		}
	}
	if r := checker.Report(); r.Stale != 0 {
		t.Errorf("%v", r)
	}
	st := b.cache.Stats()
	if s := st.Keyspaces["k"]; st.MemoryEntries != 0 || s.MemoryHits != 0 || s.RemoteHits != 2*rounds-1 || s.Loaded != rounds+1 {
		t.Errorf("%+v", st)
	}
	if h := b.cache.Health(); h.Mode != "validated" {
		t.Errorf("%+v", h)
	}
	if n := strings.Count(log.String(), "mode=validated"); n != 2 {
		t.Errorf("%d lines for two caches tell the mode:\n%s", n, log.String())
	}
}

// lockedBuffer takes the logs of several caches.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// TestValidatedEpochLivesOn: a heartbeat ends nothing, as there is nothing to
// end; who waits is told to look again.
func TestValidatedEpochLivesOn(t *testing.T) {
	srv := lardertest.StartRedis(t)
	tier, events := openTier(t, Config{Address: srv.Addr(), NoTracking: true, Untracked: Validated}, "shop")
	mark := events.await(t, 0, "connected")
	epoch := tier.Epoch("shop:k")
	before := epoch.AsOf()
	if err := tier.Beat(testContext(t)); err != nil {
		t.Fatal(err)
	}
	events.await(t, mark, "flushed")
	if !epoch.Alive() || tier.Epoch("shop:k") != epoch || epoch.AsOf() <= before {
		t.Error("the epoch ended or was not credited")
	}
}

// subject is a cache that a checker examines.
type subject struct {
	cache   *larder.Cache
	values  *larder.Keyspace[int64, uint64]
	checker *lardertest.Checker
	opts    []larder.ReadOption
	strict  []larder.Target
}

func (s *subject) Get(ctx context.Context, key int) (uint64, error) {
	return s.values.Get(ctx, int64(key), func(ctx context.Context, key int64) (uint64, error) {
		return s.checker.Load(ctx, int(key))
	}, s.opts...)
}

func (s *subject) Invalidate(ctx context.Context, key int) error {
	return s.cache.Invalidate(ctx, append([]larder.Target{s.values.Key(int64(key))}, s.strict...)...)
}

// TestLowerStalenessHolds: a process that was given a higher MaxStaleness than
// the namespace has serves nothing older from memory than the others, which
// wait no longer for it.
//
//  1. A agrees on T; B was given much more
//  2. B keeps k in memory, then nothing reaches it
//  3. A changes k, and T passes
//  4. B may not serve the old value
func TestLowerStalenessHolds(t *testing.T) {
	srv := lardertest.StartRedis(t)
	proxy := lardertest.StartProxy(t, srv.Addr())
	checker := lardertest.NewChecker(lardertest.CheckerOptions{Keys: 1})
	open := func(address string, staleness time.Duration) *subject {
		cache, err := Open(testContext(t), Config{Address: address}, larder.Options{
			Namespace: "shop", MaxStaleness: staleness, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cache.Close() })
		values, err := larder.NewKeyspace(cache, "k", larder.KeyspaceOptions[int64, uint64]{})
		if err != nil {
			t.Fatal(err)
		}
		return &subject{cache: cache, values: values, checker: checker}
	}
	a, b := open(srv.Addr(), staleness), open(proxy.Addr(), time.Hour)
	if _, err := b.Get(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	if h := b.cache.Health(); h.Mode != "tracking" {
		t.Errorf("health %+v", h)
	}
	proxy.Hold()
	if err := checker.Write(testContext(t), 0, a.Invalidate); err != nil {
		t.Fatal(err)
	}
	timer := time.NewTimer(2 * staleness)
	<-timer.C
	if err := checker.Read(testContext(t), 0, b.Get); err != nil {
		t.Fatal(err)
	}
	if r := checker.Report(); r.Stale != 0 {
		t.Errorf("%v", r)
	}
}
