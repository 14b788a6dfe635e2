package web

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Tests{M: m}.Run()) }

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
	b := browsertest.New(t, newPages(t, newStore(t)))
	b.Open("/")
	b.Run(chromedp.Evaluate(`window.same = true`, nil))
	b.Drop(saved(t, "checkout.xml", report))
	b.Until(`document.activeElement.name === 'suite' && document.activeElement.value === 'checkout'`)
	b.Until(`document.querySelector('[data-chosen]').textContent.startsWith('checkout.xml, ')`)
	b.Run(chromedp.SendKeys(`input[name=suite]`, "\r"))
	b.Until(`document.querySelector('#upload [role=status]')?.innerText.includes('2 cases, 1 failed, 1 passed: checkout #1')`)
	b.Until(`document.querySelector('main').innerText.includes('Recent executions') && window.same && location.search === '?uploaded=1'`)
	b.Until(`document.activeElement === document.querySelector('#upload [role=status]')`)

	b.Drop(saved(t, "a.xml", "<testsuite>\n<testcase>"))
	b.Until(`document.activeElement.name === 'suite'`)
	b.Run(chromedp.SendKeys(`input[name=suite]`, "\r"))
	b.Until(`document.querySelector('#upload [role=status]')?.innerText.includes('Refused, nothing was changed. Line 2') && document.querySelector('input[name=suite]').value === 'a'`)
}

// Every period is an address: back and forward lead through them.
func TestPeriodsAreAddresses(t *testing.T) {
	store := newStore(t)
	if _, err := store.Seed(t.Context(), dashboard.SeedOptions{Days: 10, Suites: 2, CasesPerSuite: 4, RunsPerDay: 1}); err != nil {
		t.Fatal(err)
	}
	b := browsertest.New(t, newPages(t, store))
	current := func(days string) {
		t.Helper()
		// Who goes on before the page has loaded finds nobody who listens.
		b.Until(fmt.Sprintf(`document.readyState === 'complete' && document.querySelector('.chips [aria-current]')?.innerText === '%s days'`, days))
	}
	b.Open("/")
	current("30")
	b.Run(chromedp.Evaluate(`[...document.querySelectorAll('.chips a')].find(a => a.innerText === '7 days').click()`, nil))
	current("7")
	b.Until(`location.search === '?days=7'`)
	b.Run(chromedp.NavigateBack())
	current("30")
	b.Run(chromedp.NavigateForward())
	current("7")
}

func TestTheThemeIsSwitchedByKeyAndKept(t *testing.T) {
	b := browsertest.New(t, newPages(t, newStore(t)))
	b.Open("/")
	b.Run(chromedp.KeyEvent("t"))
	b.Until(`document.documentElement.dataset.theme === 'dark' && getComputedStyle(document.body).backgroundColor === 'rgb(12, 13, 15)'`)
	b.Run(chromedp.Poll(`fetch('/').then(r => r.text()).then(t => t.includes('data-theme="dark"'))`, nil))
	b.Open("/upload")
	b.Until(`document.documentElement.dataset.theme === 'dark'`)
}

// narrowPages exist over demo data and over nothing.
var narrowPages = []string{"/", "/upload", "/suites", "/executions", "/flaky", "/compare", "/search?q=a", "/settings/tokens", "/login", "/suites/1", "/executions/1", "/cases/1", "/compare?base=1&head=9"}

// Everything can be reached by keys, and the keys can be asked for.
func TestRowsAreReachedByKeys(t *testing.T) {
	store := newStore(t)
	if _, err := store.Seed(t.Context(), dashboard.SeedOptions{Days: 4, Suites: 3}); err != nil {
		t.Fatal(err)
	}
	b := browsertest.New(t, newPages(t, store))
	b.Open("/suites")
	b.Run(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"))
	b.Until(`document.activeElement === [...document.querySelectorAll('tbody tr')].map(r => r.querySelector('a')).filter(Boolean)[1]`)
	b.Run(chromedp.KeyEvent("k"), chromedp.KeyEvent("\r"))
	b.Until(`location.pathname !== '/suites' && document.readyState === 'complete' && !!window.htmx`)
	b.Run(chromedp.KeyEvent("?"))
	b.Until(`document.querySelector('#keys').open && document.activeElement.innerText === 'Close'`)
	b.Run(chromedp.KeyEvent("\x1b"))
	b.Until(`!document.querySelector('#keys').open`)
}

func TestPagesFitANarrowScreen(t *testing.T) {
	store := newStore(t)
	if _, err := store.Seed(t.Context(), dashboard.SeedOptions{Days: 10}); err != nil {
		t.Fatal(err)
	}
	send(t, newPages(t, store), "TEST-io.example.NamesOfClassesMayBeLongerThanAPhoneIsWide.xml", `<testsuite><testcase name="a" time="2585"><failure/></testcase></testsuite>`)
	for i, h := range []http.Handler{newPages(t, store), newPages(t, newStore(t))} {
		b := browsertest.New(t, h)
		b.Run(emulation.SetDeviceMetricsOverride(390, 844, 1, true))
		for _, path := range narrowPages {
			if strings.ContainsAny(path, "19") && i == 1 {
				continue // of one thing, which is not there
			}
			b.Open(path)
			var over int
			b.Run(chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &over))
			if over > 0 {
				t.Errorf("%s is %d px too wide", path, over)
			}
			if cut := b.CutOff(); len(cut) > 0 {
				t.Errorf("%s cuts off %q", path, cut)
			}
		}
	}
}

// Without script a page has everything, and the form works.
func TestAReportIsUploadedWithoutScript(t *testing.T) {
	b := browsertest.New(t, newPages(t, newStore(t)))
	b.Run(emulation.SetScriptExecutionDisabled(true), chromedp.Navigate(b.URL+"/"),
		chromedp.SetUploadFiles(`input[type=file]`, []string{saved(t, "junit.xml", report)}), chromedp.SendKeys(`input[name=suite]`, "plain"),
		chromedp.Click(`#upload .btn`), chromedp.WaitVisible(`#upload [role=status]`))
	var text string
	b.Run(chromedp.Text(`#upload [role=status]`, &text))
	if !strings.Contains(text, "plain #1") {
		t.Errorf("got %q", text)
	}
}
