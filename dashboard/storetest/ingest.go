package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/dashboard"
)

func report(suite, hash string, cases ...dashboard.ReportCase) dashboard.Ingestion {
	in := dashboard.Ingestion{Suite: suite, ContentHash: hash, Run: "run 1"}
	in.Branch, in.Commit = "main", "abc"
	in.Report = dashboard.Report{Format: "junit", Suites: 1, Cases: cases, DurationMS: 1500}
	return in
}

func mixedCases() []dashboard.ReportCase {
	return []dashboard.ReportCase{
		{Name: "passes", Status: dashboard.StatusPassed, DurationMS: 10},
		{Name: "fails", Status: dashboard.StatusFailed, Message: "m", Stack: "s", Output: "o"},
		{Name: "errs", Status: dashboard.StatusError},
		{Name: "skips", Status: dashboard.StatusSkipped},
		{Name: "flaps", Status: dashboard.StatusPassed, Flaky: true, Attempts: []dashboard.Attempt{{Status: dashboard.StatusFailed, Message: "x"}, {Status: dashboard.StatusPassed}}},
	}
}

func ingestWhole(f *fixture) {
	f.testCase(f.suite("known").ID, "passes")
	got, change, err := f.store.Ingest(f.ctx, report("known", "h", mixedCases()...))
	f.ok(err)
	e := got.Execution
	f.equal(e.Counts, dashboard.Counts{Total: 5, Passed: 2, Failed: 1, Skipped: 1, Errors: 1}, "counts")
	f.equal([]any{e.Status, e.Flaky, *e.DurationMS, e.Branch, e.Commit, string(e.ExecutionType)}, []any{dashboard.StatusFailed, 1, int64(1500), "main", "abc", "ci"}, "execution")
	f.equal([]any{*e.StartedAt, *e.EndedAt}, []any{Start.Add(-1500 * time.Millisecond), Start}, "times")
	f.equal([]any{got.SuiteCreated, got.CasesCreated, got.Duplicate, len(change.Cases)}, []any{false, 4, false, 4}, "what the ingestion did")
	l, err := f.store.Results(f.ctx, e.ID, dashboard.ResultFilter{}, dashboard.Page{})
	f.ok(err)
	f.equal([]any{l.Total, l.Items[0].CaseName, l.Items[0].Message, l.Items[0].Stack, l.Items[0].Output}, []any{int64(5), "fails", "m", "s", "o"}, "results")
	other, _, err := f.store.Ingest(f.ctx, report("unknown", "h", mixedCases()...))
	f.ok(err)
	f.equal([]any{other.SuiteCreated, other.CasesCreated}, []any{true, 5}, "ingestion into a new suite")
	made, err := f.store.Suite(f.ctx, other.Execution.SuiteID)
	f.ok(err)
	f.equal(made.FrameworkType, "junit", "framework of the suite that a report made")
	at := Start.AddDate(0, 0, -3)
	old := report("known", "old")
	old.StartedAt = &at
	past, _, err := f.store.Ingest(f.ctx, old)
	f.ok(err)
	f.equal([]any{*past.Execution.StartedAt, past.Execution.Status, past.Execution.Total}, []any{at, dashboard.StatusPassed, 0}, "execution of an empty report in the past")
}

func ingestAgain(f *fixture) {
	first, _, err := f.store.Ingest(f.ctx, report("s", "h", mixedCases()...))
	f.ok(err)
	again, change, err := f.store.Ingest(f.ctx, report("s", "h", mixedCases()...))
	f.ok(err)
	f.equal([]any{again.Duplicate, again.Execution, change.Empty()}, []any{true, first.Execution, true}, "second ingestion")
	run := report("s", "h", mixedCases()...)
	run.Run = "run 2"
	second, _, err := f.store.Ingest(f.ctx, run)
	f.ok(err)
	run.Run = "https://ci.example/" + strings.Repeat("é", 1900)
	for i := range 2 {
		long, _, err := f.store.Ingest(f.ctx, run)
		f.ok(err)
		f.equal(long.Duplicate, i == 1, "duplicate of a run with a long name")
	}
	content, _, err := f.store.Ingest(f.ctx, report("s", "h2", mixedCases()...))
	f.ok(err)
	suite, _, err := f.store.Ingest(f.ctx, report("s2", "h", mixedCases()...))
	f.ok(err)
	f.equal([]any{second.Duplicate, content.Duplicate, suite.Duplicate}, []any{false, false, false}, "ingestions that differ")
	l, err := f.store.Executions(f.ctx, dashboard.ExecutionFilter{}, dashboard.Page{})
	f.ok(err)
	f.equal(l.Total, int64(5), "executions")
}

func ingestRace(f *fixture) {
	var (
		wg      sync.WaitGroup
		written atomic.Int32
		ids     [12]int64
	)
	for i := range ids {
		wg.Go(func() {
			got, _, err := f.store.Ingest(f.ctx, report("s", "h", mixedCases()...))
			if err != nil {
				f.Error(err)
			}
			if !got.Duplicate {
				written.Add(1)
			}
			ids[i] = got.Execution.ID
		})
	}
	wg.Wait()
	f.equal(written.Load(), int32(1), "reports written")
	for _, id := range ids {
		f.equal(id, ids[0], "execution")
	}
	st, err := f.store.Stats(f.ctx)
	f.ok(err)
	f.equal([]int64{st.TotalSuites, st.TotalCases, st.TotalExecutions}, []int64{1, 5, 1}, "suites, cases, executions")
}

func ingestInvalid(f *fixture) {
	twice := []dashboard.ReportCase{{Name: "a", Status: dashboard.StatusPassed}, {Name: "a", Status: dashboard.StatusPassed}}
	bad := map[string]dashboard.Ingestion{
		"suite":        report("", "h"),
		"content_hash": report("s", ""),
		"report":       report("s", "h", twice...),
	}
	typed := report("s", "h")
	typed.TestType = "smoke"
	bad["test_type"] = typed
	for field, in := range bad {
		_, _, err := f.store.Ingest(f.ctx, in)
		f.invalid(err, field)
	}
	_, _, err := f.store.Ingest(f.ctx, report("s", "h", dashboard.ReportCase{Name: strings.Repeat("n", 201), Status: dashboard.StatusPassed}))
	f.invalid(err, "report")
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	if _, _, err := f.store.Ingest(ctx, report("s", "h", mixedCases()...)); err == nil {
		f.Fatal("an ingestion with a cancelled context succeeded")
	}
	st, err := f.store.Stats(f.ctx)
	f.ok(err)
	f.equal(st, dashboard.Stats{}, "stats after refused reports")
}

func ingestHostile(f *fixture) {
	hostile := []string{
		"'; DROP TABLE suites; --", "a\x1b[31mred\x07", "<script>alert(1)</script>", "line\u2028separator", "𒍺𡓿𠄉", "%_\\", "\u202eevil", `"quoted"`, "tab\tnew\nline",
	}
	var cases []dashboard.ReportCase
	for _, h := range hostile {
		cases = append(cases, dashboard.ReportCase{Name: h, Status: dashboard.StatusFailed, Message: h, Stack: h, Output: h})
	}
	got, _, err := f.store.Ingest(f.ctx, report("hostile", "h", cases...))
	f.ok(err)
	l, err := f.store.Results(f.ctx, got.Execution.ID, dashboard.ResultFilter{}, dashboard.Page{})
	f.ok(err)
	for i, h := range hostile {
		r := l.Items[i]
		f.equal([]string{r.CaseName, r.Message, r.Stack, r.Output}, []string{h, h, h, h}, fmt.Sprintf("text %d", i))
	}
}
