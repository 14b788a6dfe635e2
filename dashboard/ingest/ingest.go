// Package ingest reads test reports: JUnit XML of many producers, and the output
// of go test -json.
//
// Reports are untrusted. What is read is bounded in bytes, depth, cases and kept
// text; nothing outside of the report is ever opened; a report that is refused is
// a [dashboard.ReportError] that names the line.
package ingest

import (
	"fmt"
	"strconv"

	"github.com/larder-go/larder/dashboard"
)

// Limits bound what is read of one report. The zero value takes the defaults.
type Limits struct {
	// Bytes of the inflated report. Default 256 MiB.
	Bytes int64
	// Token is the size in bytes of one text or tag. Default 32 MiB.
	Token int64
	// Depth of nested elements. Default 64.
	Depth int
	// Cases of the report. Default dashboard.MaxReportCases.
	Cases int
	// Text is the size in bytes of all kept messages, stacks and outputs together;
	// outputs beyond it are left out with a warning. Default 64 MiB.
	Text int
}

func (l Limits) normal() Limits {
	l.Bytes = defaulted(l.Bytes, 256<<20)
	l.Token = defaulted(l.Token, 32<<20)
	l.Depth = defaulted(l.Depth, 64)
	l.Cases = defaulted(l.Cases, dashboard.MaxReportCases)
	l.Text = defaulted(l.Text, 64<<20)
	return l
}

func defaulted[T int | int64](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

func tooLarge(line int, format string, args ...any) error {
	return &dashboard.ReportError{Line: line, Reason: fmt.Sprintf(format, args...), TooLarge: true}
}

// maxWarnings is the number of warnings that a report keeps.
const maxWarnings = 20

// builder collects the cases of a report.
type builder struct {
	limits Limits
	report dashboard.Report
	// names counts the uses of each name.
	names map[string]int
	text  int
	full  bool
}

func newBuilder(format string, limits Limits) *builder {
	return &builder{limits: limits, report: dashboard.Report{Format: format}, names: make(map[string]int)}
}

func (b *builder) warn(format string, args ...any) {
	if len(b.report.Warnings) < maxWarnings {
		b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(format, args...))
	}
}

// add appends a case under a name that no other case of the report has, and
// returns its index.
func (b *builder) add(c dashboard.ReportCase, line int) (int, error) {
	if len(b.report.Cases) == b.limits.Cases {
		return 0, tooLarge(line, "has more than %d cases", b.limits.Cases)
	}
	c.Name = b.unique(dashboard.FitName(restore(c.Name)))
	b.report.Cases = append(b.report.Cases, c)
	return len(b.report.Cases) - 1, nil
}

// unique returns the name, or "name #2" and so on when it is taken.
func (b *builder) unique(name string) string {
	b.names[name]++
	if b.names[name] == 1 {
		return name
	}
	for n := b.names[name]; ; n++ {
		next := dashboard.FitName(name + " #" + strconv.Itoa(n))
		if b.names[next] == 0 {
			b.names[next], b.names[name] = 1, n
			return next
		}
	}
}

// keep returns the text cut to size, or nothing once the report's budget is spent.
func (b *builder) keep(s string, size int) string {
	if s = dashboard.CutText(restore(s), size); s == "" {
		return ""
	}
	if b.text+len(s) > b.limits.Text {
		if !b.full {
			b.full = true
			b.warn("texts after the first %d bytes were left out", b.limits.Text)
		}
		return ""
	}
	b.text += len(s)
	return s
}

// flaky reports whether a case passed after an attempt that did not.
func flaky(attempts []dashboard.Attempt) bool {
	if len(attempts) < 2 || attempts[len(attempts)-1].Status != dashboard.StatusPassed {
		return false
	}
	for _, a := range attempts[:len(attempts)-1] {
		if a.Status == dashboard.StatusFailed || a.Status == dashboard.StatusError {
			return true
		}
	}
	return false
}

// lastAttempts drops the oldest attempts beyond what a result keeps.
func lastAttempts(attempts []dashboard.Attempt) []dashboard.Attempt {
	return attempts[max(0, len(attempts)-dashboard.MaxAttempts):]
}
