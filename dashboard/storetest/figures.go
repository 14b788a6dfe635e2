package storetest

import (
	"time"

	"github.com/larder-go/larder/dashboard"
)

func statsCount(f *fixture) {
	a := f.suite("a")
	gone := f.suite("gone")
	f.testCase(gone.ID, "gone too")
	f.testCase(a.ID, "one")
	dead := f.testCase(a.ID, "dead")
	f.ran(a.ID, 10*time.Second, dashboard.StatusPassed)
	f.clock.Advance(25 * time.Hour)
	f.ran(a.ID, 20*time.Second, dashboard.StatusPassed)
	f.ran(a.ID, 30*time.Second, dashboard.StatusFailed)
	f.ran(gone.ID, 40*time.Second, dashboard.StatusStopped)
	f.running(a.ID)
	_, _, err := f.store.CreateExecution(f.ctx, dashboard.NewExecution{SuiteID: a.ID})
	f.ok(err)
	_, err = f.store.DeleteSuite(f.ctx, gone.ID)
	f.ok(err)
	_, err = f.store.DeleteCase(f.ctx, dead.ID)
	f.ok(err)
	got, err := f.store.Stats(f.ctx)
	f.ok(err)
	f.equal(got, dashboard.Stats{
		TotalSuites: 1, TotalCases: 1, TotalExecutions: 6, ActiveExecutions: 1, PendingExecutions: 1,
		SuccessRate: 50, AvgDurationMS: 25_000, Last24hExecutions: 5, PassedExecutions: 2, FinishedExecutions: 4,
	}, "stats")
}

func figuresEmpty(f *fixture) {
	st, err := f.store.Stats(f.ctx)
	f.ok(err)
	f.equal(st, dashboard.Stats{}, "stats")
	tr, err := f.store.Trends(f.ctx, 3, nil)
	f.ok(err)
	f.equal(tr, []dashboard.TrendDay{{Date: "2026-03-16"}, {Date: "2026-03-17"}, {Date: "2026-03-18"}}, "trends")
	recent, err := f.store.Recent(f.ctx, 10)
	f.ok(err)
	f.equal(recent, []dashboard.Execution{}, "recent")
	types, err := f.store.TestTypes(f.ctx)
	f.ok(err)
	f.equal(types[0], dashboard.TypeShare{TestType: "api"}, "first type")
	f.equal(len(types), len(dashboard.TestTypes), "types")
	perf, err := f.store.Performance(f.ctx)
	f.ok(err)
	f.equal(perf, dashboard.PerformanceMetrics{Days: 30, Suites: []dashboard.SuitePerformance{}}, "performance")
	health, err := f.store.Health(f.ctx, "main")
	f.ok(err)
	f.equal(health, []dashboard.SuiteHealth{}, "health")
	for _, days := range []int{0, -1, dashboard.MaxTrendDays + 1} {
		_, err = f.store.Trends(f.ctx, days, nil)
		f.invalid(err, "days")
	}
	for _, limit := range []int{0, -1, dashboard.MaxLimit + 1} {
		_, err = f.store.Recent(f.ctx, limit)
		f.invalid(err, "limit")
	}
	f.ok(f.store.Ping(f.ctx))
}

func trendDays(f *fixture) {
	s := f.suite("s")
	kathmandu, err := time.LoadLocation("Asia/Kathmandu") // UTC+5:45
	f.ok(err)
	f.ran(s.ID, time.Second, dashboard.StatusPassed)    // 18th, 10:30
	f.clock.Advance(8*time.Hour - 2*time.Second)        // 18:29:59 UTC is 00:14:59 of the 19th there
	f.ran(s.ID, 3*time.Second, dashboard.StatusFailed)  //
	f.clock.Advance(48 * time.Hour)                     // 20th
	f.ran(s.ID, 5*time.Second, dashboard.StatusError)   //
	f.ran(s.ID, 7*time.Second, dashboard.StatusStopped) //
	f.running(s.ID)                                     // does not count
	utc, err := f.store.Trends(f.ctx, 4, time.UTC)
	f.ok(err)
	f.equal(utc, []dashboard.TrendDay{
		{Date: "2026-03-17"},
		{Date: "2026-03-18", Total: 2, Passed: 1, Failed: 1, SuccessRate: 50, AvgDurationMS: 2000},
		{Date: "2026-03-19"},
		{Date: "2026-03-20", Total: 2, Error: 1, Stopped: 1, AvgDurationMS: 6000},
	}, "trends in UTC")
	there, err := f.store.Trends(f.ctx, 4, kathmandu)
	f.ok(err)
	f.equal(there, []dashboard.TrendDay{
		{Date: "2026-03-18", Total: 1, Passed: 1, SuccessRate: 100, AvgDurationMS: 1000},
		{Date: "2026-03-19", Total: 1, Failed: 1, AvgDurationMS: 3000},
		{Date: "2026-03-20"},
		{Date: "2026-03-21", Total: 2, Error: 1, Stopped: 1, AvgDurationMS: 6000},
	}, "trends in Kathmandu")
}

// trendClocks runs once an hour over the days on which clocks change in Berlin:
// the day of the change has 23 runs, each other 24, and none is lost.
func trendClocks(f *fixture) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	f.ok(err)
	s := f.suite("s")
	f.clock.Advance(time.Date(2026, 3, 27, 23, 30, 0, 0, time.UTC).Sub(Start)) // 00:30 of the 28th
	for range 24 + 23 + 12 {
		f.ran(s.ID, 0, dashboard.StatusPassed)
		f.clock.Advance(time.Hour)
	}
	f.clock.Advance(-time.Hour)
	got, err := f.store.Trends(f.ctx, 3, berlin)
	f.ok(err)
	var totals []int64
	for _, d := range got {
		totals = append(totals, d.Total)
	}
	f.equal(totals, []int64{24, 23, 12}, "runs per day")
	f.equal([]string{got[0].Date, got[2].Date}, []string{"2026-03-28", "2026-03-30"}, "days")
}

func recentTypesHealth(f *fixture) {
	a, b := f.suite("b-side"), f.suite("a-side")
	for _, kind := range []dashboard.TestType{"ui", "ui", "db"} {
		_, _, err := f.store.CreateCase(f.ctx, dashboard.NewCase{SuiteID: a.ID, Name: string(kind) + f.clock.Now().String(), TestType: kind})
		f.ok(err)
		f.clock.Advance(time.Second)
	}
	types, err := f.store.TestTypes(f.ctx)
	f.ok(err)
	f.equal([]any{types[0].TestType, types[0].Count, types[1].TestType, types[1].Count, types[2].Count}, []any{dashboard.TestType("ui"), int64(2), dashboard.TestType("db"), int64(1), int64(0)}, "types")
	f.ran(a.ID, time.Second, dashboard.StatusFailed)
	f.ran(a.ID, time.Second, dashboard.StatusPassed)
	red := f.ran(a.ID, time.Second, dashboard.StatusError)
	newest := f.ran(a.ID, time.Second, dashboard.StatusFailed)
	f.ran(a.ID, time.Second, dashboard.StatusStopped)
	green := f.ran(b.ID, time.Second, dashboard.StatusPassed)
	live := f.running(a.ID)
	f.suite("never ran")
	health, err := f.store.Health(f.ctx, "main")
	f.ok(err)
	f.equal(health, []dashboard.SuiteHealth{
		{SuiteID: b.ID, SuiteName: "a-side", Execution: green},
		{SuiteID: a.ID, SuiteName: "b-side", Execution: newest, Red: true, RedSince: red.ID},
	}, "health")
	other, err := f.store.Health(f.ctx, "other")
	f.ok(err)
	f.equal(other, []dashboard.SuiteHealth{}, "health of another branch")
	recent, err := f.store.Recent(f.ctx, 2)
	f.ok(err)
	f.equal(recent, []dashboard.Execution{live, green}, "recent")
}

func performanceFigures(f *fixture) {
	a, b := f.suite("b-side"), f.suite("a-side")
	f.ran(a.ID, time.Hour, dashboard.StatusPassed) // falls out of the 30 days
	f.clock.Advance(30 * 24 * time.Hour)
	for i := range 20 {
		status := dashboard.StatusPassed
		if i%4 == 0 {
			status = dashboard.StatusFailed
		}
		f.ran(a.ID, time.Duration(i+1)*time.Second, status)
	}
	f.clock.Advance(24 * time.Hour)
	f.ran(b.ID, 500*time.Millisecond, dashboard.StatusPassed)
	got, err := f.store.Performance(f.ctx)
	f.ok(err)
	for i := range got.Suites {
		for day, v := range got.Suites[i].Daily {
			want := (*int64)(nil)
			switch {
			case i == 0 && day == 29:
				want = new(int64(500))
			case i == 1 && day == 28:
				want = new(int64(10_000))
			}
			f.equal(v, want, "median of a day")
		}
		got.Suites[i].Daily = nil
	}
	f.equal(got, dashboard.PerformanceMetrics{
		Days: 30, TotalExecutions: 21, SuccessRate: 100 * 16.0 / 21, AvgDurationMS: 210_500.0 / 21, MinDurationMS: 500, MaxDurationMS: 20_000,
		MedianDurationMS: 10_000, P95DurationMS: 19_000,
		Suites: []dashboard.SuitePerformance{
			{SuiteID: b.ID, SuiteName: "a-side", Runs: 1, SuccessRate: 100, MedianDurationMS: 500, P95DurationMS: 500},
			{SuiteID: a.ID, SuiteName: "b-side", Runs: 20, SuccessRate: 75, MedianDurationMS: 10_000, P95DurationMS: 19_000},
		},
	}, "performance")
}

func changes(f *fixture) {
	s, change, err := f.store.CreateSuite(f.ctx, dashboard.NewSuite{Name: "s"})
	f.ok(err)
	f.equal(change, dashboard.Change{Suites: []dashboard.SuiteChange{{ID: s.ID, Op: dashboard.Created}}}, "change of a new suite")
	c, change, err := f.store.CreateCase(f.ctx, dashboard.NewCase{SuiteID: s.ID, Name: "c"})
	f.ok(err)
	f.equal(change, dashboard.Change{Cases: []dashboard.CaseChange{{ID: c.ID, SuiteID: s.ID, OldSuiteID: s.ID, Op: dashboard.Created}}}, "change of a new case")
	e, change, err := f.store.CreateExecution(f.ctx, dashboard.NewExecution{SuiteID: s.ID})
	f.ok(err)
	f.equal(change, dashboard.Change{Executions: []dashboard.ExecutionChange{{ID: e.ID, SuiteID: s.ID, Op: dashboard.Created}}}, "change of a new execution")
	_, change, err = f.store.StartExecution(f.ctx, e.ID)
	f.ok(err)
	f.equal(change, dashboard.Change{Executions: []dashboard.ExecutionChange{{ID: e.ID, SuiteID: s.ID, Op: dashboard.Updated}}}, "change of a start")
	_, change, err = f.store.AddResults(f.ctx, e.ID, []dashboard.NewResult{{CaseID: c.ID, Status: dashboard.StatusPassed}})
	f.ok(err)
	f.equal(change, dashboard.Change{Executions: []dashboard.ExecutionChange{{ID: e.ID, SuiteID: s.ID, Op: dashboard.Updated, Results: true}}}, "change of results")
	change, err = f.store.DeleteSuite(f.ctx, s.ID)
	f.ok(err)
	f.equal(change, dashboard.Change{
		Suites: []dashboard.SuiteChange{{ID: s.ID, Op: dashboard.Deleted}},
		Cases:  []dashboard.CaseChange{{ID: c.ID, SuiteID: s.ID, OldSuiteID: s.ID, Op: dashboard.Deleted}},
	}, "change of a deleted suite")
}
