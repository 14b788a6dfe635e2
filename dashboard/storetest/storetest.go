// Package storetest is the conformance suite of [dashboard.Store]: what every
// implementation must do, whatever it is built on.
package storetest

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// Clock is a clock that stands until it is moved. It is safe for concurrent use.
type Clock struct{ ms atomic.Int64 }

// Start is the instant at which the clocks of the suite begin.
var Start = time.Date(2026, 3, 18, 10, 30, 0, 0, time.UTC)

// NewClock returns a clock that shows Start.
func NewClock() *Clock {
	c := new(Clock)
	c.ms.Store(Start.UnixMilli())
	return c
}

// Now returns the instant that the clock shows.
func (c *Clock) Now() time.Time { return time.UnixMilli(c.ms.Load()).UTC() }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// Open returns a new, empty store that reads the clock. It closes it with the test.
type Open func(t *testing.T, clock *Clock) dashboard.Store

// Run runs the suite; each part has a store of its own.
func Run(t *testing.T, open Open) {
	parts := []struct {
		name string
		run  func(*fixture)
	}{
		{"a suite is kept as it was given", suiteRoundTrip},
		{"a suite's name is its own until it is deleted", suiteNames},
		{"a patch changes only what it sets", suitePatch},
		{"wrong suites change nothing and name the field", suiteInvalid},
		{"a deleted suite is gone and takes its cases along", suiteDelete},
		{"lists are stable, complete and counted", suiteList},
		{"a case is kept as it was given", caseRoundTrip},
		{"a case can move to another suite", caseMove},
		{"wrong cases change nothing and name the field", caseInvalid},
		{"cases are selected by each filter", caseFilters},
		{"an execution goes through its states", executionLife},
		{"an illegal transition is a conflict with the present state", executionIllegal},
		{"of many that finish at once one wins", executionRace},
		{"executions are selected by each filter, newest first", executionFilters},
		{"a silent execution ends as error", executionReap},
		{"results count and create their cases", resultCounts},
		{"a batch of results is written whole or not at all", resultAtomic},
		{"a batch that is sent again changes nothing", resultAgain},
		{"results bring no case of a deleted suite to life", resultOfDeletedSuite},
		{"results list failures first", resultOrder},
		{"attempts and texts of a result come back", resultTexts},
		{"a report becomes a finished execution", ingestWhole},
		{"the same report of the same run is written once", ingestAgain},
		{"the same report sent at once by many is written once", ingestRace},
		{"a wrong report changes nothing", ingestInvalid},
		{"hostile text comes back as it was", ingestHostile},
		{"stats count everything once", statsCount},
		{"an empty store has figures", figuresEmpty},
		{"trends fill empty days and follow the time zone", trendDays},
		{"trends add up across a change of clocks", trendClocks},
		{"recent, types and health follow the data", recentTypesHealth},
		{"performance has the percentiles of its runs", performanceFigures},
		{"changes say what they touched", changes},
		{"a history has the outcomes of a case and what follows", historyOutcomes},
		{"flaky cases are found by each sign and cleared by ten clean runs", flakyCases},
		{"the slowest cases are those of the last days", slowestCases},
		{"top errors are counted by what messages have in common", topErrors},
		{"a comparison sorts every case", compareExecutions},
		{"a failure knows for how many runs it lasts", failingRuns},
		{"search finds names, commits and numbers", searchNames},
	}
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			p.run(&fixture{T: t, ctx: t.Context(), clock: clock, store: open(t, clock)})
		})
	}
}

// fixture is one part of the suite under way.
type fixture struct {
	*testing.T
	ctx   context.Context
	clock *Clock
	store dashboard.Store
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) is(err, target error) {
	f.Helper()
	if !errors.Is(err, target) {
		f.Fatalf("error is %v, want %v", err, target)
	}
}

// invalid wants an error that names the field.
func (f *fixture) invalid(err error, field string) {
	f.Helper()
	var e *dashboard.InvalidError
	if !errors.As(err, &e) {
		f.Fatalf("error is %v, want an InvalidError about %s", err, field)
	}
	for _, x := range e.Fields {
		if x.Field == field {
			return
		}
	}
	f.Fatalf("error is %v, want one about %s", err, field)
}

func (f *fixture) equal(got, want any, what string) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Fatalf("%s is\n%+v\nwant\n%+v", what, got, want)
	}
}

func (f *fixture) suite(name string) dashboard.Suite {
	f.Helper()
	s, _, err := f.store.CreateSuite(f.ctx, dashboard.NewSuite{Name: name})
	f.ok(err)
	return s
}

func (f *fixture) testCase(suite int64, name string) dashboard.Case {
	f.Helper()
	c, _, err := f.store.CreateCase(f.ctx, dashboard.NewCase{SuiteID: suite, Name: name})
	f.ok(err)
	return c
}

func (f *fixture) running(suite int64) dashboard.Execution {
	f.Helper()
	e, _, err := f.store.CreateExecution(f.ctx, dashboard.NewExecution{SuiteID: suite, Branch: "main"})
	f.ok(err)
	e, _, err = f.store.StartExecution(f.ctx, e.ID)
	f.ok(err)
	return e
}

// ran adds an execution that took d and ends now, in the given state.
func (f *fixture) ran(suite int64, d time.Duration, status dashboard.Status) dashboard.Execution {
	f.Helper()
	e := f.running(suite)
	f.clock.Advance(d)
	var err error
	if status == dashboard.StatusStopped {
		e, _, err = f.store.StopExecution(f.ctx, e.ID)
	} else {
		e, _, err = f.store.FinishExecution(f.ctx, e.ID, dashboard.Finish{Status: status})
	}
	f.ok(err)
	return e
}
