package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/ingest"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/upload"
)

func TestEveryRouteIsDescribed(t *testing.T) {
	var routes, described []string
	for _, r := range (&api{}).routes() {
		routes = append(routes, r.method+" "+r.path)
	}
	for key := range operations {
		described = append(described, key)
	}
	slices.Sort(routes)
	slices.Sort(described)
	if !slices.Equal(routes, described) {
		t.Errorf("routes:\n%s\ndescribed:\n%s", strings.Join(routes, "\n"), strings.Join(described, "\n"))
	}
}

// contract sends requests and holds the answers to /api/openapi.json.
type contract struct {
	t    *testing.T
	h    http.Handler
	doc  object
	seen map[string]bool
}

type stillCache struct{}

func (stillCache) Overview() dashboard.CacheOverview {
	return dashboard.CacheOverview{Keyspaces: []dashboard.CacheKeyspace{{Name: "x"}}, Samples: []dashboard.CacheSample{{}}, Notes: []dashboard.CacheNote{{}}}
}
func (stillCache) Server(context.Context) (dashboard.CacheServer, error) {
	return dashboard.CacheServer{Version: "7.0.15"}, nil
}
func (stillCache) Keys(_ context.Context, prefix, _ string) (dashboard.CacheKeys, error) {
	return dashboard.CacheKeys{Prefix: prefix, Groups: []dashboard.CacheGroup{{Prefix: "a:", Entries: 1}}, Names: []string{"a:b"}}, nil
}
func (stillCache) Hot(context.Context) ([]dashboard.CacheHotKey, error) {
	return []dashboard.CacheHotKey{{Name: "a:b", Reads: 7}}, nil
}
func (stillCache) Entry(_ context.Context, name string, reveal bool) (dashboard.CacheEntry, error) {
	e := dashboard.CacheEntry{Name: name, Why: []string{"w"}, Tags: []string{"t"}, Memory: []string{"m"}, Revealed: reveal}
	if reveal {
		e.Value = "v"
	}
	return e, nil
}
func (stillCache) Preview(_ context.Context, order dashboard.CacheOrder) (dashboard.CachePreview, error) {
	return dashboard.CachePreview{Order: order, Keyspaces: []dashboard.CacheGroup{{Prefix: "a", Entries: 1}}}, nil
}
func (stillCache) Doctor(context.Context) ([]dashboard.CacheNote, error) {
	return []dashboard.CacheNote{{Level: "passed"}}, nil
}
func (c stillCache) Instances(context.Context) ([]dashboard.CacheOverview, error) {
	return []dashboard.CacheOverview{c.Overview()}, nil
}
func (stillCache) Watch(context.Context) <-chan dashboard.CacheEvent {
	events := make(chan dashboard.CacheEvent, 1)
	events <- dashboard.CacheEvent{Kind: "load", Name: "a:b"}
	close(events)
	return events
}
func (stillCache) Forget(_ context.Context, order dashboard.CacheOrder) error { return order.Check() }

// A description that drifts from the handlers is worse than none. Every
// operation is called, and what it answers must be what is said of it.
func TestAnswersAreAsDescribed(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), emptydb.SQLite(t), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Seed(t.Context(), dashboard.SeedOptions{Days: 6, Suites: 2, CasesPerSuite: 6}); err != nil {
		t.Fatal(err)
	}
	h := New(Options{Store: store, Admin: store, Cache: stillCache{}, Formats: upload.Formats{"junit": ingest.JUnit, "gotest": ingest.JUnit}, Log: slog.New(slog.DiscardHandler), Tick: time.Millisecond})
	c := &contract{t: t, h: h, seen: map[string]bool{}}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/api/openapi.json", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &c.doc); err != nil || w.Code != 200 {
		t.Fatal(w.Code, err)
	}
	for _, r := range requests {
		c.call(r[0], r[1], r[2])
	}
	for key := range operations {
		if !c.seen[key] {
			t.Errorf("%s was not called", key)
		}
	}
}

// requests call every operation: its key, the address, the body. They run in
// this order; execution 99 is made by them.
var requests = [][3]string{
	{"GET /suites", "/suites?limit=1&q=a&is_active=true", ""},
	{"POST /suites", "/suites", `{"name":"n","config":{"a":1}}`},
	{"GET /suites/{id}", "/suites/1", ""},
	{"PUT /suites/{id}", "/suites/1", `{"description":"d"}`},
	{"PATCH /suites/{id}", "/suites/1", `{"description":"e"}`},
	{"GET /suites/{id}/badge.svg", "/suites/1/badge.svg?branch=main", ""},
	{"GET /cases", "/cases?suite_id=1&test_type=api&priority=medium&skip=1", ""},
	{"POST /cases", "/cases", `{"suite_id":1,"name":"c","tags":["t"]}`},
	{"GET /cases/{id}", "/cases/1", ""},
	{"PUT /cases/{id}", "/cases/1", `{"priority":"low"}`},
	{"PATCH /cases/{id}", "/cases/1", `{"priority":"high"}`},
	{"GET /cases/{id}/history", "/cases/2/history?limit=3", ""},
	{"GET /executions", "/executions?status_filter=passed&branch=main&limit=3", ""},
	{"POST /executions", "/executions", `{"suite_id":1,"branch":"main"}`},
	{"POST /executions/{id}/start", "/executions/NEW/start", ""},
	{"POST /executions/{id}/results", "/executions/NEW/results", `{"results":[{"case_name":"x","status":"failed","message":"m","attempts":[{"status":"failed"},{"status":"failed"}]}]}`},
	{"GET /executions/{id}", "/executions/NEW", ""},
	{"GET /executions/{id}/results", "/executions/NEW/results?status=failed", ""},
	{"POST /executions/{id}/finish", "/executions/NEW/finish", `{"results_summary":{"a":1}}`},
	{"GET /executions/{id}/events", "/executions/NEW/events", ""},
	{"POST /executions", "/executions", `{"suite_id":1}`},
	{"POST /executions/{id}/start", "/executions/NEW/start", ""},
	{"POST /executions/{id}/stop", "/executions/NEW/stop", ""},
	{"GET /compare", "/compare?base=1&head=3", ""},
	{"GET /search", "/search?q=a", ""},
	{"POST /ingest/junit", "/ingest/junit?suite=n", "<testsuite><testcase name='a'/></testsuite>"},
	{"POST /ingest/gotest", "/ingest/gotest?suite=m", "<testsuite><testcase name='a'/></testsuite>"},
	{"GET /dashboard/stats", "/dashboard/stats", ""},
	{"GET /dashboard/trends", "/dashboard/trends?days=3&tz=Europe/Vienna", ""},
	{"GET /dashboard/recent", "/dashboard/recent?limit=2", ""},
	{"GET /dashboard/recent-executions", "/dashboard/recent-executions", ""},
	{"GET /dashboard/test-types-distribution", "/dashboard/test-types-distribution", ""},
	{"GET /dashboard/performance-metrics", "/dashboard/performance-metrics", ""},
	{"GET /dashboard/health", "/dashboard/health?branch=main", ""},
	{"GET /dashboard/flaky", "/dashboard/flaky", ""},
	{"GET /dashboard/slowest", "/dashboard/slowest", ""},
	{"GET /dashboard/top-errors", "/dashboard/top-errors", ""},
	{"POST /tokens", "/tokens", `{"name":"t","scope":"write"}`},
	{"GET /tokens", "/tokens", ""},
	{"DELETE /tokens/{id}", "/tokens/1", ""},
	{"POST /webhooks", "/webhooks", `{"url":"https://x.example/y","secret":"0123456789abcdef"}`},
	{"GET /webhooks", "/webhooks", ""},
	{"DELETE /webhooks/{id}", "/webhooks/1", ""},
	{"GET /audit", "/audit", ""},
	{"GET /cache", "/cache", ""},
	{"POST /cache/invalidate", "/cache/invalidate", `{"by":"all"}`},
	{"POST /cache/preview", "/cache/preview", `{"by":"prefix","name":"a:"}`},
	{"GET /cache/instances", "/cache/instances", ""},
	{"GET /cache/server", "/cache/server", ""},
	{"GET /cache/doctor", "/cache/doctor", ""},
	{"GET /cache/keys", "/cache/keys?prefix=a", ""},
	{"GET /cache/hot", "/cache/hot", ""},
	{"GET /cache/entry", "/cache/entry?name=a:b", ""},
	{"POST /cache/reveal", "/cache/reveal", `{"name":"a:b"}`},
	{"GET /cache/events", "/cache/events", ""},
	{"DELETE /cases/{id}", "/cases/1", ""},
	{"DELETE /suites/{id}", "/suites/1", ""},
}

var newest string // the id of the execution that was created last

func (c *contract) call(key, address, body string) {
	c.t.Helper()
	method, path, _ := strings.Cut(key, " ")
	r := httptest.NewRequest(method, "/api/v1"+strings.Replace(address, "NEW", newest, 1), strings.NewReader(body))
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	c.h.ServeHTTP(w, r)
	c.seen[key] = true
	item, _ := c.doc["paths"].(object)["/api/v1"+path].(object)
	said, _ := item[strings.ToLower(method)].(object)
	responses, _ := said["responses"].(object)
	response, ok := responses[fmt.Sprint(w.Code)].(object)
	if !ok {
		c.t.Errorf("%s %s: %d is not described: %s", method, address, w.Code, w.Body)
		return
	}
	content, _ := response["content"].(object)
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	if len(content) == 0 {
		if w.Body.Len() > 0 {
			c.t.Errorf("%s: an answer where none is described: %s", key, w.Body)
		}
		return
	}
	form, ok := content[media].(object)
	if !ok {
		c.t.Errorf("%s: %s is not described", key, media)
		return
	}
	if media != "application/json" {
		return
	}
	var value any
	if err := json.Unmarshal(w.Body.Bytes(), &value); err != nil {
		c.t.Errorf("%s: %v", key, err)
	}
	if key == "POST /executions" {
		newest = fmt.Sprint(value.(object)["id"])
	}
	c.check(key, form["schema"].(object), value)
	for name := range r.URL.Query() {
		if !slices.ContainsFunc(said["parameters"].([]any), func(p any) bool { return p.(object)["name"] == name }) {
			c.t.Errorf("%s: parameter %s is not described", key, name)
		}
	}
}

func (c *contract) check(at string, schema object, value any) {
	c.t.Helper()
	if name, ok := schema["$ref"].(string); ok {
		schema = c.doc["components"].(object)["schemas"].(object)[name[strings.LastIndex(name, "/")+1:]].(object)
	}
	if either, ok := schema["anyOf"].([]any); ok {
		if value != nil {
			c.check(at, either[0].(object), value)
		}
		return
	}
	got := "null"
	switch v := value.(type) {
	case string:
		got = "string"
		if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, any(v)) {
			c.t.Errorf("%s: %q is not one of %v", at, v, enum)
		}
	case bool:
		got = "boolean"
	case float64:
		got = "number"
		if v == float64(int64(v)) && schema["type"] == "integer" {
			got = "integer"
		}
	case []any:
		got = "array"
		for i, item := range v {
			c.check(fmt.Sprintf("%s[%d]", at, i), schema["items"].(object), item)
		}
	case object:
		got = "object"
		c.members(at, schema, v)
	}
	if got != schema["type"] {
		c.t.Errorf("%s: is %s, described as %v", at, got, schema["type"])
	}
}

func (c *contract) members(at string, schema object, value object) {
	properties, ok := schema["properties"].(object)
	if !ok {
		return // any object
	}
	for name, member := range value {
		property, ok := properties[name].(object)
		if !ok {
			c.t.Errorf("%s.%s is not described", at, name)
			continue
		}
		c.check(at+"."+name, property, member)
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := value[name.(string)]; !ok {
			c.t.Errorf("%s.%s is missing", at, name)
		}
	}
}

func TestAnUnchangedAnswerIsNotSentAgain(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), emptydb.SQLite(t), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := New(Options{Store: store, Admin: store, Log: slog.New(slog.DiscardHandler)})
	get := func(known string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/api/v1/suites", nil)
		r.Header.Set("If-None-Match", known)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	first := get("")
	tag := first.Header().Get("ETag")
	if again := get(tag); again.Code != 304 || again.Body.Len() != 0 || tag == "" {
		t.Errorf("unchanged: %d %q %s", again.Code, tag, again.Body)
	}
	if _, _, err := store.CreateSuite(t.Context(), dashboard.NewSuite{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	if changed := get(tag); changed.Code != 200 || changed.Header().Get("ETag") == tag {
		t.Errorf("changed: %d", changed.Code)
	}
}
