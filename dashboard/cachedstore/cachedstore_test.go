package cachedstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/cachedstore"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/storetest"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// namespaces numbers the namespaces of stores that share a server.
var namespaces atomic.Int64

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func openDatabase(t testing.TB, path string, clock *storetest.Clock) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// overRedis returns a cache with its tier on the server, and times at which a busy
// machine does not pass for an absent Redis.
func overRedis(t testing.TB, redis *lardertest.RedisServer, namespace string) *larder.Cache {
	t.Helper()
	cache, err := redistier.Open(t.Context(), redistier.Config{Address: redis.Addr()}, larder.Options{
		Namespace: namespace, Logger: quiet, MaxStaleness: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	return cache
}

func cached(t testing.TB, inner dashboard.Store, cache *larder.Cache, o cachedstore.Options) *cachedstore.Store {
	t.Helper()
	o.Logger = quiet
	s, err := cachedstore.New(inner, cache, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformsInMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clock *storetest.Clock) dashboard.Store {
		cache, err := larder.New(larder.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cache.Close() })
		return cached(t, openDatabase(t, emptydb.SQLite(t), clock), cache, cachedstore.Options{})
	})
}

func TestConformsOverRedis(t *testing.T) {
	redis := lardertest.StartRedis(t)
	for name, rows := range map[string]larder.Tiers{"rows in both tiers": larder.BothTiers, "rows in memory": larder.MemoryOnly} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T, clock *storetest.Clock) dashboard.Store {
				cache := overRedis(t, redis, fmt.Sprint("n", namespaces.Add(1)))
				return cached(t, openDatabase(t, emptydb.SQLite(t), clock), cache, cachedstore.Options{Rows: rows})
			})
		})
	}
}

// An answer names the tier that it came from, for the strip at the foot of a page.
func TestTraceNamesTheTier(t *testing.T) {
	redis := lardertest.StartRedis(t)
	db := openDatabase(t, emptydb.SQLite(t), storetest.NewClock())
	a := cached(t, db, overRedis(t, redis, "n"), cachedstore.Options{})
	b := cached(t, db, overRedis(t, redis, "n"), cachedstore.Options{})
	for i, x := range []struct {
		store dashboard.Store
		want  dashboard.Tier
	}{{a, dashboard.TierDatabase}, {a, dashboard.TierMemory}, {b, dashboard.TierRedis}, {b, dashboard.TierMemory}} {
		trace := new(dashboard.Trace)
		if _, err := x.store.Stats(dashboard.WithTrace(t.Context(), trace)); err != nil {
			t.Fatal(err)
		}
		if got := trace.Answers(); len(got) != 1 || got[0].Tier != x.want || got[0].Read != "dashboard:stats" || got[0].Took <= 0 {
			t.Fatalf("answers of read %d are %+v, want one from %s", i, got, x.want)
		}
	}
}

// Keys are what people look for with redis-cli.
func TestKeysInRedis(t *testing.T) {
	redis := lardertest.StartRedis(t)
	db := openDatabase(t, emptydb.SQLite(t), storetest.NewClock())
	s := cached(t, db, overRedis(t, redis, "qa"), cachedstore.Options{})
	ctx := context.Background()
	suite, _, err := s.CreateSuite(ctx, dashboard.NewSuite{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	page := dashboard.Page{Skip: 20, Limit: 10}
	_, err1 := s.Suite(ctx, suite.ID)
	_, err2 := s.Suites(ctx, dashboard.SuiteFilter{}, page)
	_, err3 := s.Cases(ctx, dashboard.CaseFilter{}, page)
	_, err4 := s.Cases(ctx, dashboard.CaseFilter{SuiteID: suite.ID}, page)
	_, err5 := s.Executions(ctx, dashboard.ExecutionFilter{SuiteID: suite.ID, Status: dashboard.StatusPassed, Branch: "a:b*"}, page)
	_, err6 := s.Stats(ctx)
	_, err7 := s.Trends(ctx, 30, nil)
	_, err8 := s.Recent(ctx, 10)
	_, err9 := s.TestTypes(ctx)
	_, err10 := s.Performance(ctx)
	for _, err := range []error{err1, err2, err3, err4, err5, err6, err7, err8, err9, err10} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{
		"suite:1", "suites:list:skip:20:limit:10", "cases:list:skip:20:limit:10", "cases:list:suite:1:skip:20:limit:10",
		"executions:list:suite:1:status:passed:branch:a%3Ab%2A:skip:20:limit:10", "dashboard:stats", "dashboard:trends:days:30",
		"dashboard:recent:limit:10", "dashboard:test_types_distribution", "dashboard:performance_metrics",
	} {
		if got, err := redis.Command("EXISTS", "qa:"+key); err != nil || got != "1" {
			t.Errorf("EXISTS %s is %q, %v", key, got, err)
		}
	}
}

// Who compares runs of two suites is told so; that is no failure of a read, which
// would be counted, alerted about, and shown on the cache page.
func TestAComparisonOfTwoSuitesIsNoFailure(t *testing.T) {
	redis := lardertest.StartRedis(t)
	cache := overRedis(t, redis, "qa")
	s := cached(t, openDatabase(t, emptydb.SQLite(t), storetest.NewClock()), cache, cachedstore.Options{})
	for _, name := range []string{"a", "b"} {
		suite, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.CreateExecution(t.Context(), dashboard.NewExecution{SuiteID: suite.ID}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := s.Compare(t.Context(), 1, 2); !errors.Is(err, dashboard.ErrInvalid) || !strings.Contains(err.Error(), "head: must be") {
			t.Errorf("got %v", err)
		}
	}
	if got := cache.Stats().Keyspaces["compare"]; got.Errors != 0 || got.LoadErrors != 0 {
		t.Errorf("%d reads and %d loads count as failed", got.Errors, got.LoadErrors)
	}
}

// The log says once that invalidations are not confirmed, and once that they are
// again, though nobody changes anything any more.
func TestTheLogSaysWhenInvalidationsAreConfirmedAgain(t *testing.T) {
	redis := lardertest.StartRedis(t)
	var out lines
	cache, err := redistier.Open(t.Context(), redistier.Config{Address: redis.Addr()}, larder.Options{Namespace: "qa", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	s, err := cachedstore.New(openDatabase(t, emptydb.SQLite(t), storetest.NewClock()), cache, cachedstore.Options{Logger: slog.New(slog.NewTextHandler(&out, nil)), InvalidateTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if _, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	s.Recheck()
	if got := out.String(); strings.Count(got, "not confirmed;") != 1 || strings.Contains(got, "confirmed again") {
		t.Fatalf("while Redis is away: %s", got)
	}
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); cache.Health().Pending > 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
	}
	s.Recheck()
	s.Recheck()
	if got := out.String(); strings.Count(got, "confirmed again") != 1 {
		t.Errorf("after its return: %s", got)
	}
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	out strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.String()
}

// compared is a store that compares everything alike.
type compared struct {
	dashboard.Store
	answer dashboard.Comparison
}

func (s *compared) Compare(context.Context, int64, int64) (dashboard.Comparison, error) {
	return s.answer, nil
}

// A comparison of executions that have ended lives longest: nothing but an
// invalidation changes it.
func TestComparisonsLiveByTheStateOfTheirExecutions(t *testing.T) {
	redis := lardertest.StartRedis(t)
	inner := &compared{answer: dashboard.Comparison{Base: dashboard.Execution{Status: dashboard.StatusPassed}}}
	s := cached(t, inner, overRedis(t, redis, "qa"), cachedstore.Options{LongTTL: time.Hour, ExtendedTTL: 5 * time.Hour})
	for head, want := range map[dashboard.Status]time.Duration{dashboard.StatusRunning: time.Hour, dashboard.StatusFailed: 5 * time.Hour} {
		inner.answer.Head.Status = head
		if _, err := s.Compare(t.Context(), 1, int64(want.Hours())); err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("qa:compare:1:%.0f", want.Hours())
		left, err := redis.Command("TTL", key)
		if n, _ := strconv.Atoi(left); err != nil || n < int(want.Seconds())-60 || n > int(want.Seconds())+60 {
			t.Errorf("%s: TTL %s is %s, %v; want %v", head, key, left, err, want)
		}
	}
}
