package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/larder-go/larder/dashboard"
)

const (
	resultColumns = `r.id, r.execution_id, r.case_id, c.name, c.test_type, r.status, r.flaky, r.started_at, r.duration, r.message, r.stack, r.output, r.attempts`
	resultFrom    = "results r JOIN cases c ON c.id = r.case_id"
)

func scanResult(row scanner) (dashboard.Result, error) {
	var (
		r        dashboard.Result
		started  sql.NullInt64
		attempts string
	)
	err := row.Scan(&r.ID, &r.ExecutionID, &r.CaseID, &r.CaseName, &r.TestType, &r.Status, &r.Flaky, &started, &r.DurationMS, &r.Message, &r.Stack, &r.Output, &attempts)
	if err != nil {
		return r, err
	}
	r.StartedAt = maybeInstant(started)
	return r, json.Unmarshal([]byte(attempts), &r.Attempts)
}

// Results implements [dashboard.ExecutionStore].
func (s *Store) Results(ctx context.Context, id int64, filter dashboard.ResultFilter, page dashboard.Page) (dashboard.List[dashboard.Result], error) {
	var none dashboard.List[dashboard.Result]
	page, err := page.Normal()
	if err == nil {
		err = filter.Check()
	}
	if err != nil {
		return none, err
	}
	var found int64
	if err := s.reader().row(ctx, "SELECT id FROM executions WHERE id = ?", id).Scan(&found); err != nil {
		return none, missing(err, dashboard.KindExecution, id)
	}
	l := listing[dashboard.Result]{
		columns: resultColumns, from: resultFrom, id: "r.id", rank: "r.rank", scan: scanResult,
		cursor: func(r dashboard.Result) string { return strconv.Itoa(r.Status.Rank()) + "." + idCursor(r.ID) },
	}
	l.where.and("r.execution_id = ?", id)
	if filter.Status != "" {
		l.where.and("r.rank = ?", filter.Status.Rank())
	}
	if filter.Flaky {
		l.where.and("r.flaky = ?", true)
	}
	if filter.Query == "" {
		l.count = "results r"
	} else {
		l.where.contains(s.dialect.like, filter.Query, "c.name", "r.message")
	}
	out, err := list(ctx, s.reader(), page, l)
	if err != nil {
		return none, err
	}
	return out, s.reader().failingRuns(ctx, out.Items)
}

// AddResults implements [dashboard.ExecutionStore].
func (s *Store) AddResults(ctx context.Context, id int64, results []dashboard.NewResult) (dashboard.Execution, dashboard.Change, error) {
	var out dashboard.Execution
	results, err := dashboard.NormalResults(results)
	if err != nil {
		return out, dashboard.Change{}, err
	}
	change, err := s.mutate(ctx, func(t *txn) error {
		e, err := readExecution(ctx, t.querier, id, s.dialect.lock("e"))
		if err != nil {
			return err
		}
		if e.Status != dashboard.StatusRunning {
			return &dashboard.ConflictError{Kind: dashboard.KindExecution, ID: id, State: e.Status, Reason: "is " + string(e.Status) + " and takes no results"}
		}
		// A copy, because ids of cases are filled in, and those of a transaction that
		// has to be repeated must not stay.
		if err := t.addResults(ctx, &e, slices.Clone(results)); err != nil {
			return err
		}
		out = e
		if len(results) > 0 {
			t.change.Executions = append(t.change.Executions, dashboard.ExecutionChange{ID: id, SuiteID: e.SuiteID, Op: dashboard.Updated, Results: true})
		}
		return t.writeCounts(ctx, e)
	})
	if err != nil {
		return dashboard.Execution{}, change, err
	}
	return out, change, nil
}

func (t *txn) addResults(ctx context.Context, e *dashboard.Execution, results []dashboard.NewResult) error {
	if err := t.resolveCases(ctx, e.SuiteID, results); err != nil {
		return err
	}
	for _, r := range results {
		old, err := t.resultOf(ctx, e.ID, r.CaseID)
		if err != nil {
			return err
		}
		if old.id != 0 && old.status == r.Status && r.Status.Finished() {
			continue // a batch that is sent again
		}
		if !dashboard.ResultMay(old.status, r.Status) {
			return dashboard.IllegalTransition(dashboard.KindResult, old.id, old.status, r.Status)
		}
		if err := t.putResult(ctx, e.ID, old.id, r); err != nil {
			return err
		}
		if old.id != 0 {
			e.Counts.Add(old.status, -1)
		}
		e.Counts.Add(r.Status, 1)
		if r.Flaky {
			e.Flaky++
		}
	}
	return nil
}

// resolveCases fills in the case ids, creating cases that are only named.
func (t *txn) resolveCases(ctx context.Context, suite int64, results []dashboard.NewResult) error {
	var names []dashboard.NewCase
	for i, r := range results {
		if r.CaseID == 0 {
			names = append(names, newCase(suite, r.CaseName, r.TestType))
			continue
		}
		var found int64
		err := t.row(ctx, "SELECT id FROM cases WHERE id = ? AND suite_id = ? AND deleted_at IS NULL", r.CaseID, suite).Scan(&found)
		if errors.Is(err, sql.ErrNoRows) {
			return dashboard.Invalid(fmt.Sprintf("results[%d].case_id", i), "must be the id of a case of the suite")
		}
		if err != nil {
			return fmt.Errorf("read case: %w", err)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := t.suiteExists(ctx, suite); err != nil {
		if errors.Is(err, dashboard.ErrInvalid) {
			return &dashboard.ConflictError{Kind: dashboard.KindSuite, ID: suite, Reason: "is deleted and takes no new cases"}
		}
		return err
	}
	ids, err := t.caseIDs(ctx, suite, names)
	if err != nil {
		return err
	}
	for i := range results {
		if results[i].CaseID == 0 {
			results[i].CaseID = ids[results[i].CaseName]
		}
	}
	return nil
}

type presentResult struct {
	id     int64
	status dashboard.Status
}

func (t *txn) resultOf(ctx context.Context, execution, caseID int64) (presentResult, error) {
	var p presentResult
	err := t.row(ctx, "SELECT id, status FROM results WHERE execution_id = ? AND case_id = ?", execution, caseID).Scan(&p.id, &p.status)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("read result: %w", err)
	}
	return p, nil
}

func (t *txn) putResult(ctx context.Context, execution, old int64, r dashboard.NewResult) error {
	row, err := resultRow(execution, t.now, r)
	if err != nil {
		return err
	}
	if old == 0 {
		return t.insertResults(ctx, row)
	}
	_, err = t.exec(ctx, `UPDATE results SET status = ?, rank = ?, flaky = ?, started_at = COALESCE(?, started_at), recorded_at = ?, duration = ?,
		message = ?, stack = ?, output = ?, attempts = ?, signature = ? WHERE id = ?`, append(row[2:], old)...)
	if err != nil {
		return fmt.Errorf("update result: %w", err)
	}
	return nil
}

const resultWidth = 13

// resultRow returns the values of a result in the order of insertResults.
func resultRow(execution int64, at time.Time, r dashboard.NewResult) ([]any, error) {
	attempts := []byte("[]")
	if len(r.Attempts) > 0 {
		var err error
		if attempts, err = json.Marshal(r.Attempts); err != nil {
			return nil, fmt.Errorf("attempts: %w", err)
		}
	}
	signature := ""
	if r.Status == dashboard.StatusFailed || r.Status == dashboard.StatusError {
		signature = dashboard.Signature(r.Message)
	}
	return []any{execution, r.CaseID, string(r.Status), r.Status.Rank(), r.Flaky, maybeMillis(r.StartedAt), millis(at), r.DurationMS,
		r.Message, r.Stack, r.Output, string(attempts), signature}, nil
}

// insertResults writes rows that lie one after the other in values.
func (t *txn) insertResults(ctx context.Context, values []any) error {
	_, err := t.exec(ctx, `INSERT INTO results
		(execution_id, case_id, status, rank, flaky, started_at, recorded_at, duration, message, stack, output, attempts, signature) VALUES `+
		rowsOf(len(values)/resultWidth, resultWidth), values...)
	if err != nil {
		return fmt.Errorf("insert results: %w", err)
	}
	return nil
}

func (t *txn) writeCounts(ctx context.Context, e dashboard.Execution) error {
	_, err := t.exec(ctx, "UPDATE executions SET total = ?, passed = ?, failed = ?, skipped = ?, errors = ?, flaky = ?, heard_at = ? WHERE id = ?",
		e.Total, e.Passed, e.Failed, e.Skipped, e.Errors, e.Flaky, millis(t.now), e.ID)
	if err != nil {
		return fmt.Errorf("update execution: %w", err)
	}
	return nil
}
