package api_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// reports is the folder of real reports of many producers, if it is there.
func reports(t *testing.T) string {
	for _, dir := range []string{os.Getenv("LARDER_REPORTS"), "../../../shared/reports"} {
		if _, err := os.Stat(filepath.Join(dir, "expected.json")); dir != "" && err == nil {
			return dir
		}
	}
	return ""
}

// Real reports arrive with the counts that were counted by hand, and what is no
// report is refused with the line, over HTTP as in the parser. Small fixtures
// of the same kinds are in TestARefusedReportChangesNothing.
func TestRealReportsArriveWithTheirCounts(t *testing.T) {
	dir := reports(t)
	if dir == "" {
		t.Log("LARDER_REPORTS names no folder with expected.json: only the small fixtures were tried")
		return
	}
	data, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]struct {
		Format                                  string
		Valid                                   bool
		Tests, Passed, Failed, Errored, Skipped float64
	}
	if err := json.Unmarshal(data, &expected); err != nil {
		t.Fatal(err)
	}
	c := newClient(t)
	for name, want := range expected {
		if want.Format != "junit" {
			continue
		}
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		w := c.ingest("?suite="+url.QueryEscape(name), "application/xml", file)
		_ = file.Close()
		if !want.Valid {
			if p := decoded[object](t, w.Body); w.Code != 422 || p["line"] == nil {
				t.Errorf("%s: got %d %v", name, w.Code, p)
			}
			continue
		}
		if w.Code != 201 {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
			continue
		}
		e := decoded[object](t, w.Body)["execution"].(object)
		got := [5]any{e["total_tests"], e["passed_tests"], e["failed_tests"], e["error_tests"], e["skipped_tests"]}
		if got != [5]any{want.Tests, want.Passed, want.Failed, want.Errored, want.Skipped} {
			t.Errorf("%s: got %v, want %+v", name, got, want)
		}
	}
}
