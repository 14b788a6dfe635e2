package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-go/larder/dashboard"
)

// suitesData is the content of the list of suites.
type suitesData struct {
	Rows  []suiteListRow
	Pager pager
	Query string
	Now   time.Time
	Zone  *time.Location
}

// suiteListRow is a suite with how it does.
type suiteListRow struct {
	dashboard.Suite
	Runs    *suiteRow             // of the last 30 days; nil without any
	Newest  *dashboard.Execution  // that finished on the default branch
	Failing dashboard.SuiteHealth // its health, when Newest is there
}

func (s *web) suites(_ http.ResponseWriter, r *http.Request) (*view, error) {
	query := r.URL.Query().Get("q")
	var list dashboard.List[dashboard.Suite]
	var performance dashboard.PerformanceMetrics
	var health []dashboard.SuiteHealth
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() (err error) {
		list, err = s.store.Suites(ctx, dashboard.SuiteFilter{Query: query}, dashboard.Page{Skip: skipOf(r), Limit: pageSize})
		return
	})
	g.Go(func() (err error) { performance, err = s.store.Performance(ctx); return })
	g.Go(func() (err error) { health, err = s.store.Health(ctx, s.Branch); return })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	d := suitesData{Pager: newPager(r, skipOf(r), len(list.Items), list.Total), Query: query, Now: s.Now(), Zone: zoneOf(r)}
	for _, suite := range list.Items {
		d.Rows = append(d.Rows, newSuiteListRow(suite, performance, health))
	}
	return &view{Name: "suites", Title: "Suites", Path: "/suites", Data: d}, nil
}

func newSuiteListRow(suite dashboard.Suite, performance dashboard.PerformanceMetrics, health []dashboard.SuiteHealth) suiteListRow {
	row := suiteListRow{Suite: suite}
	for _, p := range performance.Suites {
		if p.SuiteID == suite.ID {
			runs := newSuiteRow(p)
			row.Runs = &runs
		}
	}
	for _, h := range health {
		if h.SuiteID == suite.ID {
			row.Newest, row.Failing = &h.Execution, h
		}
	}
	return row
}

// suiteData is the content of the page of one suite.
type suiteData struct {
	dashboard.Suite
	Runs       *suiteRow
	Executions []executionRow
	Total      int64 // executions in all
	Cases      []dashboard.Case
	Pager      pager
	Query      string
	Chips      []chip
	Notice     notice
	Filtered   bool
	Now        time.Time
	Zone       *time.Location
}

func (s *web) suite(_ http.ResponseWriter, r *http.Request) (*view, error) {
	id, ok := pathID(r)
	if !ok {
		return notFound("There is no such suite."), nil
	}
	return s.suiteWith(r, id, http.StatusOK, notice{})
}

func (s *web) suiteWith(r *http.Request, id int64, status int, n notice) (*view, error) {
	suite, err := s.store.Suite(r.Context(), id)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	filter := dashboard.CaseFilter{SuiteID: id, TestType: dashboard.TestType(q.Get("test_type")), Query: q.Get("q")}
	d := suiteData{Suite: suite, Query: filter.Query, Notice: n, Filtered: filter.TestType != "" || filter.Query != "", Now: s.Now(), Zone: zoneOf(r)}
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() error { return s.casesOf(ctx, r, filter, &d) })
	g.Go(func() error {
		list, err := s.store.Executions(ctx, dashboard.ExecutionFilter{SuiteID: id}, dashboard.Page{Limit: 10})
		d.Executions, d.Total = executionRows(list.Items, s.Now()), list.Total
		return err
	})
	g.Go(func() error {
		performance, err := s.store.Performance(ctx)
		d.Runs = newSuiteListRow(suite, performance, nil).Runs
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &view{Name: "suite", Title: suite.Name, Path: "/suites", Status: status, Data: d}, nil
}

func (s *web) casesOf(ctx context.Context, r *http.Request, filter dashboard.CaseFilter, d *suiteData) error {
	list, err := s.store.Cases(ctx, filter, dashboard.Page{Skip: skipOf(r), Limit: pageSize})
	if err != nil {
		return err
	}
	d.Cases, d.Pager = list.Items, newPager(r, skipOf(r), len(list.Items), list.Total)
	choices := []chip{{Name: "All"}}
	for _, t := range dashboard.TestTypes {
		choices = append(choices, chip{Name: string(t), Path: string(t)})
	}
	d.Chips = chips(r, "test_type", choices...)
	return nil
}

// editSuite renames and describes a suite.
func (s *web) editSuite(w http.ResponseWriter, r *http.Request) (*view, error) {
	id, ok := pathID(r)
	if !ok {
		return notFound("There is no such suite."), nil
	}
	name, description := r.PostFormValue("name"), r.PostFormValue("description")
	_, _, err := s.store.UpdateSuite(r.Context(), id, dashboard.SuitePatch{Name: &name, Description: &description})
	if errors.Is(err, dashboard.ErrInvalid) || errors.Is(err, dashboard.ErrConflict) {
		return s.suiteWith(r, id, http.StatusUnprocessableEntity, notice{Class: "failed", Text: "Not saved. " + capital(Printable(err.Error())) + "."})
	}
	if err != nil {
		return nil, err
	}
	http.Redirect(w, r, fmt.Sprintf("/suites/%d", id), http.StatusSeeOther)
	return nil, nil
}

// deleteSuite hides a suite after its name was typed.
func (s *web) deleteSuite(w http.ResponseWriter, r *http.Request) (*view, error) {
	id, ok := pathID(r)
	if !ok {
		return notFound("There is no such suite."), nil
	}
	suite, err := s.store.Suite(r.Context(), id)
	if err != nil {
		return nil, err
	}
	if r.PostFormValue("confirm") != suite.Name {
		return s.suiteWith(r, id, http.StatusUnprocessableEntity, notice{Class: "failed", Text: "Not deleted: the name typed is not that of the suite."})
	}
	if _, err := s.store.DeleteSuite(r.Context(), id); err != nil {
		return nil, err
	}
	http.Redirect(w, r, "/suites", http.StatusSeeOther)
	return nil, nil
}
