package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/outbox"
)

// childVariable makes this program a service that may be killed, see child_test.go.
const childVariable = "LARDER_OUTBOX_CHILD"

func TestMain(m *testing.M) {
	if job := os.Getenv(childVariable); job != "" {
		os.Exit(child(job))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	code := m.Run()
	if postgres.server != nil {
		_ = postgres.server.Shutdown()
	}
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// postgres is the server that the tests of this package share; each has a
// schema of its own.
var postgres struct {
	once    sync.Once
	server  *lardertest.PostgresServer
	err     error
	schemas atomic.Int64
}

// place is an empty database of one test.
type place struct {
	dialect outbox.Dialect
	driver  string
	dsn     string
}

// eachDatabase runs a test on SQLite and on PostgreSQL.
func eachDatabase(t *testing.T, test func(t *testing.T, p place)) {
	t.Run("SQLite", func(t *testing.T) { test(t, sqlitePlace(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, postgresPlace(t)) })
}

func sqlitePlace(t testing.TB) place {
	v := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(OFF)"}}
	return place{outbox.SQLite, "sqlite", "file:" + filepath.Join(t.TempDir(), "test.db") + "?" + v.Encode()}
}

func postgresPlace(t testing.TB) place {
	t.Helper()
	postgres.once.Do(func() {
		postgres.server, postgres.err = lardertest.NewPostgres(context.Background(), lardertest.PostgresOptions{})
	})
	if postgres.err != nil {
		t.Fatal(postgres.err)
	}
	return schemaOf(t, postgres.server)
}

func schemaOf(t testing.TB, server *lardertest.PostgresServer) place {
	t.Helper()
	schema := fmt.Sprint("test", postgres.schemas.Add(1))
	exec(t, place{driver: "pgx", dsn: server.URL()}.open(t), "CREATE SCHEMA "+schema)
	return place{outbox.PostgreSQL, "pgx", server.URL() + "&search_path=" + schema}
}

func (p place) open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open(p.driver, p.dsn)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// create opens the database and makes the outbox and a table of things.
func (p place) create(t testing.TB) *sql.DB {
	t.Helper()
	db := p.open(t)
	schema, err := outbox.Schema(p.dialect, "")
	must(t, err)
	exec(t, db, schema)
	exec(t, db, "CREATE TABLE things (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)")
	return db
}

// box returns an outbox in db that is silent and polls often.
func (p place) box(t testing.TB, db *sql.DB, cache outbox.Invalidator, o outbox.Options) *outbox.Box {
	t.Helper()
	o.Dialect = p.dialect
	if o.PollInterval == 0 {
		o.PollInterval = 20 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	b, err := outbox.New(db, cache, o)
	must(t, err)
	return b
}

// start runs the relay until the end of the test, or until the returned
// function is called.
func start(t testing.TB, b *outbox.Box) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the relay ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// add writes targets in a transaction of their own, committed.
func add(t testing.TB, db *sql.DB, b *outbox.Box, targets ...larder.Target) *outbox.Pending {
	t.Helper()
	tx, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	defer tx.Rollback()
	p, err := b.Add(t.Context(), tx, targets...)
	must(t, err)
	must(t, tx.Commit())
	return p
}

// stored returns the texts in the outbox, in the order of their numbers.
func stored(t testing.TB, db *sql.DB) []string {
	t.Helper()
	rows, err := db.Query("SELECT target FROM larder_outbox ORDER BY id")
	must(t, err)
	defer rows.Close()
	texts := []string{}
	for rows.Next() {
		var text string
		must(t, rows.Scan(&text))
		texts = append(texts, text)
	}
	must(t, rows.Err())
	return texts
}

func exec(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%v\n%s", err, s)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a state that other goroutines or processes bring about.
func eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !reached(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// recorder is an Invalidator that remembers.
type recorder struct {
	mu    sync.Mutex
	calls [][]string
	count map[string]int
	// fail, if set, decides how a call ends.
	fail func(texts []string) error
}

func (r *recorder) Invalidate(_ context.Context, targets ...larder.Target) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := make([]string, len(targets))
	for i, target := range targets {
		texts[i] = target.String()
	}
	r.calls = append(r.calls, texts)
	if r.fail != nil {
		if err := r.fail(texts); err != nil {
			return err
		}
	}
	if r.count == nil {
		r.count = make(map[string]int)
	}
	for _, text := range texts {
		r.count[text]++
	}
	return nil
}

func (r *recorder) setFail(fail func([]string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = fail
}

// confirmed returns how often a target was invalidated with success.
func (r *recorder) confirmed(text string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[text]
}

func (r *recorder) numCalls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// away is what a cache returns when Redis confirms none of n keys.
func away(n int) error {
	return &larder.PendingError{Keys: make([]string, n), Err: context.DeadlineExceeded}
}

// logbook is a log that tests read.
type logbook struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// count returns how many lines contain text.
func (l *logbook) countLines(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.lines.String(), text)
}
