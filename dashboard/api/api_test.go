package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/api"
	"github.com/larder-go/larder/dashboard/ingest"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/upload"
)

// client talks to an API over a real SQLite file.
type client struct {
	t     *testing.T
	h     http.Handler
	store dashboard.Store
	admin dashboard.Admin
}

func newClient(t *testing.T) *client {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), emptydb.SQLite(t), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h := api.New(api.Options{Store: store, Admin: store, Formats: upload.Formats{"junit": ingest.JUnit, "gotest": ingest.GoTest}, Log: slog.New(slog.DiscardHandler), Tick: 2 * time.Millisecond})
	return &client{t, h, store, store}
}

// do sends a request; a body makes it JSON.
func (c *client) do(method, path, body string) *httptest.ResponseRecorder {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	return w
}

// want sends a request, checks the status and decodes the answer.
func want[T any](c *client, status int, method, path, body string) T {
	c.t.Helper()
	w := c.do(method, path, body)
	if w.Code != status {
		c.t.Fatalf("%s %s: got %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	return decoded[T](c.t, w.Body)
}

func decoded[T any](t *testing.T, body io.Reader) (v T) {
	t.Helper()
	if err := json.NewDecoder(body).Decode(&v); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return v
}

type object = map[string]any

func (c *client) suite(name string) int64 {
	return int64(want[object](c, 201, "POST", "/api/v1/suites", fmt.Sprintf(`{"name":%q}`, name))["id"].(float64))
}

func (c *client) execution(suite int64) int64 {
	return int64(want[object](c, 201, "POST", "/api/v1/executions", fmt.Sprintf(`{"suite_id":%d}`, suite))["id"].(float64))
}

func TestASuiteLivesItsLife(t *testing.T) {
	c := newClient(t)
	w := c.do("POST", "/api/v1/suites", `{"name":"api","config":{"a":1}}`)
	if w.Code != 201 || w.Header().Get("Location") != "/api/v1/suites/1" {
		t.Fatalf("create: %d %v %s", w.Code, w.Header(), w.Body)
	}
	got := want[object](c, 200, "GET", "/api/v1/suites/1", "")
	for field, value := range map[string]any{"name": "api", "framework_type": "pytest", "is_active": true, "description": "", "case_count": 0.0} {
		if got[field] != value {
			t.Errorf("%s: got %v, want %v", field, got[field], value)
		}
	}
	for _, method := range []string{"PUT", "PATCH"} { // both leave absent fields alone
		if got := want[object](c, 200, method, "/api/v1/suites/1", `{"description":"`+method+`"}`); got["name"] != "api" || got["description"] != method {
			t.Errorf("%s: got %v", method, got)
		}
	}
	if w := c.do("DELETE", "/api/v1/suites/1", ""); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("delete: %d %s", w.Code, w.Body)
	}
	for _, method := range []string{"GET", "DELETE"} {
		if w := c.do(method, "/api/v1/suites/1", ""); w.Code != 404 {
			t.Errorf("%s after delete: %d", method, w.Code)
		}
	}
}

func TestACaseLivesItsLife(t *testing.T) {
	c := newClient(t)
	s := c.suite("api")
	got := want[object](c, 201, "POST", "/api/v1/cases", fmt.Sprintf(`{"suite_id":%d,"name":"works","test_type":"api","tags":["b","a"]}`, s))
	if got["priority"] != "medium" || fmt.Sprint(got["tags"]) != "[a b]" {
		t.Errorf("create: got %v", got)
	}
	if got := want[object](c, 200, "PATCH", "/api/v1/cases/1", `{"priority":"high"}`); got["priority"] != "high" || got["test_type"] != "api" {
		t.Errorf("patch: got %v", got)
	}
	if list := want[[]object](c, 200, "GET", "/api/v1/cases?suite_id=1&test_type=api", ""); len(list) != 1 {
		t.Errorf("list: got %v", list)
	}
	if w := c.do("DELETE", "/api/v1/cases/1", ""); w.Code != 204 {
		t.Errorf("delete: %d", w.Code)
	}
	if list := want[[]object](c, 200, "GET", "/api/v1/cases", ""); len(list) != 0 {
		t.Errorf("list after delete: got %v", list)
	}
}

func TestAnExecutionRunsAndReports(t *testing.T) {
	c := newClient(t)
	c.execution(c.suite("api"))
	if got := want[object](c, 200, "POST", "/api/v1/executions/1/start", ""); got["status"] != "running" || got["started_at"] == nil {
		t.Fatalf("start: got %v", got)
	}
	batch := `[{"case_name":"a","status":"passed","duration":12},{"case_name":"b","status":"failed","message":"no"}]`
	if got := want[object](c, 200, "POST", "/api/v1/executions/1/results", batch); got["total_tests"] != 2.0 || got["failed_tests"] != 1.0 {
		t.Errorf("array of results: got %v", got)
	}
	want[object](c, 200, "POST", "/api/v1/executions/1/results", `{"results":[{"case_name":"c","status":"skipped"}]}`)
	got := want[object](c, 200, "POST", "/api/v1/executions/1/finish", `{"results_summary":{"x":1}}`)
	if got["status"] != "failed" || got["skipped_tests"] != 1.0 || got["duration"] == nil {
		t.Errorf("finish: got %v", got)
	}
	for query, n := range map[string]int{"": 3, "?status_filter=failed": 1, "?status=failed": 1, "?q=c": 1, "?flaky=true": 0} {
		if list := want[[]object](c, 200, "GET", "/api/v1/executions/1/results"+query, ""); len(list) != n {
			t.Errorf("results%s: got %d, want %d", query, len(list), n)
		}
	}
	if list := want[[]object](c, 200, "GET", "/api/v1/executions?status_filter=failed&suite_id=1", ""); len(list) != 1 {
		t.Errorf("executions: got %v", list)
	}
}

// An illegal transition tells in which state the execution is, so that a
// reporter that retries can see that it was heard.
func TestAnIllegalTransitionIsAConflictWithThePresentState(t *testing.T) {
	c := newClient(t)
	c.execution(c.suite("api"))
	refuse := func(path, body, state string) {
		t.Helper()
		p := want[object](c, 409, "POST", "/api/v1/executions/1/"+path, body)
		if p["state"] != state || p["type"] != "urn:qadash:illegal-transition" || p["field"] != "status" {
			t.Errorf("%s when %s: got %v", path, state, p)
		}
	}
	refuse("stop", "", "pending")
	refuse("finish", "", "pending")
	want[object](c, 200, "POST", "/api/v1/executions/1/start", "")
	refuse("start", "", "running")
	want[object](c, 200, "POST", "/api/v1/executions/1/stop", "")
	for _, path := range []string{"start", "stop", "finish"} {
		refuse(path, "", "stopped")
	}
	refuse("results", `[{"case_name":"a","status":"passed"}]`, "stopped")
}

// Every mistake a client can make has one defined answer that names the place.
func TestMistakesHaveADefinedAnswer(t *testing.T) {
	c := newClient(t)
	c.suite("api")
	c.execution(1)
	before := want[object](c, 200, "GET", "/api/v1/dashboard/stats", "")
	long := strings.Repeat("n", 201)
	for _, m := range []struct {
		name, method, path, body string
		status                   int
		field                    string
	}{
		{"malformed JSON", "POST", "/suites", `{"name":`, 400, ""},
		{"syntax error", "POST", "/suites", "{\n\"name\" \"x\"}", 400, ""},
		{"two values", "POST", "/suites", `{"name":"x"} {}`, 400, ""},
		{"unknown field", "POST", "/suites", `{"name":"x","nmae":"y"}`, 422, "nmae"},
		{"wrong type", "POST", "/suites", `{"name":7}`, 422, "name"},
		{"array for object", "POST", "/suites", `[]`, 422, ""},
		{"missing name", "POST", "/suites", `{}`, 422, "name"},
		{"blank name", "POST", "/suites", `{"name":"  "}`, 422, "name"},
		{"over-long name", "POST", "/suites", `{"name":"` + long + `"}`, 422, "name"},
		{"name in use", "POST", "/suites", `{"name":"api"}`, 409, "name"},
		{"config that is no object", "POST", "/suites", `{"name":"x","config":[1]}`, 422, "config"},
		{"id that is no number", "GET", "/suites/x", "", 422, "id"},
		{"id zero", "GET", "/suites/0", "", 422, "id"},
		{"id too large", "GET", "/suites/99999999999999999999", "", 422, "id"},
		{"unknown id", "GET", "/suites/99", "", 404, "id"},
		{"update of unknown id", "PATCH", "/suites/99", `{"name":"y"}`, 404, "id"},
		{"delete of unknown id", "DELETE", "/suites/99", "", 404, "id"},
		{"limit 0", "GET", "/suites?limit=0", "", 422, "limit"},
		{"limit 501", "GET", "/suites?limit=501", "", 422, "limit"},
		{"limit word", "GET", "/cases?limit=all", "", 422, "limit"},
		{"negative skip", "GET", "/executions?skip=-1", "", 422, "skip"},
		{"unknown cursor", "GET", "/suites?cursor=%00zzz", "", 422, "cursor"},
		{"boolean word", "GET", "/suites?is_active=maybe", "", 422, "is_active"},
		{"case of no suite", "POST", "/cases", `{"name":"x"}`, 422, "suite_id"},
		{"case of unknown suite", "POST", "/cases", `{"name":"x","suite_id":99}`, 422, "suite_id"},
		{"unknown test type", "POST", "/cases", `{"name":"x","suite_id":1,"test_type":"smoke"}`, 422, "test_type"},
		{"unknown priority", "POST", "/cases", `{"name":"x","suite_id":1,"priority":"p1"}`, 422, "priority"},
		{"over-long case name", "POST", "/cases", `{"name":"` + long + `","suite_id":1}`, 422, "name"},
		{"filter by unknown type", "GET", "/cases?test_type=smoke", "", 422, "test_type"},
		{"execution of unknown suite", "POST", "/executions", `{"suite_id":99}`, 422, "suite_id"},
		{"run_url of a script", "POST", "/executions", `{"suite_id":1,"run_url":"javascript:alert(1)"}`, 422, "run_url"},
		{"filter by unknown state", "GET", "/executions?status_filter=green", "", 422, "status"},
		{"results of unknown execution", "GET", "/executions/99/results", "", 404, "id"},
		{"no results", "POST", "/executions/1/results", `{}`, 422, "results"},
		{"unknown result state", "POST", "/executions/1/results", `[{"case_name":"a","status":"green"}]`, 422, "results[0].status"},
		{"finish as stopped", "POST", "/executions/1/finish", `{"status":"stopped"}`, 422, "status"},
		{"start with fields", "POST", "/executions/1/start", `{"force":true}`, 422, "force"},
		{"zero days", "GET", "/dashboard/trends?days=0", "", 422, "days"},
		{"too many days", "GET", "/dashboard/trends?days=366", "", 422, "days"},
		{"unknown zone", "GET", "/dashboard/trends?tz=Mars/Base", "", 422, "tz"},
		{"zone of the file system", "GET", "/dashboard/trends?tz=../../etc/passwd", "", 422, "tz"},
		{"history of unknown case", "GET", "/cases/99/history", "", 404, "id"},
		{"long history", "GET", "/cases/99/history?limit=201", "", 422, "limit"},
		{"too many flaky", "GET", "/dashboard/flaky?limit=201", "", 422, "limit"},
		{"compare without head", "GET", "/compare?base=1", "", 422, "head"},
		{"compare with itself and nothing", "GET", "/compare?base=1&head=99", "", 404, "id"},
		{"search for nothing", "GET", "/search", "", 422, "q"},
		{"search for too much", "GET", "/search?q=" + strings.Repeat("q", 201), "", 422, "q"},
		{"events of unknown execution", "GET", "/executions/99/events", "", 404, "id"},
		{"badge of unknown suite", "GET", "/suites/99/badge.svg", "", 404, "id"},
		{"too many recent", "GET", "/dashboard/recent?limit=501", "", 422, "limit"},
		{"unknown path", "GET", "/nothing", "", 404, ""},
		{"unknown method", "DELETE", "/suites", "", 405, ""},
		{"large body", "POST", "/suites", `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
	} {
		w := c.do(m.method, "/api/v1"+m.path, m.body)
		p := decoded[object](t, bytes.NewReader(w.Body.Bytes()))
		field, _ := p["field"].(string)
		if w.Code != m.status || field != m.field || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d, field %q, %s: %s", m.name, w.Code, field, w.Header().Get("Content-Type"), w.Body)
		}
		if p["status"] != float64(m.status) || p["type"] == "" || p["title"] == "" || p["detail"] == "" {
			t.Errorf("%s: incomplete problem %v", m.name, p)
		}
	}
	if after := want[object](c, 200, "GET", "/api/v1/dashboard/stats", ""); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("mistakes changed something: %v, then %v", before, after)
	}
}

func TestABodyMustSayThatItIsJSON(t *testing.T) {
	c := newClient(t)
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"} {
		r := httptest.NewRequest("POST", "/api/v1/suites", strings.NewReader(`{"name":"x"}`))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, r)
		if w.Code != 415 || decoded[object](t, w.Body)["field"] != "Content-Type" {
			t.Errorf("%q: got %d %s", kind, w.Code, w.Body)
		}
	}
	r := httptest.NewRequest("POST", "/api/v1/suites", strings.NewReader(`{"name":"x"}`))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	w := httptest.NewRecorder()
	if c.h.ServeHTTP(w, r); w.Code != 201 {
		t.Errorf("with charset: got %d", w.Code)
	}
}

func TestABatchHasAtMostAThousandResults(t *testing.T) {
	c := newClient(t)
	c.execution(c.suite("api"))
	want[object](c, 200, "POST", "/api/v1/executions/1/start", "")
	rows := make([]string, 1001)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"case_name":"case %d","status":"passed"}`, i)
	}
	if p := want[object](c, 422, "POST", "/api/v1/executions/1/results", "["+strings.Join(rows, ",")+"]"); p["field"] != "results" {
		t.Errorf("1001: got %v", p)
	}
	if e := want[object](c, 200, "POST", "/api/v1/executions/1/results", "["+strings.Join(rows[:1000], ",")+"]"); e["total_tests"] != 1000.0 {
		t.Errorf("1000: got %v", e)
	}
}

// A reader who follows rel=next sees every item once and knows how many there are.
func TestListsArePagedAndCounted(t *testing.T) {
	c := newClient(t)
	for i := range 7 {
		c.suite(fmt.Sprint("s", i))
	}
	var ids []float64
	for path := "/api/v1/suites?limit=3"; path != ""; {
		w := c.do("GET", path, "")
		if w.Header().Get("X-Total-Count") != "7" {
			t.Errorf("%s: X-Total-Count %q", path, w.Header().Get("X-Total-Count"))
		}
		for _, s := range decoded[[]object](t, w.Body) {
			ids = append(ids, s["id"].(float64))
		}
		path, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
	}
	if fmt.Sprint(ids) != "[1 2 3 4 5 6 7]" {
		t.Errorf("got %v", ids)
	}
	if list := want[[]object](c, 200, "GET", "/api/v1/suites?skip=5&limit=3", ""); len(list) != 2 || list[0]["id"] != 6.0 {
		t.Errorf("skip: got %v", list)
	}
	if w := c.do("GET", "/api/v1/cases", ""); strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("empty list: got %s", w.Body)
	}
	want[[]object](c, 200, "GET", "/api/v1/suites/", "") // the original answered with the slash too
}

func TestTheDashboardHasTheFieldsOfTheOriginal(t *testing.T) {
	c := newClient(t)
	if _, err := c.store.(dashboard.Seeder).Seed(t.Context(), dashboard.SeedOptions{Days: 5, Suites: 2, CasesPerSuite: 5}); err != nil {
		t.Fatal(err)
	}
	stats := want[object](c, 200, "GET", "/api/v1/dashboard/stats", "")
	for _, field := range []string{"total_suites", "total_cases", "total_executions", "active_executions", "success_rate", "avg_duration", "last_24h_executions", "pending_executions"} {
		if _, ok := stats[field].(float64); !ok {
			t.Errorf("stats: %s is %v", field, stats[field])
		}
	}
	if days := want[[]object](c, 200, "GET", "/api/v1/dashboard/trends?days=7&tz=Pacific/Auckland", ""); len(days) != 7 {
		t.Errorf("trends: got %d days", len(days))
	}
	for _, path := range []string{"recent", "recent-executions"} {
		if list := want[[]object](c, 200, "GET", "/api/v1/dashboard/"+path+"?limit=3", ""); len(list) != 3 || list[0]["suite_name"] == "" {
			t.Errorf("%s: got %v", path, list)
		}
	}
	if types := want[[]object](c, 200, "GET", "/api/v1/dashboard/test-types-distribution", ""); types[0]["test_type"] == nil || types[0]["count"] == nil {
		t.Errorf("types: got %v", types)
	}
	if p := want[object](c, 200, "GET", "/api/v1/dashboard/performance-metrics", ""); len(p["suites"].([]any)) != 2 {
		t.Errorf("performance: got %v", p)
	}
}
