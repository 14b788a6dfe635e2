package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// caseData is the content of the page of one case.
type caseData struct {
	dashboard.Case
	History  dashboard.CaseHistory
	Newest   *dashboard.Outcome
	Strip    []outcomeRow // the oldest first
	Counts   map[dashboard.Status]int64
	Signs    []signRow
	Hints    []signRow
	Took     string // how failures differ in duration
	Plot     casePlot
	Failure  *resultRow // the last, with its stack
	Runs     []outcomeRow
	Tab      string
	Tabs     []chip
	Only     []chip
	Judged   string // passed of judged outcomes
	Span     string // of the strip
	Signed   string // the runs in which signs count
	Now      time.Time
	Zone     *time.Location
	Failures int64
}

// outcomeRow is a run of the case as lists show it.
type outcomeRow struct {
	dashboard.Outcome
	Duration string
	Title    string
}

// signRow is a sign of flakiness in words.
type signRow struct {
	dashboard.Sign
	Text, Value, From string
}

// runsShown is how many runs the page of a case has.
const runsShown = dashboard.HistoryLimit

func (s *web) testCase(_ http.ResponseWriter, r *http.Request) (*view, error) {
	id, ok := pathID(r)
	if !ok {
		return notFound("There is no such case."), nil
	}
	c, err := s.store.Case(r.Context(), id)
	if err != nil {
		return nil, err
	}
	history, err := s.store.History(r.Context(), id, runsShown)
	if err != nil {
		return nil, err
	}
	d := newCaseData(c, history, zoneOf(r), s.Now())
	if d.Failure, err = s.lastFailure(r.Context(), c, history); err != nil {
		return nil, err
	}
	d.Tab = r.URL.Query().Get("tab")
	d.Tabs = chips(r, "tab", chip{Name: "History"}, chip{Name: "Failures", Path: "failures", Count: d.Failures, Counted: true}, chip{Name: "Code", Path: "code"})
	if d.Tab == "failures" {
		d.Runs = slices.DeleteFunc(d.Runs, func(o outcomeRow) bool {
			return o.Status != dashboard.StatusFailed && o.Status != dashboard.StatusError
		})
	}
	return &view{Name: "case", Title: c.Name, Path: "/suites", Data: d}, nil
}

func newCaseData(c dashboard.Case, history dashboard.CaseHistory, zone *time.Location, now time.Time) caseData {
	d := caseData{Case: c, History: history, Counts: map[dashboard.Status]int64{}, Now: now, Zone: zone}
	for i, o := range history.Outcomes {
		if i == 0 {
			d.Newest = &o
		}
		d.Counts[o.Status]++
		row := outcomeRow{Outcome: o, Duration: duration(millis(o.DurationMS))}
		row.Title = fmt.Sprintf("#%d %s, %s, %s", o.ExecutionID, o.Status, o.StartedAt.In(zone).Format("2 Jan 15:04"), row.Duration)
		d.Runs = append(d.Runs, row)
	}
	d.Strip = slices.Clone(d.Runs)
	slices.Reverse(d.Strip)
	d.Failures = d.Counts[dashboard.StatusFailed] + d.Counts[dashboard.StatusError]
	d.Judged = fmt.Sprintf("%d of %d", d.Counts[dashboard.StatusPassed], d.Counts[dashboard.StatusPassed]+d.Failures)
	d.Span = "last " + plural(int64(len(d.Strip)), "run", "runs")
	if len(d.Strip) == 1 {
		d.Span = "its only run"
	}
	d.Signed = signedSpan(d)
	for _, sign := range history.Signs {
		d.Signs = append(d.Signs, newSignRow(sign))
	}
	d.Hints, d.Took = hintRows(history.Outcomes), failedDuration(history.Outcomes)
	d.Plot = newCasePlot(d.Strip, history.MedianDurationMS)
	return d
}

// signedSpan names the runs that signs are counted in: ten clean passes in a row
// leave out what was before them.
func signedSpan(d caseData) string {
	counted, judged := 0, int(d.Counts[dashboard.StatusPassed]+d.Failures)
	for _, sign := range d.History.Signs {
		if sign.Name == dashboard.SignRetried {
			counted = sign.Of
		}
	}
	switch counted {
	case judged:
		return d.Span
	case 0:
		return fmt.Sprintf("cleared by %d clean passes", dashboard.CleanRuns)
	}
	return fmt.Sprintf("%s since %d clean passes", plural(int64(counted), "run", "runs"), dashboard.CleanRuns)
}

func newSignRow(s dashboard.Sign) signRow {
	row := signRow{Sign: s, Text: string(s.Name), Value: fmt.Sprintf("%d of %d", s.Value, s.Of), From: count(s.Threshold)}
	switch s.Name {
	case dashboard.SignRetried:
		row.Text = "Passed on a later attempt of the same run"
	case dashboard.SignMixed:
		row.Text = "Passed and failed on the same commit"
	case dashboard.SignSwitches:
		row.Text = "Changes between good and bad"
	}
	return row
}

// lastFailure finds the result of the last failure with its stack.
func (s *web) lastFailure(ctx context.Context, c dashboard.Case, history dashboard.CaseHistory) (*resultRow, error) {
	last := history.LastFailure
	if last == nil {
		return nil, nil
	}
	query := c.Name
	if len(query) > dashboard.MaxQuery {
		query = strings.ToValidUTF8(query[:dashboard.MaxQuery], "")
	}
	for _, status := range []dashboard.Status{last.Status} {
		list, err := s.store.Results(ctx, last.ExecutionID, dashboard.ResultFilter{Status: status, Query: query}, dashboard.Page{Limit: dashboard.MaxLimit})
		if err != nil {
			return nil, err
		}
		for _, result := range list.Items {
			if result.CaseID == c.ID {
				row := newResultRow(result)
				return &row, nil
			}
		}
	}
	return nil, nil
}

// casePlot is the chart of durations by run.
type casePlot struct {
	plot
	Line, Base string
	Dots       []pathRow
	Label      string
}

type pathRow struct{ Class, Path string }

func newCasePlot(runs []outcomeRow, median int64) casePlot {
	var top float64
	for _, o := range runs {
		top = max(top, float64(o.DurationMS)/1000)
	}
	if len(runs) < 2 || top <= 0 {
		return casePlot{}
	}
	a := newAxesOf(top)
	p := casePlot{plot: a.plot, Label: fmt.Sprintf("Duration of the last %d runs, in seconds; usually %s", len(runs), duration(millis(median)))}
	p.Ticks[0] += " s"
	y := func(ms int64) float64 { return 200 - 200*float64(ms)/1000/a.top }
	x := func(i int) float64 { return 800 * (float64(i) + 0.5) / float64(len(runs)) }
	var line strings.Builder
	paths := map[string]*strings.Builder{}
	pen := "M"
	for i, o := range runs {
		if o.Status == dashboard.StatusSkipped {
			pen = "M"
			continue
		}
		at := point(x(i)) + " " + point(y(o.DurationMS))
		line.WriteString(pen + at)
		pen = "L"
		class := map[dashboard.Status]string{dashboard.StatusFailed: "failed", dashboard.StatusError: "error"}[o.Status]
		if class == "" {
			class = "m2"
		}
		if paths[class] == nil {
			paths[class] = &strings.Builder{}
		}
		paths[class].WriteString("M" + at + "h0")
	}
	p.Line, p.Base = line.String(), "M0 "+point(y(median))+"H800"
	for _, class := range []string{"m2", "failed", "error"} {
		if paths[class] != nil {
			p.Dots = append(p.Dots, pathRow{class, paths[class].String()})
		}
	}
	for i, o := range runs {
		p.Areas = append(p.Areas, area{X: point(800 * float64(i) / float64(len(runs))), Width: point(800 / float64(len(runs))), Title: o.Title})
	}
	for i := len(runs) / 12; i < len(runs); i += max(1, len(runs)/6) {
		p.Labels = append(p.Labels, label{X: point(x(i)/8) + "%", Text: fmt.Sprintf("#%d", runs[i].ExecutionID)})
	}
	return p
}

// newAxesOf is newAxes for values that may be far below one.
func newAxesOf(top float64) axes {
	scale := math.Pow(10, math.Ceil(math.Log10(10/top)))
	if top >= 4 {
		scale = 1
	}
	a := newAxes(top * scale)
	a.top /= scale
	steps := len(a.Ticks) - 1
	for i := range a.Ticks {
		a.Ticks[i] = tick(a.top * float64(steps-i) / float64(steps))
	}
	return a
}
