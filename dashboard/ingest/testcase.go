package ingest

import (
	"encoding/xml"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// outcome is a child of a testcase that says how it went.
type outcome struct {
	message, stack, output string
	duration               int64
}

// caseParts are the children of a testcase.
type caseParts struct {
	failure, fault, skipped *outcome
	// flaky are attempts before a pass, rerun those after the first failure.
	flaky, rerun []dashboard.Attempt
	output       string
}

func (p *junit) testcase(g *group, e xml.StartElement) (int64, error) {
	line := p.at
	var parts caseParts
	if err := p.children(func(child xml.StartElement) error { return p.inCase(&parts, child) }, nil); err != nil {
		return 0, err
	}
	c := p.assemble(parts)
	c.DurationMS, c.StartedAt = millis(attr(e, "time")), instant(attr(e, "timestamp"))
	for i := range c.Attempts {
		if c.Attempts[i].DurationMS == 0 {
			c.Attempts[i].DurationMS = c.DurationMS
		}
	}
	class, name := attr(e, "classname"), attr(e, "name")
	if g.retries {
		if i, ok := g.first[[2]string{class, name}]; ok {
			return c.DurationMS, p.again(i, c)
		}
	}
	c.Name = caseName(g.name, class, name)
	i, err := p.add(c, line)
	g.first[[2]string{class, name}] = i
	return c.DurationMS, err
}

// inCase reads one child of a case.
func (p *junit) inCase(parts *caseParts, child xml.StartElement) error {
	switch kind := child.Name.Local; kind {
	case "failure":
		return p.outcome(&parts.failure, child)
	case "error":
		return p.outcome(&parts.fault, child)
	case "skipped":
		return p.outcome(&parts.skipped, child)
	case "flakyFailure", "flakyError":
		a, err := p.attempt(child, kind == "flakyError")
		parts.flaky = append(parts.flaky, a)
		return err
	case "rerunFailure", "rerunError":
		a, err := p.attempt(child, kind == "rerunError")
		parts.rerun = append(parts.rerun, a)
		return err
	case "system-out", "system-err":
		text, err := p.text()
		parts.output = joinTexts(parts.output, text)
		return err
	}
	return p.skip()
}

// outcome reads a failure, error or skipped element. Of several of a kind the
// first gives the message, all of them the stack.
func (p *junit) outcome(into **outcome, e xml.StartElement) error {
	o, err := p.readOutcome(e)
	if *into == nil {
		*into = &o
		return err
	}
	(*into).stack = joinTexts((*into).stack, o.stack)
	return err
}

func (p *junit) readOutcome(e xml.StartElement) (outcome, error) {
	o := outcome{message: strings.TrimSpace(attr(e, "message")), duration: millis(attr(e, "time"))}
	var text strings.Builder
	err := p.children(func(child xml.StartElement) error {
		inner, err := p.text()
		switch child.Name.Local {
		case "stackTrace":
			text.WriteString(inner)
		case "system-out", "system-err":
			o.output = joinTexts(o.output, inner)
		}
		return err
	}, func(b []byte) { text.Write(b) })
	o.stack = strings.TrimRight(strings.TrimLeft(text.String(), "\r\n"), " \t\r\n")
	if o.message == "" {
		o.message = dashboard.FirstLine(o.stack)
	}
	if o.message == "" {
		o.message = attr(e, "type")
	}
	return o, err
}

func (p *junit) attempt(e xml.StartElement, fault bool) (dashboard.Attempt, error) {
	o, err := p.readOutcome(e)
	a := dashboard.Attempt{Status: dashboard.StatusFailed, DurationMS: o.duration, Message: o.message, Stack: o.stack, Output: o.output}
	if fault {
		a.Status = dashboard.StatusError
	}
	return a, err
}

// text reads the text of the current element, that of elements in it included.
func (p *junit) text() (string, error) {
	var b strings.Builder
	err := p.textInto(&b)
	return b.String(), err
}

func (p *junit) textInto(b *strings.Builder) error {
	return p.children(func(xml.StartElement) error { return p.textInto(b) }, func(t []byte) { b.Write(t) })
}

func joinTexts(a, b string) string {
	if strings.TrimSpace(b) == "" {
		return a
	}
	if a == "" {
		return b
	}
	return strings.TrimRight(a, "\n") + "\n" + b
}

// assemble decides the status of a case and cuts its texts.
func (p *junit) assemble(parts caseParts) dashboard.ReportCase {
	c := dashboard.ReportCase{Status: dashboard.StatusPassed}
	var last outcome
	switch {
	case parts.failure != nil:
		c.Status, last = dashboard.StatusFailed, *parts.failure
		if parts.fault != nil {
			last.stack = joinTexts(last.stack, joinTexts(parts.fault.message, parts.fault.stack))
		}
	case parts.fault != nil:
		c.Status, last = dashboard.StatusError, *parts.fault
	case parts.skipped != nil:
		c.Status, last = dashboard.StatusSkipped, *parts.skipped
	}
	final := dashboard.Attempt{Status: c.Status, DurationMS: last.duration, Message: last.message, Stack: last.stack}
	switch {
	case len(parts.flaky) > 0 && c.Status == dashboard.StatusPassed:
		c.Attempts = append(parts.flaky, final)
	case len(parts.rerun) > 0 && c.Status != dashboard.StatusPassed:
		c.Attempts = append([]dashboard.Attempt{final}, parts.rerun...)
	}
	c.Attempts = lastAttempts(c.Attempts)
	c.Flaky = flaky(c.Attempts)
	for i := range c.Attempts {
		a := &c.Attempts[i]
		a.Message, a.Stack, a.Output = p.keep(a.Message, dashboard.MaxMessage), p.keep(a.Stack, dashboard.MaxText), p.keep(a.Output, dashboard.MaxText)
	}
	c.Message, c.Stack = p.keep(last.message, dashboard.MaxMessage), p.keep(last.stack, dashboard.MaxText)
	c.Output = p.keep(joinTexts(parts.output, last.output), dashboard.MaxText)
	return c
}

// again adds a further run of a case that was there before.
func (p *junit) again(i int, c dashboard.ReportCase) error {
	old := &p.report.Cases[i]
	if len(old.Attempts) == 0 {
		old.Attempts = []dashboard.Attempt{asAttempt(*old)}
	}
	c.Name = old.Name
	c.Attempts = lastAttempts(append(old.Attempts, asAttempt(c)))
	c.Flaky = flaky(c.Attempts)
	*old = c
	return nil
}

func asAttempt(c dashboard.ReportCase) dashboard.Attempt {
	return dashboard.Attempt{Status: c.Status, DurationMS: c.DurationMS, Message: c.Message, Stack: c.Stack, Output: c.Output}
}

// caseName makes one name of suite, class and name, as their producers mean them:
// "module.Class.method" where the class is an identifier, "file › what it does"
// where it is prose. A case without a class is named after its suite.
func caseName(suite, class, name string) string {
	suite, class, name = strings.TrimSpace(suite), strings.TrimSpace(class), strings.TrimSpace(name)
	if class == "" {
		class = suite
	}
	switch {
	case class == "":
		return name
	case name == "":
		return class
	case strings.HasPrefix(name, class):
		return name
	case strings.ContainsAny(class, " ›/\\>"):
		return class + " › " + name
	}
	return class + "." + name
}
