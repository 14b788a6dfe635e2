package upload

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/larder-go/larder/dashboard"
)

// lines is a format with a case per line.
func lines(r io.Reader) (dashboard.Report, error) {
	data, err := io.ReadAll(r)
	out := dashboard.Report{Format: "junit", Suites: 1, DurationMS: 5, Warnings: []string{"w"}}
	for name := range strings.FieldsSeq(string(data)) {
		out.Cases = append(out.Cases, dashboard.ReportCase{Name: name, Status: dashboard.StatusPassed})
	}
	return out, err
}

func newCollector(left int64) *collector {
	return &collector{formats: Formats{"junit": lines}, left: left, hash: sha256.New()}
}

func zipped(t *testing.T, text string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return &b
}

// A small file must not become a large one in memory: what inflates is counted
// over all files of a request, and the reading stops there.
func TestInflationIsBoundedOverAllFiles(t *testing.T) {
	c := newCollector(1000)
	if err := c.file("a", zipped(t, strings.Repeat("a ", 400))); err != nil {
		t.Fatal(err)
	}
	err := c.file("b.gz", zipped(t, strings.Repeat("a ", 400)))
	fault, ok := errors.AsType[*dashboard.ReportError](err)
	if !ok || !fault.TooLarge || !strings.HasPrefix(fault.Reason, "b.gz: inflates to more than") {
		t.Errorf("got %v", err)
	}
}

func TestCasesAreCountedOverAllFiles(t *testing.T) {
	c := newCollector(1 << 30)
	half := strings.Repeat("a ", dashboard.MaxReportCases/2)
	for range 2 {
		if err := c.file("a", strings.NewReader(half)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.file("b", strings.NewReader("a")); !errors.Is(err, dashboard.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// The files of one run make one report, in which no name appears twice.
func TestFilesBecomeOneReport(t *testing.T) {
	c := newCollector(1 << 20)
	for _, text := range []string{"a b", "a c a#2", "a"} {
		if err := c.file("f", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	r := merge(c.reports)
	var names []string
	for _, x := range r.Cases {
		names = append(names, x.Name)
	}
	if fmt.Sprint(names) != "[a b a #2 c a#2 a #3]" || r.Suites != 3 || r.DurationMS != 15 || len(r.Warnings) != 3 {
		t.Errorf("got %q, %+v", names, r)
	}
}

// The hash stands for all bytes, also those a parser leaves unread, and does
// not depend on the compression.
func TestTheHashIsThatOfTheContent(t *testing.T) {
	sum := func(r io.Reader) string {
		c := newCollector(1 << 20)
		if err := c.file("f", r); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", c.hash.Sum(nil))
	}
	if a, b := sum(strings.NewReader("a b")), sum(zipped(t, "a b")); a != b {
		t.Errorf("%s, zipped %s", a, b)
	}
}

func TestTheFormatIsFoundOutFromTheFirstBytes(t *testing.T) {
	for text, want := range map[string]string{
		"<testsuite/>": "junit", " \n\t<a/>": "junit", "\xef\xbb\xbf<a/>": "junit", "\xff\xfe<\x00": "junit", `{"Action":"run"}`: "gotest", "hello": "junit",
	} {
		var got string
		note := func(name string) dashboard.ReportParser {
			return func(io.Reader) (dashboard.Report, error) { got = name; return dashboard.Report{}, nil }
		}
		c := &collector{formats: Formats{"junit": note("junit"), "gotest": note("gotest")}, left: 100, hash: sha256.New()}
		if err := c.file("f", strings.NewReader(text)); err != nil || got != want {
			t.Errorf("%q: got %s, %v", text, got, err)
		}
	}
}

// Who sends a report as the wrong format is told the right one; what looks like
// neither gets no such advice.
func TestAReportOfTheOtherFormat(t *testing.T) {
	fails := func(io.Reader) (dashboard.Report, error) {
		return dashboard.Report{}, &dashboard.ReportError{Line: 3, Reason: "no"}
	}
	for _, x := range []struct{ format, content, want string }{
		{"junit", "\n{\"Action\":\"run\"}", "report: line 3: a: no; it looks like the output of go test -json, so send it as gotest"},
		{"junit", "go: downloading x v1\n{\"Action\":\"run\"}", "report: line 3: a: no; it looks like the output of go test -json, so send it as gotest"},
		{"gotest", "<testsuite/>", "report: line 3: a: no; it looks like XML, so send it as junit"},
		{"gotest", "hello", "report: line 3: a: no"},
		{"junit", "hello", "report: line 3: a: no"},
		{"", "hello", "report: line 3: a: no"},
		{"", "{", "report: line 3: a: no"},
	} {
		c := newCollector(1000)
		c.formats, c.format = Formats{"junit": fails, "gotest": fails}, x.format
		if err := c.file("a", zipped(t, x.content)); err == nil || err.Error() != x.want {
			t.Errorf("%q as %q: got %v, want %s", x.content, x.format, err, x.want)
		}
	}
}

func TestFormatOf(t *testing.T) {
	for content, want := range map[string]string{"<a/>": "junit", "{}": "gotest", "go: downloading x v1\n{\"Action\":\"start\"}": "gotest", "hello": "junit", "": "junit"} {
		if got, err := FormatOf(strings.NewReader(content)); got != want || err != nil {
			t.Errorf("%q: %s, %v; want %s", content, got, err, want)
		}
		if got, err := FormatOf(zipped(t, content)); got != want || err != nil {
			t.Errorf("%q compressed: %s, %v; want %s", content, got, err, want)
		}
	}
	if _, err := FormatOf(strings.NewReader("\x1f\x8b broken")); err == nil {
		t.Error("broken gzip has a format")
	}
}
