package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/larder-go/larder/dashboard"
)

const day = 24 * time.Hour

// sample is a finished execution as Performance sees it.
type sample struct {
	suite, duration int64
	day             int
	passed          bool
}

// Performance implements [dashboard.Figures]. Percentiles are computed here by
// nearest rank, because SQLite has none; the rows come from a covering index.
func (s *Store) Performance(ctx context.Context) (dashboard.PerformanceMetrics, error) {
	from := s.instant().Truncate(day).Add(-(dashboard.PerformanceDays - 1) * day)
	var samples []sample
	err := s.reader().each(ctx, func(row scanner) error {
		var (
			x      sample
			ended  int64
			status dashboard.Status
		)
		if err := row.Scan(&x.suite, &status, &x.duration, &ended); err != nil {
			return err
		}
		x.passed, x.day = status == dashboard.StatusPassed, int(instantOf(ended).Sub(from)/day)
		samples = append(samples, x)
		return nil
	}, "SELECT suite_id, status, COALESCE(duration, 0), ended_at FROM executions WHERE ended_at >= ?", millis(from))
	if err != nil {
		return dashboard.PerformanceMetrics{}, fmt.Errorf("performance: %w", err)
	}
	names, err := s.suiteNames(ctx)
	if err != nil {
		return dashboard.PerformanceMetrics{}, err
	}
	return performance(samples, names), nil
}

func (s *Store) suiteNames(ctx context.Context) (map[int64]string, error) {
	names := make(map[int64]string)
	err := s.reader().each(ctx, func(row scanner) error {
		var (
			id   int64
			name string
		)
		err := row.Scan(&id, &name)
		names[id] = name
		return err
	}, "SELECT id, name FROM suites WHERE deleted_at IS NULL")
	if err != nil {
		return nil, fmt.Errorf("suite names: %w", err)
	}
	return names, nil
}

func performance(samples []sample, names map[int64]string) dashboard.PerformanceMetrics {
	all, passed := durations(samples)
	out := dashboard.PerformanceMetrics{
		Days: dashboard.PerformanceDays, TotalExecutions: int64(len(samples)), SuccessRate: percent(passed, int64(len(samples))),
		AvgDurationMS: mean(all), MedianDurationMS: rank(all, 50), P95DurationMS: rank(all, 95), Suites: []dashboard.SuitePerformance{},
	}
	if len(all) > 0 {
		out.MinDurationMS, out.MaxDurationMS = all[0], all[len(all)-1]
	}
	bySuite := make(map[int64][]sample)
	for _, x := range samples {
		bySuite[x.suite] = append(bySuite[x.suite], x)
	}
	for id, of := range bySuite {
		if name, ok := names[id]; ok {
			out.Suites = append(out.Suites, suitePerformance(id, name, of))
		}
	}
	slices.SortFunc(out.Suites, func(a, b dashboard.SuitePerformance) int { return cmp.Compare(a.SuiteName, b.SuiteName) })
	return out
}

func suitePerformance(id int64, name string, of []sample) dashboard.SuitePerformance {
	all, passed := durations(of)
	out := dashboard.SuitePerformance{
		SuiteID: id, SuiteName: name, Runs: int64(len(of)), SuccessRate: percent(passed, int64(len(of))),
		MedianDurationMS: rank(all, 50), P95DurationMS: rank(all, 95), Daily: make([]*int64, dashboard.PerformanceDays),
	}
	byDay := make([][]sample, dashboard.PerformanceDays)
	for _, x := range of {
		if x.day >= 0 && x.day < len(byDay) {
			byDay[x.day] = append(byDay[x.day], x)
		}
	}
	for i, on := range byDay {
		if len(on) > 0 {
			d, _ := durations(on)
			out.Daily[i] = new(rank(d, 50))
		}
	}
	return out
}

// durations returns the sorted durations and how many samples passed.
func durations(samples []sample) ([]int64, int64) {
	out := make([]int64, len(samples))
	var passed int64
	for i, x := range samples {
		out[i] = x.duration
		if x.passed {
			passed++
		}
	}
	slices.Sort(out)
	return out, passed
}

func mean(values []int64) float64 {
	var sum int64
	for _, v := range values {
		sum += v
	}
	return ratio(sum, int64(len(values)))
}

// rank returns the percentile of sorted values by nearest rank, 0 of none.
func rank(sorted []int64, p float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(p/100*float64(len(sorted))))-1)]
}
