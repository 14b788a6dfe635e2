package dashboard_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/larder-go/larder/dashboard"
)

// Every transition that the states allow is listed here; every other is refused.
func TestTransitions(t *testing.T) {
	execution := map[[2]dashboard.Status]bool{
		{"pending", "running"}: true, {"running", "passed"}: true, {"running", "failed"}: true, {"running", "error"}: true, {"running", "stopped"}: true,
	}
	result := map[[2]dashboard.Status]bool{{"pending", "running"}: true}
	for _, from := range []dashboard.Status{"pending", "running"} {
		for _, to := range []dashboard.Status{"passed", "failed", "error", "skipped"} {
			result[[2]dashboard.Status{from, to}] = true
		}
	}
	all := []dashboard.Status{"pending", "running", "passed", "failed", "error", "stopped", "skipped", "nonsense", ""}
	for _, from := range all {
		for _, to := range all {
			pair := [2]dashboard.Status{from, to}
			if got := dashboard.ExecutionMay(from, to); got != execution[pair] {
				t.Errorf("an execution may go from %q to %q: %v", from, to, got)
			}
			if got := dashboard.ResultMay(from, to); from != "" && got != result[pair] {
				t.Errorf("a result may go from %q to %q: %v", from, to, got)
			}
		}
	}
}

// A long text keeps its two ends, says what is missing, and never exceeds its size.
func TestCutText(t *testing.T) {
	for _, unit := range []string{"x", "é", "𒍺", "\xff", "\x00"} {
		for _, n := range []int{0, 1, 100, 499, 500, 501, 700, 5000} {
			s := strings.Repeat(unit, n)
			got := dashboard.CutText(s, 500)
			if len(got) > 500 || !utf8.ValidString(got) || strings.ContainsRune(got, 0) {
				t.Errorf("%d × %q became %d bytes", n, unit, len(got))
			}
			if len(s) <= 500 && utf8.ValidString(s) && unit != "\x00" && got != s {
				t.Errorf("%d × %q was changed", n, unit)
			}
		}
	}
	got := dashboard.CutText("begin "+strings.Repeat("x", 1000)+" end", 500)
	if !strings.HasPrefix(got, "begin ") || !strings.HasSuffix(got, " end") || !strings.Contains(got, "bytes cut") {
		t.Errorf("cut to %q", got)
	}
}
