package larderprom_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/larder-go/larder/telemetry/internal/figures"
)

// Every metric is in a query of the dashboard or of the alerts, so that somebody
// sees it. What the queries name is held to a running qadash by the tests of
// deploy.
func TestEveryMetricIsShown(t *testing.T) {
	var shown strings.Builder
	for _, file := range []string{"../alerts/larder.yaml", "../grafana/larder.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(data)
	}
	for _, m := range figures.Metrics() {
		if !regexp.MustCompile(`\b` + m.Name + `(_bucket|_sum|_count)?\b`).MatchString(shown.String()) {
			t.Errorf("%s is in no query", m.Name)
		}
	}
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
