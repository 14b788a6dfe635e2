package cachedstore

import (
	"context"
	"errors"

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
	figures    *read[figureKey, figures]
	history    *read[historyKey, dashboard.CaseHistory]
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

// declareInsights declares what is about one case or two executions.
func (s *Store) declareInsights() error {
	var errs [2]error
	s.spaces.history, errs[0] = declareRead(s, "history", larder.KeyspaceOptions[historyKey, dashboard.CaseHistory]{
		TTL: s.options.ShortTTL, Tags: always[historyKey](tagResults),
		AppendKey: func(dst []byte, k historyKey) []byte { return k.append(dst) },
	}, func(ctx context.Context, k historyKey) (dashboard.CaseHistory, error) {
		return s.inner.History(ctx, k.id, k.limit)
	})
	s.spaces.compare, errs[1] = declareRead(s, "compare", larder.KeyspaceOptions[compareKey, dashboard.Comparison]{
		TTL: s.options.LongTTL, Tags: always[compareKey](tagResults, tagExecutions, tagCases, tagSuiteNames),
		AppendKey: func(dst []byte, k compareKey) []byte { return k.append(dst) },
	}, func(ctx context.Context, k compareKey) (dashboard.Comparison, error) {
		c, err := s.inner.Compare(ctx, k.base, k.head)
		if errors.Is(err, dashboard.ErrInvalid) {
			return c, larder.ErrNotFound // a wrong question is no failure of the database
		}
		if err == nil && c.Base.Status.Finished() && c.Head.Status.Finished() {
			larder.LoadFrom(ctx).TTL(s.options.ExtendedTTL)
		}
		return c, err
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
