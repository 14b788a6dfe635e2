package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// maxSuspects bounds the cases that Flaky looks at: those in trouble most recently.
const maxSuspects = 5000

// since is where the span of insights begins, on the hour: insights that are read
// twice within a minute are equal.
func (s *Store) since() int64 {
	return millis(s.instant().Truncate(time.Hour).Add(-dashboard.InsightDays * day))
}

// Flaky implements [dashboard.Insights]. It judges each case that failed or was
// flaky within the span.
func (s *Store) Flaky(ctx context.Context, limit int) ([]dashboard.FlakyCase, error) {
	if err := within("limit", limit, dashboard.MaxInsights); err != nil {
		return nil, err
	}
	suspects, err := s.suspects(ctx)
	if err != nil {
		return nil, err
	}
	out := []dashboard.FlakyCase{}
	for _, f := range suspects {
		flaky, err := s.reader().judgeCase(ctx, &f)
		if err != nil {
			return nil, err
		}
		if flaky {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b dashboard.FlakyCase) int {
		return cmp.Or(cmp.Compare(b.MixedCommits, a.MixedCommits), cmp.Compare(weight(b.Signs), weight(a.Signs)), cmp.Compare(a.PassRate, b.PassRate), cmp.Compare(a.CaseID, b.CaseID))
	})
	return out[:min(limit, len(out))], nil
}

// weight adds up how far signs are beyond their thresholds.
func weight(signs []dashboard.Sign) int {
	w := 0
	for _, s := range signs {
		if s.Met {
			w += 1 + s.Value - s.Threshold
		}
	}
	return w
}

func (s *Store) suspects(ctx context.Context) ([]dashboard.FlakyCase, error) {
	var out []dashboard.FlakyCase
	err := s.reader().each(ctx, func(row scanner) error {
		var f dashboard.FlakyCase
		err := row.Scan(&f.CaseID, &f.CaseName, &f.SuiteID, &f.SuiteName)
		out = append(out, f)
		return err
	}, `SELECT c.id, c.name, s.id, s.name FROM
		(SELECT case_id, max(recorded_at) AS last FROM results WHERE (rank < 2 OR flaky) AND recorded_at >= ? GROUP BY case_id ORDER BY last DESC LIMIT ?) t
		JOIN cases c ON c.id = t.case_id JOIN suites s ON s.id = c.suite_id WHERE c.deleted_at IS NULL`, s.since(), maxSuspects)
	if err != nil {
		return nil, fmt.Errorf("find flaky cases: %w", err)
	}
	return out, nil
}

// judgeCase fills in what the outcomes of a case say and whether it is flaky.
func (q *querier) judgeCase(ctx context.Context, f *dashboard.FlakyCase) (bool, error) {
	var outcomes []dashboard.Outcome
	err := q.each(ctx, func(row scanner) error {
		var (
			o       dashboard.Outcome
			started int64
		)
		err := row.Scan(&o.ExecutionID, &o.Status, &o.Flaky, &o.Commit, &started)
		o.StartedAt = instantOf(started)
		outcomes = append(outcomes, o)
		return err
	}, `SELECT r.execution_id, r.status, r.flaky, e.commit_id, COALESCE(e.started_at, e.created_at)
		FROM results r JOIN executions e ON e.id = r.execution_id
		WHERE r.case_id = ? AND r.status NOT IN ('running', 'pending') AND e.status NOT IN ('running', 'pending')
		ORDER BY r.execution_id DESC LIMIT ?`, f.CaseID, dashboard.HistoryLimit)
	if err != nil {
		return false, fmt.Errorf("judge case: %w", err)
	}
	signs, mixed, flaky := dashboard.Signs(outcomes)
	f.Signs, f.MixedCommits, f.PassRate = signs, len(mixed), passRate(outcomes)
	f.Strip = make([]dashboard.Dot, len(outcomes))
	for i, o := range outcomes {
		f.Strip[len(outcomes)-1-i] = dashboard.Dot{ExecutionID: o.ExecutionID, Status: o.Status, Flaky: o.Flaky}
		if f.LastFailure == nil && o.Status != dashboard.StatusPassed && o.Status != dashboard.StatusSkipped {
			f.LastFailure = &o.StartedAt
		}
	}
	return flaky, nil
}

// unfinished leaves out the results of executions that still run.
const unfinished = "execution_id NOT IN (SELECT id FROM executions WHERE status IN ('pending', 'running'))"

// Slowest implements [dashboard.Insights]. It reads every duration of the span
// from a covering index.
func (s *Store) Slowest(ctx context.Context, limit int) ([]dashboard.SlowCase, error) {
	if err := within("limit", limit, dashboard.MaxInsights); err != nil {
		return nil, err
	}
	took := make(map[int64][]int64)
	err := s.reader().each(ctx, func(row scanner) error {
		var id, d int64
		err := row.Scan(&id, &d)
		took[id] = append(took[id], d)
		return err
	}, "SELECT case_id, duration FROM results WHERE recorded_at >= ? AND rank IN (0, 1, 5) AND "+unfinished, s.since())
	if err != nil {
		return nil, fmt.Errorf("slowest cases: %w", err)
	}
	out := make([]dashboard.SlowCase, 0, len(took))
	for id, all := range took {
		slices.Sort(all)
		out = append(out, dashboard.SlowCase{CaseID: id, Runs: int64(len(all)), MedianDurationMS: rank(all, 50), P95DurationMS: rank(all, 95), MaxDurationMS: all[len(all)-1]})
	}
	slices.SortFunc(out, func(a, b dashboard.SlowCase) int {
		return cmp.Or(cmp.Compare(b.P95DurationMS, a.P95DurationMS), cmp.Compare(a.CaseID, b.CaseID))
	})
	return s.nameSlow(ctx, out, limit)
}

// nameSlow returns the first cases that are not deleted, with their names.
func (s *Store) nameSlow(ctx context.Context, all []dashboard.SlowCase, limit int) ([]dashboard.SlowCase, error) {
	out := []dashboard.SlowCase{}
	for len(all) > 0 && len(out) < limit {
		n := min(chunk, len(all))
		ids := make([]int64, n)
		for i := range ids {
			ids[i] = all[i].CaseID
		}
		names, err := s.reader().caseNames(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, c := range all[:n] {
			if f, ok := names[c.CaseID]; ok && len(out) < limit {
				c.CaseName, c.SuiteID, c.SuiteName = f.Name, f.SuiteID, f.SuiteName
				out = append(out, c)
			}
		}
		all = all[n:]
	}
	return out, nil
}

// caseNames returns the cases of the ids that are not deleted.
func (q *querier) caseNames(ctx context.Context, ids []int64) (map[int64]dashboard.FoundItem, error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	names := make(map[int64]dashboard.FoundItem, len(ids))
	err := q.each(ctx, func(row scanner) error {
		f, err := scanFound(row)
		names[f.ID] = f
		return err
	}, "SELECT c.id, c.name, s.id, s.name FROM "+caseFrom+" WHERE c.deleted_at IS NULL AND c.id IN "+rowsOf(1, len(ids)), args...)
	if err != nil {
		return nil, fmt.Errorf("name cases: %w", err)
	}
	return names, nil
}

func scanFound(row scanner) (dashboard.FoundItem, error) {
	var f dashboard.FoundItem
	err := row.Scan(&f.ID, &f.Name, &f.SuiteID, &f.SuiteName)
	return f, err
}
