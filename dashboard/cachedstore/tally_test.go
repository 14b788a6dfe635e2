package cachedstore_test

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// tally is a store that notes which of its methods have succeeded. A method of
// Store that is missing here is never noted, so that a test which asks for all of
// them fails.
type tally struct {
	dashboard.Store
	done *sync.Map // by name of the method
}

// unexercised returns the methods of Store that have not succeeded. Close is not
// asked for: it ends what the test still needs.
func (s tally) unexercised() (names []string) {
	for m := range reflect.TypeFor[dashboard.Store]().Methods() {
		if _, ok := s.done.Load(m.Name); !ok && m.Name != "Close" {
			names = append(names, m.Name)
		}
	}
	return names
}

// got is what a method returned, wrote that of one which changes something.
type got[V any] struct {
	value V
	err   error
}

type wrote[V any] struct {
	got[V]
	change dashboard.Change
}

func read[V any](v V, err error) got[V] { return got[V]{v, err} }

func write[V any](v V, c dashboard.Change, err error) wrote[V] { return wrote[V]{got[V]{v, err}, c} }

func (g got[V]) by(s tally, method string) (V, error) {
	if g.err == nil {
		s.done.Store(method, true)
	}
	return g.value, g.err
}

func (g wrote[V]) by(s tally, method string) (V, dashboard.Change, error) {
	v, err := g.got.by(s, method)
	return v, g.change, err
}

func (s tally) Ping(ctx context.Context) error {
	_, err := read(struct{}{}, s.Store.Ping(ctx)).by(s, "Ping")
	return err
}

func (s tally) Suite(ctx context.Context, id int64) (dashboard.Suite, error) {
	return read(s.Store.Suite(ctx, id)).by(s, "Suite")
}

func (s tally) Suites(ctx context.Context, f dashboard.SuiteFilter, p dashboard.Page) (dashboard.List[dashboard.Suite], error) {
	return read(s.Store.Suites(ctx, f, p)).by(s, "Suites")
}

func (s tally) CreateSuite(ctx context.Context, n dashboard.NewSuite) (dashboard.Suite, dashboard.Change, error) {
	return write(s.Store.CreateSuite(ctx, n)).by(s, "CreateSuite")
}

func (s tally) UpdateSuite(ctx context.Context, id int64, p dashboard.SuitePatch) (dashboard.Suite, dashboard.Change, error) {
	return write(s.Store.UpdateSuite(ctx, id, p)).by(s, "UpdateSuite")
}

func (s tally) DeleteSuite(ctx context.Context, id int64) (dashboard.Change, error) {
	return read(s.Store.DeleteSuite(ctx, id)).by(s, "DeleteSuite")
}

func (s tally) Case(ctx context.Context, id int64) (dashboard.Case, error) {
	return read(s.Store.Case(ctx, id)).by(s, "Case")
}

func (s tally) Cases(ctx context.Context, f dashboard.CaseFilter, p dashboard.Page) (dashboard.List[dashboard.Case], error) {
	return read(s.Store.Cases(ctx, f, p)).by(s, "Cases")
}

func (s tally) CreateCase(ctx context.Context, n dashboard.NewCase) (dashboard.Case, dashboard.Change, error) {
	return write(s.Store.CreateCase(ctx, n)).by(s, "CreateCase")
}

func (s tally) UpdateCase(ctx context.Context, id int64, p dashboard.CasePatch) (dashboard.Case, dashboard.Change, error) {
	return write(s.Store.UpdateCase(ctx, id, p)).by(s, "UpdateCase")
}

func (s tally) DeleteCase(ctx context.Context, id int64) (dashboard.Change, error) {
	return read(s.Store.DeleteCase(ctx, id)).by(s, "DeleteCase")
}

func (s tally) Execution(ctx context.Context, id int64) (dashboard.Execution, error) {
	return read(s.Store.Execution(ctx, id)).by(s, "Execution")
}

func (s tally) Executions(ctx context.Context, f dashboard.ExecutionFilter, p dashboard.Page) (dashboard.List[dashboard.Execution], error) {
	return read(s.Store.Executions(ctx, f, p)).by(s, "Executions")
}

func (s tally) CreateExecution(ctx context.Context, n dashboard.NewExecution) (dashboard.Execution, dashboard.Change, error) {
	return write(s.Store.CreateExecution(ctx, n)).by(s, "CreateExecution")
}

func (s tally) StartExecution(ctx context.Context, id int64) (dashboard.Execution, dashboard.Change, error) {
	return write(s.Store.StartExecution(ctx, id)).by(s, "StartExecution")
}

func (s tally) StopExecution(ctx context.Context, id int64) (dashboard.Execution, dashboard.Change, error) {
	return write(s.Store.StopExecution(ctx, id)).by(s, "StopExecution")
}

func (s tally) FinishExecution(ctx context.Context, id int64, f dashboard.Finish) (dashboard.Execution, dashboard.Change, error) {
	return write(s.Store.FinishExecution(ctx, id, f)).by(s, "FinishExecution")
}

func (s tally) AddResults(ctx context.Context, id int64, r []dashboard.NewResult) (dashboard.Execution, dashboard.Change, error) {
	return write(s.Store.AddResults(ctx, id, r)).by(s, "AddResults")
}

func (s tally) Results(ctx context.Context, id int64, f dashboard.ResultFilter, p dashboard.Page) (dashboard.List[dashboard.Result], error) {
	return read(s.Store.Results(ctx, id, f, p)).by(s, "Results")
}

func (s tally) Ingest(ctx context.Context, in dashboard.Ingestion) (dashboard.IngestReport, dashboard.Change, error) {
	return write(s.Store.Ingest(ctx, in)).by(s, "Ingest")
}

func (s tally) ReapExecutions(ctx context.Context, silentSince time.Time) ([]dashboard.Execution, dashboard.Change, error) {
	ended, change, err := s.Store.ReapExecutions(ctx, silentSince)
	if len(ended) == 0 {
		return ended, change, err // it changed nothing
	}
	return write(ended, change, err).by(s, "ReapExecutions")
}

func (s tally) Stats(ctx context.Context) (dashboard.Stats, error) {
	return read(s.Store.Stats(ctx)).by(s, "Stats")
}

func (s tally) Trends(ctx context.Context, days int, loc *time.Location) ([]dashboard.TrendDay, error) {
	return read(s.Store.Trends(ctx, days, loc)).by(s, "Trends")
}

func (s tally) Recent(ctx context.Context, limit int) ([]dashboard.Execution, error) {
	return read(s.Store.Recent(ctx, limit)).by(s, "Recent")
}

func (s tally) TestTypes(ctx context.Context) ([]dashboard.TypeShare, error) {
	return read(s.Store.TestTypes(ctx)).by(s, "TestTypes")
}

func (s tally) Performance(ctx context.Context) (dashboard.PerformanceMetrics, error) {
	return read(s.Store.Performance(ctx)).by(s, "Performance")
}

func (s tally) Health(ctx context.Context, branch string) ([]dashboard.SuiteHealth, error) {
	return read(s.Store.Health(ctx, branch)).by(s, "Health")
}

func (s tally) History(ctx context.Context, caseID int64, limit int) (dashboard.CaseHistory, error) {
	return read(s.Store.History(ctx, caseID, limit)).by(s, "History")
}

func (s tally) Flaky(ctx context.Context, limit int) ([]dashboard.FlakyCase, error) {
	return read(s.Store.Flaky(ctx, limit)).by(s, "Flaky")
}

func (s tally) Slowest(ctx context.Context, limit int) ([]dashboard.SlowCase, error) {
	return read(s.Store.Slowest(ctx, limit)).by(s, "Slowest")
}

func (s tally) TopErrors(ctx context.Context, limit int) ([]dashboard.TopError, error) {
	return read(s.Store.TopErrors(ctx, limit)).by(s, "TopErrors")
}

func (s tally) Compare(ctx context.Context, base, head int64) (dashboard.Comparison, error) {
	return read(s.Store.Compare(ctx, base, head)).by(s, "Compare")
}

func (s tally) Search(ctx context.Context, query string, limit int) (dashboard.Found, error) {
	return read(s.Store.Search(ctx, query, limit)).by(s, "Search")
}
