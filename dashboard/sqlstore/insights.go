package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// since is where the span of insights begins, on the hour: insights that are read
// twice within a minute are equal.
func (s *Store) since() int64 {
	return millis(s.instant().Truncate(time.Hour).Add(-dashboard.InsightDays * day))
}

// unfinished leaves out the results of executions that still run.
const unfinished = "execution_id NOT IN (SELECT id FROM executions WHERE status IN ('pending', 'running'))"

// Slowest implements [dashboard.Insights]. It reads every duration of the span
// from a covering index, and a row for the results of one instant, which in the
// main are those of one report: a row each costs more than all else.
func (s *Store) Slowest(ctx context.Context, limit int) ([]dashboard.SlowCase, error) {
	if err := within("limit", limit, dashboard.MaxInsights); err != nil {
		return nil, err
	}
	took := make(map[int64][]int64)
	err := s.reader().each(ctx, func(row scanner) error {
		var durations string
		if err := row.Scan(&durations); err != nil {
			return err
		}
		return addDurations(took, durations)
	}, "SELECT string_agg(case_id || ' ' || duration, ' ') FROM results WHERE recorded_at >= ? AND rank IN (0, 1, 5) AND "+unfinished+" GROUP BY recorded_at", s.since())
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

// addDurations reads what Slowest has joined: a case and how long it took, again and again.
func addDurations(took map[int64][]int64, joined string) error {
	for all := (words{joined}); all.more(); {
		id, err := all.whole("case_id")
		if err != nil {
			return err
		}
		d, err := all.whole("duration")
		if err != nil {
			return fmt.Errorf("case %d: %w", id, err)
		}
		took[id] = append(took[id], d)
	}
	return nil
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
