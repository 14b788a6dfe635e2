package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/cachedstore"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// loadSize is how much is measured.
type loadSize struct {
	seed             dashboard.SeedOptions
	perSecond        int
	during           time.Duration
	uncached, cached int // requests of each path, one at a time
}

var (
	// wholeLoad has a hundred thousand results.
	wholeLoad = loadSize{dashboard.SeedOptions{CasesPerSuite: 120}, 500, 10 * time.Second, 5, 200}
	// shortLoad shows that the measurement works.
	shortLoad = loadSize{dashboard.SeedOptions{CasesPerSuite: 4, Days: 4, Suites: 2}, 50, 500 * time.Millisecond, 1, 3}
)

// readPaths are the reads of the API, aggregates first.
var readPaths = []string{
	"/api/v1/dashboard/stats", "/api/v1/dashboard/trends?days=30", "/api/v1/dashboard/test-types-distribution", "/api/v1/dashboard/performance-metrics",
	"/api/v1/dashboard/flaky", "/api/v1/dashboard/slowest", "/api/v1/dashboard/top-errors", "/api/v1/dashboard/health", "/api/v1/dashboard/recent?limit=10",
	"/api/v1/suites", "/api/v1/executions?limit=20", "/api/v1/cases?limit=20", "/api/v1/cases/1/history", "/api/v1/compare?base=1&head=9",
	"/api/v1/suites/1", "/api/v1/executions/1", "/api/v1/cases/1",
}

// pagePaths are the pages that are opened most.
var pagePaths = []string{"/", "/suites", "/suites/1", "/executions", "/executions/9", "/cases/1", "/flaky", "/compare?base=1&head=9"}

// loadResult is what was measured on one database.
type loadResult struct {
	database            string
	results             int64
	uncached, cached    map[string]measured // by path, one request at a time
	names               []string            // of the loads
	loads               map[string]measured
	row, redisHit, kept time.Duration // a single row from the database, from Redis and from memory
}

// Every read is answered at a constant rate, with a cache and without, with Redis
// and without, while Redis hangs and after. With QADASH_BENCH=file it is measured
// over a hundred thousand results and the file is written.
func TestReadsAtAConstantRate(t *testing.T) {
	file, size := os.Getenv("QADASH_BENCH"), shortLoad
	databases := map[string]string{"SQLite": "sqlite:" + filepath.Join(t.TempDir(), "qa.db")}
	if file != "" {
		size, databases["PostgreSQL"] = wholeLoad, lardertest.StartPostgres(t).URL()
	}
	var results []loadResult
	for _, name := range []string{"SQLite", "PostgreSQL"} {
		if databases[name] != "" {
			results = append(results, measureLoad(t, name, databases[name], size))
		}
	}
	for _, r := range results {
		for name, m := range r.loads {
			if m.failed > 0 || len(m.took) == 0 || file == "" && len(m.took) != m.asked {
				t.Errorf("%s, %s: %d of %d were answered, %d failed", r.database, name, len(m.took), m.asked, m.failed)
			}
		}
	}
	if file == "" {
		return
	}
	if err := os.WriteFile(file, []byte(renderLoad(results)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func measureLoad(t *testing.T, name, url string, size loadSize) loadResult {
	t.Helper()
	r := loadResult{database: name, uncached: map[string]measured{}, cached: map[string]measured{}, loads: map[string]measured{}}
	redis := lardertest.StartRedis(t)
	r.fill(t, url, size)
	r.rows(t, url, redis, size)
	host, port, _ := strings.Cut(redis.Addr(), ":")
	all := append(append([]string(nil), readPaths...), pagePaths...)
	r.during(t, url, []string{"CACHE_ENABLED=false"}, func(g *generator) {
		for _, path := range all {
			r.uncached[path] = g.alone(path, size.uncached)
		}
		r.load(g, "no cache", size)
	})
	r.during(t, url, []string{"REDIS_PORT=1"}, func(g *generator) { r.load(g, "no Redis", size) })
	r.during(t, url, []string{"REDIS_HOST=" + host, "REDIS_PORT=" + port}, func(g *generator) {
		for _, path := range all {
			g.alone(path, 1) // fills
			r.cached[path] = g.alone(path, size.cached)
		}
		r.load(g, "with Redis", size)
		_ = redis.Stop()
		r.load(g, "Redis hangs", size)
		_ = redis.Cont()
		r.load(g, "Redis is back", size)
	})
	return r
}

func (r *loadResult) load(g *generator, name string, size loadSize) {
	g.t.Helper()
	r.names = append(r.names, name)
	r.loads[name] = g.rate(readPaths, size.perSecond, size.during)
}

// during runs a server on one core.
func (r *loadResult) during(t *testing.T, url string, variables []string, measure func(*generator)) {
	t.Helper()
	p := launchWith(t, append(variables, "GOMAXPROCS=1", "DATABASE_URL="+url)...)
	defer func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("qadash ended with %v", err)
		}
	}()
	measure(newGenerator(t, p))
}

func (r *loadResult) fill(t *testing.T, url string, size loadSize) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Seed(t.Context(), size.seed); err != nil {
		t.Fatal(err)
	}
	if err := db.DB().QueryRow("SELECT count(*) FROM results").Scan(&r.results); err != nil {
		t.Fatal(err)
	}
}

// rows measures a single row in this process: from the database, from Redis, and
// from memory.
func (r *loadResult) rows(t *testing.T, url string, redis *lardertest.RedisServer, size loadSize) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	r.row = each(t, db, size.cached*10)
	for tiers, into := range map[larder.Tiers]*time.Duration{larder.RemoteOnly: &r.redisHit, larder.BothTiers: &r.kept} {
		cache, err := redistier.Open(t.Context(), redistier.Config{Address: redis.Addr()}, larder.Options{Namespace: fmt.Sprint("rows", tiers), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		s, err := cachedstore.New(db, cache, cachedstore.Options{Rows: tiers})
		if err != nil {
			t.Fatal(err)
		}
		*into = each(t, s, size.cached*10)
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	}
}

// each is the mean time of a read of one suite.
func each(t *testing.T, s dashboard.Store, times int) time.Duration {
	t.Helper()
	var begin time.Time
	for i := range times + 1 {
		if i == 1 { // the first one fills
			begin = time.Now()
		}
		if _, err := s.Suite(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	return time.Since(begin) / time.Duration(times)
}
