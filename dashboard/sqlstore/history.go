package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/larder-go/larder/dashboard"
)

const outcomeColumns = `r.id, r.execution_id, r.status, r.flaky, r.attempts, r.duration, r.message,
	COALESCE(e.started_at, e.created_at), e.branch, e.commit_id, e.environment`

func scanOutcome(row scanner) (dashboard.Outcome, error) {
	var (
		o        dashboard.Outcome
		attempts string
		started  int64
	)
	err := row.Scan(&o.ResultID, &o.ExecutionID, &o.Status, &o.Flaky, &attempts, &o.DurationMS, &o.Message, &started, &o.Branch, &o.Commit, &o.Environment)
	if err != nil {
		return o, err
	}
	var tries []json.RawMessage
	err = json.Unmarshal([]byte(attempts), &tries)
	o.Attempts, o.StartedAt, o.Message = max(1, len(tries)), instantOf(started), dashboard.FirstLine(o.Message)
	return o, err
}

// History implements [dashboard.Insights].
func (s *Store) History(ctx context.Context, caseID int64, limit int) (dashboard.CaseHistory, error) {
	out := dashboard.CaseHistory{CaseID: caseID, Outcomes: []dashboard.Outcome{}, Mixed: []dashboard.MixedCommit{}}
	if err := within("limit", limit, dashboard.MaxHistory); err != nil {
		return out, err
	}
	q := s.reader()
	judged, err := q.outcomes(ctx, caseID, max(limit, dashboard.HistoryLimit))
	if err != nil {
		return out, err
	}
	out.Outcomes = judged[:min(limit, len(judged))]
	if err := q.totals(ctx, &out); err != nil {
		return out, err
	}
	if out.FirstFailure, err = q.failure(ctx, caseID, "ASC"); err != nil {
		return out, err
	}
	if out.LastFailure, err = q.failure(ctx, caseID, "DESC"); err != nil {
		return out, err
	}
	judge(&out, judged)
	return out, nil
}

func within(field string, value, most int) error {
	if value < 1 || value > most {
		return dashboard.Invalid(field, "must be between 1 and "+strconv.Itoa(most))
	}
	return nil
}

// outcomes returns the newest results of a case that have ended, the newest first.
func (q *querier) outcomes(ctx context.Context, caseID int64, limit int) ([]dashboard.Outcome, error) {
	out := []dashboard.Outcome{}
	err := q.each(ctx, func(row scanner) error {
		o, err := scanOutcome(row)
		out = append(out, o)
		return err
	}, "SELECT "+outcomeColumns+` FROM results r JOIN executions e ON e.id = r.execution_id
		WHERE r.case_id = ? AND r.status NOT IN ('running', 'pending') ORDER BY r.execution_id DESC LIMIT ?`, caseID, limit)
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return out, nil
}

// totals counts all results of a case in the index on its history.
func (q *querier) totals(ctx context.Context, h *dashboard.CaseHistory) error {
	var judged int64
	err := q.each(ctx, func(row scanner) error {
		var (
			status dashboard.Status
			n      int64
		)
		if err := row.Scan(&status, &n); err != nil {
			return err
		}
		h.Runs += n
		switch status {
		case dashboard.StatusPassed:
			h.Passed, judged = n, judged+n
		case dashboard.StatusFailed, dashboard.StatusError:
			judged += n
		}
		return nil
	}, "SELECT status, count(*) FROM results WHERE case_id = ? AND status NOT IN ('running', 'pending') GROUP BY status", h.CaseID)
	if err != nil {
		return fmt.Errorf("count history: %w", err)
	}
	h.TotalPassRate = percent(h.Passed, judged)
	return nil
}

// failure returns the first or last failure of a case, nil if there is none.
func (q *querier) failure(ctx context.Context, caseID int64, direction string) (*dashboard.Outcome, error) {
	o, err := scanOutcome(q.row(ctx, "SELECT "+outcomeColumns+` FROM results r JOIN executions e ON e.id = r.execution_id
		WHERE r.case_id = ? AND r.status IN ('failed', 'error') ORDER BY r.execution_id `+direction+" LIMIT 1", caseID))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read failure: %w", err)
	}
	return &o, nil
}

// judge fills in what follows from the outcomes.
func judge(h *dashboard.CaseHistory, judged []dashboard.Outcome) {
	h.PassRate = passRate(judged)
	var took []int64
	for _, o := range judged[:min(len(judged), dashboard.HistoryLimit)] {
		if o.Status != dashboard.StatusSkipped {
			took = append(took, o.DurationMS)
		}
	}
	slices.Sort(took)
	h.MedianDurationMS, h.P95DurationMS = rank(took, 50), rank(took, 95)
	signs, mixed, flaky := dashboard.Signs(judged)
	h.Signs, h.Flaky = signs, flaky
	h.Mixed = append(h.Mixed, mixed...)
}

// passRate is passed / (passed, failed, error) of the outcomes by which a case is judged.
func passRate(outcomes []dashboard.Outcome) float64 {
	var passed, all int64
	for _, o := range outcomes[:min(len(outcomes), dashboard.HistoryLimit)] {
		switch o.Status {
		case dashboard.StatusPassed:
			passed, all = passed+1, all+1
		case dashboard.StatusFailed, dashboard.StatusError:
			all++
		}
	}
	return percent(passed, all)
}

// failingRuns fills in FailingRuns of the failures among results of one execution.
func (q *querier) failingRuns(ctx context.Context, results []dashboard.Result) error {
	for i := range results {
		r := &results[i]
		if r.Status != dashboard.StatusFailed && r.Status != dashboard.StatusError {
			continue
		}
		r.FailingRuns = 1
		err := q.each(ctx, func(row scanner) error {
			var bad bool
			if err := row.Scan(&bad); err != nil {
				return err
			}
			if !bad {
				return errStop
			}
			r.FailingRuns++
			return nil
		}, `SELECT status IN ('failed', 'error') FROM results WHERE case_id = ? AND execution_id < ? AND status IN ('failed', 'error', 'passed')
			ORDER BY execution_id DESC LIMIT ?`, r.CaseID, r.ExecutionID, dashboard.MaxFailingRuns-1)
		if err != nil && !errors.Is(err, errStop) {
			return fmt.Errorf("count failing runs: %w", err)
		}
	}
	return nil
}

// errStop ends an iteration early.
var errStop = errors.New("stop")
