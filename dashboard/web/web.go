// Package web serves the pages of the dashboard.
//
// Pages are drawn on the server with html/template and work without script;
// htmx swaps parts of them where it is there. The URL is the state. No page
// carries inline script or style, and all text that comes from reports is
// treated as hostile.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/upload"
)

// Options configure the pages. Store, Admin and Formats are required.
type Options struct {
	Store   dashboard.Store
	Admin   dashboard.Admin
	Formats upload.Formats
	// Cache is watched by the cache page; nil: the cache is off.
	Cache dashboard.CacheView
	// Branch is the default branch, whose newest runs the overview judges. Default "main".
	Branch string
	// Log receives failures of the server. Default: slog.Default().
	Log *slog.Logger
	// Ingested, when set, is called after each report that was taken in, with
	// its format and its number of cases.
	Ingested func(format string, cases int)
	// SignIn finds out whose a token is; dashboard.ErrNotFound: nobody's.
	SignIn func(ctx context.Context, token string) (dashboard.Principal, error)
	// TokenCookie is the name of the cookie in which a browser keeps its token.
	TokenCookie string
	// TokenRequired says that changes need a token.
	TokenRequired bool
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

type web struct {
	Options
	store  dashboard.Store
	assets *assets
	views  views
	outage dashboard.Outage
	silent dashboard.Minutely // what the log is told of a Redis that does not answer the cache page
}

// New returns the handler of all pages and their files.
func New(o Options) (http.Handler, error) {
	if o.Branch == "" {
		o.Branch = "main"
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Ingested == nil {
		o.Ingested = func(string, int) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	files, err := newAssets()
	if err != nil {
		return nil, fmt.Errorf("read embedded files: %w", err)
	}
	w := &web{Options: o, store: o.Store, assets: files}
	if w.views, err = parseViews(files); err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	return w.routes(), nil
}

func (s *web) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/{name...}", s.assets)
	mux.HandleFunc("POST /settings/theme", s.theme)
	for _, r := range []struct {
		pattern string
		serve   page
	}{
		{"GET /{$}", s.overview},
		{"GET /suites", s.suites},
		{"GET /suites/{id}", s.suite},
		{"POST /suites/{id}/edit", s.editSuite},
		{"POST /suites/{id}/delete", s.deleteSuite},
		{"GET /cases/{id}", s.testCase},
		{"GET /executions", s.executions},
		{"GET /executions/{id}", s.execution},
		{"POST /executions/{id}/stop", s.stop},
		{"GET /flaky", s.flaky},
		{"GET /compare", s.compare},
		{"GET /search", s.search},
		{"GET /cache", s.cachePage},
		{"POST /cache/invalidate", s.forget},
		{"POST /cache/reveal", s.reveal},
		{"GET /settings/tokens", s.settings},
		{"POST /settings/tokens", s.createToken},
		{"POST /settings/tokens/{id}/revoke", s.revokeToken},
		{"POST /settings/webhooks", s.createWebhook},
		{"POST /settings/webhooks/{id}/delete", s.deleteWebhook},
		{"GET /login", s.loginPage},
		{"POST /login", s.login},
		{"POST /logout", s.logout},
		{"GET /upload", s.uploadPage},
		{"POST /upload", s.upload},
		{"POST /demo", s.demo},
		{"GET /", s.missing},
	} {
		mux.Handle(r.pattern, s.handle(r.serve))
	}
	return mux
}
