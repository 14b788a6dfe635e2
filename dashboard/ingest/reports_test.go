package ingest_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/ingest"
)

// expectation is what a reader should find in a real report.
type expectation struct {
	Format  string `json:"format"`
	Valid   bool   `json:"valid"`
	Tests   int    `json:"tests"`
	Passed  int    `json:"passed"`
	Failed  int    `json:"failed"`
	Errored int    `json:"errored"`
	Skipped int    `json:"skipped"`
	Suites  int    `json:"suites"`
}

// reports finds the folder of real reports, or "" when it is not there.
func reports(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("LARDER_REPORTS"); dir != "" {
		return dir
	}
	dir := filepath.Join("..", "..", "..", "shared", "reports")
	if _, err := os.Stat(filepath.Join(dir, "expected.json")); err != nil {
		return ""
	}
	return dir
}

// The real reports of many producers, where they are at hand, and the fixtures
// that are always here are read with exactly the counts that a person finds.
func TestReportsOfManyProducers(t *testing.T) {
	dirs := []string{"testdata"}
	if dir := reports(t); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var expected map[string]expectation
		if err := json.Unmarshal(raw, &expected); err != nil {
			t.Fatal(err)
		}
		for name, want := range expected {
			t.Run(name, func(t *testing.T) { checkReport(t, filepath.Join(dir, name), want) })
		}
	}
}

func checkReport(t *testing.T, path string, want expectation) {
	t.Helper()
	parse := map[string]dashboard.ReportParser{"junit": ingest.JUnit, "gotest": ingest.GoTest}[want.Format]
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	got, err := parse(io.Reader(f))
	if !want.Valid {
		var refused *dashboard.ReportError
		if !errors.As(err, &refused) || refused.Line < 1 {
			t.Fatalf("an invalid report gave %v", err)
		}
		t.Log(err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	counts := dashboard.Counts{Total: want.Tests, Passed: want.Passed, Failed: want.Failed, Skipped: want.Skipped, Errors: want.Errored}
	if got.Counts() != counts || got.Suites != want.Suites {
		t.Fatalf("counts are %+v in %d suites, want %+v in %d", got.Counts(), got.Suites, counts, want.Suites)
	}
}
