package ingest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// GoTest reads the output of go test -json with the default limits. It is a [dashboard.ReportParser].
func GoTest(r io.Reader) (dashboard.Report, error) { return Limits{}.GoTest(r) }

// GoTest reads the output of go test -json, of one run or of several one after the
// other. A test counts when no subtest is below it. Of several runs of a test the
// last decides and the others are attempts. A test without an end failed, unless
// its package passed: then it took the way of its parents. Lines that are no
// events are counted in a warning. A package that failed without a failed test,
// because it could not be built or its process died, makes the report's Failure.
func (l Limits) GoTest(r io.Reader) (dashboard.Report, error) {
	g := NewGoTestStream(l, nil)
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := g.readLine(in)
		if len(line) > 0 {
			if err := g.Line(line); err != nil {
				return dashboard.Report{}, err
			}
		}
		if errors.Is(err, io.EOF) {
			return g.Report()
		}
		if err != nil {
			return dashboard.Report{}, err
		}
	}
}

// event is a line of go test -json.
type event struct {
	Time        time.Time
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// GoTestStream reads the output of go test -json as it comes. It is not safe for
// concurrent use.
type GoTestStream struct {
	*builder
	ended    func(dashboard.ReportCase)
	packages map[string]*goPackage
	order    []*goPackage
	builds   map[string]*tail
	lines    int
	strange  int
	events   int
	read     int64
	first    time.Time
	last     time.Time
}

// goPackage is a package under test.
type goPackage struct {
	path  string
	tests map[string]*goTest
	order []*goTest
	// parents are the tests that have subtests.
	parents map[string]bool
	// action is pass, fail or skip once the package ended.
	action string
	build  string
	output tail
}

// goTest is a test of a package.
type goTest struct {
	name   string
	parent bool
	runs   []*goRun
}

// goRun is one run of a test.
type goRun struct {
	action  string
	elapsed float64
	started time.Time
	output  tail
}

// NewGoTestStream returns a stream that calls ended, if it is not nil, for each
// test that ends for the first time and has no subtests.
func NewGoTestStream(limits Limits, ended func(dashboard.ReportCase)) *GoTestStream {
	return &GoTestStream{
		builder: newBuilder("gotest", limits.normal()), ended: ended,
		packages: make(map[string]*goPackage), builds: make(map[string]*tail),
	}
}

// readLine returns a line without reading more of it than the limit of a token.
func (g *GoTestStream) readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case int64(len(line)) > g.limits.Token:
			return nil, tooLarge(g.lines+1, "has a line of more than %d bytes", g.limits.Token)
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && !errors.Is(err, io.EOF):
			var refused *dashboard.ReportError
			if errors.As(err, &refused) {
				return nil, err
			}
			return nil, fmt.Errorf("read report: %w", err)
		default:
			return line, err
		}
	}
}

// read takes the event of a line; false if it has none: what a test prints past its
// package stands there too.
func (e *event) read(line []byte) bool {
	return line[0] == '{' && json.Unmarshal(line, e) == nil && e.Action != ""
}

// Line reads one line. It fails only when a limit is passed.
func (g *GoTestStream) Line(line []byte) error {
	g.lines++
	if g.read += int64(len(line)); g.read > g.limits.Bytes {
		return tooLarge(g.lines, "is larger than %d bytes", g.limits.Bytes)
	}
	var e event
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil
	}
	if !e.read(line) {
		g.strange++
		return nil
	}
	g.events++
	if !dashboard.Plausible(e.Time) {
		e.Time = time.Time{}
	}
	if !e.Time.IsZero() {
		if g.first.IsZero() {
			g.first = e.Time
		}
		g.last = e.Time
	}
	if e.Action == "build-output" || e.Action == "build-fail" {
		g.buildOutput(e)
		return nil
	}
	return g.packageEvent(e)
}

func (g *GoTestStream) buildOutput(e event) {
	if g.builds[e.ImportPath] == nil && len(g.builds) < g.limits.Cases {
		g.builds[e.ImportPath] = new(tail)
	}
	if b := g.builds[e.ImportPath]; b != nil {
		b.add(e.Output)
	}
}

func (g *GoTestStream) packageEvent(e event) error {
	p := g.packages[e.Package]
	if p == nil {
		if e.Package == "" || len(g.order) == g.limits.Cases {
			return nil
		}
		p = &goPackage{path: e.Package, tests: make(map[string]*goTest), parents: make(map[string]bool)}
		g.packages[e.Package], g.order = p, append(g.order, p)
		g.report.Suites++
	}
	if e.Test != "" {
		return g.testEvent(p, e)
	}
	switch e.Action {
	case "start":
		p.action, p.build = "", ""
	case "pass", "fail", "skip":
		p.action, p.build = e.Action, e.FailedBuild
	case "output":
		p.output.add(e.Output)
	}
	return nil
}

func (g *GoTestStream) testEvent(p *goPackage, e event) error {
	t := p.tests[e.Test]
	if t == nil {
		if len(p.order) == 2*g.limits.Cases {
			return tooLarge(g.lines, "has more than %d tests in one package", 2*g.limits.Cases)
		}
		t = &goTest{name: e.Test, parent: p.parents[e.Test]}
		p.tests[e.Test], p.order = t, append(p.order, t)
		p.hasSubtest(parentOf(e.Test))
	}
	if e.Action == "run" || len(t.runs) == 0 {
		t.runs = append(t.runs, &goRun{started: e.Time})
	}
	run := t.runs[len(t.runs)-1]
	switch e.Action {
	case "output":
		run.output.add(e.Output)
	case "pass", "fail", "skip":
		run.action, run.elapsed = e.Action, e.Elapsed
		if g.ended != nil && !t.parent && len(t.runs) == 1 {
			g.ended(g.finish(p, t, run.action))
		}
	}
	return nil
}

// hasSubtest notes that a test has a subtest, also one that did not appear yet.
func (p *goPackage) hasSubtest(test string) {
	for ; test != "" && !p.parents[test]; test = parentOf(test) {
		p.parents[test] = true
		if t := p.tests[test]; t != nil {
			t.parent = true
		}
	}
}

// parentOf returns the name of the test that a subtest belongs to, or "".
func parentOf(test string) string {
	i := strings.LastIndexByte(test, '/')
	if i < 0 {
		return ""
	}
	return test[:i]
}
