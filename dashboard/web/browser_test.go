package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/larder-go/larder/dashboard"
)

// browser is a headless Chromium on the pages of a store. At the end of its
// test it fails for anything on the console and for requests to elsewhere.
type browser struct {
	t   *testing.T
	ctx context.Context
	url string

	mu     sync.Mutex
	faults []string
}

func newBrowser(t *testing.T, h http.Handler) *browser {
	t.Helper()
	server := httptest.NewServer(withPolicy(h))
	t.Cleanup(server.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, url: server.URL}
	chromedp.ListenTarget(ctx, b.watch)
	b.run(log.Enable(), network.Enable(), chromedp.EmulateViewport(1280, 900))
	t.Cleanup(b.report)
	return b
}

// withPolicy sets the policy that the server sets, so that what it forbids fails here.
func withPolicy(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.ServeHTTP(w, r)
	})
}

func (b *browser) watch(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if !strings.Contains(e.Entry.Text, "422") { // a refusal is an answer
			b.faults = append(b.faults, "console: "+e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, "exception: "+e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" && !strings.HasPrefix(e.Request.URL, b.url) {
			b.faults = append(b.faults, "request to elsewhere: "+e.Request.URL)
		}
	}
}

func (b *browser) report() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Error(f)
	}
}

func (b *browser) run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to a path and waits until the scripts ran.
func (b *browser) open(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.url+path), chromedp.Poll(`document.readyState === 'complete' && !!window.htmx`, nil))
}

// until waits for an expression of the page to become true, also across the
// loading of another page.
func (b *browser) until(expression string) {
	b.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := chromedp.Run(b.ctx, chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(time.Until(deadline))))
		if err == nil {
			return
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			var last string
			_ = chromedp.Run(b.ctx, chromedp.Evaluate(`location.href + '\n' + document.querySelector('main').innerText`, &last))
			b.t.Fatalf("never true: %s: %v\n%s", expression, err, last)
		}
	}
}

func (b *browser) drop(files ...string) {
	b.t.Helper()
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: files, DragOperationsMask: 1}
	b.run(input.DispatchDragEvent(input.DragEnter, 200, 200, data), input.DispatchDragEvent(input.DragOver, 200, 200, data),
		chromedp.WaitVisible("html.over"), input.DispatchDragEvent(input.Drop, 200, 200, data))
}

func saved(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The shortest way in: drop a file, press Enter, see it counted, without the
// page being loaded anew.
func TestAReportIsUploadedByDragAndDrop(t *testing.T) {
	b := newBrowser(t, newPages(t, newStore(t)))
	b.open("/")
	b.run(chromedp.Evaluate(`window.same = true`, nil))
	b.drop(saved(t, "checkout.xml", report))
	b.until(`document.activeElement.name === 'suite' && document.activeElement.value === 'checkout'`)
	b.until(`document.querySelector('[data-chosen]').textContent.startsWith('checkout.xml, ')`)
	b.run(chromedp.SendKeys(`input[name=suite]`, "\r"))
	b.until(`document.querySelector('#upload [role=status]')?.innerText.includes('2 cases, 1 failed, 1 passed: checkout #1')`)
	b.until(`document.querySelector('main').innerText.includes('Recent executions') && window.same && location.search === '?uploaded=1'`)
	b.until(`document.activeElement === document.querySelector('#upload [role=status]')`)

	b.drop(saved(t, "a.xml", "<testsuite>\n<testcase>"))
	b.until(`document.activeElement.name === 'suite'`)
	b.run(chromedp.SendKeys(`input[name=suite]`, "\r"))
	b.until(`document.querySelector('#upload [role=status]')?.innerText.includes('Refused, nothing was changed. Line 2')`)
}

// Every period is an address: back and forward lead through them.
func TestPeriodsAreAddresses(t *testing.T) {
	store := newStore(t)
	if _, err := store.Seed(t.Context(), dashboard.SeedOptions{Days: 10, Suites: 2, CasesPerSuite: 4, RunsPerDay: 1}); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, newPages(t, store))
	current := func(days string) {
		t.Helper()
		b.until(fmt.Sprintf(`document.querySelector('.chips [aria-current]')?.innerText === '%s days'`, days))
	}
	b.open("/")
	current("30")
	b.run(chromedp.Evaluate(`[...document.querySelectorAll('.chips a')].find(a => a.innerText === '7 days').click()`, nil))
	current("7")
	b.until(`location.search === '?days=7'`)
	b.run(chromedp.NavigateBack())
	current("30")
	b.run(chromedp.NavigateForward())
	current("7")
}

func TestTheThemeIsSwitchedByKeyAndKept(t *testing.T) {
	b := newBrowser(t, newPages(t, newStore(t)))
	b.open("/")
	b.run(chromedp.KeyEvent("t"))
	b.until(`document.documentElement.dataset.theme === 'dark' && getComputedStyle(document.body).backgroundColor === 'rgb(12, 13, 15)'`)
	b.run(chromedp.Poll(`fetch('/').then(r => r.text()).then(t => t.includes('data-theme="dark"'))`, nil))
	b.open("/upload")
	b.until(`document.documentElement.dataset.theme === 'dark'`)
}

func TestPagesFitANarrowScreen(t *testing.T) {
	store := newStore(t)
	if _, err := store.Seed(t.Context(), dashboard.SeedOptions{Days: 10}); err != nil {
		t.Fatal(err)
	}
	for _, h := range []http.Handler{newPages(t, store), newPages(t, newStore(t))} {
		b := newBrowser(t, h)
		b.run(emulation.SetDeviceMetricsOverride(390, 844, 1, true))
		for _, path := range []string{"/", "/upload"} {
			b.open(path)
			var over int
			b.run(chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &over))
			if over > 0 {
				t.Errorf("%s is %d px too wide", path, over)
			}
		}
	}
}

// Without script a page has everything, and the form works.
func TestAReportIsUploadedWithoutScript(t *testing.T) {
	b := newBrowser(t, newPages(t, newStore(t)))
	b.run(emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(b.url+"/"),
		chromedp.SetUploadFiles(`input[type=file]`, []string{saved(t, "junit.xml", report)}), chromedp.SendKeys(`input[name=suite]`, "plain"),
		chromedp.Click(`#upload .btn`), chromedp.WaitVisible(`#upload [role=status]`))
	var text string
	b.run(chromedp.Text(`#upload [role=status]`, &text))
	if !strings.Contains(text, "plain #1") {
		t.Errorf("got %q", text)
	}
}
