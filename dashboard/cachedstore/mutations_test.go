package cachedstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// course is every kind of mutation, in an order in which each can succeed.
var course = []string{"create suite", "create case", "create execution", "start", "results", "finish", "create execution", "start", "stop",
	"create execution", "start", "reap", "ingest", "update suite", "update case", "move case", "delete case", "delete suite"}

// kinds are all mutations, some more often than others.
var kinds = []string{"create suite", "update suite", "update suite", "delete suite", "create case", "create case", "update case", "move case", "delete case",
	"create execution", "create execution", "start", "start", "results", "results", "stop", "finish", "finish", "ingest", "ingest", "reap"}

// mutate does one random mutation through a random node and returns the node.
func (w *world) mutate() (node, string) {
	n := w.nodes[w.rand.IntN(len(w.nodes))]
	return n, w.mutateThrough(n.store)
}

// mutateThrough does one random mutation and returns its kind.
func (w *world) mutateThrough(s dashboard.Store) string {
	kind := kinds[w.rand.IntN(len(kinds))]
	w.attempt(s, kind)
	return kind
}

// runAll does all mutations again and again until each has succeeded, and compares
// after each. It fails if a method of Store is not exercised by then.
func (w *world) runAll() {
	w.Helper()
	for range 20 {
		for _, kind := range course {
			n := w.nodes[w.rand.IntN(len(w.nodes))]
			w.attempt(n.store, kind)
			w.compare(n, kind+" in the first course")
		}
		if len(w.tally.unexercised()) == 0 {
			return
		}
	}
	w.Fatalf("the test does not exercise %v", w.tally.unexercised())
}

// attempt does a mutation, which may be refused.
func (w *world) attempt(s dashboard.Store, kind string) {
	w.Helper()
	w.clock.Advance(time.Duration(w.rand.IntN(900)) * time.Millisecond)
	err := w.do(w.tallied(s), kind)
	if err != nil && !errors.Is(err, dashboard.ErrNotFound) && !errors.Is(err, dashboard.ErrConflict) && !errors.Is(err, dashboard.ErrInvalid) {
		w.Fatalf("%s: %v", kind, err)
	}
}

// any is an id up to one beyond the highest.
func (w *world) any(highest int64) int64 { return 1 + w.rand.Int64N(highest+1) }

// oneOf is mostly the id of one of the items, and now and then any other.
func oneOf[T any](w *world, l dashboard.List[T], err error, id func(T) int64, highest int64) int64 {
	w.Helper()
	w.ok(err)
	if len(l.Items) == 0 || w.rand.IntN(8) == 0 {
		return w.any(highest)
	}
	return id(l.Items[w.rand.IntN(len(l.Items))])
}

func (w *world) suite() int64 {
	l, err := w.twin.Suites(w.Context(), dashboard.SuiteFilter{}, dashboard.Page{})
	return oneOf(w, l, err, func(s dashboard.Suite) int64 { return s.ID }, w.suites)
}

func (w *world) testCase() int64 {
	l, err := w.twin.Cases(w.Context(), dashboard.CaseFilter{}, dashboard.Page{})
	return oneOf(w, l, err, func(c dashboard.Case) int64 { return c.ID }, w.cases)
}

func (w *world) execution(in dashboard.Status) int64 {
	l, err := w.twin.Executions(w.Context(), dashboard.ExecutionFilter{Status: in}, dashboard.Page{})
	return oneOf(w, l, err, func(e dashboard.Execution) int64 { return e.ID }, w.executions)
}

func (w *world) name() string { w.names++; return fmt.Sprintf("name %d", w.names) }

func (w *world) do(s dashboard.Store, kind string) (err error) {
	ctx := w.Context()
	var c dashboard.Change
	switch kind {
	case "create suite":
		_, c, err = s.CreateSuite(ctx, dashboard.NewSuite{Name: w.name()})
	case "update suite":
		_, c, err = s.UpdateSuite(ctx, w.suite(), dashboard.SuitePatch{Name: new(w.name()), IsActive: new(w.rand.IntN(2) == 0)})
	case "delete suite":
		c, err = s.DeleteSuite(ctx, w.suite())
	case "create case":
		_, c, err = s.CreateCase(ctx, dashboard.NewCase{SuiteID: w.suite(), Name: w.name(), TestType: dashboard.TestTypes[w.rand.IntN(3)]})
	case "update case":
		_, c, err = s.UpdateCase(ctx, w.testCase(), dashboard.CasePatch{Name: new(w.name()), TestType: &dashboard.TestTypes[w.rand.IntN(3)]})
	case "move case":
		_, c, err = s.UpdateCase(ctx, w.testCase(), dashboard.CasePatch{SuiteID: new(w.suite())})
	case "delete case":
		c, err = s.DeleteCase(ctx, w.testCase())
	case "ingest":
		c, err = w.ingest(s)
	default:
		c, err = w.doExecution(ctx, s, kind)
	}
	w.note(c)
	return err
}

func (w *world) doExecution(ctx context.Context, s dashboard.Store, kind string) (c dashboard.Change, err error) {
	switch kind {
	case "create execution":
		_, c, err = s.CreateExecution(ctx, dashboard.NewExecution{SuiteID: w.suite(), Branch: "main"})
	case "start":
		_, c, err = s.StartExecution(ctx, w.execution(dashboard.StatusPending))
	case "results":
		_, c, err = s.AddResults(ctx, w.execution(dashboard.StatusRunning), []dashboard.NewResult{{CaseName: w.name(), Status: dashboard.ResultStatuses[w.rand.IntN(6)]}})
	case "stop":
		_, c, err = s.StopExecution(ctx, w.execution(dashboard.StatusRunning))
	case "finish":
		_, c, err = s.FinishExecution(ctx, w.execution(dashboard.StatusRunning), dashboard.Finish{})
	case "reap":
		_, c, err = s.ReapExecutions(ctx, w.clock.Now().Add(-time.Duration(w.rand.IntN(5000))*time.Millisecond))
	default:
		w.Fatalf("there is no mutation %q", kind)
	}
	return c, err
}

// ingest uploads a report, now and then one that touches very many rows.
func (w *world) ingest(s dashboard.Store) (dashboard.Change, error) {
	in := dashboard.Ingestion{Suite: fmt.Sprintf("ingested %d", w.rand.IntN(3)), ContentHash: w.name()}
	in.Branch, in.Commit = "main", fmt.Sprint("commit ", w.rand.IntN(3))
	cases := 3
	if w.rand.IntN(4) == 0 {
		cases = manyCases
	}
	prefix := w.rand.IntN(4)
	for i := range cases {
		in.Report.Cases = append(in.Report.Cases, dashboard.ReportCase{Name: fmt.Sprintf("case %d.%d", prefix, i), Status: []dashboard.Status{"passed", "passed", "failed"}[w.rand.IntN(3)], Message: fmt.Sprint("message ", i%7), DurationMS: w.rand.Int64N(1000)})
	}
	_, c, err := s.Ingest(w.Context(), in)
	return c, err
}

func (w *world) note(c dashboard.Change) {
	for _, x := range c.Suites {
		w.suites = max(w.suites, x.ID)
	}
	for _, x := range c.Cases {
		w.cases = max(w.cases, x.ID)
	}
	for _, x := range c.Executions {
		w.executions = max(w.executions, x.ID)
	}
}
