package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/browsertest"
	"github.com/larder-go/larder/lardertest"
)

// picture is the address of a page by the name of its picture.
type picture struct{ name, path string }

// pages are the addresses of all pages over what a store has.
func pages(t *testing.T, store dashboard.Store) []picture {
	t.Helper()
	all := []picture{
		{"overview", "/"}, {"suites", "/suites"}, {"executions", "/executions"}, {"compare-choose", "/compare"}, {"flaky", "/flaky"}, {"upload", "/upload"},
		{"search", "/search?q=a"}, {"search-none", "/search?q=zzz"}, {"settings", "/settings/tokens"}, {"login", "/login"}, {"cache", "/cache"},
	}
	recent, err := store.Executions(t.Context(), dashboard.ExecutionFilter{Status: dashboard.StatusFailed}, dashboard.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if len(recent.Items) == 0 {
		return all
	}
	e := recent.Items[0]
	failed, err := store.Results(t.Context(), e.ID, dashboard.ResultFilter{Status: dashboard.StatusFailed}, dashboard.Page{})
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, picture{"suite", fmt.Sprint("/suites/", e.SuiteID)}, picture{"execution", fmt.Sprint("/executions/", e.ID)},
		picture{"case", fmt.Sprint("/cases/", failed.Items[0].CaseID)})
	runs, err := store.Executions(t.Context(), dashboard.ExecutionFilter{SuiteID: e.SuiteID}, dashboard.Page{})
	if err != nil {
		t.Fatal(err)
	}
	last := runs.Items[len(runs.Items)-1]
	return append(all, picture{"compare", fmt.Sprintf("/compare?base=%d&head=%d", last.ID, e.ID)})
}

// guise is how a page is looked at.
type guise struct {
	width int64
	theme string
}

// Every page over no, little and much data, wide and narrow, light and dark, on
// PostgreSQL without a Redis: nothing on its console, nothing asked from elsewhere,
// nothing wider than its window, no text cut off. With QADASH_PICTURES=dir each page
// in each guise, on SQLite with a Redis too, is kept there as a picture.
func TestPagesInEveryGuise(t *testing.T) {
	wide, narrow := []guise{{1280, "light"}}, []guise{{390, "dark"}}
	databases := map[string]string{"postgres": lardertest.StartPostgres(t).URL()}
	redis := map[string]string{"postgres": "127.0.0.1:1"}
	dir := os.Getenv("QADASH_PICTURES")
	if dir != "" {
		wide = []guise{{1280, "light"}, {1280, "dark"}, {390, "light"}, {390, "dark"}}
		narrow = wide
		databases["sqlite"] = "sqlite:" + filepath.Join(t.TempDir(), "qa.db")
		redis["sqlite"] = lardertest.StartRedis(t).Addr()
	}
	for name, url := range databases {
		toRedis(t, redis[name])
		h, b := newServer(t, "DATABASE_URL", url, "CACHE_ENABLED", "true")
		look(t, h, b.store, filepath.Join(dir, name+"-none"), narrow, dir != "")
		uploadFirst(t, h)
		look(t, h, b.store, filepath.Join(dir, name+"-little"), narrow, dir != "")
		if _, err := b.store.DeleteSuite(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if _, err := b.store.(dashboard.Seeder).Seed(t.Context(), dashboard.SeedOptions{}); err != nil {
			t.Fatal(err)
		}
		look(t, h, b.store, filepath.Join(dir, name+"-much"), wide, dir != "")
	}
}

// uploadFirst sends the first report of somebody who has just begun.
func uploadFirst(t *testing.T, h http.Handler) {
	t.Helper()
	r := httptest.NewRequest("POST", "/api/v1/ingest/junit?suite=checkout&branch=main&commit=4f1c2d9", strings.NewReader(
		`<testsuite name="cart"><testcase classname="cart.Totals" name="adds tax" time="0.5"/><testcase classname="cart.Totals" name="rounds half to even" time="1.25">`+
			`<failure message="expected 2 but was 3">at cart.Totals.rounds(Totals.java:42)</failure></testcase><testcase classname="cart.Totals" name="later"><skipped/></testcase></testsuite>`))
	r.Header.Set("Content-Type", "text/xml")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusCreated {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}

func look(t *testing.T, h http.Handler, store dashboard.Store, prefix string, guises []guise, keep bool) {
	t.Helper()
	for _, g := range guises {
		b := browsertest.New(t, h)
		b.Resize(g.width, g.theme)
		for _, p := range pages(t, store) {
			b.Open(p.path)
			var odd bool
			if b.Run(chromedp.Evaluate(`document.body.innerText.includes('\ufffd')`, &odd)); odd {
				t.Errorf("%s has a text that cannot be read", p.path)
			}
			if over := b.Overflow(); over > 0 {
				t.Errorf("%s at %d px is %d px too wide", p.path, g.width, over)
			}
			if cut := b.CutOff(); len(cut) > 0 {
				t.Errorf("%s at %d px cuts off %q", p.path, g.width, cut)
			}
			if !keep {
				continue
			}
			if err := os.WriteFile(fmt.Sprintf("%s-%s-%d-%s.png", prefix, p.name, g.width, g.theme), b.Picture(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
