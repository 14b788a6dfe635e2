package storetest

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/dashboard"
)

func executionLife(f *fixture) {
	s := f.suite("s")
	in := dashboard.NewExecution{
		SuiteID: s.ID, ExecutedBy: "ada", ExecutionType: "ci", Environment: "staging", Branch: "main", Commit: "abc", RunURL: "https://ci.example/1",
	}
	e, _, err := f.store.CreateExecution(f.ctx, in)
	f.ok(err)
	want := dashboard.Execution{
		ID: e.ID, SuiteID: s.ID, SuiteName: "s", ExecutedBy: "ada", ExecutionType: "ci", Environment: "staging", Branch: "main",
		Commit: "abc", RunURL: "https://ci.example/1", Status: dashboard.StatusPending, CreatedAt: Start, ResultsSummary: json.RawMessage("{}"),
	}
	f.equal(e, want, "created execution")
	f.clock.Advance(time.Second)
	e, _, err = f.store.StartExecution(f.ctx, e.ID)
	f.ok(err)
	want.Status, want.StartedAt = dashboard.StatusRunning, new(Start.Add(time.Second))
	f.equal(e, want, "started execution")
	f.clock.Advance(1500 * time.Millisecond)
	e, _, err = f.store.FinishExecution(f.ctx, e.ID, dashboard.Finish{ResultsSummary: json.RawMessage(`{"a": 1}`)})
	f.ok(err)
	want.Status, want.EndedAt, want.DurationMS = dashboard.StatusPassed, new(Start.Add(2500*time.Millisecond)), new(int64(1500))
	want.ResultsSummary = json.RawMessage(`{"a":1}`)
	f.equal(e, want, "finished execution")
	read, err := f.store.Execution(f.ctx, e.ID)
	f.ok(err)
	f.equal(read, want, "read execution")
	_, err = f.store.Execution(f.ctx, 1<<40)
	f.is(err, dashboard.ErrNotFound)
	f.executionInvalid(s.ID, e.ID)
}

func (f *fixture) executionInvalid(suite, id int64) {
	f.Helper()
	for field, in := range map[string]dashboard.NewExecution{
		"suite_id":       {SuiteID: 1 << 40},
		"execution_type": {SuiteID: suite, ExecutionType: "nightly"},
		"run_url":        {SuiteID: suite, RunURL: "javascript:alert(1)"},
		"branch":         {SuiteID: suite, Branch: strings.Repeat("b", dashboard.MaxLabel+1)},
	} {
		_, _, err := f.store.CreateExecution(f.ctx, in)
		f.invalid(err, field)
	}
	_, _, err := f.store.FinishExecution(f.ctx, id, dashboard.Finish{Status: dashboard.StatusStopped})
	f.invalid(err, "status")
	_, _, err = f.store.FinishExecution(f.ctx, id, dashboard.Finish{ResultsSummary: json.RawMessage("7")})
	f.invalid(err, "results_summary")
}

func executionIllegal(f *fixture) {
	s := f.suite("s")
	act := map[string]func(int64) error{
		"start": func(id int64) error { _, _, err := f.store.StartExecution(f.ctx, id); return err },
		"stop":  func(id int64) error { _, _, err := f.store.StopExecution(f.ctx, id); return err },
		"finish": func(id int64) error {
			_, _, err := f.store.FinishExecution(f.ctx, id, dashboard.Finish{Status: dashboard.StatusPassed})
			return err
		},
		"results": func(id int64) error {
			_, _, err := f.store.AddResults(f.ctx, id, []dashboard.NewResult{{CaseName: "x", Status: dashboard.StatusPassed}})
			return err
		},
	}
	pending, _, err := f.store.CreateExecution(f.ctx, dashboard.NewExecution{SuiteID: s.ID})
	f.ok(err)
	states := map[dashboard.Status]struct {
		id      int64
		illegal []string
	}{
		dashboard.StatusPending: {pending.ID, []string{"stop", "finish", "results"}},
		dashboard.StatusRunning: {f.running(s.ID).ID, []string{"start"}},
		dashboard.StatusPassed:  {f.ran(s.ID, 0, dashboard.StatusPassed).ID, []string{"start", "stop", "finish", "results"}},
		dashboard.StatusFailed:  {f.ran(s.ID, 0, dashboard.StatusFailed).ID, []string{"start", "stop", "finish", "results"}},
		dashboard.StatusError:   {f.ran(s.ID, 0, dashboard.StatusError).ID, []string{"start", "stop", "finish", "results"}},
		dashboard.StatusStopped: {f.ran(s.ID, 0, dashboard.StatusStopped).ID, []string{"start", "stop", "finish", "results"}},
	}
	for state, x := range states {
		before, err := f.store.Execution(f.ctx, x.id)
		f.ok(err)
		for _, verb := range x.illegal {
			err := act[verb](x.id)
			var conflict *dashboard.ConflictError
			if !errors.As(err, &conflict) || conflict.State != state {
				f.Errorf("%s of a %s execution gave %v", verb, state, err)
			}
		}
		after, err := f.store.Execution(f.ctx, x.id)
		f.ok(err)
		f.equal(after, before, "execution after refused verbs")
	}
	for verb, do := range act {
		if err := do(1 << 40); !errors.Is(err, dashboard.ErrNotFound) {
			f.Errorf("%s of an unknown execution gave %v", verb, err)
		}
	}
}

func executionRace(f *fixture) {
	s := f.suite("s")
	e := f.running(s.ID)
	var (
		wg        sync.WaitGroup
		won, lost atomic.Int32
	)
	for i := range 16 {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				_, _, err = f.store.StopExecution(f.ctx, e.ID)
			} else {
				_, _, err = f.store.FinishExecution(f.ctx, e.ID, dashboard.Finish{})
			}
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, dashboard.ErrConflict):
				lost.Add(1)
			default:
				f.Error(err)
			}
		})
	}
	wg.Wait()
	f.equal([]int32{won.Load(), lost.Load()}, []int32{1, 15}, "won and lost")
}

func executionFilters(f *fixture) {
	a, b := f.suite("a"), f.suite("b")
	add := func(in dashboard.NewExecution) int64 {
		e, _, err := f.store.CreateExecution(f.ctx, in)
		f.ok(err)
		return e.ID
	}
	one := add(dashboard.NewExecution{SuiteID: a.ID, ExecutionType: "ci", Branch: "main", Commit: "1", Environment: "dev"})
	two := add(dashboard.NewExecution{SuiteID: a.ID, ExecutionType: "manual", Branch: "main", Commit: "2"})
	three := add(dashboard.NewExecution{SuiteID: b.ID, ExecutionType: "ci", Branch: "fix", Commit: "2"})
	_, _, err := f.store.StartExecution(f.ctx, two)
	f.ok(err)
	for _, x := range []struct {
		name   string
		filter dashboard.ExecutionFilter
		want   []int64
	}{
		{"none", dashboard.ExecutionFilter{}, []int64{three, two, one}},
		{"suite", dashboard.ExecutionFilter{SuiteID: a.ID}, []int64{two, one}},
		{"status", dashboard.ExecutionFilter{Status: dashboard.StatusPending}, []int64{three, one}},
		{"suite and status", dashboard.ExecutionFilter{SuiteID: a.ID, Status: dashboard.StatusPending}, []int64{one}},
		{"type", dashboard.ExecutionFilter{ExecutionType: "ci"}, []int64{three, one}},
		{"branch", dashboard.ExecutionFilter{Branch: "main"}, []int64{two, one}},
		{"commit", dashboard.ExecutionFilter{Commit: "2"}, []int64{three, two}},
		{"environment", dashboard.ExecutionFilter{Environment: "dev"}, []int64{one}},
	} {
		l, err := f.store.Executions(f.ctx, x.filter, dashboard.Page{Limit: 1})
		f.ok(err)
		got := []int64{l.Items[0].ID}
		for l.Next != "" {
			l, err = f.store.Executions(f.ctx, x.filter, dashboard.Page{Limit: 1, Cursor: l.Next})
			f.ok(err)
			got = append(got, l.Items[0].ID)
		}
		f.equal(got, x.want, "executions by "+x.name)
		f.equal(l.Total, int64(len(x.want)), "total by "+x.name)
	}
	_, err = f.store.Executions(f.ctx, dashboard.ExecutionFilter{Status: dashboard.StatusSkipped}, dashboard.Page{})
	f.invalid(err, "status")
}

func executionReap(f *fixture) {
	s := f.suite("s")
	silent := f.running(s.ID)
	f.clock.Advance(time.Hour)
	pending, _, err := f.store.CreateExecution(f.ctx, dashboard.NewExecution{SuiteID: s.ID})
	f.ok(err)
	speaks, alive := f.running(s.ID), f.running(s.ID)
	f.clock.Advance(time.Hour)
	_, _, err = f.store.AddResults(f.ctx, speaks.ID, []dashboard.NewResult{{CaseName: "x", Status: dashboard.StatusPassed}})
	f.ok(err)
	same, empty, err := f.store.AddResults(f.ctx, alive.ID, []dashboard.NewResult{})
	f.ok(err)
	f.equal([]any{same, empty.Empty()}, []any{alive, true}, "execution and change after a sign of life")
	reaped, change, err := f.store.ReapExecutions(f.ctx, f.clock.Now().Add(-90*time.Minute))
	f.ok(err)
	f.equal(len(reaped), 1, "number of reaped executions")
	f.equal(change.Executions, []dashboard.ExecutionChange{{ID: silent.ID, SuiteID: s.ID, Op: dashboard.Updated, Finished: true}}, "change")
	got, err := f.store.Execution(f.ctx, silent.ID)
	f.ok(err)
	f.equal([]any{got.Status, *got.DurationMS, string(got.ResultsSummary)}, []any{dashboard.StatusError, int64(2 * time.Hour / time.Millisecond), `{"failure":"The reporter was silent for 90 minutes."}`}, "reaped execution")
	_, _, err = f.store.ReapExecutions(f.ctx, f.clock.Now().Add(-30*time.Minute))
	f.ok(err)
	got, err = f.store.Execution(f.ctx, pending.ID)
	f.ok(err)
	f.equal(got.Status, dashboard.StatusError, "old pending execution")
	for name, id := range map[string]int64{"execution that reports": speaks.ID, "execution of which somebody says that it lives": alive.ID} {
		got, err = f.store.Execution(f.ctx, id)
		f.ok(err)
		f.equal(got.Status, dashboard.StatusRunning, name)
	}
}
