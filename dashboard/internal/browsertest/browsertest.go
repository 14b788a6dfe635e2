// Package browsertest drives a headless Chromium in tests of pages.
package browsertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

// Browser is a headless Chromium on the pages of a store. At the end of its
// test it fails for anything on the console and for requests to elsewhere.
type Browser struct {
	t   *testing.T
	ctx context.Context
	URL string // of the server

	mu     sync.Mutex
	faults []string
}

// Tests runs the tests of a program, ends the Chromium that they shared, and looks
// for goroutines that are left.
type Tests struct{ M interface{ Run() int } }

// Run implements what testscript takes for a *testing.M.
func (t Tests) Run() int {
	code := t.M.Run()
	chromium.end()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// process is the Chromium of a test program: starting one takes longer than most
// tests do.
type process struct {
	mu     sync.Mutex
	ctx    context.Context // nil: none was started
	cancel []context.CancelFunc
}

var chromium process

// running returns the context of a Chromium that runs, started for t if need be.
func (p *process) running(t *testing.T) context.Context {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx != nil && p.ctx.Err() == nil {
		return p.ctx
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, done := chromedp.NewContext(allocator)
	if err := chromedp.Run(ctx); err != nil {
		done()
		cancel()
		t.Fatal(err)
	}
	p.ctx, p.cancel = ctx, append(p.cancel, cancel, done)
	return ctx
}

// window opens an empty window that shares nothing with others, until the end of t.
func window(t *testing.T) context.Context {
	t.Helper()
	browser := chromium.running(t)
	direct := cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)
	profile, err := target.CreateBrowserContext().Do(direct)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.DisposeBrowserContext(profile).Do(direct) })
	page, err := target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).Do(direct)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithTargetID(page))
	t.Cleanup(cancel)
	return ctx
}

func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cancel := range slices.Backward(p.cancel) {
		cancel()
	}
}

// New opens a page on a handler, with cookies and storage of its own, in the
// Chromium that all tests share, see [Tests]. An absent Chromium fails the test.
func New(t *testing.T, h http.Handler) *Browser {
	t.Helper()
	server := httptest.NewServer(withPolicy(h))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(window(t), 2*time.Minute)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx, URL: server.URL}
	chromedp.ListenTarget(ctx, b.watch)
	b.Run(log.Enable(), network.Enable(), chromedp.EmulateViewport(1280, 900))
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

func (b *Browser) watch(event any) {
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
		if err != nil || u.Scheme != "data" && !strings.HasPrefix(e.Request.URL, b.URL) {
			b.faults = append(b.faults, "request to elsewhere: "+e.Request.URL)
		}
	}
}

func (b *Browser) report() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.faults {
		b.t.Error(f)
	}
}

// Run carries out actions; a failing one fails the test.
func (b *Browser) Run(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// Open goes to a path and waits until the scripts ran.
func (b *Browser) Open(path string) {
	b.t.Helper()
	b.Run(chromedp.Navigate(b.URL + path))
	b.Until(`document.readyState === 'complete' && !!window.htmx`)
}

// Resize sets the width of the window in pixels, narrow ones as those of phones
// are, and the theme, "light" or "dark".
func (b *Browser) Resize(width int64, theme string) {
	b.t.Helper()
	narrow := width < 600
	b.Run(emulation.SetDeviceMetricsOverride(width, 900, 1, narrow),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}))
}

// Overflow is the number of pixels by which the page is wider than the window.
func (b *Browser) Overflow() (pixels int) {
	b.t.Helper()
	b.Run(chromedp.Evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`, &pixels))
	return pixels
}

// cutOff lists the texts that end outside of a box which hides what is outside, or
// within 8 pixels of the window's edge. What can be scrolled, what is shortened by
// an ellipsis and what is for screen readers alone is not listed.
const cutOff = `(() => {
	const found = [], range = document.createRange(), walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT)
	const ends = (e, right) => {
		for (; e; e = e.parentElement) {
			const s = getComputedStyle(e)
			if (/auto|scroll/.test(s.overflowX) || s.textOverflow === 'ellipsis' || e.clientWidth === 1) return false
			if (/hidden|clip/.test(s.overflowX) && right > e.getBoundingClientRect().right + 1) return true
		}
		return right > document.documentElement.clientWidth - 8
	}
	while (walk.nextNode()) {
		range.selectNodeContents(walk.currentNode)
		const right = Math.max(0, ...Array.from(range.getClientRects(), r => r.width && r.right))
		if (walk.currentNode.data.trim() && right && ends(walk.currentNode.parentElement, right)) found.push(walk.currentNode.data.trim())
	}
	return found
})()`

// CutOff returns the texts of the page that cannot be read to their end.
func (b *Browser) CutOff() (texts []string) {
	b.t.Helper()
	b.Run(chromedp.Evaluate(cutOff, &texts))
	return texts
}

// Picture returns the whole page as a PNG.
func (b *Browser) Picture() (png []byte) {
	b.t.Helper()
	b.Run(chromedp.FullScreenshot(&png, 100))
	return png
}

// patience is for how long the page may take to show what is waited for.
const patience = 45 * time.Second

// Until waits for an expression of the page to become true, also across the
// loading of another page. It asks anew each time: what polls inside of a page
// may end with the page, or sleep while another is painted.
func (b *Browser) Until(expression string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := b.holds(expression)
		if err == nil {
			err = b.holds(painted) // or another page came meanwhile
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) || b.ctx.Err() != nil {
			var last string
			_ = chromedp.Run(b.ctx, chromedp.Evaluate(`location.href + '\n' + document.querySelector('main').innerText`, &last))
			b.t.Fatalf("never true: %s: %v\n%s", expression, err, last)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// painted becomes true two frames later: what was changed is seen and takes keys. A
// page that is not painted at all need not be waited for longer.
const painted = `new Promise(done => { requestAnimationFrame(() => requestAnimationFrame(() => done(true))); setTimeout(() => done(true), 1000) })`

var errNotYet = errors.New("it is not")

func (b *Browser) holds(expression string) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience/10)
	defer cancel()
	var yes bool
	if err := chromedp.Run(ctx, chromedp.Evaluate("Promise.resolve("+expression+").then(v => !!v)", &yes, awaited)); err != nil || yes {
		return err
	}
	return errNotYet
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// Drop drops files onto the page as a hand would.
func (b *Browser) Drop(files ...string) {
	b.t.Helper()
	data := &input.DragData{Items: []*input.DragDataItem{}, Files: files, DragOperationsMask: 1}
	b.Run(input.DispatchDragEvent(input.DragEnter, 200, 200, data), input.DispatchDragEvent(input.DragOver, 200, 200, data),
		chromedp.WaitVisible("html.over"), input.DispatchDragEvent(input.Drop, 200, 200, data))
}
