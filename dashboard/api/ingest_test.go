package api_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"
)

const small = `<testsuite name="s"><testcase name="a" time="0.5"/><testcase name="b"><failure message="no">stack</failure></testcase></testsuite>`

func (c *client) ingest(query, kind string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/api/v1/ingest/junit"+query, body)
	r.Header.Set("Content-Type", kind)
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	return w
}

// form makes a multipart body: names with a dot are files.
func form(t *testing.T, parts ...string) (kind string, body io.Reader) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		var err error
		if strings.Contains(parts[i], ".") {
			var part io.Writer
			if part, err = w.CreateFormFile("file", parts[i]); err == nil {
				_, err = io.WriteString(part, parts[i+1])
			}
		} else {
			err = w.WriteField(parts[i], parts[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), &b
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAReportIsTakenInHoweverItIsSent(t *testing.T) {
	c := newClient(t)
	execution := func(w *httptest.ResponseRecorder) object {
		t.Helper()
		if w.Code != 201 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		return decoded[object](t, w.Body)["execution"].(object)
	}
	for i, kind := range []string{"application/xml", "text/xml; charset=utf-8", "application/octet-stream", "application/x-www-form-urlencoded", ""} {
		e := execution(c.ingest(fmt.Sprintf("?suite=raw&run=%d&branch=main&commit=abc", i), kind, strings.NewReader(small)))
		if e["total_tests"] != 2.0 || e["failed_tests"] != 1.0 || e["status"] != "failed" || e["branch"] != "main" || e["commit"] != "abc" {
			t.Errorf("%q: got %v", kind, e)
		}
	}
	execution(c.ingest("?suite=zip", "application/gzip", strings.NewReader(zipped(t, small))))
	kind, body := form(t, "junit.xml", small, "suite", "form", "environment", "staging") // a field after the file counts too
	if e := execution(c.ingest("", kind, body)); e["suite_name"] != "form" || e["environment"] != "staging" {
		t.Errorf("form: got %v", e)
	}
	kind, body = form(t, "suite", "many", "a.xml", small, "b.xml.gz", zipped(t, small))
	if e := execution(c.ingest("", kind, body)); e["total_tests"] != 4.0 || e["failed_tests"] != 2.0 {
		t.Errorf("two files: got %v", e)
	}
}

func TestTheSameReportOfTheSameRunCountsOnce(t *testing.T) {
	c := newClient(t)
	first := c.ingest("?suite=s&run=1", "text/xml", strings.NewReader(small))
	again := c.ingest("?suite=s&run=1", "text/xml", strings.NewReader(small))
	other := c.ingest("?suite=s&run=2", "text/xml", strings.NewReader(small))
	if first.Code != 201 || again.Code != 200 || other.Code != 201 {
		t.Fatalf("got %d, %d, %d", first.Code, again.Code, other.Code)
	}
	a, b := decoded[object](t, first.Body), decoded[object](t, again.Body)
	if b["duplicate"] != true || a["execution"].(object)["id"] != b["execution"].(object)["id"] {
		t.Errorf("got %v, then %v", a, b)
	}
}

// The clocks of reporters may be wrong: figures go by that of the server, and what
// cannot be an instant of a test run is left out of a report, and refused where it
// is a field.
func TestReportersWithWrongClocks(t *testing.T) {
	c := newClient(t)
	for i, at := range []string{"1999-01-01T00:00:00Z", "2999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z", "yesterday"} {
		body := fmt.Sprintf(`<testsuite timestamp=%q><testcase name="a" timestamp=%q time="1"/></testsuite>`, at, at)
		if w := c.ingest(fmt.Sprintf("?suite=s&run=%d", i), "text/xml", strings.NewReader(body)); w.Code != 201 {
			t.Fatalf("%s: %d %s", at, w.Code, w.Body)
		}
		log := fmt.Sprintf(`{"Time":%q,"Action":"pass","Package":"p","Test":"TestA","Elapsed":1}`+"\n", at)
		if w := c.do("POST", fmt.Sprintf("/api/v1/ingest/gotest?suite=g&run=%d", i), log); w.Code != 201 && at != "yesterday" {
			t.Fatalf("%s: %d %s", at, w.Code, w.Body)
		}
	}
	days := want[[]object](c, 200, "GET", "/api/v1/dashboard/trends?days=1", "")
	if days[0]["passed"] != 9.0 {
		t.Errorf("today has %v", days[0])
	}
	c.execution(c.suite("live"))
	live := fmt.Sprintf("/api/v1/executions/%d", 10)
	want[object](c, 200, "POST", live+"/start", "")
	for field, value := range map[string]string{"started_at": `"9999-12-31T23:59:59-12:00"`, "duration": "9000000000000000000"} {
		got := want[object](c, 422, "POST", live+"/results", fmt.Sprintf(`[{"case_name":"a","status":"passed",%q:%s}]`, field, value))
		if got["errors"].([]any)[0].(object)["field"] != "results[0]."+field {
			t.Errorf("%s: %v", field, got)
		}
	}
	want[object](c, 200, "POST", live+"/results", `[{"case_name":"a","status":"passed","started_at":"1999-01-01T00:00:00Z"}]`)
	if r := want[[]object](c, 200, "GET", live+"/results", ""); len(r) != 1 || r[0]["started_at"] != "1999-01-01T00:00:00Z" {
		t.Errorf("results: %v", r)
	}
}

// What is refused is refused whole, and the answer says where the fault is.
func TestARefusedReportChangesNothing(t *testing.T) {
	c := newClient(t)
	xml := func(body string) func() *httptest.ResponseRecorder {
		return func() *httptest.ResponseRecorder { return c.ingest("?suite=s", "text/xml", strings.NewReader(body)) }
	}
	for _, m := range []struct {
		name   string
		send   func() *httptest.ResponseRecorder
		status int
		field  string
		line   float64
	}{
		{"cut off", xml("<testsuite>\n<testcase name='a'/>\n<testca"), 422, "file", 3},
		{"not JUnit", xml("\n<html></html>"), 422, "file", 2},
		{"DOCTYPE", xml("<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY x 'y'>]>\n<testsuite/>"), 422, "file", 2},
		{"empty", xml(""), 422, "file", 0},
		{"not XML", xml("hello"), 422, "file", 1},
		{"broken gzip", xml(zipped(t, small)[:40]), 422, "file", -1},
		{"no suite", func() *httptest.ResponseRecorder { return c.ingest("", "text/xml", strings.NewReader(small)) }, 422, "suite", 0},
		{"over-long suite", func() *httptest.ResponseRecorder {
			return c.ingest("?suite="+strings.Repeat("s", 101), "text/xml", strings.NewReader(small))
		}, 422, "suite", 0},
		{"unknown type", func() *httptest.ResponseRecorder {
			return c.ingest("?suite=s&test_type=smoke", "text/xml", strings.NewReader(small))
		}, 422, "test_type", 0},
		{"picture", func() *httptest.ResponseRecorder { return c.ingest("?suite=s", "image/png", strings.NewReader(small)) }, 415, "Content-Type", 0},
		{"form without a file", func() *httptest.ResponseRecorder {
			kind, body := form(t, "suite", "s")
			return c.ingest("", kind, body)
		}, 422, "file", 0},
		{"form cut off", func() *httptest.ResponseRecorder {
			kind, body := form(t, "suite", "s", "a.xml", small)
			return c.ingest("", kind, io.LimitReader(body, 200))
		}, 422, "file", -1},
		{"form with one bad file of two", func() *httptest.ResponseRecorder {
			kind, body := form(t, "suite", "s", "a.xml", small, "b.xml", "<testsuite>\n\n<")
			return c.ingest("", kind, body)
		}, 422, "file", 3},
		{"33 MiB", func() *httptest.ResponseRecorder {
			return c.ingest("?suite=s", "text/xml", io.MultiReader(strings.NewReader("<testsuite>"), io.LimitReader(spaces{}, 33<<20)))
		}, 413, "file", 0},
		{"a gzip bomb", func() *httptest.ResponseRecorder {
			return c.ingest("?suite=s", "text/xml", bomb(t))
		}, 413, "file", -1},
	} {
		w := m.send()
		p := decoded[object](t, bytes.NewReader(w.Body.Bytes()))
		line, _ := p["line"].(float64)
		if w.Code != m.status || p["field"] != m.field || m.line >= 0 && line != m.line {
			t.Errorf("%s: got %d, field %v, line %v: %s", m.name, w.Code, p["field"], line, w.Body)
		}
	}
	if stats := want[object](c, 200, "GET", "/api/v1/dashboard/stats", ""); stats["total_suites"] != 0.0 || stats["total_executions"] != 0.0 {
		t.Errorf("something was written: %v", stats)
	}
}

// spaces never ends.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// bomb is 40 MiB of spaces within a report, compressed to some 40 kB.
func bomb(t *testing.T) io.Reader {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.Copy(z, io.MultiReader(strings.NewReader("<testsuite>"), io.LimitReader(spaces{}, 40<<20), strings.NewReader("</testsuite>")))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return &b
}
