package cachedstore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
)

// Suite implements [dashboard.SuiteStore].
func (s *Store) Suite(ctx context.Context, id int64) (dashboard.Suite, error) {
	return row(ctx, s.spaces.suite, dashboard.KindSuite, id)
}

// Suites implements [dashboard.SuiteStore].
func (s *Store) Suites(ctx context.Context, f dashboard.SuiteFilter, p dashboard.Page) (dashboard.List[dashboard.Suite], error) {
	p, err := p.Normal()
	if err != nil {
		return dashboard.List[dashboard.Suite]{}, err
	}
	if f.Query != "" {
		return s.inner.Suites(ctx, f, p)
	}
	return s.spaces.suites.get(ctx, suitesKey{active: flag(f.Active), page: p})
}

// Case implements [dashboard.CaseStore].
func (s *Store) Case(ctx context.Context, id int64) (dashboard.Case, error) {
	return row(ctx, s.spaces.testCase, dashboard.KindCase, id)
}

// Cases implements [dashboard.CaseStore].
func (s *Store) Cases(ctx context.Context, f dashboard.CaseFilter, p dashboard.Page) (dashboard.List[dashboard.Case], error) {
	p, err := p.Normal()
	if err == nil {
		err = f.Check()
	}
	if err != nil {
		return dashboard.List[dashboard.Case]{}, err
	}
	if f.Query != "" {
		return s.inner.Cases(ctx, f, p)
	}
	active := flag(f.Active)
	f.Active = nil
	return s.spaces.cases.get(ctx, casesKey{filter: f, active: active, page: p})
}

// Execution implements [dashboard.ExecutionStore].
func (s *Store) Execution(ctx context.Context, id int64) (dashboard.Execution, error) {
	return row(ctx, s.spaces.execution, dashboard.KindExecution, id)
}

// Executions implements [dashboard.ExecutionStore].
func (s *Store) Executions(ctx context.Context, f dashboard.ExecutionFilter, p dashboard.Page) (dashboard.List[dashboard.Execution], error) {
	p, err := p.Normal()
	if err == nil {
		err = f.Check()
	}
	if err != nil {
		return dashboard.List[dashboard.Execution]{}, err
	}
	return s.spaces.executions.get(ctx, executionsKey{filter: f, page: p})
}

// Results implements [dashboard.ExecutionStore]. They are not cached.
func (s *Store) Results(ctx context.Context, id int64, f dashboard.ResultFilter, p dashboard.Page) (dashboard.List[dashboard.Result], error) {
	return s.inner.Results(ctx, id, f, p)
}

// Stats implements [dashboard.Figures].
func (s *Store) Stats(ctx context.Context) (dashboard.Stats, error) {
	v, err := s.spaces.figures.get(ctx, figureStats)
	if err != nil {
		return dashboard.Stats{}, err
	}
	return *v.Stats, nil
}

// Trends implements [dashboard.Figures].
func (s *Store) Trends(ctx context.Context, days int, loc *time.Location) ([]dashboard.TrendDay, error) {
	zone := ""
	if loc != nil && loc != time.UTC {
		zone = loc.String()
	}
	if days < 1 || days > dashboard.MaxTrendDays || !s.spaces.zones.known(zone) {
		return s.inner.Trends(ctx, days, loc)
	}
	return s.spaces.trends.get(ctx, trendsKey{days: days, zone: zone})
}

// Recent implements [dashboard.Figures].
func (s *Store) Recent(ctx context.Context, limit int) ([]dashboard.Execution, error) {
	if err := within(limit, dashboard.MaxLimit); err != nil {
		return nil, err
	}
	return s.spaces.recent.get(ctx, limit)
}

// TestTypes implements [dashboard.Figures].
func (s *Store) TestTypes(ctx context.Context) ([]dashboard.TypeShare, error) {
	v, err := s.spaces.figures.get(ctx, figureTypes)
	return v.Types, err
}

// Performance implements [dashboard.Figures].
func (s *Store) Performance(ctx context.Context) (dashboard.PerformanceMetrics, error) {
	v, err := s.spaces.figures.get(ctx, figurePerformance)
	if err != nil {
		return dashboard.PerformanceMetrics{}, err
	}
	return *v.Performance, nil
}

// Health implements [dashboard.Figures].
func (s *Store) Health(ctx context.Context, branch string) ([]dashboard.SuiteHealth, error) {
	return s.spaces.health.get(ctx, branch)
}

// History implements [dashboard.Insights].
func (s *Store) History(ctx context.Context, caseID int64, limit int) (dashboard.CaseHistory, error) {
	if err := within(limit, dashboard.MaxHistory); err != nil {
		return dashboard.CaseHistory{}, err
	}
	return s.spaces.history.get(ctx, historyKey{caseID, limit})
}

// Flaky implements [dashboard.Insights].
func (s *Store) Flaky(ctx context.Context, limit int) ([]dashboard.FlakyCase, error) {
	if err := within(limit, dashboard.MaxInsights); err != nil {
		return nil, err
	}
	return s.spaces.flaky.get(ctx, limit)
}

// Slowest implements [dashboard.Insights].
func (s *Store) Slowest(ctx context.Context, limit int) ([]dashboard.SlowCase, error) {
	if err := within(limit, dashboard.MaxInsights); err != nil {
		return nil, err
	}
	return s.spaces.slowest.get(ctx, limit)
}

// TopErrors implements [dashboard.Insights].
func (s *Store) TopErrors(ctx context.Context, limit int) ([]dashboard.TopError, error) {
	if err := within(limit, dashboard.MaxInsights); err != nil {
		return nil, err
	}
	return s.spaces.topErrors.get(ctx, limit)
}

// Compare implements [dashboard.Insights]. Which of the two executions is missing
// is not in the cache, so the store below says it.
func (s *Store) Compare(ctx context.Context, base, head int64) (dashboard.Comparison, error) {
	v, err := s.spaces.compare.get(ctx, compareKey{base, head})
	if errors.Is(err, larder.ErrNotFound) {
		return s.inner.Compare(ctx, base, head)
	}
	return v, err
}

// Search implements [dashboard.Insights]. It is not cached.
func (s *Store) Search(ctx context.Context, query string, limit int) (dashboard.Found, error) {
	return s.inner.Search(ctx, query, limit)
}

func within(limit, most int) error {
	if limit < 1 || limit > most {
		return dashboard.Invalid("limit", "must be between 1 and "+strconv.Itoa(most))
	}
	return nil
}
