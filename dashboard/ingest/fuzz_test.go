package ingest_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/ingest"
)

// small limits, so that the fuzzer reaches them.
var small = ingest.Limits{Bytes: 1 << 16, Token: 1 << 12, Depth: 8, Cases: 50, Text: 1 << 14}

// FuzzJUnit holds that any bytes give either a report that a store accepts or an
// error that names a line.
func FuzzJUnit(f *testing.F) {
	seed(f, "testdata/junit/*.xml")
	f.Add([]byte(`<testsuite><testcase name="a"/><testcase name="a"/><testcase name="a #2"/></testsuite>`))
	f.Add([]byte("<testsuite>&#27;&#x1b;&#0;\x00\x1b]]><![CDATA[]]]]></testsuite>"))
	f.Add([]byte("\xff\xfe<\x00t\x00"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := small.JUnit(bytes.NewReader(doc))
		checkOutcome(t, r, err)
	})
}

func seed(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds in %s: %v", pattern, err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
}

func checkOutcome(t *testing.T, r dashboard.Report, err error) {
	t.Helper()
	if err != nil {
		var e *dashboard.ReportError
		if !errors.As(err, &e) || e.Line < 1 || !utf8.ValidString(e.Reason) {
			t.Fatalf("error is %v", err)
		}
		return
	}
	if _, err := (dashboard.Ingestion{Suite: "s", ContentHash: "h", Report: r}).Normal(); err != nil {
		t.Fatalf("a store refuses the report: %v", err)
	}
	kept := 0
	for _, c := range r.Cases {
		for _, s := range []string{c.Message, c.Stack, c.Output} {
			if kept += len(s); !utf8.ValidString(s) {
				t.Fatalf("text %q", s)
			}
		}
		if c.Flaky && (c.Status != dashboard.StatusPassed || len(c.Attempts) < 2) {
			t.Fatalf("flaky without reason: %+v", c)
		}
	}
	if kept > 1<<14 || len(r.Cases) > 50 || len(r.Warnings) > 20 {
		t.Fatalf("kept %d bytes of text, %d cases, %d warnings", kept, len(r.Cases), len(r.Warnings))
	}
}

// FuzzGoTest holds the same of the output of go test -json.
func FuzzGoTest(f *testing.F) {
	seed(f, "testdata/gotest/*.ndjson")
	f.Add([]byte(`{"Action":"pass","Package":"p","Test":"T/a/b","Elapsed":-1e400}`))
	f.Add([]byte(`{"Action":"fail","Package":"p","Test":"//"}` + "\n" + `{"Action":"run","Package":"p","Test":"/"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		r, err := small.GoTest(bytes.NewReader(doc))
		checkOutcome(t, r, err)
	})
}
