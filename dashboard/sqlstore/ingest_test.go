package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
)

// A large report must fit into the time that a CI job waits for its upload: ten
// seconds for fifty thousand cases (make plans; make test has a tenth).
func TestIngestOfALargeReport(t *testing.T) {
	ingestLarge(t, openFile(t, emptydb.SQLite(t), sqlstore.Options{}))
}

func ingestLarge(t *testing.T, s *sqlstore.Store) {
	in := dashboard.Ingestion{Suite: "large", ContentHash: "h"}
	in.Report.Format = "junit"
	for i := range largeReport() {
		c := dashboard.ReportCase{Name: fmt.Sprintf("package.module.TestClass%d › test number %d of this class", i/20, i), Status: dashboard.StatusPassed, DurationMS: 5}
		if i%50 == 0 {
			c.Status, c.Message, c.Stack = dashboard.StatusFailed, "assertion failed", strings.Repeat("at some.where(file:1)\n", 30)
		}
		in.Report.Cases = append(in.Report.Cases, c)
	}
	for _, what := range []string{"created", "known"} {
		in.ContentHash = what
		begin := time.Now()
		got, _, err := s.Ingest(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(begin)
		t.Logf("%d cases, %s: %s", got.Execution.Total, what, took)
		if got.Execution.Total != largeReport() || got.Execution.Failed != largeReport()/50 {
			t.Fatalf("counts are %+v", got.Execution.Counts)
		}
		if took > 10*time.Second && !raceDetector {
			t.Errorf("took %s", took)
		}
	}
}

// largeReport is the number of cases of the largest report that is taken. Under the
// race detector, which the time is not measured with, a tenth of it has to do, which
// is many statements as well.
func largeReport() int {
	if raceDetector {
		return dashboard.MaxReportCases / 10
	}
	return dashboard.MaxReportCases
}

// The hook is where an outbox writes: what it writes must share the mutation's
// fate, and so must the mutation its error.
func TestChangedSharesTheTransaction(t *testing.T) {
	refuse := errors.New("refused")
	var fail bool
	var seen []dashboard.Change
	s := openFile(t, emptydb.SQLite(t), sqlstore.Options{})
	s.OnChange(func(ctx context.Context, tx *sql.Tx, change dashboard.Change) error {
		if fail {
			return refuse
		}
		seen = append(seen, change)
		var n int
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM suites").Scan(&n)
	})
	a, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0].Suites[0].ID != a.ID {
		t.Fatalf("the hook saw %+v", seen)
	}
	fail = true
	if _, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: "b"}); !errors.Is(err, refuse) {
		t.Fatalf("error is %v", err)
	}
	if _, err := s.DeleteSuite(t.Context(), a.ID); !errors.Is(err, refuse) {
		t.Fatalf("error is %v", err)
	}
	l, err := s.Suites(t.Context(), dashboard.SuiteFilter{}, dashboard.Page{})
	if err != nil || l.Total != 1 || l.Items[0].Name != "a" {
		t.Fatalf("suites are %+v, %v", l, err)
	}
}

// Two processes share one file: each sees what the other committed with its next read.
func TestTwoStoresShareOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "qa.db")
	type opened struct {
		s   *sqlstore.Store
		err error
	}
	ch := make(chan opened)
	for range 2 {
		go func() {
			s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{})
			ch <- opened{s, err}
		}()
	}
	var stores []*sqlstore.Store
	for range 2 {
		o := <-ch
		if o.err != nil {
			t.Fatal(o.err)
		}
		defer func() { _ = o.s.Close() }()
		stores = append(stores, o.s)
	}
	s, _, err := stores[0].CreateSuite(t.Context(), dashboard.NewSuite{Name: "0"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		name := fmt.Sprint(i + 1)
		if _, _, err := stores[i%2].UpdateSuite(t.Context(), s.ID, dashboard.SuitePatch{Name: &name}); err != nil {
			t.Fatal(err)
		}
		got, err := stores[1-i%2].Suite(t.Context(), s.ID)
		if err != nil || got.Name != name {
			t.Fatalf("read %q, %v after writing %q", got.Name, err, name)
		}
	}
}

// A full disk costs the change that found it full and nothing else: nothing is half
// written, what is there can be read, and once there is room it goes on.
func TestFullDiskChangesNothing(t *testing.T) {
	s := openFile(t, emptydb.SQLite(t), sqlstore.Options{})
	suite, _, err := s.CreateSuite(t.Context(), dashboard.NewSuite{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	pages := func(pragma string) {
		t.Helper()
		if _, err := s.DB().ExecContext(t.Context(), "PRAGMA "+pragma); err != nil {
			t.Fatal(err)
		}
	}
	pages("max_page_count = 100") // SQLite answers as it does when the disk is full
	in := dashboard.Ingestion{Suite: "s", ContentHash: "h"}
	for i := range 5000 {
		in.Report.Cases = append(in.Report.Cases, dashboard.ReportCase{Name: fmt.Sprint(i), Status: dashboard.StatusFailed, Stack: strings.Repeat("x", 1000)})
	}
	for range 2 {
		_, change, err := s.Ingest(t.Context(), in)
		if !errors.Is(err, dashboard.ErrFull) || !change.Empty() {
			t.Fatalf("a full disk gave %v and %+v", err, change)
		}
		st, err := s.Stats(t.Context())
		if err != nil || st.TotalExecutions != 0 || st.TotalCases != 0 || st.TotalSuites != 1 {
			t.Fatalf("after that: %+v, %v", st, err)
		}
	}
	pages("max_page_count = 1000000")
	report, _, err := s.Ingest(t.Context(), in)
	if err != nil || report.Execution.Total != 5000 || report.Execution.SuiteID != suite.ID {
		t.Fatalf("with room again: %+v, %v", report.Execution, err)
	}
}
