package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/ingest"
)

func parse(t *testing.T, doc string) dashboard.Report {
	t.Helper()
	r, err := ingest.JUnit(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every dialect has its own way to say the same; each line is one that a
// producer really has.
func TestDialects(t *testing.T) {
	wrap := func(body string) string { return `<testsuite name="s">` + body + `</testsuite>` }
	for name, x := range map[string]struct {
		doc  string
		want dashboard.ReportCase
	}{
		"a class that is an identifier": {wrap(`<testcase classname="pkg.Class" name="method" time="0.25"/>`),
			dashboard.ReportCase{Name: "pkg.Class.method", Status: dashboard.StatusPassed, DurationMS: 250}},
		"a class that is prose": {wrap(`<testcase classname="the cart" name="is empty"/>`),
			dashboard.ReportCase{Name: "the cart › is empty", Status: dashboard.StatusPassed}},
		"no class": {wrap(`<testcase name="n"/>`), dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusPassed}},
		"a name that repeats the class": {wrap(`<testcase classname="a b" name="a b c"/>`),
			dashboard.ReportCase{Name: "a b c", Status: dashboard.StatusPassed}},
		"no root name, no names": {`<testsuites><testsuite><testcase/></testsuite></testsuites>`,
			dashboard.ReportCase{Name: "(unnamed)", Status: dashboard.StatusPassed}},
		"failure and error": {wrap(`<testcase name="n"><error message="e"/><failure message="f">stack</failure></testcase>`),
			dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusFailed, Message: "f", Stack: "stack\ne"}},
		"a message in the text": {wrap("<testcase name=\"n\"><error>\n  boom\n  at x\n</error></testcase>"),
			dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusError, Message: "boom", Stack: "  boom\n  at x"}},
		"only a type": {wrap(`<testcase name="n"><failure type="java.lang.AssertionError"/></testcase>`),
			dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusFailed, Message: "java.lang.AssertionError"}},
		"skipped with a reason": {wrap(`<testcase name="n"><skipped message="why"/></testcase>`),
			dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusSkipped, Message: "why"}},
		"outputs": {wrap(`<testcase name="n"><system-out>out</system-out><system-err><![CDATA[err & <x>]]></system-err></testcase>`),
			dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusPassed, Output: "out\nerr & <x>"}},
		"control characters": {"<testsuite name=\"s\"><testcase name=\"n\x07\"><failure message=\"&#27;[31mred\">\x1b[0m &#0; &amp;#27; <![CDATA[&#27; \x01]]></failure></testcase></testsuite>",
			dashboard.ReportCase{Name: "s.n\x07", Status: dashboard.StatusFailed, Message: "\x1b[31mred", Stack: "\x1b[0m \u2400 &#27; &#27; \x01"}},
		"bytes that are no UTF-8": {wrap("<testcase name=\"a\xffb\"/>"), dashboard.ReportCase{Name: "s.a\uFFFDb", Status: dashboard.StatusPassed}},
		"XML 1.1":                 {`<?xml version="1.1"?>` + wrap(`<testcase name="n"/>`), dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusPassed}},
		"surefire: flaky": {wrap(`<testcase name="n" time="2"><flakyFailure message="m" type="t"><stackTrace>st</stackTrace><system-out>so</system-out></flakyFailure><flakyError message="e">text</flakyError></testcase>`),
			dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusPassed, DurationMS: 2000, Flaky: true, Attempts: []dashboard.Attempt{
				{Status: dashboard.StatusFailed, DurationMS: 2000, Message: "m", Stack: "st", Output: "so"},
				{Status: dashboard.StatusError, DurationMS: 2000, Message: "e", Stack: "text"},
				{Status: dashboard.StatusPassed, DurationMS: 2000}}}},
		"surefire: rerun": {wrap(`<testcase name="n"><failure message="m1"/><rerunFailure message="m2" time="1"/><rerunError message="m3"/></testcase>`),
			dashboard.ReportCase{Name: "s.n", Status: dashboard.StatusFailed, Message: "m1", Attempts: []dashboard.Attempt{
				{Status: dashboard.StatusFailed, Message: "m1"}, {Status: dashboard.StatusFailed, DurationMS: 1000, Message: "m2"}, {Status: dashboard.StatusError, Message: "m3"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := parse(t, x.doc).Cases
			if len(got) != 1 || !reflect.DeepEqual(got[0], x.want) {
				t.Fatalf("got\n%#v\nwant\n%#v", got, x.want)
			}
		})
	}
}

// A case that is there again is an attempt only where its producer means that.
func TestRepeatedCases(t *testing.T) {
	body := `<testcase classname="p" name="T"><failure message="m"/></testcase><testcase classname="p" name="T"/><testcase classname="p" name="T #2"/><testcase classname="p" name="T"/>`
	var names []string
	for _, c := range parse(t, `<testsuite>`+body+`</testsuite>`).Cases {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, ", "); got != "p.T, p.T #2, p.T #2 #2, p.T #3" {
		t.Errorf("names are %s", got)
	}
	got := parse(t, `<testsuites><testsuite><properties><property name="go.version" value="go1.26"/></properties>`+body+`</testsuite></testsuites>`).Cases
	if len(got) != 2 || got[0].Status != dashboard.StatusPassed || !got[0].Flaky || len(got[0].Attempts) != 3 || got[0].Attempts[0].Message != "m" {
		t.Errorf("gotestsum: %+v", got)
	}
}

func TestDurations(t *testing.T) {
	for in, want := range map[string]int64{
		"1,234.5": 1234500, "1.234,5": 1234500, "0,25": 250, "0,003": 3, "2,503": 2503000, "1,234,567": 1234567000, "12": 12000, " 0.0004 ": 0, "1e-3": 1,
		"": 0, "-1": 0, "NaN": 0, "Inf": 366 * 24 * 3600 * 1000, "1e300": 366 * 24 * 3600 * 1000, "soon": 0, ",": 0,
	} {
		doc := fmt.Sprintf(`<testsuite><testcase name="n" time="%s"/></testsuite>`, in)
		if got := parse(t, doc); got.Cases[0].DurationMS != want || got.DurationMS != want {
			t.Errorf("%q is %d ms, in the suite %d, want %d", in, got.Cases[0].DurationMS, got.DurationMS, want)
		}
	}
	nested := parse(t, `<testsuites><testsuite time="9"><testcase time="1"/></testsuite><testsuite><testsuite time="2"/><testcase time="1"/></testsuite></testsuites>`)
	if nested.DurationMS != 12000 || nested.Suites != 3 {
		t.Errorf("nested suites took %d ms in %d suites", nested.DurationMS, nested.Suites)
	}
	if at := parse(t, `<testsuites><testsuite timestamp="2026-03-01T10:00:00.5"/><testsuite timestamp="2026-03-01T10:00:00+01:00"/></testsuites>`).StartedAt; at == nil || at.Hour() != 9 {
		t.Errorf("started at %v", at)
	}
}

func TestCharsets(t *testing.T) {
	doc := func(label string) string {
		return `<?xml version="1.0"` + "\n" + ` encoding="` + label + `"?><testsuite><testcase name="Ähre €"/></testsuite>`
	}
	utf16le := func(s string) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(s)) {
			b.WriteByte(byte(u))
			b.WriteByte(byte(u >> 8))
		}
		return b.String()
	}
	latin9 := strings.NewReplacer("Ä", "\xc4", "€", "\xa4")
	for name, in := range map[string]string{
		"UTF-8": doc("UTF-8"), "a byte order mark": "\ufeff" + doc("utf-8"), "UTF-16 with a mark": "\xff\xfe" + utf16le(doc("UTF-16")),
		"UTF-16 without": utf16le(doc("UTF-16")), "a declaration that lies": doc("utf-16"), "ISO-8859-15": latin9.Replace(doc("ISO-8859-15")),
		"windows-1252": strings.NewReplacer("Ä", "\xc4", "€", "\x80").Replace(doc("windows-1252")), "no declaration": doc("utf-8")[strings.Index(doc("utf-8"), "<tests"):],
	} {
		t.Run(name, func(t *testing.T) {
			// One byte at a time: what is read must not depend on how it arrives.
			r, err := ingest.JUnit(iotest.OneByteReader(strings.NewReader(in)))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Cases[0].Name; got != "Ähre €" {
				t.Fatalf("name is %q", got)
			}
		})
	}
}

// Whatever is wrong, the message says on which line.
func TestRefusedReportsNameTheLine(t *testing.T) {
	bomb := `<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>`
	for name, x := range map[string]struct {
		doc  string
		line int
		says string
	}{
		"empty":                 {"", 1, "no element"},
		"only space":            {"\n\n  \n", 4, "no element"},
		"no XML":                {"ok  \tpkg\t0.1s\n", 1, "begins with text"},
		"JSON":                  {`{"Action":"run"}`, 1, "begins with text"},
		"HTML":                  {"\n<html><body>502</body></html>", 2, "root element <html>"},
		"DOCTYPE":               {"<?xml version=\"1.0\"\n?>\n" + bomb + "<testsuite/>", 3, "<!DOCTYPE>"},
		"an entity":             {"<testsuite>\n<testcase name=\"&xxe;\"/></testsuite>", 2, "entity"},
		"a tag left open":       {"<testsuite>\n<testcase>\n</testsuite>", 3, "testcase"},
		"cut off":               {"<testsuite>\n<testcase name=\"a\"/>\n", 3, "EOF"},
		"a second root":         {"<testsuite/>\n<testsuite/>", 2, "second root"},
		"text after the root":   {"<testsuite/>\n\nbye", 3, "text outside"},
		"an unknown encoding":   {`<?xml version="1.0" encoding="klingon"?><testsuite/>`, 1, "encoding"},
		"an attribute unquoted": {"<testsuite>\n\n<testcase name=a/></testsuite>", 3, "attribute"},
		"too deep":              {"<testsuite>\n" + strings.Repeat("<a>", 100), 2, "deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ingest.JUnit(strings.NewReader(x.doc))
			var e *dashboard.ReportError
			if !errors.As(err, &e) || e.Line != x.line || !strings.Contains(e.Reason, x.says) {
				t.Fatalf("error is %v, want line %d and %q", err, x.line, x.says)
			}
			if !errors.Is(err, dashboard.ErrInvalid) {
				t.Fatal("is no ErrInvalid")
			}
		})
	}
}

func TestLimits(t *testing.T) {
	many := "<testsuite>\n" + strings.Repeat("<testcase name=\"n\"/>\n", 11) + "</testsuite>"
	long := "<testsuite>\n<testcase name=\"n\"><failure>" + strings.Repeat("x", 200_000) + "</failure></testcase></testsuite>"
	for name, x := range map[string]struct {
		limits ingest.Limits
		doc    string
		line   int
	}{
		"cases": {ingest.Limits{Cases: 10}, many, 12},
		"bytes": {ingest.Limits{Bytes: 100}, many, 13},
		"token": {ingest.Limits{Token: 100_000}, long, 2},
		"depth": {ingest.Limits{Depth: 1}, many, 2},
	} {
		_, err := x.limits.JUnit(strings.NewReader(x.doc))
		var e *dashboard.ReportError
		if !errors.As(err, &e) || !e.TooLarge || e.Line != x.line {
			t.Errorf("%s: error is %v, want line %d", name, err, x.line)
		}
	}
	r, err := ingest.Limits{Text: 10}.JUnit(strings.NewReader(`<testsuite><testcase name="n"><failure message="12345678">123456</failure></testcase></testsuite>`))
	if err != nil || r.Cases[0].Message != "12345678" || r.Cases[0].Stack != "" || len(r.Warnings) != 1 {
		t.Errorf("over the text budget: %+v, %v", r, err)
	}
}

// A fault of the connection is not a fault of the report.
func TestReadErrorsStayWhatTheyAre(t *testing.T) {
	broken := errors.New("connection reset")
	_, err := ingest.JUnit(io.MultiReader(strings.NewReader("<testsuite>"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || errors.Is(err, dashboard.ErrInvalid) {
		t.Fatalf("error is %v", err)
	}
}

// Names keep their identity however long they are: the same every time, different
// for different names, and within the limit.
func TestLongNames(t *testing.T) {
	a, b := dashboard.FitName(strings.Repeat("é", 300)+"a"), dashboard.FitName(strings.Repeat("é", 300)+"b")
	if a == b || a != dashboard.FitName(strings.Repeat("é", 300)+"a") {
		t.Fatalf("%q and %q", a, b)
	}
	for _, n := range []string{a, b} {
		if _, err := (dashboard.NewCase{SuiteID: 1, Name: n}).Normal(); err != nil {
			t.Error(err)
		}
	}
	doc := `<testsuite>` + strings.Repeat(`<testcase name="`+strings.Repeat("n", 200)+`"/>`, 12) + `</testsuite>`
	seen := map[string]bool{}
	for _, c := range parse(t, doc).Cases {
		if seen[c.Name] || len(c.Name) > 200+8 {
			t.Errorf("name %q", c.Name)
		}
		seen[c.Name] = true
	}
}
