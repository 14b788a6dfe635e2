package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/lardertest"
)

// statement is a query that a read made.
type statement struct {
	read, query string
	args        []any
}

// recorder is a database that notes what is asked of it.
type recorder struct {
	handle
	read string
	out  *[]statement
}

func (r recorder) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	*r.out = append(*r.out, statement{r.read, query, args})
	return r.handle.QueryContext(ctx, query, args...)
}

func (r recorder) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	*r.out = append(*r.out, statement{r.read, query, args})
	return r.handle.QueryRowContext(ctx, query, args...)
}

// reads are all reads of a Store, as the pages ask them.
func reads(s *Store) map[string]func(context.Context) error {
	page := dashboard.Page{Limit: 50}
	return map[string]func(context.Context) error{
		"suite":  func(ctx context.Context) error { _, err := s.Suite(ctx, 1); return err },
		"suites": func(ctx context.Context) error { _, err := s.Suites(ctx, dashboard.SuiteFilter{}, page); return err },
		"case":   func(ctx context.Context) error { _, err := s.Case(ctx, 1); return err },
		"cases of a suite": func(ctx context.Context) error {
			_, err := s.Cases(ctx, dashboard.CaseFilter{SuiteID: 1}, page)
			return err
		},
		"cases after": func(ctx context.Context) error {
			_, err := s.Cases(ctx, dashboard.CaseFilter{SuiteID: 1}, dashboard.Page{Limit: 50, Cursor: "50"})
			return err
		},
		"cases by type": func(ctx context.Context) error {
			_, err := s.Cases(ctx, dashboard.CaseFilter{TestType: "ui"}, page)
			return err
		},
		"execution": func(ctx context.Context) error { _, err := s.Execution(ctx, 1); return err },
		"executions": func(ctx context.Context) error {
			_, err := s.Executions(ctx, dashboard.ExecutionFilter{}, page)
			return err
		},
		"executions of suite": func(ctx context.Context) error {
			_, err := s.Executions(ctx, dashboard.ExecutionFilter{SuiteID: 1}, page)
			return err
		},
		"executions by status": func(ctx context.Context) error {
			_, err := s.Executions(ctx, dashboard.ExecutionFilter{SuiteID: 1, Status: "failed"}, page)
			return err
		},
		"executions after": func(ctx context.Context) error {
			_, err := s.Executions(ctx, dashboard.ExecutionFilter{Status: "failed"}, dashboard.Page{Limit: 50, Cursor: "100"})
			return err
		},
		"executions by commit": func(ctx context.Context) error {
			_, err := s.Executions(ctx, dashboard.ExecutionFilter{Commit: "commit 7"}, page)
			return err
		},
		"results": func(ctx context.Context) error {
			_, err := s.Results(ctx, 1, dashboard.ResultFilter{}, page)
			return err
		},
		"failed results": func(ctx context.Context) error {
			_, err := s.Results(ctx, 1, dashboard.ResultFilter{Status: "failed"}, page)
			return err
		},
		"results after": func(ctx context.Context) error {
			_, err := s.Results(ctx, 1, dashboard.ResultFilter{}, dashboard.Page{Limit: 50, Cursor: "5.100"})
			return err
		},
		"stats":       func(ctx context.Context) error { _, err := s.Stats(ctx); return err },
		"trends":      func(ctx context.Context) error { _, err := s.Trends(ctx, 30, nil); return err },
		"recent":      func(ctx context.Context) error { _, err := s.Recent(ctx, 10); return err },
		"types":       func(ctx context.Context) error { _, err := s.TestTypes(ctx); return err },
		"performance": func(ctx context.Context) error { _, err := s.Performance(ctx); return err },
		"health":      func(ctx context.Context) error { _, err := s.Health(ctx, "main"); return err },
		"history":     func(ctx context.Context) error { _, err := s.History(ctx, 1, 50); return err },
		"flaky":       func(ctx context.Context) error { _, err := s.Flaky(ctx, 10); return err },
		"slowest":     func(ctx context.Context) error { _, err := s.Slowest(ctx, 10); return err },
		"top errors":  func(ctx context.Context) error { _, err := s.TopErrors(ctx, 10); return err },
		"compare":     func(ctx context.Context) error { _, err := s.Compare(ctx, 1, 1+suites); return err },
		"deliveries":  func(ctx context.Context) error { _, err := s.ClaimDeliveries(ctx, 10, time.Second); return err },
		"token":       func(ctx context.Context) error { _, _ = s.TokenByHash(ctx, "x"); return nil },
	}
}

const (
	suites   = 10
	perSuite = 100
)

// fill writes executions with their results by the means of the database itself:
// each suite runs again and again over 90 days.
func fill(t testing.TB, s *Store, executions int) {
	t.Helper()
	now := time.Now().UnixMilli()
	column, yes := "value", "1"
	if s.dialect.name == "postgres" {
		column, yes = "g", "true"
	}
	from := func(n int) string {
		if s.dialect.name == "postgres" {
			return fmt.Sprintf("generate_series(1::bigint, %d) g", n)
		}
		return fmt.Sprintf("(WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c WHERE value < %d) SELECT value FROM c)", n)
	}
	span := int64(90 * 24 * time.Hour / time.Millisecond)
	statements := []string{
		fmt.Sprintf(`INSERT INTO suites (name, description, framework_type, config, is_active, created_by, created_at, updated_at)
			SELECT 'suite ' || %[1]s, '', 'x', '{}', %[2]s, '', 0, 0 FROM %[3]s`, column, yes, from(suites)),
		fmt.Sprintf(`INSERT INTO cases (suite_id, name, description, test_code, test_type, priority, tags, is_active, created_at, updated_at)
			SELECT 1 + %[1]s %% %[4]d, 'case ' || %[1]s, '', '', CASE WHEN %[1]s %% 20 = 0 THEN 'ui' ELSE 'unit' END, 'low', '[]', %[2]s, 0, 0 FROM %[3]s`, column, yes, from(suites*perSuite), suites),
		fmt.Sprintf(`INSERT INTO executions (suite_id, executed_by, execution_type, environment, branch, commit_id, run_url, status, created_at, started_at, ended_at, duration, heard_at)
			SELECT 1 + %[1]s %% %[3]d, '', 'ci', '', 'main', 'commit ' || %[1]s, '', CASE WHEN %[1]s %% 9 = 0 THEN 'failed' ELSE 'passed' END,
			%[4]d + %[1]s * %[5]d, %[4]d + %[1]s * %[5]d, %[4]d + %[1]s * %[5]d, 1000 + %[1]s %% 777, 0 FROM %[2]s`, column, from(executions), suites, now-span, span/int64(executions)),
		`INSERT INTO results (execution_id, case_id, status, rank, flaky, recorded_at, duration, message, stack, output, attempts, signature)
			SELECT e.id, c.id, CASE WHEN (e.id * 31 + c.id) % 89 = 0 THEN 'failed' ELSE 'passed' END, CASE WHEN (e.id * 31 + c.id) % 89 = 0 THEN 0 ELSE 5 END,
			((e.id * 7 + c.id) % 97 = 0), e.ended_at, (e.id * c.id) % 5000, CASE WHEN (e.id * 31 + c.id) % 89 = 0 THEN 'boom ' || c.id % 50 ELSE '' END, '', '', '[]',
			CASE WHEN (e.id * 31 + c.id) % 89 = 0 THEN 'boom ' || c.id % 50 ELSE '' END FROM executions e JOIN cases c ON c.suite_id = e.suite_id`,
	}
	if s.dialect.name == "postgres" {
		// What autovacuum does within a minute, also for tables that only grow: without
		// it an index cannot answer alone. SQLite needs neither.
		statements = append(statements, "VACUUM ANALYZE")
	}
	for _, q := range statements {
		if _, err := s.write.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// large are the tables that a read must not walk through.
var large = regexp.MustCompile(`(?i)\b(SCAN|Seq Scan on) (results|executions|cases|r|e|c|x|p)\b(.*)`)

// seqScan finds a walk through a table that grows with every run.
var seqScan = regexp.MustCompile(`Seq Scan on (results|executions)\b`)

// allowed are reads whose answer is about every row of a table or of the span, each
// with the reason.
var allowed = map[string]string{
	"stats":       "counts all executions and cases, in covering indexes",
	"performance": "reads every execution of 30 days, from a covering index",
	"trends":      "reads every execution of the span, from a covering index",
	"types":       "counts all cases, in a covering index",
	"executions":  "counts all executions, in an index",
	"slowest":     "reads every duration of 30 days, from a covering index",
}

// inOrder are reads that walk through a table in the order of its ids, up to their limit.
var inOrder = map[string]bool{"executions": true, "recent": true, "executions after": true}

// planExecutions times perSuite are the results over which plans are made: 30,000,
// or what LARDER_PLAN_RESULTS says.
func planExecutions(t *testing.T) int {
	text := os.Getenv("LARDER_PLAN_RESULTS")
	if text == "" {
		return 300
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 300*perSuite {
		t.Fatalf("LARDER_PLAN_RESULTS is %q, not a number from %d", text, 300*perSuite)
	}
	return n / perSuite
}

// Every read finds what it wants through an index: its cost follows from what it
// returns, not from what is stored.
func TestPlansUseIndexes(t *testing.T) {
	executions := planExecutions(t)
	open := func(t *testing.T, url string) *Store {
		s, err := Open(t.Context(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	t.Run("SQLite", func(t *testing.T) {
		s := open(t, filepath.Join(t.TempDir(), "qa.db"))
		fill(t, s, executions)
		times(t, s, executions)
		for _, walk := range walks(t, s, "EXPLAIN QUERY PLAN ") {
			t.Error(walk)
		}
		for _, name := range []string{"flaky", "top errors"} {
			if plan := planOf(t, s, name); !strings.Contains(plan, "USING COVERING INDEX results_trouble") {
				t.Errorf("%s looks up rows of failures:\n%s", name, plan)
			}
		}
		// What finds nothing when an index is gone proves nothing.
		if _, err := s.write.ExecContext(t.Context(), "DROP INDEX results_history"); err != nil {
			t.Fatal(err)
		}
		if found := walks(t, s, "EXPLAIN QUERY PLAN "); len(found) == 0 {
			t.Error("without its index the history walks through no table")
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		url := lardertest.StartPostgres(t).URL()
		s := open(t, url)
		fill(t, s, executions)
		times(t, s, executions)
		// A table as small as these is read whole in less time than through an
		// index. Without that way what is left are the reads that have no index.
		// Over a million results it is left to the planner, which reads the thousand
		// cases whole, and nothing else.
		if executions >= 10_000 {
			for _, walk := range walks(t, s, "EXPLAIN ") {
				if !strings.Contains(walk, "Seq Scan on cases c") || seqScan.MatchString(walk) {
					t.Error(walk)
				}
			}
			return
		}
		if _, err := s.write.ExecContext(t.Context(), "ALTER DATABASE postgres SET enable_seqscan = off"); err != nil {
			t.Fatal(err)
		}
		for _, walk := range walks(t, open(t, url), "EXPLAIN ") {
			t.Error(walk)
		}
	})
}

// times tells how long each read takes over much data, without any cache of ours:
// the first time, and again when the database has read it before.
func times(t *testing.T, s *Store, executions int) {
	t.Helper()
	if executions < 10_000 {
		return
	}
	all := reads(s)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		var took [2]float64
		for i := range took {
			begin := time.Now()
			if err := all[name](t.Context()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			took[i] = time.Since(begin).Seconds() * 1e3
		}
		t.Logf("%-22s %8.2f ms, then %8.2f ms over %d results", name, took[0], took[1], executions*perSuite)
	}
}

// walks returns the statements of reads that walk through a large table.
func walks(t *testing.T, s *Store, explain string) (found []string) {
	t.Helper()
	var all []statement
	for name, read := range reads(s) {
		s.tap = func(h handle) handle { return recorder{h, name, &all} }
		if err := read(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	s.tap = nil
	seen := map[string]bool{}
	for _, q := range all {
		if seen[q.read+q.query] {
			continue
		}
		seen[q.read+q.query] = true
		plan := explained(t, s, explain+q.query, q.args)
		if inOrder[q.read] && strings.Contains(q.query, "LIMIT") && !strings.Contains(strings.Join(plan, " "), "TEMP B-TREE") {
			continue
		}
		if len(plan) == 0 {
			t.Fatalf("%s has no plan: %s", q.read, q.query)
		}
		for _, line := range plan {
			m := large.FindStringSubmatch(line)
			if m == nil || strings.Contains(m[3], "USING") && allowed[q.read] != "" || strings.HasPrefix(m[1], "Seq") && allowed[q.read] != "" {
				continue
			}
			found = append(found, fmt.Sprintf("%s walks through a table:\n%s\n%s", q.read, q.query, strings.Join(plan, "\n")))
			break
		}
	}
	if len(seen) < len(reads(s)) {
		t.Errorf("only %d statements were seen", len(seen))
	}
	return found
}

// planOf returns the plan of the first statement of a read in SQLite.
func planOf(t *testing.T, s *Store, name string) string {
	t.Helper()
	var all []statement
	s.tap = func(h handle) handle { return recorder{h, name, &all} }
	defer func() { s.tap = nil }()
	if err := reads(s)[name](t.Context()); err != nil {
		t.Fatal(err)
	}
	return strings.Join(explained(t, s, "EXPLAIN QUERY PLAN "+all[0].query, all[0].args), "\n")
}

// explained returns the lines of a plan.
func explained(t *testing.T, s *Store, query string, args []any) []string {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprint(*values[len(values)-1].(*any)))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// BenchmarkRead measures each read without any cache over a hundred thousand results.
func BenchmarkRead(b *testing.B) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "qa.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	fill(b, s, benchExecutions)
	for name, read := range reads(s) {
		b.Run("read="+strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			for b.Loop() {
				if err := read(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// benchExecutions times perSuite are the results of BenchmarkRead.
const benchExecutions = 1000
