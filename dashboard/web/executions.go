package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// executionsData is the content of the list of executions.
type executionsData struct {
	Rows        []executionRow
	Chips       []chip
	Suites      []dashboard.Suite
	SuiteID     int64
	Branch      string
	Environment string
	Filtered    bool
	Pager       pager
	Now         time.Time
	Zone        *time.Location
	Status      string
}

func (s *web) executions(_ http.ResponseWriter, r *http.Request) (*view, error) {
	q := r.URL.Query()
	suite, _ := strconv.ParseInt(q.Get("suite_id"), 10, 64)
	filter := dashboard.ExecutionFilter{SuiteID: max(suite, 0), Status: dashboard.Status(q.Get("status")), Branch: q.Get("branch"), Environment: q.Get("environment")}
	list, err := s.store.Executions(r.Context(), filter, dashboard.Page{Skip: skipOf(r), Limit: pageSize})
	if err != nil {
		return nil, err
	}
	suites, err := s.store.Suites(r.Context(), dashboard.SuiteFilter{}, dashboard.Page{Limit: dashboard.MaxLimit})
	if err != nil {
		return nil, err
	}
	choices := []chip{{Name: "All"}}
	for _, status := range []dashboard.Status{dashboard.StatusRunning, dashboard.StatusFailed, dashboard.StatusError, dashboard.StatusPassed, dashboard.StatusStopped, dashboard.StatusPending} {
		choices = append(choices, chip{Name: capital(string(status)), Path: string(status)})
	}
	d := executionsData{
		Rows: executionRows(list.Items, s.Now()), Chips: chips(r, "status", choices...), Suites: suites.Items, SuiteID: filter.SuiteID, Branch: filter.Branch,
		Environment: filter.Environment, Filtered: filter != dashboard.ExecutionFilter{}, Pager: newPager(r, skipOf(r), len(list.Items), list.Total),
		Now: s.Now(), Zone: zoneOf(r), Status: q.Get("status"),
	}
	return &view{Name: "executions", Title: "Executions", Path: "/executions", Data: d}, nil
}
