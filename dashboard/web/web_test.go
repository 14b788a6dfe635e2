package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/ingest"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/upload"
)

const report = `<testsuite name="s"><testcase name="a" time="0.5"/><testcase name="b"><failure message="no">stack</failure></testcase></testsuite>`

func newStore(t *testing.T) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), emptydb.SQLite(t), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func newPages(t *testing.T, store dashboard.Store) http.Handler {
	t.Helper()
	admin, _ := store.(dashboard.Admin)
	h, err := New(Options{Store: store, Admin: admin, Formats: upload.Formats{"junit": ingest.JUnit}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func send(t *testing.T, h http.Handler, suite, content string) *httptest.ResponseRecorder {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	part, err := m.CreateFormFile("file", "junit.xml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(part, content)
	if err := errors.Join(err, m.WriteField("suite", suite), m.Close()); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", "/upload", &b)
	r.Header.Set("Content-Type", m.FormDataContentType())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// text is what a reader sees of a page, in one line.
func text(w *httptest.ResponseRecorder) string {
	var out strings.Builder
	z := html.NewTokenizer(bytes.NewReader(w.Body.Bytes()))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return strings.Join(strings.Fields(out.String()), " ")
		case html.TextToken:
			out.WriteString(string(z.Text()) + " ")
		}
	}
}

func TestAnEmptyDatabaseSaysWhatToDo(t *testing.T) {
	h := newPages(t, newStore(t))
	got := text(get(h, "/"))
	for _, want := range []string{"Drop report files", "curl -F file=@junit.xml", "/api/v1/ingest/junit?suite=api", "Fill with demo data"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in %s", want, got)
		}
	}
	r := httptest.NewRequest("POST", "/demo", nil)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 303 {
		t.Fatalf("demo: %d %s", w.Code, w.Body)
	}
	if got := text(get(h, "/")); !strings.Contains(got, "8 suites") || strings.Contains(got, "Fill with demo data") {
		t.Errorf("after the demo: %s", got)
	}
	w = httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest("POST", "/demo", nil)); w.Code != 409 {
		t.Errorf("second demo: %d", w.Code)
	}
}

// The form works without script: it leads back to the overview, which says what
// came of it.
func TestAnUploadIsShownAtOnce(t *testing.T) {
	h := newPages(t, newStore(t))
	w := send(t, h, "api", report)
	if w.Code != 303 || w.Header().Get("Location") != "/?uploaded=1" {
		t.Fatalf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	got := text(get(h, "/?uploaded=1"))
	for _, want := range []string{"2 cases, 1 failed, 1 passed: api #1", "Recent executions", "Test cases 2 in 1 suite"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in %s", want, got)
		}
	}
	if w := send(t, h, "api", report); w.Header().Get("Location") != "/?again=1&uploaded=1" {
		t.Errorf("again: %v", w.Header())
	}
	if got := text(get(h, "/?again=1&uploaded=1")); !strings.Contains(got, "nothing was changed: api #1") {
		t.Errorf("again: %s", got)
	}
}

func TestARefusedUploadSaysWhere(t *testing.T) {
	h := newPages(t, newStore(t))
	for content, want := range map[string]string{"<testsuite>\n<testcase>": "Line 2", "<html/>": "Line 1", "": "empty"} {
		w := send(t, h, "api", content)
		if got := text(w); w.Code != 422 || !strings.Contains(got, "Refused, nothing was changed.") || !strings.Contains(strings.ToLower(got), strings.ToLower(want)) {
			t.Errorf("%q: %d %s", content, w.Code, got)
		}
	}
	if w := send(t, h, "", report); w.Code != 422 || !strings.Contains(text(w), "Suite: must not be empty") {
		t.Errorf("no suite: %d %s", w.Code, text(w))
	}
}

// Names come from whoever writes a report. They must stay text, everywhere.
func TestNamesFromReportsStayText(t *testing.T) {
	store := newStore(t)
	h := newPages(t, store)
	hostile := `"><img src=x onerror=alert(1)>{{.}}</script>`
	for _, suite := range []string{hostile, "javascript:alert(1)"} {
		if w := send(t, h, suite, report); w.Code != 303 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	for _, path := range []string{"/", "/upload", "/?uploaded=1"} {
		checkMarkup(t, path, get(h, path).Body)
	}
}

// checkMarkup holds a page to the policy: no inline script or style, no event
// attribute, nothing from elsewhere, no image that we did not put there.
func checkMarkup(t *testing.T, path string, body io.Reader) {
	t.Helper()
	z := html.NewTokenizer(body)
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return
		}
		token := z.Token()
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		inline := token.Data == "script"
		for _, a := range token.Attr {
			inline = inline && a.Key != "src"
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Key, "hx-on") {
				t.Errorf("%s: attribute %s in <%s>", path, a.Key, token.Data)
			}
			if (a.Key == "href" || a.Key == "src" || a.Key == "action") && !regexp.MustCompile(`^(/|#|\?|https?://)`).MatchString(a.Val) {
				t.Errorf("%s: %s=%q", path, a.Key, a.Val)
			}
		}
		if inline || token.Data == "style" || token.Data == "img" || token.Data == "iframe" {
			t.Errorf("%s: inline <%s>", path, token.Data)
		}
	}
}

// allPages are addresses of every page over demo data.
var allPages = []string{"/", "/?days=7", "/?days=90", "/upload", "/suites", "/suites?q=api", "/suites?q=nothing", "/suites/1", "/suites/1?test_type=api&q=a", "/suites/1?test_type=db",
	"/executions", "/executions?status=failed&suite_id=1", "/executions?branch=none", "/executions?skip=50", "/executions/1", "/executions/3?status=passed", "/executions/3?q=nothing", "/executions/3?status=flaky",
	"/cases/1", "/cases/2?tab=failures", "/cases/3?tab=code", "/flaky", "/compare", "/compare?base=1&head=9", "/search", "/search?q=a", "/search?q=zzzzz",
	"/settings/tokens", "/login", "/cache"}

// What cannot be is said on a page, not by a blank one.
func TestAddressesThatCannotBe(t *testing.T) {
	h := newPages(t, newStore(t))
	for path, want := range map[string]int{
		"/suites/9": 404, "/suites/x": 404, "/cases/9": 404, "/cases/0": 404, "/executions/9": 404, "/executions/-1": 404, "/compare?base=1&head=2": 404,
		"/executions?status=green": 422, "/suites/1?test_type=smoke": 404, "/search?q=" + strings.Repeat("q", 201): 422, "/executions?skip=-5": 200, "/?days=x": 200,
	} {
		w := get(h, path)
		if w.Code != want || !strings.Contains(w.Header().Get("Content-Type"), "text/html") || len(text(w)) < 40 {
			t.Errorf("%s: %d %s", path, w.Code, text(w))
		}
	}
}

// watched is a cache that is told to forget.
type watched struct {
	forgotten []dashboard.CacheOrder
	err       error
}

func (c *watched) Overview() dashboard.CacheOverview {
	span := dashboard.CacheSpan{Seconds: 5, Memory: 90, Redis: 8, Loaded: 2, Loads: 2, LoadSeconds: 0.02}
	return dashboard.CacheOverview{Redis: "connected", CoherentMS: 12, MaxStalenessMS: 1000, MemoryLimit: 1 << 20, Recent: span, Hour: span,
		Keyspaces: []dashboard.CacheKeyspace{{Name: "suite", CacheSpan: span}}, Samples: []dashboard.CacheSample{{CacheSpan: span}, {CacheSpan: span, Connected: true}, {CacheSpan: span}}}
}

func (c *watched) Forget(_ context.Context, order dashboard.CacheOrder) error {
	c.forgotten = append(c.forgotten, order)
	return c.err
}

// Forgetting asks first, wants its name typed and is noted.
func TestTheCacheForgetsOnlyWhatWasConfirmed(t *testing.T) {
	store, cache := newStore(t), &watched{}
	h, err := New(Options{Store: store, Admin: store, Cache: cache, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(get(h, "/cache")); !strings.Contains(got, "healthy: memory proved current 12 ms ago") || !strings.Contains(got, "memory 90 %") {
		t.Errorf("page: %s", got)
	}
	checkMarkup(t, "/cache", get(h, "/cache").Body)
	if got := text(get(h, "/cache?by=tag&name=suites")); !strings.Contains(got, "Invalidate tag suites?") || len(cache.forgotten) > 0 {
		t.Errorf("preview: %s", got)
	}
	post := func(form string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/cache/invalidate", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, form := range []string{"by=tag&name=suites", "by=tag&name=suites&confirm=suite", "by=pattern&name=*&confirm=*", "by=all&confirm=all", "by=none&name=x&confirm=x", ""} {
		if w := post(form); w.Code != 422 || len(cache.forgotten) > 0 {
			t.Errorf("%q: %d %s", form, w.Code, text(w))
		}
	}
	if w := post("by=tag&name=suites&confirm=suites"); w.Code != 303 || len(cache.forgotten) != 1 {
		t.Errorf("confirmed: %d", w.Code)
	}
	cache.err = errors.New("pending")
	if w := post("by=all&confirm=everything"); w.Code != 503 || !strings.Contains(text(w), "It is retried") {
		t.Errorf("unconfirmed: %d %s", w.Code, text(w))
	}
	if list, err := store.Audits(t.Context(), dashboard.Page{}); err != nil || len(list.Items) != 2 {
		t.Errorf("audit: %v, %v", list.Items, err)
	}
}

func TestASuiteIsEditedAndDeletedFromItsPage(t *testing.T) {
	store := newStore(t)
	h := newPages(t, store)
	if _, _, err := store.CreateSuite(t.Context(), dashboard.NewSuite{Name: "api"}); err != nil {
		t.Fatal(err)
	}
	post := func(path, form string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", path, strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := post("/suites/1/edit", "name=renamed&description=d"); w.Code != 303 || !strings.Contains(text(get(h, "/suites/1")), "renamed") {
		t.Errorf("edit: %d", w.Code)
	}
	if w := post("/suites/1/edit", "name="); w.Code != 422 || !strings.Contains(text(w), "Not saved.") {
		t.Errorf("edit to nothing: %d %s", w.Code, text(w))
	}
	if w := post("/suites/1/delete", "confirm=other"); w.Code != 422 || get(h, "/suites/1").Code != 200 {
		t.Errorf("delete without its name: %d", w.Code)
	}
	if w := post("/suites/1/delete", "confirm=renamed"); w.Code != 303 || get(h, "/suites/1").Code != 404 {
		t.Errorf("delete: %d", w.Code)
	}
}

func TestPagesKeepThePolicyWithMuchData(t *testing.T) {
	store := newStore(t)
	if _, err := store.Seed(t.Context(), dashboard.SeedOptions{}); err != nil {
		t.Fatal(err)
	}
	h := newPages(t, store)
	for _, path := range append(allPages, "/nowhere") {
		w := get(h, path)
		if w.Code != 200 && path != "/nowhere" {
			t.Errorf("%s: %d %s", path, w.Code, text(w))
		}
		checkMarkup(t, path, bytes.NewReader(w.Body.Bytes()))
		if strings.Contains(w.Body.String(), "ZgotmplZ") || strings.Contains(w.Body.String(), "NaN") || strings.Contains(w.Body.String(), "%!") {
			t.Errorf("%s: a value could not be drawn", path)
		}
	}
	if w := get(h, "/nowhere"); w.Code != 404 {
		t.Errorf("unknown page: %d", w.Code)
	}
}

// failing is a store whose database went away.
type failing struct{ dashboard.Store }

func (failing) Stats(context.Context) (dashboard.Stats, error) {
	return dashboard.Stats{}, errors.New("secret: connection refused")
}

func TestALostDatabaseIsAPageNotAStackTrace(t *testing.T) {
	w := get(newPages(t, failing{newStore(t)}), "/?days=7")
	if got := text(w); w.Code != 503 || !strings.Contains(got, "The database does not answer") || strings.Contains(got, "secret") {
		t.Errorf("%d %s", w.Code, got)
	}
}

// traced is a store that says which tier answered.
type traced struct{ dashboard.Store }

func (s traced) Stats(ctx context.Context) (dashboard.Stats, error) {
	dashboard.TraceOf(ctx).Note(dashboard.Answer{Read: "stats", Tier: dashboard.TierRedis})
	return s.Store.Stats(ctx)
}

func TestTheStripSaysWhoAnswered(t *testing.T) {
	store := newStore(t)
	h := newPages(t, traced{store})
	if w := send(t, h, "api", report); w.Code != 303 {
		t.Fatal(w.Body)
	}
	if got := text(get(h, "/")); !strings.Contains(got, "memory 0 Redis 1 database 0") {
		t.Errorf("got %s", got)
	}
}

func TestTheThemeIsACookieAndTheWayBackStaysHere(t *testing.T) {
	h := newPages(t, newStore(t))
	post := func(referer, cookie, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/settings/theme", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Referer", referer)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, c := range []struct{ referer, cookie, body, theme, back string }{
		{"http://example.com/?days=7", "", "theme=toggle", "dark", "/?days=7"},
		{"https://evil.example//evil.example/x", "theme=dark", "theme=toggle", "light", "/"},
		{"", "theme=light", "theme=light", "light", "/"},
		{"%zz", "theme=x", "", "dark", "/"},
	} {
		w := post(c.referer, c.cookie, c.body)
		if w.Code != 303 || w.Header().Get("Location") != c.back || !strings.Contains(w.Header().Get("Set-Cookie"), "theme="+c.theme+";") {
			t.Errorf("%+v: %d %v", c, w.Code, w.Header())
		}
	}
	if got := get(h, "/", "Cookie", "theme=dark").Body.String(); !strings.Contains(got, `<html lang="en" data-theme="dark">`) {
		t.Error("the page does not carry the theme")
	}
}

func TestFilesAreKeptByTheBrowserUnderTheirHash(t *testing.T) {
	h := newPages(t, newStore(t))
	addresses := regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`).FindAllStringSubmatch(get(h, "/").Body.String(), -1)
	if len(addresses) < 4 {
		t.Fatalf("got %v", addresses)
	}
	for _, a := range addresses {
		w := get(h, a[1])
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", a[1], w.Code, w.Header())
		}
		if w := get(h, a[1], "If-None-Match", w.Header().Get("ETag")); w.Code != 304 {
			t.Errorf("%s again: %d", a[1], w.Code)
		}
	}
	if w := get(h, "/static/../web.go"); w.Code == 200 {
		t.Error("a file outside of static was served")
	}
}
