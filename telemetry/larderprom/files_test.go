package larderprom_test

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/larder-go/larder/telemetry/internal/figures"
)

// query is the expressions of one file.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	rules, err := os.ReadFile("../alerts/larder.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s+expr: (.+)$`).FindAllStringSubmatch(string(rules), -1) {
		found["alerts"] = append(found["alerts"], m[1])
	}
	data, err := os.ReadFile("../grafana/larder.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			found["grafana"] = append(found["grafana"], q.Expr)
		}
	}
	if len(found["alerts"]) < 5 || len(found["grafana"]) < 20 {
		t.Fatalf("%d alerts, %d queries were found", len(found["alerts"]), len(found["grafana"]))
	}
	return found
}

var (
	selector = regexp.MustCompile(`(larder_[a-z_]+)(\{[^}]*\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"([^"]*)"`)
	grouping = regexp.MustCompile(`by \(([^)]*)\)`)
)

// Every query of the dashboard and of the alerts names metrics, labels and label
// values that a scrape of a used cache has, and every metric is shown somewhere.
func TestQueriesNameWhatAScrapeHas(t *testing.T) {
	cache, spaces := loaded(t, 1)
	if _, err := spaces[0].Get(t.Context(), 3, func(context.Context, int) (string, error) { return "v", nil }); err != nil {
		t.Fatal(err)
	}
	g := gather(t, cache)
	shown := map[string]bool{}
	for file, list := range queries(t) {
		for _, q := range list {
			if strings.Count(q, "(") != strings.Count(q, ")") {
				t.Errorf("%s: unbalanced: %s", file, q)
			}
			labels := []string{"le"}
			for _, m := range selector.FindAllStringSubmatch(q, -1) {
				name := m[1]
				if base := strings.TrimSuffix(name, "_bucket"); g[base] != nil {
					name = base
				}
				if g[name] == nil {
					t.Errorf("%s: no metric %s: %s", file, name, q)
					continue
				}
				shown[name] = true
				labels = append(labels, checkMatchers(t, g, name, m[2])...)
			}
			for _, by := range grouping.FindAllStringSubmatch(q, -1) {
				for _, label := range strings.Split(by[1], ",") {
					if !slices.Contains(labels, strings.TrimSpace(label)) {
						t.Errorf("%s: no label %s: %s", file, label, q)
					}
				}
			}
		}
	}
	for _, m := range figures.Metrics() {
		if !shown[m.Name] {
			t.Errorf("%s is in no query", m.Name)
		}
	}
}

// checkMatchers holds the matchers of a selector to the series of a metric, and
// returns the names of its labels.
func checkMatchers(t *testing.T, g gathered, name, matchers string) (names []string) {
	t.Helper()
	values := map[string][]string{}
	for _, m := range g[name].GetMetric() {
		for _, l := range m.GetLabel() {
			values[l.GetName()] = append(values[l.GetName()], l.GetValue())
			names = append(names, l.GetName())
		}
	}
	for _, m := range matcher.FindAllStringSubmatch(matchers, -1) {
		for _, want := range strings.Split(m[3], "|") {
			if !slices.Contains(values[m[1]], want) {
				t.Errorf("%s has no %s=%q", name, m[1], want)
			}
		}
	}
	return names
}

// The documentation has a row for each metric, with its type, labels and meaning
// as the code has them, and says what to do about each alert.
func TestOperationsDocumentsEveryMetricAndAlert(t *testing.T) {
	data, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, m := range figures.Metrics() {
		row := "| `" + m.Name + "` | " + string(m.Kind) + " | " + strings.Join(m.Labels, ", ") + " | " + m.Help + " |"
		if !strings.Contains(text, row) {
			t.Errorf("docs/operations.md lacks:\n%s", row)
		}
	}
	rules, err := os.ReadFile("../alerts/larder.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !strings.Contains(text, "`"+m[1]+"`") {
			t.Errorf("docs/operations.md does not say what to do about %s", m[1])
		}
	}
}
