package ingest_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/ingest"
)

func parseGo(t *testing.T, name string) dashboard.Report {
	t.Helper()
	f, err := os.Open("testdata/gotest/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := ingest.GoTest(iotest.OneByteReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a person reads first of a failed test is its message: it must be the line
// that the test logged, not the frame around it.
func TestGoTestCases(t *testing.T) {
	r := parseGo(t, "plain.ndjson")
	eur := r.Cases[0]
	if eur.Name != "example.com/shop/cart › TestTotal/EUR" || eur.Message != "got 19.98, want 19.99" || eur.DurationMS != 100 || strings.Contains(eur.Stack, "---") {
		t.Errorf("failed test: %+v", eur)
	}
	if s := r.Cases[2]; s.Status != dashboard.StatusSkipped || s.Message != "needs Windows" {
		t.Errorf("skipped test: %+v", s)
	}
	if r.DurationMS != 400 || r.StartedAt == nil || len(r.Warnings) != 1 || r.Failure != "" || r.Verdict() != dashboard.StatusFailed {
		t.Errorf("report: %+v", r)
	}
	again := parseGo(t, "rerun.ndjson").Cases[0]
	if !again.Flaky || len(again.Attempts) != 2 || again.Attempts[0].Message != "boom" || again.DurationMS != 200 {
		t.Errorf("test that was run again: %+v", again)
	}
	if p := parseGo(t, "panic.ndjson").Cases[1]; p.Message != "panic: runtime error: index out of range [3] with length 3" || !strings.Contains(p.Stack, "goroutine 7") {
		t.Errorf("test that panicked: %+v", p)
	}
	if c := parseGo(t, "cut.ndjson").Cases[1]; c.Status != dashboard.StatusFailed || c.Message != "did not end" {
		t.Errorf("test without an end: %+v", c)
	}
}

// A package that could not be built has no tests, and must not look like a success.
func TestGoTestBuildFailure(t *testing.T) {
	r := parseGo(t, "build-failed.ndjson")
	if r.Verdict() != dashboard.StatusError || !strings.Contains(r.Failure, "undefined: missing") || !strings.Contains(r.Failure, "package p failed to build") {
		t.Errorf("verdict %s, failure %q", r.Verdict(), r.Failure)
	}
	if !strings.Contains(string(r.Summary()), "undefined: missing") {
		t.Errorf("summary %s", r.Summary())
	}
}

// A reporter streams what has ended while the tests run: each leaf once.
func TestGoTestStream(t *testing.T) {
	raw, err := os.ReadFile("testdata/gotest/plain.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var ended []string
	s := ingest.NewGoTestStream(ingest.Limits{}, func(c dashboard.ReportCase) { ended = append(ended, c.Name+" "+string(c.Status)) })
	for line := range strings.Lines(string(raw)) {
		if err := s.Line([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	want := "example.com/shop/cart › TestTotal/EUR failed, example.com/shop/cart › TestTotal/USD passed, example.com/shop/cart › TestWindows skipped"
	if got := strings.Join(ended, ", "); got != want {
		t.Errorf("ended are %s, want %s", got, want)
	}
	if r, err := s.Report(); err != nil || len(r.Cases) != 3 {
		t.Errorf("report %+v, %v", r, err)
	}
}

func TestGoTestLimits(t *testing.T) {
	line := `{"Action":"run","Package":"p","Test":"T%"}` + "\n"
	var many strings.Builder
	for _, c := range "abcdefghijk" {
		many.WriteString(strings.ReplaceAll(line, "%", string(c)))
	}
	for name, limits := range map[string]ingest.Limits{"cases": {Cases: 10}, "bytes": {Bytes: 100}, "token": {Token: 20}} {
		_, err := limits.GoTest(strings.NewReader(many.String()))
		var e *dashboard.ReportError
		if !errors.As(err, &e) || !e.TooLarge || e.Line < 1 {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	broken := errors.New("connection reset")
	_, err := ingest.GoTest(io.MultiReader(strings.NewReader(line), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || errors.Is(err, dashboard.ErrInvalid) {
		t.Errorf("error is %v", err)
	}
	noisy := `{"Action":"output","Package":"p","Test":"T","Output":"` + strings.Repeat("x", 1000) + `"}` + "\n"
	r, err := ingest.GoTest(strings.NewReader(strings.Repeat(noisy, 10_000)))
	if err != nil || len(r.Cases[0].Stack) > dashboard.MaxText {
		t.Errorf("a noisy test keeps %d bytes, %v", len(r.Cases[0].Stack), err)
	}
}
