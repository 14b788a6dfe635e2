package storetest

import (
	"fmt"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// outcome adds an execution with one result for the case "c" of the suite.
func (f *fixture) outcome(suite, commit string, c dashboard.ReportCase) dashboard.Execution {
	f.Helper()
	if c.Name == "" {
		c.Name = "c"
	}
	in := report(suite, f.clock.Now().String(), c)
	in.Commit = commit
	got, _, err := f.store.Ingest(f.ctx, in)
	f.ok(err)
	f.clock.Advance(time.Minute)
	return got.Execution
}

func (f *fixture) caseID(name string) int64 {
	f.Helper()
	l, err := f.store.Cases(f.ctx, dashboard.CaseFilter{}, dashboard.Page{})
	f.ok(err)
	for _, c := range l.Items {
		if c.Name == name {
			return c.ID
		}
	}
	f.Fatalf("no case %q", name)
	return 0
}

var (
	pass = dashboard.ReportCase{Status: dashboard.StatusPassed, DurationMS: 100}
	fail = dashboard.ReportCase{Status: dashboard.StatusFailed, DurationMS: 300, Message: "boom 1\nat x", Stack: "s"}
	skip = dashboard.ReportCase{Status: dashboard.StatusSkipped}
	flap = dashboard.ReportCase{Status: dashboard.StatusPassed, Flaky: true, Attempts: []dashboard.Attempt{{Status: dashboard.StatusFailed}, {Status: dashboard.StatusPassed}}}
)

func historyOutcomes(f *fixture) {
	first := f.outcome("s", "c1", fail)
	f.outcome("s", "c1", pass)
	f.outcome("s", "c2", skip)
	last := f.outcome("s", "c3", fail)
	newest := f.outcome("s", "c4", flap)
	id := f.caseID("c")
	live := f.running(newest.SuiteID)
	_, _, err := f.store.AddResults(f.ctx, live.ID, []dashboard.NewResult{{CaseID: id, Status: dashboard.StatusRunning}})
	f.ok(err)
	h, err := f.store.History(f.ctx, id, 50)
	f.ok(err)
	f.equal([]any{h.CaseID, h.Runs, h.Passed, h.PassRate, h.TotalPassRate}, []any{id, int64(5), int64(2), 50.0, 50.0}, "counts")
	f.equal([]any{h.MedianDurationMS, h.P95DurationMS}, []any{int64(100), int64(300)}, "durations")
	f.equal([]any{h.FirstFailure.ExecutionID, h.LastFailure.ExecutionID}, []any{first.ID, last.ID}, "first and last failure")
	o := h.Outcomes[0]
	f.equal(o, dashboard.Outcome{ResultID: o.ResultID, ExecutionID: newest.ID, Status: "passed", Flaky: true, Attempts: 2, StartedAt: *newest.StartedAt, Branch: "main", Commit: "c4"}, "newest outcome")
	f.equal(h.Outcomes[1].Message, "boom 1", "message of an outcome")
	f.equal(h.Signs, []dashboard.Sign{
		{Name: dashboard.SignRetried, Value: 1, Of: 4, Threshold: 1, Met: true},
		{Name: dashboard.SignMixed, Value: 1, Of: 3, Threshold: 1, Met: true},
		{Name: dashboard.SignSwitches, Value: 3, Of: 3, Threshold: 3, Met: true},
	}, "signs")
	f.equal([]any{h.Flaky, len(h.Mixed), h.Mixed[0].Commit, h.Mixed[0].Outcomes[0].ExecutionID}, []any{true, 1, "c1", first.ID}, "verdict and mixed commits")
	two, err := f.store.History(f.ctx, id, 2)
	f.ok(err)
	f.equal(two.Outcomes, h.Outcomes[:2], "two outcomes")
	f.equal(two.Signs, h.Signs, "signs when fewer outcomes are asked for")
	none, err := f.store.History(f.ctx, 1<<40, 50)
	f.ok(err)
	f.equal([]any{none.Runs, len(none.Outcomes), none.Flaky, none.FirstFailure == nil}, []any{int64(0), 0, false, true}, "history of an unknown case")
	for _, limit := range []int{0, dashboard.MaxHistory + 1} {
		_, err = f.store.History(f.ctx, id, limit)
		f.invalid(err, "limit")
	}
}

func flakyCases(f *fixture) {
	for i := range 3 {
		f.outcome("s", fmt.Sprint("a", i), dashboard.ReportCase{Name: "broken", Status: dashboard.StatusFailed})
		f.outcome("s", fmt.Sprint("b", i), dashboard.ReportCase{Name: "sound", Status: dashboard.StatusPassed})
		f.outcome("s", fmt.Sprint("c", i), dashboard.ReportCase{Name: "skipped", Status: dashboard.StatusSkipped})
	}
	for i := range 4 {
		status := []dashboard.Status{dashboard.StatusPassed, dashboard.StatusError}[i%2]
		f.outcome("s", fmt.Sprint("d", i), dashboard.ReportCase{Name: "switches", Status: status})
		f.outcome("s", fmt.Sprint("e", i/2), dashboard.ReportCase{Name: "mixed", Status: status})
	}
	flapping := flap
	flapping.Name = "retried"
	f.outcome("s", "f", flapping)
	got, err := f.store.Flaky(f.ctx, 10)
	f.ok(err)
	f.equal(flakyNames(got), []string{"mixed", "switches", "retried"}, "flaky cases")
	m := got[0]
	f.equal([]any{m.SuiteName, m.PassRate, m.MixedCommits, len(m.Strip), m.Strip[0].Status, m.Strip[3].Status}, []any{"s", 50.0, 2, 4, dashboard.StatusPassed, dashboard.StatusError}, "mixed case")
	if m.LastFailure == nil || got[2].LastFailure != nil {
		f.Fatalf("last failures are %v and %v", m.LastFailure, got[2].LastFailure)
	}
	one, err := f.store.Flaky(f.ctx, 1)
	f.ok(err)
	f.equal(one, got[:1], "the worst")
	clean := dashboard.ReportCase{Name: "retried", Status: dashboard.StatusPassed}
	for i := range dashboard.CleanRuns {
		now, err := f.store.Flaky(f.ctx, 10)
		f.ok(err)
		f.equal(len(now), 3, fmt.Sprintf("flaky cases after %d clean runs", i))
		f.outcome("s", fmt.Sprint("g", i), clean)
	}
	got, err = f.store.Flaky(f.ctx, 10)
	f.ok(err)
	f.equal(flakyNames(got), []string{"mixed", "switches"}, "flaky cases after ten clean runs")
	_, err = f.store.DeleteCase(f.ctx, got[0].CaseID)
	f.ok(err)
	got, err = f.store.Flaky(f.ctx, 10)
	f.ok(err)
	f.equal(flakyNames(got), []string{"switches"}, "flaky cases after one was deleted")
	_, err = f.store.Flaky(f.ctx, 0)
	f.invalid(err, "limit")
}

func flakyNames(cases []dashboard.FlakyCase) []string {
	var out []string
	for _, c := range cases {
		out = append(out, c.CaseName)
	}
	return out
}

func slowestCases(f *fixture) {
	f.outcome("s", "", dashboard.ReportCase{Name: "long ago", Status: dashboard.StatusPassed, DurationMS: 1_000_000})
	f.clock.Advance(32 * 24 * time.Hour)
	for i := range 20 {
		f.outcome("s", "", dashboard.ReportCase{Name: "grows", Status: dashboard.StatusPassed, DurationMS: int64(i+1) * 10})
		f.outcome("s", "", dashboard.ReportCase{Name: "steady", Status: dashboard.StatusFailed, DurationMS: 150})
		f.outcome("s", "", dashboard.ReportCase{Name: "skipped", Status: dashboard.StatusSkipped, DurationMS: 500})
	}
	got, err := f.store.Slowest(f.ctx, 10)
	f.ok(err)
	want := []dashboard.SlowCase{
		{CaseName: "grows", Runs: 20, MedianDurationMS: 100, P95DurationMS: 190, MaxDurationMS: 200},
		{CaseName: "steady", Runs: 20, MedianDurationMS: 150, P95DurationMS: 150, MaxDurationMS: 150},
	}
	for i := range want {
		want[i].CaseID, want[i].SuiteName, want[i].SuiteID = f.caseID(want[i].CaseName), "s", got[0].SuiteID
	}
	f.equal(got, want, "slowest")
	live := f.running(got[0].SuiteID)
	_, _, err = f.store.AddResults(f.ctx, live.ID, []dashboard.NewResult{{CaseName: "live", Status: dashboard.StatusPassed, DurationMS: 9999}})
	f.ok(err)
	again, err := f.store.Slowest(f.ctx, 1)
	f.ok(err)
	f.equal(again, want[:1], "slowest while an execution runs")
	_, err = f.store.Slowest(f.ctx, dashboard.MaxInsights+1)
	f.invalid(err, "limit")
}

func topErrors(f *fixture) {
	bad := func(suite, name, message string) dashboard.Execution {
		return f.outcome(suite, "", dashboard.ReportCase{Name: name, Status: dashboard.StatusFailed, Message: message})
	}
	bad("old", "x", "forgotten")
	f.clock.Advance(32 * 24 * time.Hour)
	bad("a", "one", "timeout after 30000 ms at 0xdeadbeef\n  stack")
	bad("a", "two", "timeout after 17 ms at 0x1")
	last := bad("b", "three", "timeout after 5 ms at 0x2")
	f.outcome("a", "", dashboard.ReportCase{Name: "four", Status: dashboard.StatusError, Message: "refused"})
	f.outcome("a", "", dashboard.ReportCase{Name: "five", Status: dashboard.StatusSkipped, Message: "not an error"})
	got, err := f.store.TopErrors(f.ctx, 10)
	f.ok(err)
	f.equal(len(got), 2, "number of errors")
	f.equal(got[0], dashboard.TopError{
		Signature: "timeout after # ms at #", Message: "timeout after 5 ms at 0x2", Count: 3, Cases: 3, Suites: 2,
		SuiteID: last.SuiteID, SuiteName: "b", CaseID: f.caseID("three"), CaseName: "three", ExecutionID: last.ID, LastSeen: *last.EndedAt,
	}, "most frequent error")
	f.equal([]any{got[1].Message, got[1].Count}, []any{"refused", int64(1)}, "second error")
	_, err = f.store.TopErrors(f.ctx, 0)
	f.invalid(err, "limit")
}

func compareExecutions(f *fixture) {
	run := func(suite string, cases ...dashboard.ReportCase) int64 {
		in := report(suite, f.clock.Now().String(), cases...)
		f.clock.Advance(time.Second)
		got, _, err := f.store.Ingest(f.ctx, in)
		f.ok(err)
		return got.Execution.ID
	}
	c := func(name string, status dashboard.Status, ms int64) dashboard.ReportCase {
		return dashboard.ReportCase{Name: name, Status: status, DurationMS: ms, Message: "message of " + name}
	}
	base := run("s", c("breaks", "passed", 10), c("stays", "failed", 10), c("mends", "error", 10), c("slows", "passed", 1000), c("slows more", "passed", 1000),
		c("hardly slows", "passed", 10), c("goes", "passed", 10), c("pauses", "passed", 10), c("same", "passed", 10))
	head := run("s", c("breaks", "failed", 10), c("stays", "error", 10), c("mends", "passed", 10), c("slows", "passed", 1500), c("slows more", "passed", 3000),
		c("hardly slows", "passed", 200), c("comes", "passed", 10), c("comes broken", "failed", 10), c("pauses", "skipped", 0), c("same", "passed", 10))
	got, err := f.store.Compare(f.ctx, base, head)
	f.ok(err)
	f.equal(got.Counts, dashboard.DeltaCounts{NewFailures: 2, StillFailing: 1, Fixed: 1, Slower: 2, Added: 2, Removed: 1, NewlySkipped: 1}, "counts")
	for _, x := range []struct {
		what  string
		got   []dashboard.Delta
		names []string
	}{
		{"new failures", got.NewFailures, []string{"breaks", "comes broken"}}, {"still failing", got.StillFailing, []string{"stays"}}, {"fixed", got.Fixed, []string{"mends"}},
		{"slower", got.Slower, []string{"slows more", "slows"}}, {"added", got.Added, []string{"comes", "comes broken"}}, {"removed", got.Removed, []string{"goes"}}, {"newly skipped", got.NewlySkipped, []string{"pauses"}},
	} {
		var names []string
		for _, d := range x.got {
			names = append(names, d.CaseName)
		}
		f.equal(names, x.names, x.what)
	}
	f.equal(*got.NewFailures[0].Head, dashboard.Side{Status: "failed", DurationMS: 10, Message: "message of breaks"}, "head of a new failure")
	f.equal([]any{got.Slower[0].Ratio, got.Added[0].Base == nil, got.Removed[0].Head == nil, got.Base.ID, got.Head.ID}, []any{3.0, true, true, base, head}, "deltas")
	_, err = f.store.Compare(f.ctx, base, run("other"))
	f.invalid(err, "head")
	for _, ids := range [][2]int64{{base, 1 << 40}, {1 << 40, head}} {
		_, err = f.store.Compare(f.ctx, ids[0], ids[1])
		f.is(err, dashboard.ErrNotFound)
	}
}

func failingRuns(f *fixture) {
	f.outcome("s", "", pass)
	f.outcome("s", "", fail)
	f.outcome("s", "", skip)
	second := f.outcome("s", "", fail)
	check := func(id int64, want int) {
		l, err := f.store.Results(f.ctx, id, dashboard.ResultFilter{}, dashboard.Page{})
		f.ok(err)
		f.equal(l.Items[0].FailingRuns, want, "failing runs")
	}
	check(second.ID, 2)
	check(f.outcome("s", "", pass).ID, 0)
	check(f.outcome("s", "", fail).ID, 1)
	var last dashboard.Execution
	for range dashboard.MaxFailingRuns + 3 {
		last = f.outcome("s", "", fail)
	}
	check(last.ID, dashboard.MaxFailingRuns)
}

func searchNames(f *fixture) {
	a := f.suite("Checkout API")
	b := f.suite("storefront")
	gone := f.suite("checkout old")
	c := f.testCase(b.ID, "checkout › pays 100%")
	_, err := f.store.DeleteSuite(f.ctx, gone.ID)
	f.ok(err)
	e, _, err := f.store.CreateExecution(f.ctx, dashboard.NewExecution{SuiteID: a.ID, Commit: "abcdef123"})
	f.ok(err)
	got, err := f.store.Search(f.ctx, " CHECKOUT ", 10)
	f.ok(err)
	f.equal(got, dashboard.Found{
		Suites:     []dashboard.FoundItem{{ID: a.ID, Name: "Checkout API", SuiteID: a.ID, SuiteName: "Checkout API"}},
		Cases:      []dashboard.FoundItem{{ID: c.ID, Name: c.Name, SuiteID: b.ID, SuiteName: "storefront"}},
		Executions: []dashboard.Execution{},
	}, "found by name")
	for query, want := range map[string]int{"abcd": 1, "abcdef123": 1, "abc": 0, "bcdef": 0, fmt.Sprint("#", e.ID): 1, "%%%%": 0} {
		got, err := f.store.Search(f.ctx, query, 10)
		f.ok(err)
		f.equal(len(got.Executions), want, "executions found by "+query)
	}
	for _, query := range []string{"", " ", "\xff"} {
		_, err = f.store.Search(f.ctx, query, 10)
		f.invalid(err, "q")
	}
	_, err = f.store.Search(f.ctx, "x", 0)
	f.invalid(err, "limit")
}
