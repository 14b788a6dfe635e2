package storetest

import (
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

func caseRoundTrip(f *fixture) {
	s := f.suite("s")
	c, _, err := f.store.CreateCase(f.ctx, dashboard.NewCase{
		SuiteID: s.ID, Name: "n", Description: "d", TestCode: "def test(): pass\n", TestType: "ui", Priority: "high", Tags: []string{"z", "a", "z"},
	})
	f.ok(err)
	want := dashboard.Case{
		ID: c.ID, SuiteID: s.ID, SuiteName: "s", Name: "n", Description: "d", TestCode: "def test(): pass\n", TestType: "ui",
		Priority: "high", Tags: []string{"a", "z"}, IsActive: true, CreatedAt: Start, UpdatedAt: Start,
	}
	f.equal(c, want, "created case")
	got, err := f.store.Case(f.ctx, c.ID)
	f.ok(err)
	f.equal(got, want, "read case")
	_, _, err = f.store.CreateCase(f.ctx, dashboard.NewCase{SuiteID: s.ID, Name: "n"})
	f.is(err, dashboard.ErrConflict)
	counted, err := f.store.Suite(f.ctx, s.ID)
	f.ok(err)
	f.equal(counted.CaseCount, int64(1), "cases of the suite")

	_, err = f.store.DeleteCase(f.ctx, c.ID)
	f.ok(err)
	_, err = f.store.DeleteCase(f.ctx, c.ID)
	f.is(err, dashboard.ErrNotFound)
	_, err = f.store.Case(f.ctx, c.ID)
	f.is(err, dashboard.ErrNotFound)
	again := f.testCase(s.ID, "n")
	f.equal([]any{string(again.TestType), string(again.Priority), again.Tags}, []any{"unit", "medium", []string{}}, "defaults")
}

func caseMove(f *fixture) {
	a, b := f.suite("a"), f.suite("b")
	c := f.testCase(a.ID, "moves")
	f.clock.Advance(time.Second)
	got, change, err := f.store.UpdateCase(f.ctx, c.ID, dashboard.CasePatch{SuiteID: &b.ID, Tags: &[]string{"t"}})
	f.ok(err)
	want := c
	want.SuiteID, want.SuiteName, want.Tags, want.UpdatedAt = b.ID, "b", []string{"t"}, Start.Add(time.Second)
	f.equal(got, want, "moved case")
	f.equal(change.Cases, []dashboard.CaseChange{{ID: c.ID, SuiteID: b.ID, OldSuiteID: a.ID, Op: dashboard.Updated}}, "change")
	f.testCase(a.ID, "moves")
	_, _, err = f.store.UpdateCase(f.ctx, c.ID, dashboard.CasePatch{SuiteID: &a.ID})
	f.is(err, dashboard.ErrConflict)
	_, _, err = f.store.UpdateCase(f.ctx, c.ID, dashboard.CasePatch{SuiteID: new(int64(1 << 40))})
	f.invalid(err, "suite_id")
	read, err := f.store.Case(f.ctx, c.ID)
	f.ok(err)
	f.equal(read, want, "case after refused moves")
}

func caseInvalid(f *fixture) {
	s := f.suite("s")
	for field, in := range map[string]dashboard.NewCase{
		"name":        {SuiteID: s.ID, Name: strings.Repeat("x", dashboard.MaxCaseName+1)},
		"suite_id":    {SuiteID: 1 << 40, Name: "x"},
		"test_type":   {SuiteID: s.ID, Name: "x", TestType: "smoke"},
		"priority":    {SuiteID: s.ID, Name: "x", Priority: "urgent"},
		"tags":        {SuiteID: s.ID, Name: "x", Tags: []string{""}},
		"test_code":   {SuiteID: s.ID, Name: "x", TestCode: "\xc3"},
		"description": {SuiteID: s.ID, Name: "x", Description: strings.Repeat("x", dashboard.MaxDescription+1)},
	} {
		_, change, err := f.store.CreateCase(f.ctx, in)
		f.invalid(err, field)
		f.equal(change.Empty(), true, "change of a refused case")
	}
	l, err := f.store.Cases(f.ctx, dashboard.CaseFilter{}, dashboard.Page{})
	f.ok(err)
	f.equal(l.Total, int64(0), "number of cases")
}

func caseFilters(f *fixture) {
	a, b := f.suite("a"), f.suite("b")
	add := func(suite int64, name string, kind dashboard.TestType, p dashboard.Priority, active bool) int64 {
		c, _, err := f.store.CreateCase(f.ctx, dashboard.NewCase{SuiteID: suite, Name: name, TestType: kind, Priority: p, IsActive: &active})
		f.ok(err)
		return c.ID
	}
	one := add(a.ID, "Alpha", "api", "low", true)
	two := add(a.ID, "beta", "ui", "high", false)
	three := add(b.ID, "alphabet", "ui", "low", true)
	for _, x := range []struct {
		name   string
		filter dashboard.CaseFilter
		want   []int64
	}{
		{"none", dashboard.CaseFilter{}, []int64{one, two, three}},
		{"suite", dashboard.CaseFilter{SuiteID: a.ID}, []int64{one, two}},
		{"type", dashboard.CaseFilter{TestType: "ui"}, []int64{two, three}},
		{"priority", dashboard.CaseFilter{Priority: "low"}, []int64{one, three}},
		{"active", dashboard.CaseFilter{Active: new(false)}, []int64{two}},
		{"text", dashboard.CaseFilter{Query: "ALPHA"}, []int64{one, three}},
		{"all", dashboard.CaseFilter{SuiteID: b.ID, TestType: "ui", Priority: "low", Active: new(true), Query: "bet"}, []int64{three}},
	} {
		l, err := f.store.Cases(f.ctx, x.filter, dashboard.Page{})
		f.ok(err)
		var got []int64
		for _, c := range l.Items {
			got = append(got, c.ID)
		}
		f.equal(got, x.want, "cases by "+x.name)
		f.equal(l.Total, int64(len(x.want)), "total by "+x.name)
	}
	_, err := f.store.Cases(f.ctx, dashboard.CaseFilter{TestType: "smoke"}, dashboard.Page{})
	f.invalid(err, "test_type")
}
