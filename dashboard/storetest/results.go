package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

func resultCounts(f *fixture) {
	s := f.suite("s")
	known := f.testCase(s.ID, "known")
	e := f.running(s.ID)
	got, change, err := f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{
		{CaseID: known.ID, Status: dashboard.StatusPassed},
		{CaseName: "new", Status: dashboard.StatusRunning, TestType: "api"},
		{CaseName: "broken", Status: dashboard.StatusFailed},
		{CaseName: "erred", Status: dashboard.StatusError},
		{CaseName: "left out", Status: dashboard.StatusSkipped},
		{CaseName: "flaky", Status: dashboard.StatusPassed, Flaky: true},
	})
	f.ok(err)
	f.equal(got.Counts, dashboard.Counts{Total: 6, Passed: 2, Failed: 1, Skipped: 1, Errors: 1}, "counts")
	f.equal([]int{got.Flaky, len(change.Cases)}, []int{1, 5}, "flaky results and created cases")
	got, _, err = f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{{CaseName: "new", Status: dashboard.StatusPassed}})
	f.ok(err)
	f.equal(got.Counts, dashboard.Counts{Total: 6, Passed: 3, Failed: 1, Skipped: 1, Errors: 1}, "counts after a result ended")
	read, err := f.store.Execution(f.ctx, e.ID)
	f.ok(err)
	f.equal(read, got, "read execution")
	done, _, err := f.store.FinishExecution(f.ctx, e.ID, dashboard.Finish{})
	f.ok(err)
	f.equal(done.Status, dashboard.StatusFailed, "verdict")
	l, err := f.store.Cases(f.ctx, dashboard.CaseFilter{SuiteID: s.ID, TestType: "api"}, dashboard.Page{})
	f.ok(err)
	f.equal(l.Total, int64(1), "api cases")
}

func resultAtomic(f *fixture) {
	s, other := f.suite("s"), f.suite("other")
	foreign := f.testCase(other.ID, "foreign")
	e := f.running(s.ID)
	_, _, err := f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{{CaseName: "done", Status: dashboard.StatusPassed}})
	f.ok(err)
	before, err := f.store.Execution(f.ctx, e.ID)
	f.ok(err)
	good := dashboard.NewResult{CaseName: "good", Status: dashboard.StatusPassed}
	for field, bad := range map[string]dashboard.NewResult{
		"results[1].status":             {CaseName: "x", Status: "broken"},
		"results[1].case_id":            {Status: dashboard.StatusPassed},
		"results[1].duration":           {CaseName: "x", Status: dashboard.StatusPassed, DurationMS: -1},
		"results[1].case_name":          {CaseName: strings.Repeat("x", 201), Status: dashboard.StatusPassed},
		"results[1].attempts[0].status": {CaseName: "x", Status: dashboard.StatusPassed, Attempts: []dashboard.Attempt{{Status: "x"}}},
	} {
		_, _, err := f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{good, bad})
		f.invalid(err, field)
	}
	_, _, err = f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{good, {CaseID: foreign.ID, Status: dashboard.StatusPassed}})
	f.invalid(err, "results[1].case_id")
	_, _, err = f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{good, {CaseName: "done", Status: dashboard.StatusFailed}})
	var conflict *dashboard.ConflictError
	if !errors.As(err, &conflict) || conflict.State != dashboard.StatusPassed || conflict.Kind != dashboard.KindResult {
		f.Fatalf("a second verdict gave %v", err)
	}
	_, _, err = f.store.AddResults(f.ctx, e.ID, nil)
	f.invalid(err, "results")
	_, _, err = f.store.AddResults(f.ctx, e.ID, make([]dashboard.NewResult, dashboard.MaxResultBatch+1))
	f.invalid(err, "results")
	after, err := f.store.Execution(f.ctx, e.ID)
	f.ok(err)
	f.equal(after, before, "execution after refused batches")
	l, err := f.store.Cases(f.ctx, dashboard.CaseFilter{SuiteID: s.ID}, dashboard.Page{})
	f.ok(err)
	f.equal(l.Total, int64(1), "cases after refused batches")
}

// A running execution of a suite that was deleted goes on with the cases it has;
// it brings none to life.
func resultOfDeletedSuite(f *fixture) {
	s := f.suite("s")
	e := f.running(s.ID)
	_, err := f.store.DeleteSuite(f.ctx, s.ID)
	f.ok(err)
	_, _, err = f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{{CaseName: "new", Status: dashboard.StatusPassed}})
	f.is(err, dashboard.ErrConflict)
	st, err := f.store.Stats(f.ctx)
	f.ok(err)
	f.equal(st.TotalCases, int64(0), "cases")
	_, _, err = f.store.StopExecution(f.ctx, e.ID)
	f.ok(err)
}

func resultAgain(f *fixture) {
	s := f.suite("s")
	e := f.running(s.ID)
	batch := make([]dashboard.NewResult, 0, dashboard.MaxResultBatch)
	for i := range dashboard.MaxResultBatch {
		batch = append(batch, dashboard.NewResult{CaseName: fmt.Sprintf("case %d", i), Status: dashboard.StatusPassed, Flaky: i == 0, Attempts: []dashboard.Attempt{{Status: dashboard.StatusFailed}}})
	}
	first, _, err := f.store.AddResults(f.ctx, e.ID, batch)
	f.ok(err)
	again, _, err := f.store.AddResults(f.ctx, e.ID, batch)
	f.ok(err)
	f.equal(again, first, "execution after the same batch")
	f.equal(first.Total, dashboard.MaxResultBatch, "total")
	seq, _, err := f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{
		{CaseName: "one", Status: dashboard.StatusPending}, {CaseName: "one", Status: dashboard.StatusRunning}, {CaseName: "one", Status: dashboard.StatusSkipped},
	})
	f.ok(err)
	f.equal([]int{seq.Total, seq.Skipped}, []int{dashboard.MaxResultBatch + 1, 1}, "counts after a whole life in one batch")
}

func resultOrder(f *fixture) {
	s := f.suite("s")
	e := f.running(s.ID)
	var batch []dashboard.NewResult
	for i := range 4 {
		for j := len(dashboard.ResultStatuses) - 1; j >= 0; j-- {
			batch = append(batch, dashboard.NewResult{CaseName: fmt.Sprintf("case %d %s", i, dashboard.ResultStatuses[j]), Status: dashboard.ResultStatuses[j], Message: fmt.Sprintf("Message %d", i)})
		}
	}
	_, _, err := f.store.AddResults(f.ctx, e.ID, batch)
	f.ok(err)
	var got []string
	page := dashboard.Page{Limit: 5}
	for {
		l, err := f.store.Results(f.ctx, e.ID, dashboard.ResultFilter{}, page)
		f.ok(err)
		f.equal(l.Total, int64(24), "total")
		for _, r := range l.Items {
			got = append(got, r.CaseName)
		}
		if page.Cursor = l.Next; page.Cursor == "" {
			break
		}
	}
	var want []string
	for _, status := range dashboard.ResultStatuses {
		for i := range 4 {
			want = append(want, fmt.Sprintf("case %d %s", i, status))
		}
	}
	f.equal(got, want, "order")
	for _, x := range []struct {
		filter dashboard.ResultFilter
		want   int64
	}{
		{dashboard.ResultFilter{Status: dashboard.StatusSkipped}, 4},
		{dashboard.ResultFilter{Query: "message 3"}, 6},
		{dashboard.ResultFilter{Query: "CASE 1"}, 6},
		{dashboard.ResultFilter{Query: "case 1", Status: dashboard.StatusFailed}, 1},
		{dashboard.ResultFilter{Flaky: true}, 0},
	} {
		l, err := f.store.Results(f.ctx, e.ID, x.filter, dashboard.Page{})
		f.ok(err)
		f.equal([]int64{l.Total, int64(len(l.Items))}, []int64{x.want, x.want}, fmt.Sprintf("results by %+v", x.filter))
	}
	_, err = f.store.Results(f.ctx, 1<<40, dashboard.ResultFilter{}, dashboard.Page{})
	f.is(err, dashboard.ErrNotFound)
	_, err = f.store.Results(f.ctx, e.ID, dashboard.ResultFilter{Status: dashboard.StatusStopped}, dashboard.Page{})
	f.invalid(err, "status")
}

func resultTexts(f *fixture) {
	s := f.suite("s")
	e := f.running(s.ID)
	in := dashboard.NewResult{
		CaseName: "c", Status: dashboard.StatusPassed, StartedAt: new(Start.Add(-time.Second)), DurationMS: 12, Flaky: true,
		Message: "m\x1b[31m", Stack: "s <b>", Output: strings.Repeat("öx", dashboard.MaxText),
		Attempts: []dashboard.Attempt{{Status: dashboard.StatusFailed, DurationMS: 5, Message: "am", Stack: "as", Output: "ao"}, {Status: dashboard.StatusPassed}},
	}
	_, _, err := f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{in})
	f.ok(err)
	l, err := f.store.Results(f.ctx, e.ID, dashboard.ResultFilter{}, dashboard.Page{})
	f.ok(err)
	r := l.Items[0]
	if len(r.Output) > dashboard.MaxText || !strings.HasPrefix(r.Output, "öxöx") || !strings.HasSuffix(r.Output, "öx") || !strings.Contains(r.Output, "bytes cut") {
		f.Fatalf("a long output became %d bytes: %.20q…", len(r.Output), r.Output)
	}
	f.equal(r, dashboard.Result{
		ID: r.ID, ExecutionID: e.ID, CaseID: r.CaseID, CaseName: "c", TestType: "unit", Status: in.Status, StartedAt: in.StartedAt, DurationMS: 12,
		Message: in.Message, Stack: in.Stack, Output: r.Output, Attempts: in.Attempts, Flaky: true,
	}, "result")
}
