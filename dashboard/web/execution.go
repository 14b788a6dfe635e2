package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-go/larder/dashboard"
)

// executionRow is an execution as lists show it.
type executionRow struct {
	dashboard.Execution
	Meter    meter
	Failures int
	Duration string
	Started  time.Time
}

func newExecutionRow(e dashboard.Execution, now time.Time) executionRow {
	row := executionRow{Execution: e, Failures: e.Failed + e.Errors, Started: e.CreatedAt, Duration: "–", Meter: countsMeter(e.Counts, countsText(e.Counts))}
	if e.StartedAt != nil {
		row.Started = *e.StartedAt
	}
	switch {
	case e.DurationMS != nil:
		row.Duration = duration(millis(*e.DurationMS))
	case e.Status == dashboard.StatusRunning:
		row.Duration = duration(now.Sub(row.Started).Round(time.Second))
	}
	return row
}

func countsText(c dashboard.Counts) string {
	return fmt.Sprintf("%d passed, %d failed, %d error, %d skipped of %d", c.Passed, c.Failed, c.Errors, c.Skipped, c.Total)
}

func executionRows(list []dashboard.Execution, now time.Time) []executionRow {
	rows := make([]executionRow, len(list))
	for i, e := range list {
		rows[i] = newExecutionRow(e, now)
	}
	return rows
}

// executionData is the content of the page of one execution.
type executionData struct {
	executionRow
	Finished bool
	Done     int
	Waiting  int
	Previous *dashboard.Execution // of the same suite and branch
	Versus   string               // what the previous one took
	Left     string               // estimated time left while running
	New      int                  // failures that the run before did not have
	Tall     meter
	Chips    []chip
	Query    string
	Sections []resultSection
	Trouble  []codeLine // why the run failed beside its cases
	Warnings []string
	RunURL   string
	Now      time.Time
	Zone     *time.Location
}

// chip is a filter that is a link.
type chip struct {
	Name, Path string
	Count      int64
	Counted    bool
	Current    bool
}

// resultSection is a list of results of one state.
type resultSection struct {
	ID, Title, Status string
	Loud              bool // failures open and show their stack
	Total             int64
	Rows              []resultRow
	More              string // address of the rest
	Pager             pager
}

type resultRow struct {
	dashboard.Result
	Tag      string
	Duration string
	Lines    []codeLine
	Strip    []dashboard.Dot
	Attempt  string
	Before   string // how the runs before went
}

// pager leads through a list by skip.
type pager struct {
	From, To, Total int64
	Previous, Next  string
}

// pageSize is how many rows a page of a list has.
const pageSize = 50

func newPager(r *http.Request, skip int, shown int, total int64) pager {
	p := pager{From: int64(skip) + 1, To: int64(skip + shown), Total: total}
	if shown == 0 {
		p.From = 0
	}
	if skip > 0 {
		p.Previous = withQuery(r, "skip", positive(max(0, skip-pageSize)))
	}
	if p.To < total {
		p.Next = withQuery(r, "skip", positive(skip+pageSize))
	}
	return p
}

func positive(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// withQuery is the address of the page with one parameter changed; an empty
// value removes it.
func withQuery(r *http.Request, name, value string) string {
	q := r.URL.Query()
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	for _, passing := range []string{"uploaded", "again"} {
		q.Del(passing)
	}
	if len(q) == 0 {
		return r.URL.Path
	}
	return r.URL.Path + "?" + q.Encode()
}

// chips are the values of one parameter as links; each leads to the first page.
func chips(r *http.Request, name string, values ...chip) []chip {
	current := r.URL.Query().Get(name)
	first := r.Clone(r.Context())
	q := first.URL.Query()
	q.Del("skip")
	first.URL.RawQuery = q.Encode()
	for i := range values {
		values[i].Current = values[i].Path == current
		values[i].Path = withQuery(first, name, values[i].Path)
	}
	return values
}

func pathID(r *http.Request) (int64, bool) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	return id, err == nil && id > 0
}

func skipOf(r *http.Request) int {
	skip, err := strconv.Atoi(r.URL.Query().Get("skip"))
	if err != nil || skip < 0 || skip > 1<<30 {
		return 0
	}
	return skip
}

func (s *web) execution(_ http.ResponseWriter, r *http.Request) (*view, error) {
	id, ok := pathID(r)
	if !ok {
		return notFound("There is no such execution."), nil
	}
	e, err := s.store.Execution(r.Context(), id)
	if err != nil {
		return nil, err
	}
	d := executionData{executionRow: newExecutionRow(e, s.Now()), Finished: e.Status.Finished(), RunURL: outward(e.RunURL), Now: s.Now(), Zone: zoneOf(r), Query: r.URL.Query().Get("q")}
	d.Done = e.Passed + e.Failed + e.Errors + e.Skipped
	d.Waiting = max(0, e.Total-d.Done)
	d.Tall = d.Meter
	d.Trouble, d.Warnings = trouble(e)
	d.Chips = chips(r, "status", resultChips(e)...)
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() (err error) { d.Sections, err = s.resultSections(r.WithContext(ctx), e); return })
	g.Go(func() (err error) { d.Previous, err = s.previous(r.WithContext(ctx), e); return })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if whole(d.Sections) && r.URL.Query().Get("status")+d.Query == "" {
		d.New = newlyFailed(d.Sections)
	}
	d.estimate()
	return &view{Name: "execution", Title: fmt.Sprintf("%s #%d, %s", e.SuiteName, e.ID, e.Status), Path: "/executions", Data: d}, nil
}

// trouble is what the summary of a run says beside its cases: why it failed, and
// warnings that do not only repeat that. A summary may be any object.
func trouble(e dashboard.Execution) ([]codeLine, []string) {
	var s dashboard.ReportSummary
	if json.Unmarshal(e.ResultsSummary, &s) != nil {
		return nil, nil
	}
	warnings := slices.DeleteFunc(s.Warnings, func(w string) bool { return w == dashboard.FirstLine(s.Failure) })
	if strings.TrimSpace(s.Failure) == "" {
		return nil, warnings
	}
	return codeLines(dashboard.Result{Stack: s.Failure}), warnings
}

// estimate compares with the previous run.
func (d *executionData) estimate() {
	if d.Previous == nil || d.Previous.DurationMS == nil {
		return
	}
	usual := millis(*d.Previous.DurationMS)
	d.Versus = fmt.Sprintf("#%d took %s", d.Previous.ID, duration(usual))
	if elapsed := d.Now.Sub(d.Started); d.Status == dashboard.StatusRunning && elapsed < usual {
		d.Left = duration((usual - elapsed).Round(time.Second))
	}
}

func resultChips(e dashboard.Execution) []chip {
	all := []chip{{Name: "All", Count: int64(e.Total), Counted: true}}
	for _, c := range []chip{
		{Name: "Failed", Path: "failed", Count: int64(e.Failed)}, {Name: "Error", Path: "error", Count: int64(e.Errors)},
		{Name: "Flaky", Path: "flaky", Count: int64(e.Flaky)}, {Name: "Skipped", Path: "skipped", Count: int64(e.Skipped)}, {Name: "Passed", Path: "passed", Count: int64(e.Passed)},
	} {
		if c.Counted = true; c.Count > 0 {
			all = append(all, c)
		}
	}
	return all
}

// looksBack is how many runs before one are looked at for its predecessor: those
// that still run or were stopped are passed over.
const looksBack = 20

// previous is the run of the same suite and branch that finished before e.
func (s *web) previous(r *http.Request, e dashboard.Execution) (*dashboard.Execution, error) {
	before := dashboard.Page{Cursor: strconv.FormatInt(e.ID, 10), Limit: looksBack}
	list, err := s.store.Executions(r.Context(), dashboard.ExecutionFilter{SuiteID: e.SuiteID, Branch: e.Branch}, before)
	if err != nil {
		return nil, err
	}
	for _, p := range list.Items {
		if p.Status.Finished() && p.Status != dashboard.StatusStopped {
			return &p, nil
		}
	}
	return nil, nil
}

// sections are the lists of results in the order of their loudness.
var sections = []struct {
	id, title string
	status    dashboard.Status
	loud      bool
}{
	{"failures", "Failures", dashboard.StatusFailed, true},
	{"errors", "Errors", dashboard.StatusError, true},
	{"running", "Running", dashboard.StatusRunning, false},
	{"skipped", "Skipped", dashboard.StatusSkipped, false},
	{"passed", "Passed", dashboard.StatusPassed, false},
}

// peek is how many quiet results the page of everything shows.
const peek = 10

func (s *web) resultSections(r *http.Request, e dashboard.Execution) ([]resultSection, error) {
	q := r.URL.Query()
	wanted, query := q.Get("status"), q.Get("q")
	if wanted == "flaky" {
		section, err := s.resultSection(r, e, resultSection{ID: "flaky", Title: "Passed after another attempt"}, dashboard.ResultFilter{Flaky: true, Query: query})
		return []resultSection{section}, err
	}
	var out []resultSection
	for _, kind := range sections {
		if wanted != "" && wanted != string(kind.status) {
			continue
		}
		section := resultSection{ID: kind.id, Title: kind.title, Status: string(kind.status), Loud: kind.loud}
		section, err := s.resultSection(r, e, section, dashboard.ResultFilter{Status: kind.status, Query: query})
		if err != nil {
			return nil, err
		}
		if section.Total > 0 {
			out = append(out, section)
		}
	}
	return out, nil
}

func (s *web) resultSection(r *http.Request, e dashboard.Execution, section resultSection, filter dashboard.ResultFilter) (resultSection, error) {
	page := dashboard.Page{Limit: pageSize}
	single := r.URL.Query().Get("status") != ""
	if single {
		page.Skip = skipOf(r)
	} else if !section.Loud && filter.Query == "" {
		page.Limit = peek
	}
	list, err := s.store.Results(r.Context(), e.ID, filter, page)
	if err != nil {
		return section, err
	}
	section.Total = list.Total
	for _, result := range list.Items {
		section.Rows = append(section.Rows, newResultRow(result))
	}
	if single {
		section.Pager = newPager(r, page.Skip, len(list.Items), list.Total)
	} else if int64(len(list.Items)) < list.Total {
		section.More = withQuery(r, "status", string(filter.Status))
	}
	if section.Loud {
		s.addStrips(r, section.Rows)
	}
	return section, nil
}

// strips is for how many failures of a page runsBefore runs are shown.
const strips, runsBefore = 20, 20

// addStrips shows the runs before each failure. A history that cannot be read
// leaves its strip out.
func (s *web) addStrips(r *http.Request, rows []resultRow) {
	var g errgroup.Group
	g.SetLimit(4)
	for i := range rows[:min(len(rows), strips)] {
		g.Go(func() error {
			history, err := s.store.History(r.Context(), rows[i].CaseID, runsBefore)
			if err == nil {
				rows[i].Strip, rows[i].Before = dots(history.Outcomes), before(history.Outcomes, runsBefore, rows[i].ExecutionID)
			}
			return nil
		})
	}
	_ = g.Wait()
}

func newResultRow(r dashboard.Result) resultRow {
	row := resultRow{Result: r, Duration: duration(millis(r.DurationMS)), Lines: codeLines(r)}
	switch {
	case r.FailingRuns == 1:
		row.Tag = "new"
	case r.FailingRuns >= dashboard.MaxFailingRuns:
		row.Tag = fmt.Sprintf("%d runs or more", dashboard.MaxFailingRuns-1)
	case r.FailingRuns > 1:
		row.Tag = ordinal(r.FailingRuns) + " run"
	}
	if r.Status == dashboard.StatusSkipped && r.DurationMS == 0 {
		row.Duration = "–"
	}
	if n := len(r.Attempts); n > 1 {
		row.Attempt = fmt.Sprintf("%d attempts", n)
	}
	return row
}

func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// stop ends a running execution and leads back to it.
func (s *web) stop(w http.ResponseWriter, r *http.Request) (*view, error) {
	id, ok := pathID(r)
	if !ok {
		return notFound("There is no such execution."), nil
	}
	if _, _, err := s.store.StopExecution(r.Context(), id); err != nil {
		return nil, err
	}
	http.Redirect(w, r, fmt.Sprintf("/executions/%d", id), http.StatusSeeOther)
	return nil, nil
}
