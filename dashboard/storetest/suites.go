package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

func suiteRoundTrip(f *fixture) {
	in := dashboard.NewSuite{
		Name: " Ähre › 試験 ", Description: "two\nlines", FrameworkType: "jest", CreatedBy: "ada",
		Config: json.RawMessage("{ \"html\": \"<b>&\",\n \"big\": 9007199254740993 }"), IsActive: new(false),
	}
	s, _, err := f.store.CreateSuite(f.ctx, in)
	f.ok(err)
	want := dashboard.Suite{
		ID: s.ID, Name: "Ähre › 試験", Description: "two\nlines", FrameworkType: "jest", CreatedBy: "ada",
		Config:    json.RawMessage(`{"html":"\u003cb\u003e\u0026","big":9007199254740993}`),
		CreatedAt: Start, UpdatedAt: Start,
	}
	f.equal(s, want, "created suite")
	got, err := f.store.Suite(f.ctx, s.ID)
	f.ok(err)
	f.equal(got, want, "read suite")

	plain := f.suite("plain")
	f.equal([]any{plain.FrameworkType, plain.IsActive, string(plain.Config)}, []any{"pytest", true, "{}"}, "defaults")
	_, err = f.store.Suite(f.ctx, 1<<40)
	var missing *dashboard.NotFoundError
	if !errors.As(err, &missing) || missing.ID != 1<<40 || missing.Kind != dashboard.KindSuite {
		f.Fatalf("an unknown id gave %v", err)
	}
	f.is(err, dashboard.ErrNotFound)
}

func suiteNames(f *fixture) {
	a, b := f.suite("a"), f.suite("b")
	_, _, err := f.store.CreateSuite(f.ctx, dashboard.NewSuite{Name: "a"})
	f.is(err, dashboard.ErrConflict)
	_, _, err = f.store.UpdateSuite(f.ctx, b.ID, dashboard.SuitePatch{Name: new("a")})
	var conflict *dashboard.ConflictError
	if !errors.As(err, &conflict) || conflict.Field != "name" {
		f.Fatalf("a name in use gave %v", err)
	}
	_, err = f.store.DeleteSuite(f.ctx, a.ID)
	f.ok(err)
	again := f.suite("a")
	if again.ID == a.ID {
		f.Fatal("the id of a deleted suite was given again")
	}
}

func suitePatch(f *fixture) {
	s := f.suite("before")
	f.clock.Advance(time.Minute)
	got, _, err := f.store.UpdateSuite(f.ctx, s.ID, dashboard.SuitePatch{Name: new("after")})
	f.ok(err)
	want := s
	want.Name, want.UpdatedAt = "after", Start.Add(time.Minute)
	f.equal(got, want, "patched suite")
	read, err := f.store.Suite(f.ctx, s.ID)
	f.ok(err)
	f.equal(read, want, "read suite")
	_, _, err = f.store.UpdateSuite(f.ctx, 1<<40, dashboard.SuitePatch{})
	f.is(err, dashboard.ErrNotFound)
}

func suiteInvalid(f *fixture) {
	for field, in := range map[string]dashboard.NewSuite{
		"name":           {Name: " \t "},
		"description":    {Name: "x", Description: "\xff"},
		"framework_type": {Name: "x", FrameworkType: strings.Repeat("x", dashboard.MaxLabel+1)},
		"config":         {Name: "x", Config: json.RawMessage(`[1]`)},
		"created_by":     {Name: "x", CreatedBy: "a\x00b"},
	} {
		_, change, err := f.store.CreateSuite(f.ctx, in)
		f.invalid(err, field)
		f.equal(change.Empty(), true, "change of a refused suite")
	}
	_, _, err := f.store.CreateSuite(f.ctx, dashboard.NewSuite{Name: strings.Repeat("é", dashboard.MaxSuiteName)})
	f.ok(err)
	s := f.suite("good")
	_, _, err = f.store.UpdateSuite(f.ctx, s.ID, dashboard.SuitePatch{Name: new(strings.Repeat("é", dashboard.MaxSuiteName+1))})
	f.invalid(err, "name")
	l, err := f.store.Suites(f.ctx, dashboard.SuiteFilter{}, dashboard.Page{})
	f.ok(err)
	f.equal(l.Total, int64(2), "number of suites")
	f.equal(l.Items[1], s, "suite after a refused patch")
}

func suiteDelete(f *fixture) {
	s := f.suite("doomed")
	c := f.testCase(s.ID, "case")
	e := f.ran(s.ID, time.Second, dashboard.StatusPassed)
	_, err := f.store.DeleteSuite(f.ctx, s.ID)
	f.ok(err)
	_, err = f.store.Suite(f.ctx, s.ID)
	f.is(err, dashboard.ErrNotFound)
	_, err = f.store.Case(f.ctx, c.ID)
	f.is(err, dashboard.ErrNotFound)
	_, err = f.store.DeleteSuite(f.ctx, s.ID)
	f.is(err, dashboard.ErrNotFound)
	_, _, err = f.store.UpdateSuite(f.ctx, s.ID, dashboard.SuitePatch{Name: new("x")})
	f.is(err, dashboard.ErrNotFound)
	_, _, err = f.store.CreateExecution(f.ctx, dashboard.NewExecution{SuiteID: s.ID})
	f.invalid(err, "suite_id")
	got, err := f.store.Execution(f.ctx, e.ID)
	f.ok(err)
	f.equal(got, e, "execution of a deleted suite")
}

func suiteList(f *fixture) {
	var want []dashboard.Suite
	for i := range 23 {
		want = append(want, f.suite(fmt.Sprintf("suite %02d_%%", i)))
	}
	var byCursor, bySkip []dashboard.Suite
	page := dashboard.Page{Limit: 10}
	for {
		l, err := f.store.Suites(f.ctx, dashboard.SuiteFilter{}, page)
		f.ok(err)
		f.equal(l.Total, int64(23), "total")
		byCursor = append(byCursor, l.Items...)
		if l.Next == "" {
			break
		}
		page.Cursor = l.Next
	}
	f.equal(byCursor, want, "suites by cursor")
	for skip := 0; skip < 30; skip += 10 {
		l, err := f.store.Suites(f.ctx, dashboard.SuiteFilter{}, dashboard.Page{Skip: skip, Limit: 10})
		f.ok(err)
		bySkip = append(bySkip, l.Items...)
	}
	f.equal(bySkip, want, "suites by skip")
	beyond, err := f.store.Suites(f.ctx, dashboard.SuiteFilter{}, dashboard.Page{Skip: 100})
	f.ok(err)
	f.equal(len(beyond.Items), 0, "items beyond the end")
	found, err := f.store.Suites(f.ctx, dashboard.SuiteFilter{Query: "SUITE 1"}, dashboard.Page{})
	f.ok(err)
	f.equal(found.Total, int64(10), "suites by text")
	found, err = f.store.Suites(f.ctx, dashboard.SuiteFilter{Query: "_%", Active: new(false)}, dashboard.Page{})
	f.ok(err)
	f.equal(found.Total, int64(0), "inactive suites")
	found, err = f.store.Suites(f.ctx, dashboard.SuiteFilter{Query: "%1"}, dashboard.Page{})
	f.ok(err)
	f.equal(found.Total, int64(0), "suites by a text with a wildcard")
	for field, p := range map[string]dashboard.Page{"limit": {Limit: 501}, "skip": {Skip: -1}, "cursor": {Cursor: "x"}} {
		_, err := f.store.Suites(f.ctx, dashboard.SuiteFilter{}, p)
		f.invalid(err, field)
	}
	_, err = f.store.Suites(f.ctx, dashboard.SuiteFilter{}, dashboard.Page{Limit: -1})
	f.invalid(err, "limit")
}
