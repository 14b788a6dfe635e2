package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// Hints say what the failures of a case have in common. They prove nothing and
// count for nothing; they are where a reader would look first.

// bad reports an outcome that did not pass; what was skipped is neither.
func bad(s dashboard.Status) bool { return s == dashboard.StatusFailed || s == dashboard.StatusError }

// hintRows are the hints that the outcomes of a case give.
func hintRows(outcomes []dashboard.Outcome) []signRow {
	var rows []signRow
	if text := sharedMessage(outcomes); text != "" {
		rows = append(rows, signRow{Text: "Failures that share a message", Value: text, From: "hint"})
	}
	if text := byEnvironment(outcomes); text != "" {
		rows = append(rows, signRow{Text: "Failures by environment", Value: text, From: "hint"})
	}
	return rows
}

// sharedMessage counts the failures of the most frequent message; of a single
// failure there is nothing to say.
func sharedMessage(outcomes []dashboard.Outcome) string {
	counts, failures, most := map[string]int{}, 0, 0
	for _, o := range outcomes {
		if bad(o.Status) {
			failures++
			signature := dashboard.Signature(o.Message)
			counts[signature]++
			most = max(most, counts[signature])
		}
	}
	if failures < 2 || most < 2 {
		return ""
	}
	return fmt.Sprintf("%d of %d", most, failures)
}

// byEnvironment counts failures and runs where there are several environments.
func byEnvironment(outcomes []dashboard.Outcome) string {
	type environment struct {
		name      string
		bad, runs int
	}
	var all []*environment
	for _, o := range outcomes {
		if o.Environment == "" || o.Status == dashboard.StatusSkipped {
			continue
		}
		i := slices.IndexFunc(all, func(e *environment) bool { return e.name == o.Environment })
		if i < 0 {
			i, all = len(all), append(all, &environment{name: o.Environment})
		}
		if all[i].runs++; bad(o.Status) {
			all[i].bad++
		}
	}
	slices.SortStableFunc(all, func(a, b *environment) int {
		return cmp.Or(cmp.Compare(b.bad, a.bad), cmp.Compare(b.runs, a.runs))
	})
	if len(all) < 2 || all[0].bad == 0 {
		return ""
	}
	const shown = 3
	var parts []string
	for _, e := range all[:min(shown, len(all))] {
		parts = append(parts, fmt.Sprintf("%s %d of %d", Printable(e.name), e.bad, e.runs))
	}
	return strings.Join(parts, ", ")
}

// failedDuration compares the durations of failures with those of passes, where
// there are some of both and they differ clearly.
func failedDuration(outcomes []dashboard.Outcome) string {
	var failed, passed []int64
	for _, o := range outcomes {
		switch {
		case bad(o.Status):
			failed = append(failed, o.DurationMS)
		case o.Status == dashboard.StatusPassed:
			passed = append(passed, o.DurationMS)
		}
	}
	if len(failed) < 3 || len(passed) < 3 {
		return ""
	}
	f, p := middle(failed), middle(passed)
	text := fmt.Sprintf("%s against %s.", duration(millis(f)), duration(millis(p)))
	switch {
	case p > 0 && f >= 2*p:
		return "Failures take longer: " + text
	case f > 0 && p >= 2*f:
		return "Failures end sooner: " + text
	}
	return ""
}

func middle(values []int64) int64 {
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// before says in a sentence how a case went in the runs before one. Of outcomes
// that do not reach back that far it says nothing.
func before(outcomes []dashboard.Outcome, limit int, execution int64) string {
	var passed, runs int
	var last *dashboard.Outcome
	for i, o := range outcomes {
		if o.ExecutionID >= execution || o.Status == dashboard.StatusSkipped {
			continue
		}
		if runs++; o.Status == dashboard.StatusPassed {
			if passed++; last == nil {
				last = &outcomes[i]
			}
		}
	}
	switch {
	case runs == 0 && len(outcomes) < limit:
		return "It has not run before."
	case runs == 0:
		return ""
	case last == nil:
		return "Did not pass in " + lastRuns(runs) + " before this one."
	}
	text := fmt.Sprintf("Passed in %d of %s before this one, last in #%d", passed, lastRuns(runs), last.ExecutionID)
	switch {
	case runs == 1:
		text = fmt.Sprintf("Passed in the run before this one, #%d", last.ExecutionID)
	case passed == runs:
		text = fmt.Sprintf("Passed in %s before this one, last in #%d", lastRuns(runs), last.ExecutionID)
	}
	if last.Commit != "" {
		text += " on " + Printable(commit(last.Commit))
	}
	return text + "."
}

func lastRuns(n int) string {
	if n == 1 {
		return "the run"
	}
	return fmt.Sprintf("the last %d runs", n)
}

// newlyFailed counts the failures that the run before did not have.
func newlyFailed(sections []resultSection) int {
	n := 0
	for _, s := range sections {
		for _, r := range s.Rows {
			if s.Loud && r.FailingRuns == 1 {
				n++
			}
		}
	}
	return n
}

// whole reports whether the sections show every failure.
func whole(sections []resultSection) bool {
	return !slices.ContainsFunc(sections, func(s resultSection) bool { return s.Loud && int64(len(s.Rows)) < s.Total })
}
