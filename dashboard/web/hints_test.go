package web

import (
	"testing"

	"github.com/larder-go/larder/dashboard"
)

func outcomes(list ...dashboard.Outcome) []dashboard.Outcome {
	for i := range list {
		list[i].ExecutionID = int64(len(list) - i)
	}
	return list
}

// A hint is given where there is something to compare, and not otherwise.
func TestHintsSayWhatFailuresShare(t *testing.T) {
	on := func(environment string, status dashboard.Status, message string, ms int64) dashboard.Outcome {
		return dashboard.Outcome{Environment: environment, Status: status, Message: message, DurationMS: ms}
	}
	all := outcomes(
		on("staging", "failed", "timed out after 31 s", 4000), on("dev", "passed", "", 1000), on("staging", "error", "timed out after 30 s", 4200), on("dev", "skipped", "", 0),
		on("staging", "passed", "", 1100), on("staging", "failed", "assert 500 == 409", 3900), on("dev", "passed", "", 900), on("", "passed", "", 1000))
	for name, c := range map[string]struct{ got, want string }{
		"message":                {sharedMessage(all), "2 of 3"},
		"message of one failure": {sharedMessage(all[:2]), ""},
		"environment":            {byEnvironment(all), "staging 3 of 4, dev 0 of 2"},
		"one environment":        {byEnvironment(all[:1]), ""},
		"no failure":             {byEnvironment(outcomes(all[1], all[4])), ""},
		"duration":               {failedDuration(all), "Failures take longer: 4.00 s against 1.00 s."},
		"duration of few":        {failedDuration(all[:4]), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", name, c.got, c.want)
		}
	}
}

func TestAFailureIsSeenBeforeItsPast(t *testing.T) {
	all := outcomes(dashboard.Outcome{Status: "failed"}, dashboard.Outcome{Status: "failed"}, dashboard.Outcome{Status: "passed", Commit: "9f3c2ab"}, dashboard.Outcome{Status: "skipped"}, dashboard.Outcome{Status: "passed"})
	for execution, want := range map[int64]string{
		5: "Passed in 2 of the last 3 runs before this one, last in #3 on 9f3c2ab.", 4: "Passed in the last 2 runs before this one, last in #3 on 9f3c2ab.",
		2: "Passed in the run before this one, #1.", 1: "It has not run before.",
	} {
		if got := before(all, len(all)+1, execution); got != want {
			t.Errorf("#%d: got %q, want %q", execution, got, want)
		}
	}
	if got := before(all[:2], 2, 5); got != "Did not pass in the run before this one." {
		t.Errorf("got %q", got)
	}
	// Older than what was read: nothing is known of the runs before.
	if got := before(all[:2], 2, 3); got != "" {
		t.Errorf("got %q", got)
	}
}
