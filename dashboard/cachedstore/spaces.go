package cachedstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
)

// spaces are the reads. Keys, times to live and tags are a contract with whoever
// looks into Redis, and held by the test of this package.
type spaces struct {
	suite      *read[int64, dashboard.Suite]
	suites     *read[suitesKey, dashboard.List[dashboard.Suite]]
	testCase   *read[int64, dashboard.Case]
	cases      *read[casesKey, dashboard.List[dashboard.Case]]
	execution  *read[int64, dashboard.Execution]
	executions *read[executionsKey, dashboard.List[dashboard.Execution]]
	figures    *read[figure, figures]
	trends     *read[trendsKey, []dashboard.TrendDay]
	recent     *read[int, []dashboard.Execution]
	health     *read[string, []dashboard.SuiteHealth]
	history    *read[historyKey, dashboard.CaseHistory]
	flaky      *read[int, []dashboard.FlakyCase]
	slowest    *read[int, []dashboard.SlowCase]
	topErrors  *read[int, []dashboard.TopError]
	compare    *read[compareKey, dashboard.Comparison]
	zones      zones
}

func (s *Store) declare() error {
	return errors.Join(s.declareRows(), s.declareLists(), s.declareFigures(), s.declareInsights())
}

func (s *Store) declareRows() error {
	var errs [3]error
	s.spaces.suite, errs[0] = declareRead(s, "suite", larder.KeyspaceOptions[int64, dashboard.Suite]{
		TTL: s.options.MediumTTL, Tiers: s.options.Rows, Tags: always[int64](tagRows),
	}, s.inner.Suite)
	s.spaces.testCase, errs[1] = declareRead(s, "case", larder.KeyspaceOptions[int64, dashboard.Case]{
		TTL: s.options.MediumTTL, Tiers: s.options.Rows, Tags: always[int64](tagSuiteNames, tagRows),
	}, s.inner.Case)
	s.spaces.execution, errs[2] = declareRead(s, "execution", larder.KeyspaceOptions[int64, dashboard.Execution]{
		TTL: s.options.ShortTTL, Tiers: s.options.Rows, Tags: always[int64](tagSuiteNames, tagRows),
	}, s.inner.Execution)
	return errors.Join(errs[:]...)
}

func (s *Store) declareLists() error {
	var errs [3]error
	s.spaces.suites, errs[0] = declareRead(s, "suites", larder.KeyspaceOptions[suitesKey, dashboard.List[dashboard.Suite]]{
		TTL: s.options.MediumTTL, Tags: always[suitesKey](tagSuites),
		AppendKey: func(dst []byte, k suitesKey) []byte { return k.append(dst) },
	}, func(ctx context.Context, k suitesKey) (dashboard.List[dashboard.Suite], error) {
		return s.inner.Suites(ctx, dashboard.SuiteFilter{Active: unflag(k.active)}, k.page)
	})
	s.spaces.cases, errs[1] = declareRead(s, "cases", larder.KeyspaceOptions[casesKey, dashboard.List[dashboard.Case]]{
		TTL: s.options.MediumTTL, Tags: func(k casesKey) []string { return ofSuite(k.filter.SuiteID, tagCases, tagCasesOf) },
		AppendKey: func(dst []byte, k casesKey) []byte { return k.append(dst) },
	}, func(ctx context.Context, k casesKey) (dashboard.List[dashboard.Case], error) {
		k.filter.Active = unflag(k.active)
		return s.inner.Cases(ctx, k.filter, k.page)
	})
	s.spaces.executions, errs[2] = declareRead(s, "executions", larder.KeyspaceOptions[executionsKey, dashboard.List[dashboard.Execution]]{
		TTL: s.options.ShortTTL, Tags: func(k executionsKey) []string { return ofSuite(k.filter.SuiteID, tagExecutions, tagExecutionsOf) },
		AppendKey: func(dst []byte, k executionsKey) []byte { return k.append(dst) },
	}, func(ctx context.Context, k executionsKey) (dashboard.List[dashboard.Execution], error) {
		return s.inner.Executions(ctx, k.filter, k.page)
	})
	return errors.Join(errs[:]...)
}

// figure names a figure without parameters; with the name of its keyspace it is
// the whole key, as in dashboard:stats.
type figure string

const (
	figureStats       figure = "stats"
	figureTypes       figure = "test_types_distribution"
	figurePerformance figure = "performance_metrics"
)

// figures holds the one that its key names.
type figures struct {
	Stats       *dashboard.Stats              `json:"stats,omitempty"`
	Types       []dashboard.TypeShare         `json:"test_types,omitempty"`
	Performance *dashboard.PerformanceMetrics `json:"performance,omitempty"`
}

func (s *Store) loadFigure(ctx context.Context, f figure) (out figures, err error) {
	switch f {
	case figureStats:
		var v dashboard.Stats
		v, err = s.inner.Stats(ctx)
		out.Stats = &v
	case figureTypes:
		out.Types, err = s.inner.TestTypes(ctx)
	case figurePerformance:
		var v dashboard.PerformanceMetrics
		v, err = s.inner.Performance(ctx)
		out.Performance = &v
	default:
		err = fmt.Errorf("no figure %q", f)
	}
	return out, err
}

func (s *Store) declareFigures() error {
	var errs [4]error
	s.spaces.figures, errs[0] = declareRead(s, "dashboard", larder.KeyspaceOptions[figure, figures]{
		TTL: s.options.ShortTTL, AppendKey: func(dst []byte, f figure) []byte { return append(dst, f...) },
		Tags: func(f figure) []string {
			return map[figure][]string{figureStats: {tagStats}, figureTypes: {tagTypes}, figurePerformance: {tagPerformance}}[f]
		},
	}, s.loadFigure)
	s.spaces.figures.label = func(f figure) string { return "dashboard:" + string(f) }
	s.spaces.trends, errs[1] = declareRead(s, "dashboard:trends", larder.KeyspaceOptions[trendsKey, []dashboard.TrendDay]{
		TTL: s.options.ShortTTL, Tags: always[trendsKey](tagTrends),
		AppendKey: func(dst []byte, k trendsKey) []byte { return k.append(dst) },
	}, func(ctx context.Context, k trendsKey) ([]dashboard.TrendDay, error) {
		zone, err := time.LoadLocation(k.zone)
		if err != nil {
			return nil, err
		}
		return s.inner.Trends(ctx, k.days, zone)
	})
	s.spaces.recent, errs[2] = declareRead(s, "dashboard:recent", larder.KeyspaceOptions[int, []dashboard.Execution]{
		TTL: s.options.ShortTTL, Tags: always[int](tagRecent),
		AppendKey: appendLimit,
	}, s.inner.Recent)
	s.spaces.health, errs[3] = declareRead(s, "dashboard:health", larder.KeyspaceOptions[string, []dashboard.SuiteHealth]{
		TTL: s.options.ShortTTL, Tags: always[string](tagHealth),
		AppendKey: func(dst []byte, branch string) []byte { return larder.AppendSegment(append(dst, "branch:"...), branch) },
	}, s.inner.Health)
	return errors.Join(errs[:]...)
}

// declareInsights declares what shows names of cases and suites beside outcomes.
func (s *Store) declareInsights() error {
	var errs [5]error
	s.spaces.history, errs[0] = declareRead(s, "history", larder.KeyspaceOptions[historyKey, dashboard.CaseHistory]{
		TTL: s.options.ShortTTL, Tags: always[historyKey](tagResults),
		AppendKey: func(dst []byte, k historyKey) []byte { return k.append(dst) },
	}, func(ctx context.Context, k historyKey) (dashboard.CaseHistory, error) {
		return s.inner.History(ctx, k.id, k.limit)
	})
	s.spaces.flaky, errs[1] = declareRead(s, "dashboard:flaky", larder.KeyspaceOptions[int, []dashboard.FlakyCase]{
		TTL: s.options.MediumTTL, Tags: always[int](tagOutcomes, tagCases, tagSuiteNames), AppendKey: appendLimit,
	}, s.inner.Flaky)
	s.spaces.slowest, errs[2] = declareRead(s, "dashboard:slowest", larder.KeyspaceOptions[int, []dashboard.SlowCase]{
		TTL: s.options.MediumTTL, Tags: always[int](tagOutcomes, tagCases, tagSuiteNames), AppendKey: appendLimit,
	}, s.inner.Slowest)
	s.spaces.topErrors, errs[3] = declareRead(s, "dashboard:top_errors", larder.KeyspaceOptions[int, []dashboard.TopError]{
		TTL: s.options.MediumTTL, Tags: always[int](tagOutcomes, tagCases, tagSuiteNames), AppendKey: appendLimit,
	}, s.inner.TopErrors)
	s.spaces.compare, errs[4] = declareRead(s, "compare", larder.KeyspaceOptions[compareKey, dashboard.Comparison]{
		TTL: s.options.ShortTTL, Tags: always[compareKey](tagResults, tagExecutions, tagCases, tagSuiteNames),
		AppendKey: func(dst []byte, k compareKey) []byte { return k.append(dst) },
	}, func(ctx context.Context, k compareKey) (dashboard.Comparison, error) {
		return s.inner.Compare(ctx, k.base, k.head)
	})
	return errors.Join(errs[:]...)
}

// always returns the same tags for every key.
func always[K comparable](tags ...string) func(K) []string {
	return func(K) []string { return tags }
}

// ofSuite returns the tag of a list: that of its suite, or that of all.
func ofSuite(suite int64, all string, of func(int64) string) []string {
	if suite == 0 {
		return []string{all}
	}
	return []string{of(suite)}
}
