package sqlstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// chunk is the number of rows of one INSERT: large enough to make the statement's
// own cost vanish, and 12 columns of it stay far below the 32766 parameters of SQLite.
const chunk = 250

// errSeen ends a transaction whose report another one has ingested meanwhile.
var errSeen = errors.New("already ingested")

// Ingest implements [dashboard.ExecutionStore].
func (s *Store) Ingest(ctx context.Context, in dashboard.Ingestion) (dashboard.IngestReport, dashboard.Change, error) {
	in, err := in.Normal()
	if err != nil {
		return dashboard.IngestReport{}, dashboard.Change{}, err
	}
	out := dashboard.IngestReport{Warnings: in.Report.Warnings}
	change, err := s.mutate(ctx, func(t *txn) error { return t.ingest(ctx, in, &out) })
	if errors.Is(err, errSeen) {
		out, err = s.seen(ctx, in)
	}
	if err != nil {
		return dashboard.IngestReport{}, dashboard.Change{}, err
	}
	return out, change, nil
}

func (t *txn) ingest(ctx context.Context, in dashboard.Ingestion, out *dashboard.IngestReport) error {
	suite, created, err := t.suiteNamed(ctx, in.Suite, in.Report.Format)
	if err != nil {
		return err
	}
	in.SuiteID, out.SuiteCreated = suite, created
	id, err := t.insertFinished(ctx, in)
	if err != nil {
		return err
	}
	if err := t.claim(ctx, in, id); err != nil {
		return err
	}
	before := len(t.change.Cases)
	if err := t.ingestCases(ctx, in, id); err != nil {
		return err
	}
	out.CasesCreated = len(t.change.Cases) - before
	t.change.Executions = append(t.change.Executions, dashboard.ExecutionChange{ID: id, SuiteID: suite, Op: dashboard.Created, Results: true, Finished: true})
	if out.Execution, err = readExecution(ctx, t.querier, id, ""); err != nil {
		return err
	}
	return t.oweDeliveries(ctx, out.Execution)
}

// claim records that this content of this run is being ingested.
func (t *txn) claim(ctx context.Context, in dashboard.Ingestion, execution int64) error {
	n, err := t.exec(ctx, "INSERT INTO ingests (suite_id, content_hash, run, execution_id, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		in.SuiteID, in.ContentHash, runKey(in.Run), execution, millis(t.now))
	if err != nil {
		return fmt.Errorf("record ingestion: %w", err)
	}
	if n == 0 {
		return errSeen
	}
	return nil
}

// runKey returns a run in a form that an index takes.
func runKey(run string) string {
	const most = 200
	if len(run) <= most {
		return run
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(run)))
}

// seen returns the execution that the report made the first time.
func (s *Store) seen(ctx context.Context, in dashboard.Ingestion) (dashboard.IngestReport, error) {
	var id int64
	err := s.reader().row(ctx, `SELECT i.execution_id FROM ingests i JOIN suites s ON s.id = i.suite_id
		WHERE s.name = ? AND s.deleted_at IS NULL AND i.content_hash = ? AND i.run = ?`, in.Suite, in.ContentHash, runKey(in.Run)).Scan(&id)
	if err != nil {
		return dashboard.IngestReport{}, fmt.Errorf("find ingestion: %w", err)
	}
	e, err := s.Execution(ctx, id)
	return dashboard.IngestReport{Execution: e, Duplicate: true, Warnings: in.Report.Warnings}, err
}

// suiteNamed returns the id of a suite and whether it was created, for a report of a format.
func (t *txn) suiteNamed(ctx context.Context, name, format string) (int64, bool, error) {
	find := "SELECT id FROM suites WHERE name = ? AND deleted_at IS NULL" + t.dialect.lock("suites")
	var id int64
	if err := t.each(ctx, scanID(&id), find, name); err != nil || id != 0 {
		return id, false, err
	}
	suite, err := dashboard.NewSuite{Name: name, FrameworkType: dashboard.FrameworkOf(format), CreatedBy: "ingest"}.Normal()
	if err != nil {
		return 0, false, err
	}
	if id, err = t.insertSuite(ctx, suite, t.now); err != nil || id != 0 {
		return id, true, err
	}
	// Another transaction created it after we looked.
	if err := t.row(ctx, find, name).Scan(&id); err != nil {
		return 0, false, fmt.Errorf("read suite: %w", err)
	}
	return id, false, nil
}

// span returns when a run began and ended.
func (t *txn) span(in dashboard.Ingestion) (started, ended time.Time) {
	duration := time.Duration(in.Report.DurationMS) * time.Millisecond
	if in.StartedAt == nil {
		return t.now.Add(-duration), t.now
	}
	started = in.StartedAt.UTC().Truncate(time.Millisecond)
	return started, started.Add(duration)
}

func (t *txn) insertFinished(ctx context.Context, in dashboard.Ingestion) (int64, error) {
	started, ended := t.span(in)
	counts := in.Report.Counts()
	flaky := 0
	for i := range in.Report.Cases {
		if in.Report.Cases[i].Flaky {
			flaky++
		}
	}
	id, err := t.insertExecution(ctx, in.NewExecution, ended)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(ctx, `UPDATE executions SET status = ?, started_at = ?, ended_at = ?, duration = ?, total = ?, passed = ?, failed = ?, skipped = ?, errors = ?, flaky = ?, results_summary = ? WHERE id = ?`,
		string(in.Report.Verdict()), millis(started), millis(ended), in.Report.DurationMS,
		counts.Total, counts.Passed, counts.Failed, counts.Skipped, counts.Errors, flaky, string(in.Report.Summary()), id)
	if err != nil {
		return 0, fmt.Errorf("update execution: %w", err)
	}
	return id, nil
}

// ingestCases writes the results of all cases, chunk by chunk.
func (t *txn) ingestCases(ctx context.Context, in dashboard.Ingestion, execution int64) error {
	names := make([]dashboard.NewCase, len(in.Report.Cases))
	for i := range names {
		names[i] = newCase(in.SuiteID, in.Report.Cases[i].Name, in.TestType)
	}
	ids, err := t.caseIDs(ctx, in.SuiteID, names)
	if err != nil {
		return err
	}
	_, ended := t.span(in)
	for cases := range slices.Chunk(in.Report.Cases, chunk) {
		values := make([]any, 0, resultWidth*len(cases))
		for i := range cases {
			row, err := resultRow(execution, ended, cases[i].Result(ids[cases[i].Name]))
			if err != nil {
				return err
			}
			values = append(values, row...)
		}
		if err := t.insertResults(ctx, values); err != nil {
			return err
		}
	}
	return nil
}

// caseIDs returns the id of each named case of a suite, creating those that are missing.
func (t *txn) caseIDs(ctx context.Context, suite int64, cases []dashboard.NewCase) (map[string]int64, error) {
	ids := make(map[string]int64, len(cases))
	if len(cases) == 0 {
		return ids, nil
	}
	find := t.findCases
	if len(cases) > chunk {
		// All at once: for many lists of names PostgreSQL may read the whole suite
		// again and again, as long as it has no statistics about it.
		find = t.findAmongAll
	}
	if err := find(ctx, suite, cases, ids); err != nil {
		return nil, err
	}
	for missing := range slices.Chunk(lacking(cases, ids), chunk) {
		created, err := t.insertCases(ctx, missing)
		if err != nil {
			return nil, err
		}
		maps.Copy(ids, created)
		// Those that another transaction created after we looked.
		if raced := lacking(missing, ids); len(raced) > 0 {
			if err := t.findCases(ctx, suite, raced, ids); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

// lacking returns the cases that have no id yet, each name once.
func lacking(cases []dashboard.NewCase, ids map[string]int64) []dashboard.NewCase {
	var out []dashboard.NewCase
	seen := make(map[string]bool, len(cases))
	for _, c := range cases {
		if ids[c.Name] == 0 && !seen[c.Name] {
			seen[c.Name] = true
			out = append(out, c)
		}
	}
	return out
}

func (t *txn) findCases(ctx context.Context, suite int64, cases []dashboard.NewCase, ids map[string]int64) error {
	args := make([]any, 0, len(cases)+1)
	args = append(args, suite)
	for _, c := range cases {
		args = append(args, c.Name)
	}
	return t.readNames(ctx, func(name string, id int64) { ids[name] = id },
		"SELECT id, name FROM cases WHERE suite_id = ? AND deleted_at IS NULL AND name IN "+rowsOf(1, len(cases)), args...)
}

// findAmongAll reads all names of a suite and keeps those that are asked for.
func (t *txn) findAmongAll(ctx context.Context, suite int64, cases []dashboard.NewCase, ids map[string]int64) error {
	wanted := make(map[string]bool, len(cases))
	for _, c := range cases {
		wanted[c.Name] = true
	}
	return t.readNames(ctx, func(name string, id int64) {
		if wanted[name] {
			ids[name] = id
		}
	}, "SELECT id, name FROM cases WHERE suite_id = ? AND deleted_at IS NULL", suite)
}

func (t *txn) readNames(ctx context.Context, take func(string, int64), query string, args ...any) error {
	err := t.each(ctx, func(row scanner) error {
		var (
			id   int64
			name string
		)
		if err := row.Scan(&id, &name); err != nil {
			return err
		}
		take(name, id)
		return nil
	}, query, args...)
	if err != nil {
		return fmt.Errorf("find cases: %w", err)
	}
	return nil
}

func newCase(suite int64, name string, kind dashboard.TestType) dashboard.NewCase {
	return dashboard.NewCase{SuiteID: suite, Name: name, TestType: kind, Priority: dashboard.DefaultPriority, Tags: []string{}, IsActive: new(true)}
}
