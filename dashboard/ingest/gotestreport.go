package ingest

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// Report returns what was read. Call it once, at the end.
func (g *GoTestStream) Report() (dashboard.Report, error) {
	if g.events == 0 {
		return dashboard.Report{}, &dashboard.ReportError{Line: max(1, g.lines), Reason: "no event of go test -json found"}
	}
	g.text = 0
	if g.strange > 0 {
		g.warn("%s", strangeLines(g.strange))
	}
	if !g.first.IsZero() {
		g.report.StartedAt = new(g.first.UTC())
		g.report.DurationMS = max(0, min(g.last.Sub(g.first).Milliseconds(), maxMillis))
	}
	for _, p := range g.order {
		if err := g.addPackage(p); err != nil {
			return dashboard.Report{}, err
		}
	}
	return g.report, nil
}

func strangeLines(n int) string {
	if n == 1 {
		return "1 line is no event"
	}
	return fmt.Sprintf("%d lines are no events", n)
}

func (g *GoTestStream) addPackage(p *goPackage) error {
	failed := false
	for _, t := range p.order {
		if t.parent {
			continue
		}
		c := g.finish(p, t, p.outcome(t))
		failed = failed || c.Status == dashboard.StatusFailed
		if _, err := g.add(c, g.lines); err != nil {
			return err
		}
	}
	if p.action == "fail" && !failed {
		g.fail(p)
	}
	return nil
}

// outcome is how the last run of a test ended: by its own event, or without one as
// its package says.
func (p *goPackage) outcome(t *goTest) string {
	if own := t.last().action; own != "" {
		return own
	}
	if p.action != "pass" && p.action != "skip" {
		return "fail"
	}
	for name := parentOf(t.name); name != ""; name = parentOf(name) {
		if a := p.tests[name]; a != nil && a.last().action != "" {
			return a.last().action
		}
	}
	return p.action
}

func (t *goTest) last() *goRun { return t.runs[len(t.runs)-1] }

// fail records a package that failed without a failed test.
func (g *GoTestStream) fail(p *goPackage) {
	what, output := "failed without a failed test", p.output.String()
	if p.build != "" {
		what = "failed to build"
		if b := g.builds[p.build]; b != nil {
			output = b.String()
		}
	}
	g.warn("package %s %s", p.path, what)
	if len(g.report.Failure) < dashboard.MaxMessage {
		g.report.Failure = dashboard.CutText(strings.TrimSpace(g.report.Failure+"\n"+fmt.Sprintf("package %s %s\n%s", p.path, what, output)), dashboard.MaxMessage)
	}
}

// finish makes a case of a test whose last run ended with the action.
func (g *GoTestStream) finish(p *goPackage, t *goTest, action string) dashboard.ReportCase {
	var attempts []dashboard.Attempt
	for i, run := range t.runs {
		own := run.action
		if i == len(t.runs)-1 {
			own = action
		} else if own == "" {
			own = "fail"
		}
		attempts = append(attempts, g.attempt(run, own))
	}
	last := attempts[len(attempts)-1]
	c := dashboard.ReportCase{
		Name: dashboard.FitName(caseName("", p.path, t.name)), Status: last.Status, DurationMS: last.DurationMS,
		Message: last.Message, Stack: last.Stack, Output: last.Output,
	}
	if started := t.last().started; !started.IsZero() {
		c.StartedAt = new(started.UTC())
	}
	if len(attempts) > 1 {
		c.Attempts = lastAttempts(attempts)
		c.Flaky = flaky(c.Attempts)
	}
	return c
}

var goStatus = map[string]dashboard.Status{"pass": dashboard.StatusPassed, "fail": dashboard.StatusFailed, "skip": dashboard.StatusSkipped}

func (g *GoTestStream) attempt(run *goRun, action string) dashboard.Attempt {
	a := dashboard.Attempt{Status: goStatus[action], DurationMS: seconds(run.elapsed)}
	text := run.output.String()
	if a.Status == dashboard.StatusPassed {
		a.Output = g.keep(text, dashboard.MaxText)
		return a
	}
	a.Message, a.Stack = g.keep(goMessage(text), dashboard.MaxMessage), g.keep(text, dashboard.MaxText)
	if a.Message == "" && run.action == "" {
		a.Message = "did not end"
	}
	return a
}

func seconds(s float64) int64 {
	if math.IsNaN(s) || s <= 0 {
		return 0
	}
	return int64(math.Round(math.Min(s*1000, maxMillis)))
}

var (
	logged  = regexp.MustCompile(`(?m)^\s+\S+\.go:\d+: (.+)$`)
	panicky = regexp.MustCompile(`(?m)^(panic: .+|fatal error: .+|.*testing: .+)$`)
)

// goMessage finds the line of a test's output that says what happened: the panic,
// else the first line that was logged, else the first line.
func goMessage(output string) string {
	if m := panicky.FindStringSubmatch(output); m != nil {
		return m[1]
	}
	if m := logged.FindStringSubmatch(output); m != nil {
		return m[1]
	}
	return dashboard.FirstLine(output)
}

// tail keeps the beginning and the end of an output, without the lines with which
// go test frames it.
type tail struct {
	head, end []byte
	cut       int
}

// half is how much of each end is kept.
const half = dashboard.MaxText / 2

func (t *tail) add(s string) {
	if framing(s) {
		return
	}
	if room := half - len(t.head); room > 0 && len(t.end) == 0 {
		n := min(room, len(s))
		t.head, s = append(t.head, s[:n]...), s[n:]
	}
	t.end = append(t.end, s...)
	if over := len(t.end) - half; over > half {
		t.end, t.cut = append(t.end[:0], t.end[over:]...), t.cut+over
	}
}

// String returns what was kept.
func (t *tail) String() string {
	if t.cut == 0 {
		return string(t.head) + string(t.end)
	}
	return fmt.Sprintf("%s\n… %d bytes cut …\n%s", t.head, t.cut, t.end)
}

func framing(s string) bool {
	s = strings.TrimLeft(s, " ")
	for _, prefix := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "--- PASS: ", "--- FAIL: ", "--- SKIP: "} {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
