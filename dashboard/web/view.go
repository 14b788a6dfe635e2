package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

//go:embed templates
var templates embed.FS

// views are the parsed pages by name, each with the base and the parts.
type views map[string]*template.Template

func parseViews(files *assets) (views, error) {
	funcs := template.FuncMap{
		"asset": files.address, "count": countAny, "plural": pluralAny, "percent": percent, "duration": duration, "bytes": bytesize,
		"name": breakable, "printable": Printable, "commit": commit, "outward": outward, "ago": ago, "rfc3339": rfc3339, "absolute": absolute,
		"dict": dict, "striplabel": stripLabel, "firstline": firstLine, "inc": func(n int) int { return n + 1 }, "dec": func(n int64) int64 { return n - 1 },
		"figure": func(p float64) string { return percentFigure(p / 100) }, "ms": func(n int64) string { return duration(millis(n)) }, "len64": length, "capital": capital,
	}
	out := views{}
	pages, err := fs.Glob(templates, "templates/pages/*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range pages {
		t, err := template.New("").Funcs(funcs).ParseFS(templates, "templates/*.html", file)
		if err != nil {
			return nil, err
		}
		out[strings.TrimSuffix(path.Base(file), ".html")] = t
	}
	return out, nil
}

// countAny is count for templates, whose functions cannot be generic.
func countAny(n any) (string, error) {
	switch n := n.(type) {
	case int:
		return count(n), nil
	case int64:
		return count(n), nil
	}
	return "", fmt.Errorf("count: %T is no whole number", n)
}

// pluralAny is plural for templates.
func pluralAny(n any, one, many string) (string, error) {
	switch n := n.(type) {
	case int:
		return plural(int64(n), one, many), nil
	case int64:
		return plural(n, one, many), nil
	}
	return "", fmt.Errorf("plural: %T is no whole number", n)
}

func length(list any) int64 { return int64(reflect.ValueOf(list).Len()) }

// dict passes several values to a part.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict: a name without a value")
	}
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1]
	}
	return out, nil
}

func millis[N int64 | float64](ms N) time.Duration {
	return time.Duration(float64(ms) * float64(time.Millisecond))
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func absolute(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("2 Jan 2006 15:04:05 MST")
}

// ciLines are commands that send a report to this server.
type ciLines struct {
	Origin string
	Token  bool // they need one
}

func (s *web) ciLines(r *http.Request) ciLines {
	return ciLines{Origin: originOf(r), Token: s.TokenRequired}
}

// originOf is the address under which the reader knows this server.
func originOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// shell is what every page has around its content.
type shell struct {
	Title string
	Theme string // "light", "dark" or "": as the system says
	Nav   []navItem
	Now   time.Time
	Zone  *time.Location
	Data  any
}

type navItem struct {
	Name, Path string
	Current    bool
	Running    int64
}

var navigation = []navItem{
	{Name: "Overview", Path: "/"}, {Name: "Suites", Path: "/suites"}, {Name: "Executions", Path: "/executions"},
	{Name: "Flaky", Path: "/flaky"}, {Name: "Compare", Path: "/compare"}, {Name: "Upload", Path: "/upload"}, {Name: "Cache", Path: "/cache"},
	{Name: "Tokens", Path: "/settings/tokens"},
}

// view is the answer of a page.
type view struct {
	Name   string // of the template
	Title  string
	Path   string // of the entry in the navigation
	Status int    // default 200
	Data   any
}

// page reads what it needs and returns a view, or nil after it answered itself.
type page func(w http.ResponseWriter, r *http.Request) (*view, error)

func (s *web) handle(p page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := dashboard.WithTrace(r.Context(), &dashboard.Trace{})
		if strings.Contains(r.Header.Get("Cache-Control"), "no-cache") { // a reload with Shift
			ctx = dashboard.WithExact(ctx)
		}
		v, err := p(w, r.WithContext(ctx))
		if err != nil {
			v = s.fault(r, err)
		}
		if v != nil {
			s.render(ctx, w, r, v)
		}
	})
}

func (s *web) render(ctx context.Context, w http.ResponseWriter, r *http.Request, v *view) {
	body := shell{Title: v.Title, Theme: themeOf(r), Now: s.Now(), Zone: zoneOf(r), Data: v.Data}
	stats, _ := s.store.Stats(ctx) // without a database nothing runs
	for _, item := range navigation {
		item.Current = item.Path == v.Path
		if item.Path == "/executions" {
			item.Running = stats.ActiveExecutions
		}
		body.Nav = append(body.Nav, item)
	}
	var out bytes.Buffer
	if err := s.views[v.Name].ExecuteTemplate(&out, "base", body); err != nil {
		s.Log.ErrorContext(ctx, "page", "name", v.Name, "error", err)
		http.Error(w, "The page could not be drawn.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Vary", "Cookie")
	w.WriteHeader(max(v.Status, http.StatusOK))
	_, _ = out.WriteTo(w)
}

// faultData is the content of the page of an error.
type faultData struct {
	Heading, Text string
	Retry         string
}

// fault draws what happened in place of the page.
func (s *web) fault(r *http.Request, err error) *view {
	if errors.Is(err, dashboard.ErrNotFound) {
		return notFound(err.Error())
	}
	if errors.Is(err, dashboard.ErrInvalid) {
		return &view{Name: "fault", Title: "Invalid", Status: http.StatusUnprocessableEntity,
			Data: faultData{Heading: "That cannot be shown", Text: err.Error() + "."}}
	}
	if !errors.Is(r.Context().Err(), context.Canceled) && s.outage.Tell(err, s.Now()) {
		s.Log.ErrorContext(r.Context(), "page failed", "route", r.Pattern, "error", err)
	}
	return &view{Name: "fault", Title: "Unavailable", Status: http.StatusServiceUnavailable,
		Data: faultData{Heading: "The database does not answer", Text: "Nothing is lost. Reports that were taken in are stored.", Retry: r.URL.RequestURI()}}
}

func notFound(what string) *view {
	return &view{Name: "fault", Title: "Not found", Status: http.StatusNotFound, Data: faultData{Heading: "Not found", Text: what}}
}

func (s *web) missing(http.ResponseWriter, *http.Request) (*view, error) {
	return notFound("There is no page at this address."), nil
}

// themeOf reads the cookie that the theme form sets.
func themeOf(r *http.Request) string {
	if c, err := r.Cookie("theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// zoneOf reads the time zone that the script found out; days begin there.
func zoneOf(r *http.Request) *time.Location {
	if c, err := r.Cookie("tz"); err == nil && c.Value != "" && c.Value != "Local" && len(c.Value) < 64 {
		if loc, err := time.LoadLocation(c.Value); err == nil {
			return loc
		}
	}
	return time.UTC
}

// theme switches between light and dark and goes back to where it was asked for.
func (s *web) theme(w http.ResponseWriter, r *http.Request) {
	next := "dark"
	if themeOf(r) == "dark" {
		next = "light"
	}
	if v := r.PostFormValue("theme"); v == "light" || v == "dark" {
		next = v
	}
	http.SetCookie(w, &http.Cookie{Name: "theme", Value: next, Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, backTo(r), http.StatusSeeOther)
}

// backTo is the path of the referring page, never another host.
func backTo(r *http.Request) string {
	referer, err := url.Parse(r.Referer())
	if err != nil || !strings.HasPrefix(referer.Path, "/") || strings.HasPrefix(referer.Path, "//") {
		return "/"
	}
	return (&url.URL{Path: referer.Path, RawQuery: referer.RawQuery}).String()
}
