package dashboard_test

import (
	"strings"
	"testing"

	"github.com/larder-go/larder/dashboard"
)

// outcomes reads a strip, the oldest first: p passed, f failed, e error, s
// skipped, r passed after a retry; a digit before gives the commit.
func outcomes(strip string) []dashboard.Outcome {
	var out []dashboard.Outcome
	commit := ""
	for _, c := range strip {
		o := dashboard.Outcome{Commit: commit, Status: map[rune]dashboard.Status{'p': "passed", 'r': "passed", 'f': "failed", 'e': "error", 's': "skipped"}[c], Flaky: c == 'r'}
		if o.Status == "" {
			commit = string(c)
			continue
		}
		out = append([]dashboard.Outcome{o}, out...)
	}
	return out
}

// The rule decides whom a team blames, so each of its sentences is held: any sign
// is enough, ten clean passes clear, and what a commit broke is not flaky.
func TestSignsOfFlakiness(t *testing.T) {
	for _, x := range []struct {
		strip                    string
		retried, mixed, switches int
		flaky                    bool
	}{
		{"", 0, 0, 0, false},
		{"pppp", 0, 0, 0, false},
		{"ppffff", 0, 0, 1, false}, // broken
		{"ppffpp", 0, 0, 2, false}, // broken and mended
		{"ppfpfp", 0, 0, 4, true},  // more than three switches
		{"pfpf", 0, 0, 3, true},    //
		{"pesssep", 0, 0, 2, false},
		{"psf", 0, 0, 1, false}, // what was skipped is between no two runs
		{"ppr", 1, 0, 0, true},  // failed, then passed within the run
		{"1p2f", 0, 0, 1, false},
		{"1p1f", 0, 1, 1, true}, // passed and failed on one commit
		{"1p2p1e", 0, 1, 1, true},
		{"r" + strings.Repeat("p", 9), 1, 0, 0, true},
		{"r" + strings.Repeat("p", 10), 0, 0, 0, false}, // cleared
		{"r" + strings.Repeat("p", 5) + "s" + strings.Repeat("p", 5), 0, 0, 0, false},
		{"pfpfpf" + strings.Repeat("p", 10) + "f", 0, 0, 0, false}, // what was before stays cleared
		{"pfpfpf" + strings.Repeat("p", 10) + "fp", 0, 0, 1, false},
		{strings.Repeat("pf", 100), 0, 0, 49, true}, // the last 50 only
	} {
		signs, mixed, flaky := dashboard.Signs(outcomes(x.strip))
		if signs[0].Value != x.retried || signs[1].Value != x.mixed || signs[2].Value != x.switches || flaky != x.flaky || len(mixed) != x.mixed {
			t.Errorf("%q: retried %d, mixed %d, switches %d, flaky %v; want %+v", x.strip, signs[0].Value, signs[1].Value, signs[2].Value, flaky, x)
		}
	}
}

func TestSignatures(t *testing.T) {
	for message, want := range map[string]string{
		"":                                  "(no message)",
		"\n \n":                             "(no message)",
		"boom":                              "boom",
		"\nboom":                            "boom",
		"Timeout 30000ms exceeded.\n  at x": "Timeout #ms exceeded.",
		"assert 500 == 409":                 "assert # == #",
		"order 550e8400-e29b-41d4-a716-446655440000   is gone":             "order # is gone",
		"object at 0x7f3a9c at 2026-03-01T10:00:00.123Z from 10.0.0.1:443": "object at # at # from #",
		"commit 9f3c2ab1 of deadbeef":                                      "commit # of deadbeef",
	} {
		if got := dashboard.Signature(message); got != want {
			t.Errorf("%q has the signature %q, want %q", message, got, want)
		}
	}
	if got := dashboard.Signature(strings.Repeat("é", 1000)); len(got) > dashboard.MaxSignature || strings.Contains(got, "\uFFFD") {
		t.Errorf("a long message has the signature %q", got)
	}
}

// FuzzSignature holds that any message has a signature that a database takes, and
// that a signature is its own.
func FuzzSignature(f *testing.F) {
	f.Add("a 1 0x2f 550e8400-e29b-41d4-a716-446655440000")
	f.Add("\xff\x00\x00")
	f.Fuzz(func(t *testing.T, message string) {
		s := dashboard.Signature(dashboard.CutText(message, dashboard.MaxMessage))
		if s == "" || len(s) > dashboard.MaxSignature || strings.ToValidUTF8(s, "") != s {
			t.Fatalf("%q has the signature %q", message, s)
		}
	})
}
