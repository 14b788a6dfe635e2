package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/storetest"
	"github.com/larder-go/larder/lardertest"
)

// postgres is a server with as many databases as there are tests.
type postgres struct {
	*lardertest.PostgresServer
	databases atomic.Int64
	template  sync.Once
}

// admin runs a statement in the database that is always there.
func (p *postgres) admin(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", p.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Database creates a database without a schema and returns its URL.
func (p *postgres) Database(t testing.TB) string {
	t.Helper()
	return p.create(t, fmt.Sprint("test", p.databases.Add(1)), "template0")
}

// Empty creates a database with an empty schema, as a copy, which takes a part of
// the time of making one, and returns its URL.
func (p *postgres) Empty(t testing.TB) string {
	t.Helper()
	p.template.Do(func() {
		s, err := sqlstore.Open(t.Context(), p.create(t, "empty", "template0"), sqlstore.Options{})
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return p.create(t, fmt.Sprint("test", p.databases.Add(1)), "empty")
}

func (p *postgres) create(t testing.TB, name, template string) string {
	t.Helper()
	u, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	p.admin(t, "CREATE DATABASE "+name+" TEMPLATE "+template)
	return u.String()
}

// Disconnect ends all connections to the databases of Database, as a failover does.
func (p *postgres) Disconnect(t testing.TB) {
	t.Helper()
	p.admin(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'")
}

func TestPostgresConforms(t *testing.T) {
	server := &postgres{PostgresServer: lardertest.StartPostgres(t)}
	t.Run("store", func(t *testing.T) {
		storetest.Run(t, func(t *testing.T, clock *storetest.Clock) dashboard.Store {
			return openFile(t, server.Empty(t), sqlstore.Options{Now: clock.Now})
		})
	})
	t.Run("administration", func(t *testing.T) {
		storetest.RunAdmin(t, func(t *testing.T, clock *storetest.Clock) storetest.AdminStore {
			return openFile(t, server.Empty(t), sqlstore.Options{Now: clock.Now})
		})
	})
	t.Run("migrations go both ways", func(t *testing.T) { migrateBothWays(t, server.Database(t)) })
	t.Run("two stores start on one database", func(t *testing.T) { startTogether(t, server.Database(t)) })
	t.Run("mutations that cross do not fail", func(t *testing.T) { crossing(t, server.Database(t)) })
	t.Run("a lost connection is replaced", func(t *testing.T) {
		s := openFile(t, server.Empty(t), sqlstore.Options{})
		suite, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: "s"})
		if err != nil {
			t.Fatal(err)
		}
		server.Disconnect(t)
		recovers(t, func() error { _, err := s.Suite(t.Context(), suite.ID); return err })
		server.Disconnect(t)
		n := 0
		recovers(t, func() error {
			n++
			_, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: fmt.Sprint(n)})
			return err
		})
	})
	t.Run("a connection lost in the middle of a report", func(t *testing.T) { cutOff(t, server) })
	t.Run("old invalidations are forgotten", func(t *testing.T) {
		forgets(t, openFile(t, server.Empty(t), sqlstore.Options{}),
			"INSERT INTO larder_outbox (target, added_at) SELECT 'tag:x', now() - g::interval FROM unnest(ARRAY['3 days', '25 hours', '1 hour']) g")
	})
	t.Run("a large report", func(t *testing.T) { ingestLarge(t, openFile(t, server.Empty(t), sqlstore.Options{})) })
	t.Run("the demo", func(t *testing.T) {
		s := openFile(t, server.Empty(t), sqlstore.Options{Now: storetest.NewClock().Now})
		if _, err := s.Seed(t.Context(), dashboard.SeedOptions{}); err != nil {
			t.Fatal(err)
		}
		checkDemo(t, s)
	})
}

// Connections are encrypted, and the server's certificate is checked against the
// authority and the name, if the URL says so; where it cannot be, nothing is
// sent.
func TestPostgresTLS(t *testing.T) {
	certificate, key := lardertest.NewCertificate(t, t.TempDir())
	stranger, _ := lardertest.NewCertificate(t, t.TempDir())
	server := lardertest.StartPostgres(t, lardertest.PostgresOptions{CertFile: certificate, KeyFile: key})
	address := "postgres://postgres@" + server.Addr() + "/postgres?sslmode=verify-full&sslrootcert="
	s := openFile(t, address+certificate, sqlstore.Options{})
	if _, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: "encrypted"}); err != nil {
		t.Fatal(err)
	}
	for _, refused := range []string{address + stranger, server.URL()} {
		if s, err := sqlstore.Open(t.Context(), refused, sqlstore.Options{}); err == nil {
			_ = s.Close()
			t.Errorf("%s was accepted", refused)
		}
	}
}

// A database that is away gives an error that says so, and what it had is there
// when it comes back.
func TestPostgresAway(t *testing.T) {
	server := lardertest.StartPostgres(t)
	s := openFile(t, server.URL(), sqlstore.Options{})
	suite, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: "lost"})
		if !errors.Is(err, dashboard.ErrUnavailable) {
			t.Fatalf("a mutation gave %v", err)
		}
		if _, err := s.Suite(t.Context(), suite.ID); !errors.Is(err, dashboard.ErrUnavailable) {
			t.Fatalf("a read gave %v", err)
		}
		if _, err := s.Stats(t.Context()); !errors.Is(err, dashboard.ErrUnavailable) {
			t.Fatalf("stats gave %v", err)
		}
		if err := s.Ping(t.Context()); !errors.Is(err, dashboard.ErrUnavailable) {
			t.Fatalf("ping gave %v", err)
		}
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	recovers(t, func() error { _, err := s.Suite(t.Context(), suite.ID); return err })
	l, err := s.Suites(t.Context(), dashboard.SuiteFilter{}, dashboard.Page{})
	if err != nil || l.Total != 1 {
		t.Fatalf("suites are %+v, %v", l, err)
	}
}

// cutOff loses the connection when a report is written and not committed: the error
// says that the database is away, nothing of the report is there, and the same
// report is taken in as if it came for the first time.
func cutOff(t *testing.T, server *postgres) {
	s := openFile(t, server.Database(t), sqlstore.Options{})
	in := dashboard.Ingestion{Suite: "s", ContentHash: "h"}
	for i := range 500 {
		in.Report.Cases = append(in.Report.Cases, dashboard.ReportCase{Name: fmt.Sprint(i), Status: dashboard.StatusFailed, Message: "m"})
	}
	lost := 0
	s.OnChange(func(context.Context, *sql.Tx, dashboard.Change) error {
		if lost++; lost <= 2 {
			server.Disconnect(t)
		}
		return nil
	})
	for range 2 {
		_, change, err := s.Ingest(t.Context(), in)
		if !errors.Is(err, dashboard.ErrUnavailable) || !change.Empty() {
			t.Fatalf("a lost connection gave %v and %+v", err, change)
		}
		var st dashboard.Stats
		recovers(t, func() (err error) { st, err = s.Stats(t.Context()); return err })
		if st != (dashboard.Stats{}) {
			t.Fatalf("after that there is %+v", st)
		}
	}
	var report dashboard.IngestReport
	recovers(t, func() (err error) { report, _, err = s.Ingest(t.Context(), in); return err })
	if report.Duplicate || report.Execution.Failed != 500 {
		t.Fatalf("once more: %+v", report)
	}
}

// recovers holds that an operation succeeds soon: each pooled connection that was
// lost may fail once.
func recovers(t *testing.T, do func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// crossing runs mutations that lock the same rows in different orders.
func crossing(t *testing.T, address string) {
	s := openFile(t, address, sqlstore.Options{})
	var suites []int64
	for i := range 2 {
		suite, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: fmt.Sprint("suite ", i)})
		if err != nil {
			t.Fatal(err)
		}
		suites = append(suites, suite.ID)
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 15 {
				in := dashboard.Ingestion{Suite: fmt.Sprint("suite ", (worker+i)%2), ContentHash: fmt.Sprint(worker, "/", i)}
				for k := range 30 {
					in.Report.Cases = append(in.Report.Cases, dashboard.ReportCase{Name: fmt.Sprint((k*(2*(worker%2)-1) + 30) % 30), Status: dashboard.StatusPassed})
				}
				report, _, err := s.Ingest(t.Context(), in)
				if err != nil {
					t.Error(err)
					return
				}
				l, err := s.Results(t.Context(), report.Execution.ID, dashboard.ResultFilter{}, dashboard.Page{Limit: 1})
				if err != nil {
					t.Error(err)
					return
				}
				_, _, err = s.UpdateCase(t.Context(), l.Items[0].CaseID, dashboard.CasePatch{SuiteID: &suites[i%2], Description: new(fmt.Sprint(i))})
				if err != nil && !errors.Is(err, dashboard.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func startTogether(t *testing.T, address string) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := sqlstore.Open(t.Context(), address, sqlstore.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(s.Ping(t.Context()), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// migrateBothWays holds that each step down undoes its step up, so that a release
// can be taken back, and that the way up works again after it.
func migrateBothWays(t *testing.T, address string) {
	s := openFile(t, address, sqlstore.Options{})
	if _, err := s.Seed(t.Context(), dashboard.SeedOptions{Days: 2, Suites: 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.MigrateTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, dashboard.ErrSchema) || !strings.Contains(err.Error(), "schema 1,") {
		t.Fatalf("ping of an old schema gave %v", err)
	}
	if _, err := s.Execution(t.Context(), 1); err != nil {
		t.Fatalf("data of the step below was lost: %v", err)
	}
	if err := s.MigrateTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Execution(t.Context(), 1); !errors.Is(err, dashboard.ErrNotFound) {
		t.Fatalf("an empty schema gave %v", err)
	}
}

// An address that cannot be used is refused without telling its password.
func TestOpenErrorsKeepThePassword(t *testing.T) {
	for _, address := range []string{"postgres://u:hunter2@127.0.0.1:1/db?connect_timeout=1", "postgres://u:hunter2@[bad", "postgres://u:hunter2@h/db?sslmode=nonsense"} {
		s, err := sqlstore.Open(t.Context(), address, sqlstore.Options{})
		if err == nil {
			_ = s.Close()
			t.Fatalf("%s was opened", address)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}
