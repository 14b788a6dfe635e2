package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Every query of the alerts and of the dashboard is PromQL, and each selector
// finds, in what a qadash under load shows, a metric, labels and values.
func TestQueriesFindWhatQadashShows(t *testing.T) {
	q := startQadash(t)
	q.fill()
	enough := make(chan struct{})
	close(enough)
	q.load(enough)
	s := q.scrape()
	checked := 0
	for file, list := range expressions(t) {
		for _, text := range list {
			query, err := parser.ParseExpr(text)
			if err != nil {
				t.Errorf("%s: %s: %v", file, text, err)
				continue
			}
			for _, problem := range missing(query, s) {
				t.Errorf("%s: %s: %s", file, text, problem)
			}
			checked++
		}
	}
	// A query that names what is not there is found.
	for _, wrong := range []string{`larder_nonsense_total`, `larder_loads_total{outcome="nonsense"}`, `larder_loads_total{outcome=~"ok|nonsense"}`,
		`larder_loads_total{nonsense!="x"}`, `sum by (nonsense) (larder_loads_total)`, `rate(larder_load_seconds_nonsense[5m])`} {
		query, err := parser.ParseExpr(wrong)
		if err != nil {
			t.Fatal(err)
		}
		if len(missing(query, s)) != 1 {
			t.Errorf("%s is not found to be wrong: %q", wrong, missing(query, s))
		}
	}
	t.Logf("%d queries checked", checked)
}

// missing returns what a query names and a scrape does not have.
func missing(query parser.Expr, s scrape) (problems []string) {
	known := []string{}
	parser.Inspect(query, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			values := s.labelsOf(v.Name)
			if values == nil {
				problems = append(problems, "no metric "+v.Name)
				return nil
			}
			for name := range values {
				known = append(known, name)
			}
			for _, m := range v.LabelMatchers {
				if m.Name != labels.MetricName {
					problems = append(problems, unmatched(m, values[m.Name])...)
				}
			}
		}
		return nil
	})
	parser.Inspect(query, func(n parser.Node, _ []parser.Node) error {
		if a, ok := n.(*parser.AggregateExpr); ok && len(problems) == 0 {
			for _, label := range a.Grouping {
				if !slices.Contains(known, label) {
					problems = append(problems, "no label "+label)
				}
			}
		}
		return nil
	})
	return problems
}

// labelsOf returns the values of each label of the series called name, nil if
// there are none.
func (s scrape) labelsOf(name string) map[string][]string {
	family := s[name]
	values := map[string][]string{}
	if base, ok := strings.CutSuffix(name, "_bucket"); ok && family == nil {
		family = s[base]
		values["le"] = []string{"+Inf"}
	}
	if family == nil {
		return nil
	}
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			values[l.GetName()] = append(values[l.GetName()], l.GetValue())
		}
	}
	return values
}

// unmatched returns the values a matcher names that no series has.
func unmatched(m *labels.Matcher, values []string) (problems []string) {
	if len(values) == 0 {
		return []string{"no label " + m.Name}
	}
	wanted := m.SetMatches() // of =~"a|b"
	if m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual {
		wanted = []string{m.Value}
	}
	for _, v := range wanted {
		if !slices.Contains(values, v) {
			problems = append(problems, "no series has "+m.Name+"="+v)
		}
	}
	return problems
}

// equation are two counters of the same thing.
type equation struct {
	what        string
	left, right func(scrape) float64
}

func of(name string, labels ...string) func(scrape) float64 {
	return func(s scrape) float64 { return s.sum(name, labels...) }
}

var equations = []equation{
	{"reads beyond memory and their times", func(s scrape) float64 {
		return s.sum("larder_requests_total") - s.sum("larder_requests_total", "result=memory_hit")
	}, of("larder_request_seconds")},
	{"loads and their times", of("larder_loads_total"), of("larder_load_seconds")},
	{"operations on Redis and their times", of("larder_remote_calls_total"), of("larder_remote_call_seconds")},
	{"gets and their times", of("larder_remote_calls_total", "op=get"), of("larder_remote_call_seconds", "op=get")},
}

// Two counters of the same thing agree: exactly at rest, and under load within
// what is between the two at the moment. The number of answers is that of the
// requests.
func TestCountersOfQadashAddUp(t *testing.T) {
	q := startQadash(t)
	q.fill()
	scrapes := []scrape{q.scrape()}
	var gets, patches int
	loaded, enough := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(loaded)
		gets, patches = q.load(enough)
	}()
	for running := true; running; {
		select {
		case <-loaded:
			running = false
		case <-time.After(20 * time.Millisecond):
		}
		if scrapes = append(scrapes, q.scrape()); len(scrapes) == 6 {
			close(enough)
		}
	}
	for _, e := range equations {
		for i := 1; i+1 < len(scrapes); i++ {
			if left := e.left(scrapes[i]); left < e.right(scrapes[i-1])-between || left > e.right(scrapes[i+1])+between {
				t.Errorf("%s: %v is not between %v and %v", e.what, left, e.right(scrapes[i-1]), e.right(scrapes[i+1]))
			}
			if e.left(scrapes[i]) < e.left(scrapes[i-1]) {
				t.Errorf("%s fell from %v to %v", e.what, e.left(scrapes[i-1]), e.left(scrapes[i]))
			}
		}
	}
	q.atRest(t)
	s := q.scrape()
	for what, pair := range map[string][2]float64{
		"answers to GET":   {s.sum("qadash_http_request_seconds", "route=/api/v1/suites/{id}", "method=GET"), float64(gets)},
		"answers to PATCH": {s.sum("qadash_http_request_seconds", "route=/api/v1/suites/{id}", "method=PATCH"), float64(patches)},
		"reports":          {s.sum("qadash_reports_total"), suites},
		"cases":            {s.sum("qadash_report_cases_total"), 2 * suites},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v are counted, there were %v", what, pair[0], pair[1])
		}
	}
	if s.sum("larder_requests_total") < float64(gets) || s.sum("larder_invalidations_total", "origin=own") < float64(patches) {
		t.Errorf("%v reads and %v invalidations are counted for %d and %d requests", s.sum("larder_requests_total"), s.sum("larder_invalidations_total", "origin=own"), gets, patches)
	}
}

// between is how many operations of all workers may be counted in one of two
// counters and not yet in the other.
const between = 50

// atRest waits until all equations hold in one scrape: heartbeats go on, and one
// may be under way.
func (q *qadash) atRest(t *testing.T) {
	t.Helper()
	var last []string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		s := q.scrape()
		last = last[:0]
		for _, e := range equations {
			if e.left(s) != e.right(s) || e.left(s) == 0 {
				last = append(last, fmt.Sprintf("%s: %v and %v", e.what, e.left(s), e.right(s)))
			}
		}
		if len(last) == 0 {
			return
		}
	}
	t.Errorf("at rest these do not agree: %q", last)
}
