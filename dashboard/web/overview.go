package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/larder-go/larder/dashboard"
)

// recentRuns is how many executions the overview lists.
const recentRuns = 10

// listed is how many flaky, slow and frequent things the overview lists.
const listed = 6

// figures are the reads of the overview.
type figures struct {
	stats       dashboard.Stats
	trends      []dashboard.TrendDay
	recent      []dashboard.Execution
	running     []dashboard.Execution
	types       []dashboard.TypeShare
	performance dashboard.PerformanceMetrics
	health      []dashboard.SuiteHealth
	flaky       []dashboard.FlakyCase
	slowest     []dashboard.SlowCase
	errors      []dashboard.TopError
}

// read asks the store for everything at once: on a cold cache the page costs
// its slowest read, not their sum.
func (s *web) read(ctx context.Context, days int, zone *time.Location) (figures, error) {
	var f figures
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { f.stats, err = s.store.Stats(ctx); return })
	g.Go(func() (err error) { f.trends, err = s.store.Trends(ctx, days, zone); return })
	g.Go(func() (err error) { f.recent, err = s.store.Recent(ctx, recentRuns); return })
	g.Go(func() (err error) { f.types, err = s.store.TestTypes(ctx); return })
	g.Go(func() (err error) { f.performance, err = s.store.Performance(ctx); return })
	g.Go(func() (err error) { f.health, err = s.store.Health(ctx, s.Branch); return })
	g.Go(func() (err error) { f.flaky, err = s.store.Flaky(ctx, dashboard.MaxInsights); return })
	g.Go(func() (err error) { f.slowest, err = s.store.Slowest(ctx, listed); return })
	g.Go(func() (err error) { f.errors, err = s.store.TopErrors(ctx, listed); return })
	g.Go(func() error {
		list, err := s.store.Executions(ctx, dashboard.ExecutionFilter{Status: dashboard.StatusRunning}, dashboard.Page{Limit: 3})
		f.running = list.Items
		return err
	})
	return f, g.Wait()
}

// overviewData is the content of the page.
type overviewData struct {
	Empty    bool
	Demo     bool // demo data can be had
	Headline headline
	Days     int
	Periods  []period
	Tiles    []tile
	Trend    trendPanel
	Types    []typeRow
	Cases    int64
	Recent   []executionRow
	Suites   []suiteRow
	// AllSuites is how many suites had runs; Suites may be the worst of them.
	AllSuites int
	Flaky     []flakyRow
	AllFlaky  int
	Slow      []slowRow
	Errors    []dashboard.TopError
	Upload    uploadPanel
	Answers   answersPanel
	CI        ciLines
	Now       time.Time
	Zone      *time.Location
}

type period struct {
	Days    int
	Current bool
}

func (s *web) overview(_ http.ResponseWriter, r *http.Request) (*view, error) {
	return s.overviewWith(r, http.StatusOK, s.noticeOf(r))
}

// overviewWith draws the page with a notice about an upload.
func (s *web) overviewWith(r *http.Request, status int, n notice) (*view, error) {
	days := daysOf(r)
	zone := zoneOf(r)
	start := time.Now()
	f, err := s.read(r.Context(), days, zone)
	if err != nil {
		return nil, err
	}
	d := s.overviewData(f, days, zone)
	d.CI = s.ciLines(r)
	d.Upload = uploadPanel{Notice: n, Suites: suiteNames(f), Suite: r.URL.Query().Get("suite")}
	d.Answers = newAnswers(dashboard.TraceOf(r.Context()).Answers(), time.Since(start))
	return &view{Name: "overview", Title: "Overview", Path: "/", Status: status, Data: d}, nil
}

func (s *web) overviewData(f figures, days int, zone *time.Location) overviewData {
	now := s.Now()
	_, seeds := s.store.(dashboard.Seeder)
	d := overviewData{
		Empty: f.stats.TotalSuites == 0 && f.stats.TotalExecutions == 0, Demo: seeds, Headline: newHeadline(f.health, s.Branch), Days: days,
		Tiles: newTiles(f, days, now), Trend: newTrend(f.trends), Cases: f.stats.TotalCases, Now: now, Zone: zone,
	}
	for _, n := range []int{7, 30, 90} {
		d.Periods = append(d.Periods, period{Days: n, Current: n == days})
	}
	d.Types = newTypes(f.types)
	d.Flaky, d.AllFlaky = flakyRows(f.flaky[:min(len(f.flaky), listed)]), len(f.flaky)
	d.Slow, d.Errors = slowRows(f.slowest), f.errors
	for _, e := range f.recent {
		d.Recent = append(d.Recent, newExecutionRow(e, now))
	}
	d.AllSuites = len(f.performance.Suites)
	for _, p := range worstSuites(f.performance.Suites) {
		d.Suites = append(d.Suites, newSuiteRow(p))
	}
	return d
}

// daysOf reads the period; what is not one of the three is the middle one.
func daysOf(r *http.Request) int {
	if days, err := strconv.Atoi(r.URL.Query().Get("days")); err == nil && slices.Contains([]int{7, 30, 90}, days) {
		return days
	}
	return 30
}

// headline is the first line: is the default branch healthy?
type headline struct {
	Class string
	Text  string
	Red   []dashboard.SuiteHealth
	More  int
}

func newHeadline(health []dashboard.SuiteHealth, branch string) headline {
	if len(health) == 0 {
		return headline{Class: "skipped", Text: "no finished run on " + branch + " yet"}
	}
	var red []dashboard.SuiteHealth
	for _, h := range health {
		if h.Red {
			red = append(red, h)
		}
	}
	if len(red) == 0 {
		return headline{Class: "passed", Text: fmt.Sprintf("%s green on %s", allOf(len(health), "suite is", "suites are"), branch)}
	}
	verb := "are"
	if len(red) == 1 {
		verb = "is"
	}
	h := headline{Class: "failed", Text: fmt.Sprintf("%d of %d suites %s red on %s", len(red), len(health), verb, branch), Red: red}
	if len(health) == 1 {
		h.Text = "the one suite is red on " + branch
	}
	if len(red) > 3 {
		h.Red, h.More = red[:3], len(red)-3
	}
	return h
}

func allOf(n int, one, many string) string {
	if n == 1 {
		return "the one " + one
	}
	return fmt.Sprintf("all %d %s", n, many)
}

// tile is one figure with what it means.
type tile struct {
	Name, Figure, Unit string
	Lines              []string
	Spark              spark
	SparkLabel         string
	Meters             []meter
}

func newTiles(f figures, days int, now time.Time) []tile {
	st := f.stats
	rates, totals, durations := make([]float64, len(f.trends)), make([]float64, len(f.trends)), make([]float64, len(f.trends))
	for i, d := range f.trends {
		rates[i], totals[i], durations[i] = d.SuccessRate, float64(d.Total), d.AvgDurationMS
		if d.Total == 0 {
			rates[i], durations[i] = math.NaN(), math.NaN()
		}
	}
	span := strconv.Itoa(days) + " days"
	success := tile{Name: "Success rate", Figure: "–", Lines: []string{"nothing has finished yet"}}
	average := tile{Name: "Average duration", Figure: "–", Lines: []string{"nothing has finished yet"}}
	if st.FinishedExecutions > 0 {
		success.Figure, success.Unit = percentFigure(st.SuccessRate/100), "%"
		success.Lines = []string{count(st.PassedExecutions) + " of " + count(st.FinishedExecutions) + " finished"}
		success.Spark, success.SparkLabel = newSpark(rates), "success rate per day, "+span
		average.Figure, average.Lines = duration(millis(st.AvgDurationMS)), []string{drift(f.trends)}
		average.Spark, average.SparkLabel = newSpark(durations), "average duration per day, "+span
	}
	return []tile{
		success,
		{Name: "Last 24 hours", Figure: count(st.Last24hExecutions), Unit: noun(st.Last24hExecutions, "execution", "executions"),
			Lines: []string{usual(f.trends)}, Spark: newSpark(totals), SparkLabel: "executions per day, " + span},
		average, runningTile(f, now),
		{Name: "Test cases", Figure: count(st.TotalCases), Lines: []string{"in " + plural(st.TotalSuites, "suite", "suites"), plural(st.TotalExecutions, "execution", "executions") + " recorded"}},
	}
}

func noun(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// usual is the mean number of executions of the days before today.
func usual(days []dashboard.TrendDay) string {
	if len(days) < 2 {
		return ""
	}
	var total int64
	for _, d := range days[:len(days)-1] {
		total += d.Total
	}
	mean := int64(math.Round(float64(total) / float64(len(days)-1)))
	return count(mean) + " on the days before, on average"
}

// drift compares the second half of the period with the first.
func drift(days []dashboard.TrendDay) string {
	half := len(days) / 2
	before, after := meanDuration(days[:half]), meanDuration(days[half:])
	if before == 0 || after == 0 {
		return "of all finished executions"
	}
	change := time.Duration(math.Abs(after-before)) * time.Millisecond
	if change < time.Second/2 && change < time.Duration(before/50)*time.Millisecond {
		return fmt.Sprintf("steady over %d days", len(days))
	}
	sign := "+"
	if after < before {
		sign = "−"
	}
	return fmt.Sprintf("%s%s in %d days", sign, roughly(change), len(days))
}

// roughly writes a difference with the precision that a comparison can bear.
func roughly(d time.Duration) string {
	if d >= 3*time.Second && d < time.Minute {
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return duration(d)
}

func meanDuration(days []dashboard.TrendDay) float64 {
	var total float64
	var n int64
	for _, d := range days {
		total, n = total+d.AvgDurationMS*float64(d.Total), n+d.Total
	}
	if n == 0 {
		return 0
	}
	return total / float64(n)
}

func runningTile(f figures, now time.Time) tile {
	t := tile{Name: "Running now", Figure: count(f.stats.ActiveExecutions)}
	if f.stats.PendingExecutions > 0 {
		t.Unit = "and " + count(f.stats.PendingExecutions) + " pending"
	}
	var oldest time.Time
	for _, e := range f.running {
		if e.StartedAt != nil && (oldest.IsZero() || e.StartedAt.Before(oldest)) {
			oldest = *e.StartedAt
		}
		if len(t.Meters) < 2 {
			t.Meters = append(t.Meters, countsMeter(e.Counts, e.SuiteName+", "+progress(e.Counts)))
		}
	}
	switch {
	case f.stats.ActiveExecutions == 0 && f.stats.PendingExecutions == 0:
		t.Lines = []string{"nothing is running"}
	case !oldest.IsZero():
		t.Lines = []string{"oldest for " + duration(now.Sub(oldest).Round(time.Second))}
	}
	return t
}

func progress(c dashboard.Counts) string {
	return fmt.Sprintf("%d of %d done", c.Passed+c.Failed+c.Errors+c.Skipped, c.Total)
}

// countsMeter shows results with failures first.
func countsMeter(c dashboard.Counts, text string) meter {
	return newMeter(float64(c.Total), text, share{"failed", float64(c.Failed)}, share{"error", float64(c.Errors)},
		share{"skipped", float64(c.Skipped)}, share{"passed", float64(c.Passed)})
}

type typeRow struct {
	Name  string
	Count int64
	Share string
	Meter meter
}

func newTypes(types []dashboard.TypeShare) []typeRow {
	var most float64
	for _, t := range types {
		most = max(most, float64(t.Count))
	}
	var rows []typeRow
	for _, t := range types {
		rows = append(rows, typeRow{string(t.TestType), t.Count, percent(t.Percentage / 100),
			newMeter(most, plural(t.Count, "case", "cases"), share{"m1", float64(t.Count)})})
	}
	return rows
}

type suiteRow struct {
	dashboard.SuitePerformance
	Spark       spark
	Median, P95 string
	Success     string
}

// shownSuites is how many suites have their performance on the overview.
const shownSuites = 25

// worstSuites returns all suites by name, or those that succeed least where they are many.
func worstSuites(all []dashboard.SuitePerformance) []dashboard.SuitePerformance {
	if len(all) <= shownSuites {
		return all
	}
	worst := slices.Clone(all)
	slices.SortStableFunc(worst, func(a, b dashboard.SuitePerformance) int { return cmp.Compare(a.SuccessRate, b.SuccessRate) })
	return worst[:shownSuites]
}

func newSuiteRow(p dashboard.SuitePerformance) suiteRow {
	values := make([]float64, len(p.Daily))
	for i, v := range p.Daily {
		values[i] = math.NaN()
		if v != nil {
			values[i] = float64(*v)
		}
	}
	return suiteRow{SuitePerformance: p, Spark: newSpark(values), Median: duration(millis(p.MedianDurationMS)), P95: duration(millis(p.P95DurationMS)),
		Success: percent(p.SuccessRate / 100)}
}

func suiteNames(f figures) []string {
	var names []string
	for _, p := range f.performance.Suites {
		names = append(names, p.SuiteName)
	}
	for _, e := range f.recent {
		if !slices.Contains(names, e.SuiteName) {
			names = append(names, e.SuiteName)
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
