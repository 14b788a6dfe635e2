package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-go/larder/dashboard"
)

// flakyRow is a flaky case with its reasons in words.
type flakyRow struct {
	dashboard.FlakyCase
	Rate string
	Why  []string
}

func flakyRows(list []dashboard.FlakyCase) []flakyRow {
	rows := make([]flakyRow, len(list))
	for i, c := range list {
		rows[i] = flakyRow{FlakyCase: c, Rate: percent(c.PassRate / 100)}
		for _, sign := range c.Signs {
			if sign.Met {
				rows[i].Why = append(rows[i].Why, reason(sign))
			}
		}
	}
	return rows
}

// reason says why a case counts as flaky.
func reason(s dashboard.Sign) string {
	switch s.Name {
	case dashboard.SignRetried:
		return plural(int64(s.Value), "run", "runs") + " passed on a later attempt"
	case dashboard.SignMixed:
		return plural(int64(s.Value), "commit", "commits") + " passed and failed"
	}
	return fmt.Sprintf("%d changes between good and bad", s.Value)
}

// slowRow is a slow case.
type slowRow struct {
	dashboard.SlowCase
	P95, Median string
	Meter       meter
}

func slowRows(list []dashboard.SlowCase) []slowRow {
	var most float64
	for _, c := range list {
		most = max(most, float64(c.P95DurationMS))
	}
	rows := make([]slowRow, len(list))
	for i, c := range list {
		rows[i] = slowRow{SlowCase: c, P95: duration(millis(c.P95DurationMS)), Median: duration(millis(c.MedianDurationMS))}
		rows[i].Meter = newMeter(most, rows[i].P95, share{"m1", float64(c.P95DurationMS)})
	}
	return rows
}

// flakyData is the content of the page of flaky, slow and frequent things.
type flakyData struct {
	Flaky  []flakyRow
	Slow   []slowRow
	Errors []dashboard.TopError
	Now    time.Time
	Zone   *time.Location
}

func (s *web) flaky(_ http.ResponseWriter, r *http.Request) (*view, error) {
	d := flakyData{Now: s.Now(), Zone: zoneOf(r)}
	g, ctx := errgroup.WithContext(r.Context())
	g.Go(func() error {
		list, err := s.store.Flaky(ctx, dashboard.MaxInsights)
		d.Flaky = flakyRows(list)
		return err
	})
	g.Go(func() error {
		list, err := s.store.Slowest(ctx, 20)
		d.Slow = slowRows(list)
		return err
	})
	g.Go(func() (err error) { d.Errors, err = s.store.TopErrors(ctx, 20); return })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &view{Name: "flaky", Title: "Flaky", Path: "/flaky", Data: d}, nil
}

// compareData is the content of the page that compares two executions.
type compareData struct {
	Chosen     bool
	Base, Head sideData
	Verdict    notice
	Detail     string
	Sections   []deltaSection
	Small      []deltaSection // added, removed, newly skipped
	Slower     deltaSection
	Choices    []dashboard.Execution
	BaseID     int64
	HeadID     int64
	Fault      string
	Now        time.Time
	Zone       *time.Location
}

type sideData struct {
	Name string
	executionRow
	Text string
	Now  time.Time
	Zone *time.Location
}

type deltaSection struct {
	ID, Title, Note string
	Count           int
	Rows            []deltaRow
}

type deltaRow struct {
	dashboard.Delta
	Shown        dashboard.Side // head, or base for what was removed
	Duration     string
	BaseDuration string
	More, Ratio  string
	Meter        meter
	Strip        []dashboard.Dot
}

func (s *web) compare(_ http.ResponseWriter, r *http.Request) (*view, error) {
	q := r.URL.Query()
	base, _ := strconv.ParseInt(q.Get("base"), 10, 64)
	head, _ := strconv.ParseInt(q.Get("head"), 10, 64)
	d := compareData{BaseID: base, HeadID: head, Now: s.Now(), Zone: zoneOf(r)}
	choices := dashboard.ExecutionFilter{}
	if base > 0 && head > 0 {
		comparison, err := s.store.Compare(r.Context(), base, head)
		switch {
		case errors.Is(err, dashboard.ErrInvalid): // of two suites: the reader chooses again
			d.Fault = fmt.Sprintf("#%d and #%d are runs of two suites; choose two of one.", base, head)
		case err != nil:
			return nil, err
		default:
			d.fill(comparison)
			s.addDeltaStrips(r, d.Sections)
			choices.SuiteID = comparison.Head.SuiteID
		}
	}
	list, err := s.store.Executions(r.Context(), choices, dashboard.Page{Limit: dashboard.DefaultLimit})
	if err != nil {
		return nil, err
	}
	d.Choices = withChosen(list.Items, d)
	v := &view{Name: "compare", Title: "Compare", Path: "/compare"}
	if d.Fault != "" {
		v.Status = http.StatusUnprocessableEntity
	} else if !d.Chosen {
		d.suggest(list.Items)
	}
	v.Data = d
	return v, nil
}

// suggest selects the two newest executions of one suite.
func (d *compareData) suggest(newest []dashboard.Execution) {
	last := make(map[int64]int64) // by suite
	for _, e := range newest {
		if head, ok := last[e.SuiteID]; ok {
			d.BaseID, d.HeadID = e.ID, head
			return
		}
		last[e.SuiteID] = e.ID
	}
}

// withChosen adds the compared executions to the choices where they are older.
func withChosen(list []dashboard.Execution, d compareData) []dashboard.Execution {
	out := append([]dashboard.Execution(nil), list...)
	for _, side := range []sideData{d.Head, d.Base} {
		known := side.ID == 0
		for _, e := range list {
			known = known || e.ID == side.ID
		}
		if !known {
			out = append(out, side.Execution)
		}
	}
	return out
}

func (d *compareData) fill(c dashboard.Comparison) {
	d.Chosen = true
	d.Base = sideData{"Base", newExecutionRow(c.Base, d.Now), countsText(c.Base.Counts), d.Now, d.Zone}
	d.Head = sideData{"Head", newExecutionRow(c.Head, d.Now), countsText(c.Head.Counts), d.Now, d.Zone}
	d.Verdict, d.Detail = verdict(c.Counts)
	d.Sections = []deltaSection{
		{ID: "new", Title: "New failures", Note: "passed in base, not in head", Count: c.Counts.NewFailures, Rows: deltaRows(c.NewFailures)},
		{ID: "still", Title: "Still failing", Count: c.Counts.StillFailing, Rows: deltaRows(c.StillFailing)},
		{ID: "fixed", Title: "Fixed", Count: c.Counts.Fixed, Rows: deltaRows(c.Fixed)},
	}
	d.Slower = deltaSection{ID: "slower", Title: "Slower", Note: fmt.Sprintf("at least %.1f × and %.2f s", dashboard.SlowerRatio, float64(dashboard.SlowerByMS)/1000), Count: c.Counts.Slower, Rows: deltaRows(c.Slower)}
	d.Small = []deltaSection{
		{ID: "added", Title: "Added", Count: c.Counts.Added, Rows: deltaRows(c.Added)},
		{ID: "removed", Title: "Removed", Count: c.Counts.Removed, Rows: deltaRows(c.Removed)},
		{ID: "skipped", Title: "Newly skipped", Count: c.Counts.NewlySkipped, Rows: deltaRows(c.NewlySkipped)},
	}
}

// verdict answers whether head may be merged.
func verdict(c dashboard.DeltaCounts) (notice, string) {
	var rest []string
	if c.Fixed > 0 {
		rest = append(rest, plural(int64(c.Fixed), "was", "were")+" fixed")
	}
	if c.StillFailing > 0 {
		rest = append(rest, plural(int64(c.StillFailing), "fails", "fail")+" in both")
	}
	if c.Slower > 0 {
		rest = append(rest, plural(int64(c.Slower), "is", "are")+" slower")
	}
	detail := strings.Join(rest, ", ")
	if detail != "" {
		detail += "."
	}
	switch {
	case c.NewFailures > 0:
		return notice{Class: "failed", Text: fmt.Sprintf("Head is worse: %s.", plural(int64(c.NewFailures), "case fails now that did not fail", "cases fail now that did not fail"))}, detail
	case c.Fixed > 0:
		return notice{Class: "passed", Text: "Head is better: no new failure."}, detail
	case c.StillFailing > 0:
		return notice{Class: "skipped", Text: "No new failure."}, detail
	}
	return notice{Class: "passed", Text: "Nothing fails in head."}, detail
}

// deltasShown is how many cases of each kind the page lists; the rest is in the
// answer of the API.
const deltasShown = 100

func deltaRows(list []dashboard.Delta) []deltaRow {
	list = list[:min(len(list), deltasShown)]
	rows := make([]deltaRow, len(list))
	var most float64
	for _, d := range list {
		if d.Head != nil {
			most = max(most, float64(d.Head.DurationMS))
		}
	}
	for i, d := range list {
		row := deltaRow{Delta: d}
		if d.Base != nil {
			row.Shown, row.BaseDuration = *d.Base, duration(millis(d.Base.DurationMS))
		}
		if d.Head != nil {
			row.Shown = *d.Head
		}
		row.Duration = duration(millis(row.Shown.DurationMS))
		if d.Base != nil && d.Head != nil && d.Head.DurationMS > d.Base.DurationMS {
			more := d.Head.DurationMS - d.Base.DurationMS
			row.More, row.Ratio = "+"+duration(millis(more)), fmt.Sprintf("%.1f ×", d.Ratio)
			row.Meter = newMeter(most, row.BaseDuration+", now "+row.Duration, share{"m1", float64(d.Base.DurationMS)}, share{"m3", float64(more)})
		}
		rows[i] = row
	}
	return rows
}

// addDeltaStrips shows the newest runs of the first cases of each section.
func (s *web) addDeltaStrips(r *http.Request, sections []deltaSection) {
	var g errgroup.Group
	g.SetLimit(4)
	for _, section := range sections {
		for i := range section.Rows[:min(len(section.Rows), strips)] {
			row := &section.Rows[i]
			g.Go(func() error {
				if history, err := s.store.History(r.Context(), row.CaseID, dashboard.HistoryLimit); err == nil {
					row.Strip = dots(history.Outcomes)
				}
				return nil // without a history the strip is left out
			})
		}
	}
	_ = g.Wait()
}
