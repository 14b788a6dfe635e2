// Package api serves the REST interface of the dashboard under /api/v1.
//
// Handlers return errors; one place turns them into problem details (RFC 9457)
// that name the field at fault. What is a rule of the domain is checked by the
// Store; this package checks what exists only in HTTP.
package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/upload"
)

// Options configure the API. Store, Admin and Formats are required.
type Options struct {
	Store   dashboard.Store
	Admin   dashboard.Admin
	Formats upload.Formats
	// Log receives failures of the server; those of clients are not logged.
	// Default: slog.Default().
	Log *slog.Logger
	// Ingested, when set, is called after each report that was taken in, with
	// its format and its number of cases.
	Ingested func(format string, cases int)
	// Cache is shown and invalidated under /cache; nil: the cache is off.
	Cache dashboard.CacheView
	// Branch is the default branch of badges and health. Default "main".
	Branch string
	// Ending is closed when the server is about to end: streams then tell their
	// clients to come back. Default: never.
	Ending <-chan struct{}
	// Streams, when set, is told of each stream that begins (1) or ends (-1).
	Streams func(by int)
	// Tick is how often a followed execution is looked at. Default 500 ms.
	Tick time.Duration
}

type api struct {
	Options
	store    dashboard.Store
	mux      *http.ServeMux
	watchers *watchers
	outage   dashboard.Outage
}

// New returns the handler of everything below /api/.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Ingested == nil {
		o.Ingested = func(string, int) {}
	}
	if o.Streams == nil {
		o.Streams = func(int) {}
	}
	o.Branch, o.Tick = cmp.Or(o.Branch, "main"), cmp.Or(o.Tick, liveTick)
	a := &api{Options: o, store: o.Store, mux: http.NewServeMux(), watchers: newWatchers(o.Store, o.Tick)}
	for _, r := range a.routes() {
		a.mux.Handle(r.method+" /api/v1"+r.path, a.handle(r.serve))
	}
	a.mux.Handle("GET /api/openapi.json", a.handle(a.describe))
	return a
}

type route struct {
	method, path string
	serve        handler
}

// routes lists every operation of the API.
func (a *api) routes() []route {
	return []route{
		{"GET", "/suites", a.suites},
		{"POST", "/suites", a.createSuite},
		{"GET", "/suites/{id}", a.suite},
		{"PUT", "/suites/{id}", a.updateSuite},
		{"PATCH", "/suites/{id}", a.updateSuite},
		{"DELETE", "/suites/{id}", a.deleteSuite},
		{"GET", "/cases", a.cases},
		{"POST", "/cases", a.createCase},
		{"GET", "/cases/{id}", a.testCase},
		{"PUT", "/cases/{id}", a.updateCase},
		{"PATCH", "/cases/{id}", a.updateCase},
		{"DELETE", "/cases/{id}", a.deleteCase},
		{"GET", "/cases/{id}/history", a.history},
		{"GET", "/executions", a.executions},
		{"POST", "/executions", a.createExecution},
		{"GET", "/executions/{id}", a.execution},
		{"POST", "/executions/{id}/start", a.startExecution},
		{"POST", "/executions/{id}/stop", a.stopExecution},
		{"POST", "/executions/{id}/finish", a.finishExecution},
		{"GET", "/executions/{id}/results", a.results},
		{"POST", "/executions/{id}/results", a.addResults},
		{"GET", "/executions/{id}/events", a.events},
		{"GET", "/compare", a.compare},
		{"GET", "/search", a.search},
		{"GET", "/suites/{id}/badge.svg", a.badge},
		{"POST", "/ingest/junit", a.ingest("junit")},
		{"POST", "/ingest/gotest", a.ingest("gotest")},
		{"GET", "/dashboard/stats", a.stats},
		{"GET", "/dashboard/trends", a.trends},
		{"GET", "/dashboard/recent", a.recent},
		{"GET", "/dashboard/recent-executions", a.recent},
		{"GET", "/dashboard/test-types-distribution", a.testTypes},
		{"GET", "/dashboard/performance-metrics", a.performance},
		{"GET", "/dashboard/health", a.health},
		{"GET", "/cache", a.cache},
		{"POST", "/cache/invalidate", a.forget},
		{"POST", "/cache/preview", a.previewCache},
		{"GET", "/cache/instances", a.cacheInstances},
		{"GET", "/cache/server", a.cacheServer},
		{"GET", "/cache/doctor", a.cacheDoctor},
		{"GET", "/cache/keys", a.cacheKeys},
		{"GET", "/cache/hot", a.cacheHot},
		{"GET", "/cache/entry", a.cacheEntry},
		{"POST", "/cache/reveal", a.revealEntry},
		{"GET", "/cache/events", a.cacheEvents},
		{"GET", "/tokens", a.tokens},
		{"POST", "/tokens", a.createToken},
		{"DELETE", "/tokens/{id}", a.revokeToken},
		{"GET", "/audit", a.audits},
		{"GET", "/webhooks", a.webhooks},
		{"POST", "/webhooks", a.createWebhook},
		{"DELETE", "/webhooks/{id}", a.deleteWebhook},
		{"GET", "/dashboard/flaky", a.flaky},
		{"GET", "/dashboard/slowest", a.slowest},
		{"GET", "/dashboard/top-errors", a.topErrors},
	}
}

// ServeHTTP answers, and gives paths and methods that do not exist a problem
// instead of the plain text of the multiplexer.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/") && r.URL.Path != "/" {
		r.URL.Path = strings.TrimRight(r.URL.Path, "/") // the original's clients write both
	}
	if _, pattern := a.mux.Handler(r); pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	unmatched := httptest.NewRecorder()
	a.mux.ServeHTTP(unmatched, r)
	if allow := unmatched.Header().Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		methodNotAllowed := problem{Type: kindMethod, Title: "Method not allowed", Status: http.StatusMethodNotAllowed,
			Detail: r.Method + " is not possible here; allowed: " + allow}
		methodNotAllowed.write(w)
		return
	}
	notFound := problem{Type: kindNotFound, Title: "Not found", Status: http.StatusNotFound, Detail: "There is nothing at this path."}
	notFound.write(w)
}

// handler is an operation. It has written nothing when it returns an error.
type handler func(w http.ResponseWriter, r *http.Request) error

// handle makes an operation a handler. A client that says "Cache-Control:
// no-cache" reads what was true when it asked, as HTTP means it.
func (a *api) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		trace := &dashboard.Trace{}
		ctx := dashboard.WithTrace(r.Context(), trace)
		if strings.Contains(r.Header.Get("Cache-Control"), "no-cache") {
			ctx = dashboard.WithExact(ctx)
		}
		err := h(&traced{ResponseWriter: w, trace: trace, known: r.Header.Get("If-None-Match")}, r.WithContext(ctx))
		if err == nil {
			return
		}
		p := problemOf(explain(err))
		if p.write(w); p.Status >= 500 && !errors.Is(r.Context().Err(), context.Canceled) && a.outage.Tell(err, time.Now()) {
			a.Log.ErrorContext(r.Context(), "request failed", "method", r.Method, "route", r.Pattern, "error", p.cause)
		}
	})
}

// traced adds, before the first byte, which tier answered each read.
type traced struct {
	http.ResponseWriter
	trace *dashboard.Trace
	known string // If-None-Match
	done  bool
}

func (t *traced) WriteHeader(status int) {
	if !t.done {
		t.done = true
		for _, answer := range t.trace.Answers() {
			t.Header().Add("X-Cache", answer.Read+"="+string(answer.Tier))
		}
	}
	t.ResponseWriter.WriteHeader(status)
}

func (t *traced) Write(p []byte) (int, error) {
	if !t.done {
		t.WriteHeader(http.StatusOK)
	}
	return t.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (t *traced) Unwrap() http.ResponseWriter { return t.ResponseWriter }
