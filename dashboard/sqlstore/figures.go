package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// Stats implements [dashboard.Figures]. It counts in covering indexes: cases by
// type, because SQLite would not take the index otherwise.
func (s *Store) Stats(ctx context.Context) (dashboard.Stats, error) {
	var (
		out      dashboard.Stats
		duration int64
		q        = s.reader()
	)
	err := q.row(ctx, `SELECT (SELECT count(*) FROM suites WHERE deleted_at IS NULL),
		(SELECT CAST(COALESCE(sum(n), 0) AS BIGINT) FROM (SELECT count(*) AS n FROM cases WHERE deleted_at IS NULL GROUP BY test_type) t),
		(SELECT count(*) FROM executions WHERE created_at >= ?)`,
		millis(s.instant().Add(-24*time.Hour))).Scan(&out.TotalSuites, &out.TotalCases, &out.Last24hExecutions)
	if err != nil {
		return out, fmt.Errorf("stats: %w", err)
	}
	err = q.each(ctx, func(row scanner) error {
		var (
			status dashboard.Status
			n, sum int64
		)
		if err := row.Scan(&status, &n, &sum); err != nil {
			return err
		}
		out.TotalExecutions += n
		switch status {
		case dashboard.StatusPending:
			out.PendingExecutions = n
		case dashboard.StatusRunning:
			out.ActiveExecutions = n
		case dashboard.StatusPassed:
			out.PassedExecutions = n
		}
		if status.Finished() {
			out.FinishedExecutions += n
			duration += sum
		}
		return nil
	}, "SELECT status, count(*), CAST(COALESCE(sum(duration), 0) AS BIGINT) FROM executions GROUP BY status")
	if err != nil {
		return out, fmt.Errorf("stats: %w", err)
	}
	out.SuccessRate = percent(out.PassedExecutions, out.FinishedExecutions)
	out.AvgDurationMS = ratio(duration, out.FinishedExecutions)
	return out, nil
}

func percent(part, whole int64) float64 { return 100 * ratio(part, whole) }

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// quarter is the width of the buckets in which the database groups: every time
// zone in use is off UTC by a multiple of a quarter of an hour, so that days of
// any zone are sums of quarters.
const quarter = 15 * 60 * 1000

// Trends implements [dashboard.Figures].
func (s *Store) Trends(ctx context.Context, days int, loc *time.Location) ([]dashboard.TrendDay, error) {
	if days < 1 || days > dashboard.MaxTrendDays {
		return nil, dashboard.Invalid("days", "must be between 1 and "+strconv.Itoa(dashboard.MaxTrendDays))
	}
	if loc == nil {
		loc = time.UTC
	}
	now := s.instant().In(loc)
	out := make([]dashboard.TrendDay, days)
	index := make(map[string]*dashboard.TrendDay, days)
	for i := range out {
		out[i].Date = time.Date(now.Year(), now.Month(), now.Day()-(days-1-i), 12, 0, 0, 0, loc).Format(time.DateOnly)
		index[out[i].Date] = &out[i]
	}
	from := time.Date(now.Year(), now.Month(), now.Day()-(days-1), 0, 0, 0, 0, loc)
	err := s.reader().each(ctx, func(row scanner) error {
		var (
			bucket, n, sum int64
			status         dashboard.Status
		)
		if err := row.Scan(&bucket, &status, &n, &sum); err != nil {
			return err
		}
		if day := index[instantOf(bucket*quarter).In(loc).Format(time.DateOnly)]; day != nil {
			addTrend(day, status, n, sum)
		}
		return nil
	}, `SELECT ended_at / 900000, status, count(*), CAST(COALESCE(sum(duration), 0) AS BIGINT) FROM executions
		WHERE ended_at >= ? GROUP BY ended_at / 900000, status`, millis(from))
	if err != nil {
		return nil, fmt.Errorf("trends: %w", err)
	}
	for i := range out {
		out[i].SuccessRate = percent(out[i].Passed, out[i].Total)
		if out[i].Total > 0 {
			out[i].AvgDurationMS /= float64(out[i].Total)
		}
	}
	return out, nil
}

// addTrend counts n executions; AvgDurationMS holds the sum until all are counted.
func addTrend(day *dashboard.TrendDay, status dashboard.Status, n, duration int64) {
	day.Total += n
	day.AvgDurationMS += float64(duration)
	switch status {
	case dashboard.StatusPassed:
		day.Passed += n
	case dashboard.StatusFailed:
		day.Failed += n
	case dashboard.StatusError:
		day.Error += n
	case dashboard.StatusStopped:
		day.Stopped += n
	}
}

// Recent implements [dashboard.Figures].
func (s *Store) Recent(ctx context.Context, limit int) ([]dashboard.Execution, error) {
	if limit < 1 || limit > dashboard.MaxLimit {
		return nil, dashboard.Invalid("limit", "must be between 1 and "+strconv.Itoa(dashboard.MaxLimit))
	}
	out := []dashboard.Execution{}
	err := s.reader().each(ctx, func(row scanner) error {
		e, err := scanExecution(row)
		out = append(out, e)
		return err
	}, "SELECT "+executionColumns+" FROM "+executionFrom+" ORDER BY e.id DESC LIMIT ?", limit)
	if err != nil {
		return nil, fmt.Errorf("recent executions: %w", err)
	}
	return out, nil
}

// TestTypes implements [dashboard.Figures].
func (s *Store) TestTypes(ctx context.Context) ([]dashboard.TypeShare, error) {
	var (
		counts = make(map[dashboard.TestType]int64)
		total  int64
	)
	err := s.reader().each(ctx, func(row scanner) error {
		var (
			kind dashboard.TestType
			n    int64
		)
		err := row.Scan(&kind, &n)
		counts[kind] = n
		total += n
		return err
	}, "SELECT test_type, count(*) FROM cases WHERE deleted_at IS NULL GROUP BY test_type")
	if err != nil {
		return nil, fmt.Errorf("test types: %w", err)
	}
	out := make([]dashboard.TypeShare, 0, len(dashboard.TestTypes))
	for _, kind := range dashboard.TestTypes {
		out = append(out, dashboard.TypeShare{TestType: kind, Count: counts[kind], Percentage: percent(counts[kind], total)})
	}
	slices.SortStableFunc(out, func(a, b dashboard.TypeShare) int { return cmp.Compare(b.Count, a.Count) })
	return out, nil
}

// Health implements [dashboard.Figures].
func (s *Store) Health(ctx context.Context, branch string) ([]dashboard.SuiteHealth, error) {
	out := []dashboard.SuiteHealth{}
	err := s.reader().each(ctx, func(row scanner) error {
		e, fields := executionFields()
		var since int64
		if err := row.Scan(append(fields.dest, &since)...); err != nil {
			return err
		}
		fields.finish()
		h := dashboard.SuiteHealth{SuiteID: e.SuiteID, SuiteName: e.SuiteName, Execution: *e, Red: e.Status != dashboard.StatusPassed}
		if h.Red {
			h.RedSince = since
		}
		out = append(out, h)
		return nil
	}, "SELECT "+executionColumns+`,
		COALESCE((SELECT r.id FROM executions r WHERE r.suite_id = s.id AND r.branch = ? AND r.status IN ('failed', 'error')
			AND r.id > COALESCE((SELECT p.id FROM executions p WHERE p.suite_id = s.id AND p.branch = ? AND p.status = 'passed' ORDER BY p.id DESC LIMIT 1), 0)
			ORDER BY r.id LIMIT 1), 0)
		FROM suites s JOIN executions e ON e.id =
			(SELECT x.id FROM executions x WHERE x.suite_id = s.id AND x.branch = ? AND x.status IN ('passed', 'failed', 'error') ORDER BY x.id DESC LIMIT 1)
		WHERE s.deleted_at IS NULL ORDER BY s.name`, branch, branch, branch)
	if err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	return out, nil
}
