package cachedstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// question is one read with its parameters.
type question struct {
	name string
	ask  func(context.Context, dashboard.Store) (any, error)
}

func q[V any](name string, ask func(context.Context, dashboard.Store) (V, error)) question {
	return question{name, func(ctx context.Context, s dashboard.Store) (any, error) { return ask(ctx, s) }}
}

// questions are all reads of a store: every id up to the highest and one
// beyond, or the newest and some others when there are many.
func (w *world) questions() []question {
	var out []question
	add := func(more ...question) { out = append(out, more...) }
	sample := func(highest int64, ask func(id int64) question) {
		for id := max(1, highest-4); id <= highest+1; id++ {
			add(ask(id))
		}
		for range 4 {
			add(ask(w.any(highest)))
		}
	}
	sample(w.suites, func(id int64) question {
		add(q(fmt.Sprint("cases of suite ", id), func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Cases(ctx, dashboard.CaseFilter{SuiteID: id}, dashboard.Page{Limit: 5})
		}), q(fmt.Sprint("running executions of suite ", id), func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Executions(ctx, dashboard.ExecutionFilter{SuiteID: id, Status: dashboard.StatusRunning}, dashboard.Page{})
		}))
		return q(fmt.Sprint("suite ", id), func(ctx context.Context, s dashboard.Store) (any, error) { return s.Suite(ctx, id) })
	})
	sample(w.cases, func(id int64) question {
		add(q(fmt.Sprint("history of case ", id), func(ctx context.Context, s dashboard.Store) (any, error) { return s.History(ctx, id, 20) }))
		return q(fmt.Sprint("case ", id), func(ctx context.Context, s dashboard.Store) (any, error) { return s.Case(ctx, id) })
	})
	sample(w.executions, func(id int64) question {
		add(q(fmt.Sprint("comparison of execution ", id), func(ctx context.Context, s dashboard.Store) (any, error) { return s.Compare(ctx, max(1, id-1), id) }))
		add(q(fmt.Sprint("results of execution ", id), func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Results(ctx, id, dashboard.ResultFilter{}, dashboard.Page{Limit: 5})
		}))
		return q(fmt.Sprint("execution ", id), func(ctx context.Context, s dashboard.Store) (any, error) { return s.Execution(ctx, id) })
	})
	add(listQuestions()...)
	add(figureQuestions()...)
	return out
}

func listQuestions() []question {
	page := dashboard.Page{Skip: 2, Limit: 7}
	return []question{
		q("suites", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Suites(ctx, dashboard.SuiteFilter{}, dashboard.Page{})
		}),
		q("a page of suites", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Suites(ctx, dashboard.SuiteFilter{}, page)
		}),
		q("active suites", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Suites(ctx, dashboard.SuiteFilter{Active: new(true)}, page)
		}),
		q("suites by text", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Suites(ctx, dashboard.SuiteFilter{Query: "1"}, page)
		}),
		q("cases", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Cases(ctx, dashboard.CaseFilter{}, page)
		}),
		q("cases by type", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Cases(ctx, dashboard.CaseFilter{TestType: "ui"}, page)
		}),
		q("executions", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Executions(ctx, dashboard.ExecutionFilter{}, page)
		}),
		q("failed executions", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Executions(ctx, dashboard.ExecutionFilter{Status: dashboard.StatusFailed}, page)
		}),
	}
}

func figureQuestions() []question {
	return []question{
		q("ping", func(ctx context.Context, s dashboard.Store) (any, error) { return nil, s.Ping(ctx) }),
		q("search", func(ctx context.Context, s dashboard.Store) (any, error) { return s.Search(ctx, "1", 5) }),
		q("stats", func(ctx context.Context, s dashboard.Store) (any, error) { return s.Stats(ctx) }),
		q("trends", func(ctx context.Context, s dashboard.Store) (any, error) { return s.Trends(ctx, 3, nil) }),
		q("trends in a zone", func(ctx context.Context, s dashboard.Store) (any, error) {
			return s.Trends(ctx, 3, time.FixedZone("CET", 3600))
		}),
		q("recent", func(ctx context.Context, s dashboard.Store) (any, error) { return s.Recent(ctx, 10) }),
		q("types", func(ctx context.Context, s dashboard.Store) (any, error) { return s.TestTypes(ctx) }),
		q("performance", func(ctx context.Context, s dashboard.Store) (any, error) { return s.Performance(ctx) }),
		q("flaky", func(ctx context.Context, s dashboard.Store) (any, error) { return s.Flaky(ctx, 20) }),
		q("slowest", func(ctx context.Context, s dashboard.Store) (any, error) { return s.Slowest(ctx, 20) }),
		q("top errors", func(ctx context.Context, s dashboard.Store) (any, error) { return s.TopErrors(ctx, 20) }),
		q("health", func(ctx context.Context, s dashboard.Store) (any, error) { return s.Health(ctx, "main") }),
	}
}

// answer is what a question brought, error included.
type answer struct {
	value any
	err   string
}

func (x question) put(ctx context.Context, s dashboard.Store) answer {
	v, err := x.ask(ctx, s)
	if err != nil {
		return answer{err: err.Error()}
	}
	return answer{value: v}
}
