package ingest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// JUnit reads a JUnit XML report with the default limits. It is a [dashboard.ReportParser].
func JUnit(r io.Reader) (dashboard.Report, error) { return Limits{}.JUnit(r) }

// JUnit reads a JUnit XML report. The cases themselves are counted, never the
// counters of their suites. A case that failed and erred is failed.
func (l Limits) JUnit(r io.Reader) (dashboard.Report, error) {
	l = l.normal()
	text, err := decode(r)
	if err != nil {
		return dashboard.Report{}, fmt.Errorf("read report: %w", err)
	}
	p := &junit{builder: newBuilder("junit", l), clean: newCleaner(text, l)}
	p.dec = xml.NewDecoder(p.clean)
	if err := p.document(); err != nil {
		return dashboard.Report{}, err
	}
	return p.report, nil
}

// junit is a report being read.
type junit struct {
	*builder
	dec   *xml.Decoder
	clean *cleaner
	depth int
	// at is the line on which the present token begins.
	at int
}

// asReportError gives a fault its line. What failed in the reader below is no fault
// of the report and stays what it is.
func (p *junit) asReportError(err error) error {
	var (
		syntax *xml.SyntaxError
		report *dashboard.ReportError
	)
	switch {
	case errors.As(err, &report):
		return err
	case p.clean.err != io.EOF && errors.Is(err, p.clean.err):
		return fmt.Errorf("read report: %w", err)
	case errors.As(err, &syntax):
		return malformed(syntax.Line, syntax.Msg)
	case errors.Is(err, io.EOF):
		return &dashboard.ReportError{Line: p.at, Reason: "no element found"}
	}
	return malformed(p.at, strings.TrimPrefix(err.Error(), "xml: "))
}

// malformed cuts the reason, which may quote the report.
func malformed(line int, reason string) error {
	const most = 200
	if len(reason) > most {
		reason = strings.ToValidUTF8(reason[:most], "") + "…"
	}
	return &dashboard.ReportError{Line: max(1, line), Reason: "is not well-formed XML: " + restore(reason)}
}

// token returns the next token, refusing what a report must not have.
func (p *junit) token() (xml.Token, error) {
	p.at, _ = p.dec.InputPos()
	t, err := p.dec.Token()
	p.clean.fresh = 0
	if err != nil {
		return nil, p.asReportError(err)
	}
	switch x := t.(type) {
	case xml.Directive:
		what, _, _ := strings.Cut(string(x), " ")
		return nil, p.refuse("has a declaration <!%.20s>, which is not accepted", what)
	case xml.StartElement:
		if p.depth++; p.depth > p.limits.Depth {
			return nil, tooLarge(p.at, "is nested deeper than %d elements", p.limits.Depth)
		}
	case xml.EndElement:
		p.depth--
	}
	return t, nil
}

func (p *junit) refuse(format string, args ...any) error {
	return &dashboard.ReportError{Line: p.at, Reason: fmt.Sprintf(format, args...)}
}

// document reads the root element and what surrounds it.
func (p *junit) document() error {
	seen := false
	for {
		t, err := p.token()
		if err != nil {
			var e *dashboard.ReportError
			if seen && errors.As(err, &e) && e.Reason == "no element found" {
				return nil
			}
			return err
		}
		switch x := t.(type) {
		case xml.CharData:
			if text := strings.TrimLeft(string(x), " \t\r\n"); text != "" {
				p.at += strings.Count(string(x[:len(x)-len(text)]), "\n")
				if !seen {
					return p.refuse("begins with text, not with an XML element")
				}
				return p.refuse("has text outside of its root element")
			}
		case xml.StartElement:
			if seen {
				return p.refuse("has a second root element <%.40s>", x.Name.Local)
			}
			seen = true
			if err := p.root(x); err != nil {
				return err
			}
		}
	}
}

func (p *junit) root(e xml.StartElement) error {
	if e.Name.Local != "testsuites" && e.Name.Local != "testsuite" {
		return p.refuse("has the root element <%.40s>, not <testsuites> or <testsuite>", e.Name.Local)
	}
	s, err := p.suite(e)
	p.report.DurationMS = s.duration
	return err
}

// group is a testsuites or testsuite element.
type group struct {
	name string
	// duration is what the element says, else the sum of what is in it.
	duration int64
	// retries says that the producer writes a case again for each attempt.
	retries bool
	// first is the index of the first case by class and name, where retries.
	first map[[2]string]int
}

func (p *junit) suite(e xml.StartElement) (group, error) {
	g := group{name: attr(e, "name"), first: make(map[[2]string]int)}
	if e.Name.Local == "testsuite" {
		p.report.Suites++
	}
	if at := instant(attr(e, "timestamp")); at != nil && (p.report.StartedAt == nil || at.Before(*p.report.StartedAt)) {
		p.report.StartedAt = at
	}
	var sum int64
	err := p.children(func(child xml.StartElement) error {
		took, err := p.inSuite(&g, child)
		sum = min(sum+took, maxMillis)
		return err
	}, nil)
	if g.duration = millis(attr(e, "time")); g.duration == 0 {
		g.duration = sum
	}
	return g, err
}

// inSuite reads one child of a suite and returns how long it took.
func (p *junit) inSuite(g *group, child xml.StartElement) (int64, error) {
	switch child.Name.Local {
	case "testsuite":
		s, err := p.suite(child)
		return s.duration, err
	case "testcase":
		return p.testcase(g, child)
	case "properties":
		return 0, p.children(func(property xml.StartElement) error {
			g.retries = g.retries || attr(property, "name") == "go.version"
			return p.skip()
		}, nil)
	case "error", "failure":
		p.warn("line %d: <%s> outside of a case is not counted", p.at, child.Name.Local)
	}
	return 0, p.skip()
}

// children reads up to the end of the current element.
func (p *junit) children(element func(xml.StartElement) error, text func([]byte)) error {
	for {
		t, err := p.token()
		if err != nil {
			return err
		}
		switch x := t.(type) {
		case xml.StartElement:
			if err := element(x); err != nil {
				return err
			}
		case xml.CharData:
			if text != nil {
				text(x)
			}
		case xml.EndElement:
			return nil
		}
	}
}

// skip reads past the current element.
func (p *junit) skip() error {
	return p.children(func(xml.StartElement) error { return p.skip() }, nil)
}

// attr returns an attribute by its local name.
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}
