package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/config"
	"github.com/larder-go/larder/dashboard/internal/browsertest"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
)

// newServer assembles everything over an empty database, as serve does.
func newServer(t *testing.T, variables ...string) (http.Handler, *backend) {
	t.Helper()
	env := map[string]string{"DATABASE_URL": "sqlite:" + emptydb.SQLite(t), "CACHE_ENABLED": "false"}
	for i := 0; i < len(variables); i += 2 {
		env[variables[i]] = variables[i+1]
	}
	c, err := config.Load(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	b, err := open(t.Context(), c, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	})
	h, err := assemble(c, b, log)
	if err != nil {
		t.Fatal(err)
	}
	return h, b
}

func send(t *testing.T, h http.Handler, method, path, body string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

// The page of a running execution follows it to its end without being loaded
// anew, keeps open what the reader opened and moves nothing under the focus.
func TestALiveRunIsSeenLive(t *testing.T) {
	h, _ := newServer(t)
	send(t, h, "POST", "/api/v1/suites", `{"name":"live"}`)
	send(t, h, "POST", "/api/v1/executions", `{"suite_id":1,"branch":"main"}`)
	send(t, h, "POST", "/api/v1/executions/1/start", "")
	b := browsertest.New(t, h)
	b.Open("/executions/1")
	b.Run(chromedp.Evaluate(`window.same = true`, nil))
	b.Until(`document.querySelector('[data-live-state]').textContent === 'live'`)
	send(t, h, "POST", "/api/v1/executions/1/results", `[{"case_name":"one","status":"failed","message":"first message"},{"case_name":"two","status":"passed"}]`)
	b.Until(`document.querySelector('#failures')?.innerText.includes('first message')`)
	b.Until(`document.querySelector('#progress').innerText.includes('2 so far')`)
	b.Run(chromedp.Evaluate(`document.querySelector('#failures details').open = false; document.querySelector('#failures details').open = true`, nil))
	send(t, h, "POST", "/api/v1/executions/1/results", `[{"case_name":"three","status":"error","message":"second message"}]`)
	b.Until(`document.querySelector('#errors')?.innerText.includes('second message') && document.querySelector('#failures details').open`)
	send(t, h, "POST", "/api/v1/executions/1/finish", "")
	b.Until(`document.querySelector('h1').parentElement.innerText.includes('failed') && !document.querySelector('[data-live]') && window.same`)
}

// A run is stopped from its page, after a question whose first answer is no.
func TestARunIsStoppedFromItsPage(t *testing.T) {
	h, backend := newServer(t)
	send(t, h, "POST", "/api/v1/suites", `{"name":"live"}`)
	send(t, h, "POST", "/api/v1/executions", `{"suite_id":1}`)
	send(t, h, "POST", "/api/v1/executions/1/start", "")
	b := browsertest.New(t, h)
	b.Open("/executions/1")
	click := func(selector string) {
		t.Helper()
		b.Run(chromedp.Click(selector, chromedp.ByQuery))
	}
	click(`[data-dialog=stop]`)
	b.Until(`document.querySelector('dialog#stop').open && document.activeElement.innerText === 'Keep running'`)
	click(`dialog#stop [data-close]`)
	b.Until(`!document.querySelector('dialog#stop').open`)
	click(`[data-dialog=stop]`)
	click(`dialog#stop .risk`)
	b.Until(`document.querySelector('h1').parentElement.innerText.includes('stopped')`)
	if e, err := backend.store.Execution(t.Context(), 1); err != nil || e.Status != dashboard.StatusStopped {
		t.Errorf("got %v, %v", e.Status, err)
	}
}

// Filters, search, comparison and the way back lead through addresses.
func TestPagesAreReachedByAddressAndLink(t *testing.T) {
	h, backend := newServer(t)
	if _, err := backend.store.(dashboard.Seeder).Seed(t.Context(), dashboard.SeedOptions{Days: 6, Suites: 2, CasesPerSuite: 6}); err != nil {
		t.Fatal(err)
	}
	b := browsertest.New(t, h)
	b.Open("/executions")
	b.Run(chromedp.Evaluate(`[...document.querySelectorAll('.chips a')].find(a => a.innerText === 'Passed').click()`, nil))
	b.Until(`location.search === '?status=passed' && [...document.querySelectorAll('td.s')].every(c => c.innerText === 'passed')`)
	b.Run(chromedp.NavigateBack())
	b.Until(`location.search === '' && document.querySelector('.chips [aria-current]').innerText === 'All'`)
	b.Run(chromedp.KeyEvent("/"))
	b.Until(`document.activeElement.name === 'q'`)
	b.Run(chromedp.Evaluate(`document.activeElement.value = ""`, nil), chromedp.SendKeys(`.bar input[name=q]`, "checkout\r")) // the key event types, too
	b.Until(`location.pathname === '/search' && document.querySelector('main').innerText.includes('Suites 1')`)
	b.Run(chromedp.Click(`main a[href^="/suites/"]`))
	b.Until(`location.pathname === '/suites/1' && document.querySelector('h1').innerText === 'checkout-api'`)
	b.Run(chromedp.Click(`main table a[href^="/executions/"]`))
	b.Until(`location.pathname.startsWith('/executions/')`)
	b.Run(chromedp.Click(`a[href^="/compare"].btn`))
	b.Until(`location.pathname === '/compare' && document.querySelector('main').innerText.includes('Head')`)
	b.Run(chromedp.Evaluate(`document.querySelector('main a[href^="/cases/"]')?.click() ?? location.assign('/cases/1')`, nil))
	b.Until(`location.pathname.startsWith('/cases/') && document.querySelectorAll('.strip.big a').length > 3`)
	b.Run(chromedp.Focus(`.strip.big a`), chromedp.KeyEvent(kb.ArrowRight))
	b.Until(`document.activeElement === document.querySelectorAll('.strip.big a')[1]`)
}

// Where tokens are required, a browser signs in once, makes a token and signs out.
func TestABrowserSignsInAndOut(t *testing.T) {
	const token = "0123456789abcdef0123"
	h, _ := newServer(t, "AUTH_MODE", "token", "ADMIN_TOKEN", token)
	b := browsertest.New(t, h)
	b.Open("/settings/tokens")
	b.Until(`location.pathname === '/login'`)
	b.Run(chromedp.SendKeys(`input[name=token]`, token+"\r"))
	b.Until(`location.pathname === '/settings/tokens' && document.querySelector('main').innerText.includes('ADMIN_TOKEN')`)
	b.Run(chromedp.SendKeys(`input[name=name]`, "ci\r"))
	b.Until(`document.querySelector('#h-secret')?.innerText === 'The secret of ci' && document.querySelector('pre').innerText.startsWith('qad_')`)
	b.Run(chromedp.Click(`form[action$="/revoke"] button`))
	b.Until(`document.querySelector('main').innerText.includes('revoked now') && document.querySelector('main').innerText.includes('token.revoke')`)
	b.Run(chromedp.Click(`form[action="/logout"] button`))
	b.Until(`location.pathname === '/'`)
	b.Open("/settings/tokens")
	b.Until(`location.pathname === '/login'`)
}
