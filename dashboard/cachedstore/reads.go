package cachedstore

import (
	"context"
	"errors"

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

// History implements [dashboard.Insights].
func (s *Store) History(ctx context.Context, caseID int64, limit int) (dashboard.CaseHistory, error) {
	if err := within(limit, dashboard.MaxHistory); err != nil {
		return dashboard.CaseHistory{}, err
	}
	return s.spaces.history.get(ctx, historyKey{caseID, limit})
}

// Compare implements [dashboard.Insights]. Why two executions cannot be compared
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
