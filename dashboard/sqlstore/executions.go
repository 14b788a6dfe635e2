package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/larder-go/larder/dashboard"
)

const (
	executionColumns = `e.id, e.suite_id, s.name, e.executed_by, e.execution_type, e.environment, e.branch, e.commit_id, e.run_url,
	e.status, e.created_at, e.started_at, e.ended_at, e.duration, e.total, e.passed, e.failed, e.skipped, e.errors, e.flaky, e.results_summary`
	executionFrom = "executions e JOIN suites s ON s.id = e.suite_id"
)

func scanExecution(row scanner) (dashboard.Execution, error) {
	e, fields := executionFields()
	err := row.Scan(fields.dest...)
	fields.finish()
	return *e, err
}

// fieldSet is a row's destinations and what is left to do once they are filled.
type fieldSet struct {
	dest   []any
	finish func()
}

func executionFields() (*dashboard.Execution, fieldSet) {
	var (
		e                        = new(dashboard.Execution)
		created                  int64
		started, ended, duration sql.NullInt64
		summary                  string
	)
	return e, fieldSet{
		dest: []any{&e.ID, &e.SuiteID, &e.SuiteName, &e.ExecutedBy, &e.ExecutionType, &e.Environment, &e.Branch, &e.Commit, &e.RunURL,
			&e.Status, &created, &started, &ended, &duration, &e.Total, &e.Passed, &e.Failed, &e.Skipped, &e.Errors, &e.Flaky, &summary},
		finish: func() {
			e.CreatedAt, e.StartedAt, e.EndedAt = instantOf(created), maybeInstant(started), maybeInstant(ended)
			e.DurationMS, e.ResultsSummary = maybeInt(duration), []byte(summary)
		},
	}
}

// Execution implements [dashboard.ExecutionStore].
func (s *Store) Execution(ctx context.Context, id int64) (dashboard.Execution, error) {
	return readExecution(ctx, s.reader(), id, "")
}

func readExecution(ctx context.Context, q *querier, id int64, lock string) (dashboard.Execution, error) {
	e, err := scanExecution(q.row(ctx, "SELECT "+executionColumns+" FROM "+executionFrom+" WHERE e.id = ?"+lock, id))
	if err != nil {
		return dashboard.Execution{}, missing(err, dashboard.KindExecution, id)
	}
	return e, nil
}

// Executions implements [dashboard.ExecutionStore].
func (s *Store) Executions(ctx context.Context, filter dashboard.ExecutionFilter, page dashboard.Page) (dashboard.List[dashboard.Execution], error) {
	page, err := page.Normal()
	if err == nil {
		err = filter.Check()
	}
	if err != nil {
		return dashboard.List[dashboard.Execution]{}, err
	}
	return list(ctx, s.reader(), page, listing[dashboard.Execution]{
		columns: executionColumns, from: executionFrom, count: "executions e", where: executionWhere(filter),
		id: "e.id", down: true, scan: scanExecution,
		cursor: func(e dashboard.Execution) string { return idCursor(e.ID) },
	})
}

func executionWhere(f dashboard.ExecutionFilter) where {
	var w where
	if f.SuiteID != 0 {
		w.and("e.suite_id = ?", f.SuiteID)
	}
	for _, c := range []struct{ column, value string }{
		{"e.status", string(f.Status)}, {"e.execution_type", string(f.ExecutionType)},
		{"e.branch", f.Branch}, {"e.commit_id", f.Commit}, {"e.environment", f.Environment},
	} {
		if c.value != "" {
			w.and(c.column+" = ?", c.value)
		}
	}
	return w
}

// CreateExecution implements [dashboard.ExecutionStore].
func (s *Store) CreateExecution(ctx context.Context, n dashboard.NewExecution) (dashboard.Execution, dashboard.Change, error) {
	var out dashboard.Execution
	n, err := n.Normal()
	if err != nil {
		return out, dashboard.Change{}, err
	}
	change, err := s.mutate(ctx, func(t *txn) error {
		if err := t.suiteExists(ctx, n.SuiteID); err != nil {
			return err
		}
		id, err := t.insertExecution(ctx, n, t.now)
		if err != nil {
			return err
		}
		t.change.Executions = append(t.change.Executions, dashboard.ExecutionChange{ID: id, SuiteID: n.SuiteID, Op: dashboard.Created})
		out, err = readExecution(ctx, t.querier, id, "")
		return err
	})
	return out, change, err
}

func (t *txn) insertExecution(ctx context.Context, n dashboard.NewExecution, at time.Time) (int64, error) {
	var id int64
	err := t.row(ctx, `INSERT INTO executions
		(suite_id, executed_by, execution_type, environment, branch, commit_id, run_url, status, created_at, heard_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
		n.SuiteID, n.ExecutedBy, string(n.ExecutionType), n.Environment, n.Branch, n.Commit, n.RunURL,
		string(dashboard.StatusPending), millis(at), millis(at)).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("insert execution: %w", err)
	}
	return id, nil
}

// StartExecution implements [dashboard.ExecutionStore].
func (s *Store) StartExecution(ctx context.Context, id int64) (dashboard.Execution, dashboard.Change, error) {
	return s.transit(ctx, id, dashboard.StatusRunning, nil)
}

// StopExecution implements [dashboard.ExecutionStore].
func (s *Store) StopExecution(ctx context.Context, id int64) (dashboard.Execution, dashboard.Change, error) {
	return s.transit(ctx, id, dashboard.StatusStopped, nil)
}

// FinishExecution implements [dashboard.ExecutionStore].
func (s *Store) FinishExecution(ctx context.Context, id int64, finish dashboard.Finish) (dashboard.Execution, dashboard.Change, error) {
	finish, err := finish.Normal()
	if err != nil {
		return dashboard.Execution{}, dashboard.Change{}, err
	}
	return s.transit(ctx, id, finish.Status, finish.ResultsSummary)
}

// transit moves an execution to a state, or to its verdict when to is empty.
func (s *Store) transit(ctx context.Context, id int64, to dashboard.Status, summary []byte) (dashboard.Execution, dashboard.Change, error) {
	var out dashboard.Execution
	change, err := s.mutate(ctx, func(t *txn) error {
		e, err := readExecution(ctx, t.querier, id, s.dialect.lock("e"))
		if err != nil {
			return err
		}
		next := cmp.Or(to, e.Verdict())
		if !dashboard.ExecutionMay(e.Status, next) {
			return dashboard.IllegalTransition(dashboard.KindExecution, id, e.Status, next)
		}
		if summary != nil {
			e.ResultsSummary = summary
		}
		out, err = t.move(ctx, e, next)
		return err
	})
	return out, change, err
}

// move writes a transition, if the execution still is in the state that was read.
func (t *txn) move(ctx context.Context, e dashboard.Execution, to dashboard.Status) (dashboard.Execution, error) {
	from := e.Status
	e.Status = to
	if to == dashboard.StatusRunning {
		e.StartedAt = &t.now
	} else {
		e.EndedAt, e.DurationMS = &t.now, new(int64(0))
		if e.StartedAt != nil {
			e.DurationMS = new(max(0, t.now.Sub(*e.StartedAt).Milliseconds()))
		}
	}
	var duration sql.NullInt64
	if e.DurationMS != nil {
		duration = sql.NullInt64{Int64: *e.DurationMS, Valid: true}
	}
	n, err := t.exec(ctx, `UPDATE executions SET status = ?, started_at = ?, ended_at = ?, duration = ?, results_summary = ?, heard_at = ?
		WHERE id = ? AND status = ?`,
		string(to), maybeMillis(e.StartedAt), maybeMillis(e.EndedAt), duration, string(e.ResultsSummary), millis(t.now), e.ID, string(from))
	if err != nil {
		return e, fmt.Errorf("update execution: %w", err)
	}
	if n == 0 {
		return e, dashboard.IllegalTransition(dashboard.KindExecution, e.ID, from, to)
	}
	change := dashboard.ExecutionChange{ID: e.ID, SuiteID: e.SuiteID, Op: dashboard.Updated, Finished: to.Finished()}
	t.change.Executions = append(t.change.Executions, change)
	if !change.Finished {
		return e, nil
	}
	return e, t.oweDeliveries(ctx, e)
}

// ReapExecutions implements [dashboard.ExecutionStore].
func (s *Store) ReapExecutions(ctx context.Context, silentSince time.Time) ([]dashboard.Execution, dashboard.Change, error) {
	var reaped []dashboard.Execution
	change, err := s.mutate(ctx, func(t *txn) error {
		reaped = nil
		var silent []dashboard.Execution
		err := t.each(ctx, func(row scanner) error {
			e, err := scanExecution(row)
			silent = append(silent, e)
			return err
		}, "SELECT "+executionColumns+" FROM "+executionFrom+" WHERE e.status IN ('pending', 'running') AND e.heard_at < ? ORDER BY e.id"+s.dialect.lock("e"), millis(silentSince))
		if err != nil {
			return fmt.Errorf("find silent executions: %w", err)
		}
		for _, e := range silent {
			reason := fmt.Sprintf("The reporter was silent for %.0f minutes.", t.now.Sub(silentSince).Minutes())
			e.ResultsSummary = dashboard.WithFailure(e.ResultsSummary, reason)
			if e, err = t.move(ctx, e, dashboard.StatusError); err != nil {
				return err
			}
			reaped = append(reaped, e)
		}
		return nil
	})
	if err != nil {
		return nil, change, err
	}
	return reaped, change, nil
}
