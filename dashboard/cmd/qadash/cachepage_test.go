package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/browsertest"
	"github.com/larder-go/larder/lardertest"
)

// toRedis makes what is started later use the Redis at an address.
func toRedis(t *testing.T, address string) {
	t.Helper()
	host, port, _ := strings.Cut(address, ":")
	t.Setenv("REDIS_HOST", host)
	t.Setenv("REDIS_PORT", port)
}

// newCachedServer is newServer with a cache over a Redis.
func newCachedServer(t *testing.T, redis *lardertest.RedisServer, database string, more ...string) (http.Handler, *backend) {
	t.Helper()
	toRedis(t, redis.Addr())
	return newServer(t, append([]string{"CACHE_ENABLED", "true", "CACHE_NAMESPACE", "qa", "DATABASE_URL", "sqlite:" + database}, more...)...)
}

func ask[T any](t *testing.T, h http.Handler, method, path, body string) (out T) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// The page shows who answered, finds a key, keeps its value hidden until it is
// asked for, which is written down, says what an invalidation reaches before it
// is confirmed, and tells of events while somebody watches.
func TestTheCachePageOverARealRedis(t *testing.T) {
	redis := lardertest.StartRedis(t)
	database := filepath.Join(t.TempDir(), "qa.db")
	h, backend := newCachedServer(t, redis, database)
	if _, err := backend.store.(dashboard.Seeder).Seed(t.Context(), dashboard.SeedOptions{Days: 6, Suites: 2, CasesPerSuite: 6}); err != nil {
		t.Fatal(err)
	}
	other, _ := newCachedServer(t, redis, database)
	for _, path := range []string{"/api/v1/executions/1", "/api/v1/executions", "/api/v1/dashboard/stats", "/api/v1/executions/1"} {
		send(t, h, "GET", path, "")
		send(t, other, "GET", path, "")
	}
	b := browsertest.New(t, h)
	b.Open("/cache")
	b.Until(`document.querySelector('main').innerText.includes('healthy: memory proved current') && document.querySelectorAll('.tile').length === 12 && document.querySelectorAll('.plot svg path').length >= 4`)
	waitFor(t, "the other instance", func() bool {
		all, err := backend.view.(dashboard.CacheInspector).Instances(t.Context())
		return err == nil && len(all) >= 2
	})
	b.Open("/cache?instance=all")
	b.Until(`document.querySelector('.chips [aria-current]').innerText === 'All 2'`)
	shoot(t, b, "cache")

	var keys dashboard.CacheKeys
	waitFor(t, "an entry in Redis", func() bool { // nothing is stored while a heartbeat is late
		send(t, h, "GET", "/api/v1/dashboard/stats", "")
		keys = ask[dashboard.CacheKeys](t, h, "GET", "/api/v1/cache/keys?prefix=dashboard:stats", "")
		return len(keys.Names) > 0
	})
	name := keys.Names[0]
	if e := ask[dashboard.CacheEntry](t, h, "GET", "/api/v1/cache/entry?name="+name, ""); e.State != "fresh" || e.Value != "" {
		t.Errorf("%+v", e)
	}
	b.Open("/cache?key=" + name)
	b.Until(`document.querySelector('#entries h3').innerText === ` + quoted(name) + ` && !document.querySelector('#value')`)
	shoot(t, b, "key")
	b.Run(chromedp.Click(`form[action^="/cache/reveal"] button`))
	b.Until(`document.querySelector('#value')?.innerText.length > 1`)
	audits, err := backend.admin.Audits(t.Context(), dashboard.Page{})
	if err != nil || len(audits.Items) != 1 || audits.Items[0].Action != "cache.reveal" || audits.Items[0].Target != name {
		t.Errorf("audit: %+v, %v", audits.Items, err)
	}

	b.Open("/cache?prefix=dashboard#entries")
	b.Run(chromedp.Click(`[data-dialog=invalidate]`, chromedp.ByQuery))
	b.Until(`document.querySelector('dialog#invalidate').open && document.activeElement.name === 'name'`)

	b.Open("/cache?watch=1")
	b.Until(`document.querySelector('[data-cache-events]').innerText === 'live'`)
	b.Run(chromedp.Evaluate(`window.same = true`, nil))
	order := `{"by":"key","name":` + quoted(name) + `}`
	if p := ask[dashboard.CachePreview](t, h, "POST", "/api/v1/cache/preview", order); p.Entries != 1 || !p.Complete {
		t.Errorf("preview: %+v", p)
	}
	send(t, h, "POST", "/api/v1/cache/invalidate", order)
	b.Until(`window.same && [...document.querySelectorAll('[data-cache-log] tr')].some(r => r.innerText.includes('invalidate: key'))`)
	if e := ask[dashboard.CacheEntry](t, h, "GET", "/api/v1/cache/entry?name="+name, ""); e.State != "absent" {
		t.Errorf("after its invalidation the entry is %s", e.State)
	}

	b.Open("/cache?by=pattern&name=*x") // refused
	b.Until(`document.querySelector('main').innerText.includes('must begin with literal text')`)
	b.Open("/cache?by=prefix&name=s")
	b.Until(`document.querySelector('#h-order').innerText === 'Delete s?' && document.querySelector('main').innerText.includes('by a scan in')`)
	shoot(t, b, "order")
	b.Run(chromedp.SendKeys(`input[name=confirm]`, "s\r"))
	b.Until(`document.querySelector('main').innerText.includes('Forgotten: s.')`)
	b.Open("/cache?doctor=1")
	b.Until(`document.querySelectorAll('#doctor tr').length > 5 && !document.querySelector('#doctor').innerText.includes('did not answer')`)
}

// The hottest keys of all instances are listed by name, the hottest first; the
// value of one is as hidden as in the browser of keys.
func TestTheHottestKeysAreShown(t *testing.T) {
	redis := lardertest.StartRedis(t)
	database := filepath.Join(t.TempDir(), "qa.db")
	h, backend := newCachedServer(t, redis, database)
	if _, err := backend.store.(dashboard.Seeder).Seed(t.Context(), dashboard.SeedOptions{Days: 6, Suites: 2, CasesPerSuite: 6}); err != nil {
		t.Fatal(err)
	}
	other, otherBackend := newCachedServer(t, redis, database)
	for i, server := range []http.Handler{h, other} {
		for n := range 3 {
			send(t, server, "GET", fmt.Sprintf("/api/v1/executions/%d", 1+(n+i)%3), "")
		}
		send(t, server, "GET", "/api/v1/dashboard/stats", "")
	}
	if _, err := otherBackend.view.(dashboard.CacheInspector).Hot(t.Context()); err != nil { // shows what it has counted until now
		t.Fatal(err)
	}
	hot := ask[[]dashboard.CacheHotKey](t, h, "GET", "/api/v1/cache/hot", "")
	for i, k := range hot {
		if k.Reads == 0 || i > 0 && k.Reads > hot[i-1].Reads || strings.HasPrefix(k.Name, boardName) {
			t.Errorf("%d: %+v after %+v", i, k, hot[max(i-1, 0)])
		}
	}
	if len(hot) == 0 || len(hot) > hotShown || !slices.ContainsFunc(hot, func(k dashboard.CacheHotKey) bool { return k.Name == "dashboard:stats" && k.Reads == 2 }) {
		t.Fatalf("hottest: %+v", hot)
	}
	b := browsertest.New(t, h)
	b.Open("/cache")
	b.Until(`document.querySelectorAll('#hot tbody tr').length >= ` + fmt.Sprint(min(len(hot), 3)))
	shoot(t, b, "hot")
	var link string
	b.Run(chromedp.Evaluate(`document.querySelector('#hot tbody a').getAttribute('href')`, &link))
	if !strings.HasSuffix(link, "#entries") {
		t.Errorf("the link to a hot key is %s", link)
	}
	b.Open(link) // a fragment leaves no word about focus on the console
	b.Until(`document.querySelector('#entries h3')?.innerText === ` + quoted(hot[0].Name) + ` && !document.querySelector('#value')`)
}

// What is compressed and sealed in Redis is shown as the text it is by an
// instance that has the key; one without says why it shows none.
func TestSealedValuesAreRevealed(t *testing.T) {
	redis := lardertest.StartRedis(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "keys")
	if err := os.WriteFile(file, []byte("k1:"+strings.Repeat("A", 43)+"=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, backend := newCachedServer(t, redis, filepath.Join(dir, "qa.db"), "CACHE_KEY_FILE", file, "CACHE_COMPRESS_MIN", "1")
	if _, err := backend.store.(dashboard.Seeder).Seed(t.Context(), dashboard.SeedOptions{Days: 6, Suites: 2, CasesPerSuite: 6}); err != nil {
		t.Fatal(err)
	}
	send(t, h, "GET", "/api/v1/executions", "")
	keyless, _ := newCachedServer(t, redis, filepath.Join(dir, "qa.db"))
	revealed := 0
	for _, name := range ask[dashboard.CacheKeys](t, h, "GET", "/api/v1/cache/keys", "").Names {
		in := `{"name":` + quoted(name) + `}`
		e := ask[dashboard.CacheEntry](t, h, "POST", "/api/v1/cache/reveal", in)
		if !e.Sealed || e.Compression == "none" {
			continue
		}
		revealed++
		if !json.Valid([]byte(e.Value)) {
			t.Errorf("%s: %.200q", name, e.Value)
		}
		if e := ask[dashboard.CacheEntry](t, keyless, "POST", "/api/v1/cache/reveal", in); !strings.HasPrefix(e.Value, "encrypted, ") || !strings.Contains(e.Value, "no CACHE_KEY_FILE") {
			t.Errorf("%s without a key: %.200q", name, e.Value)
		}
	}
	if revealed == 0 {
		t.Error("nothing in Redis is compressed and sealed")
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// An instance that ends vanishes from the view of all after a while, and without
// Redis the page shows what this instance knows.
func TestTheCachePageWithoutRedis(t *testing.T) {
	redis := lardertest.StartRedis(t)
	h, _ := newCachedServer(t, redis, filepath.Join(t.TempDir(), "qa.db"))
	if err := redis.Kill(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the loss to be noticed", func() bool {
		return ask[dashboard.CacheOverview](t, h, "GET", "/api/v1/cache", "").Redis != "connected"
	})
	b := browsertest.New(t, h)
	began := time.Now()
	b.Open("/cache?doctor=1&watch=1&instance=all")
	b.Until(`document.querySelector('main').innerText.includes('reads are loaded from the database') && !document.querySelector('#entries')`)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the page took %v", took)
	}
	r := httptest.NewRecorder()
	h.ServeHTTP(r, httptest.NewRequest("GET", "/api/v1/cache/keys", nil))
	if r.Code != http.StatusServiceUnavailable {
		t.Errorf("keys without Redis: %d %s", r.Code, r.Body)
	}
}

// shoot writes pictures of the page into QADASH_PICTURES, for people.
func shoot(t *testing.T, b *browsertest.Browser, name string) {
	t.Helper()
	dir := os.Getenv("QADASH_PICTURES")
	if dir == "" {
		return
	}
	for _, width := range []int64{1280, 390} {
		for _, theme := range []string{"light", "dark"} {
			var picture []byte
			b.Run(chromedp.EmulateViewport(width, 900), chromedp.Evaluate(`document.documentElement.dataset.theme = "`+theme+`"`, nil), chromedp.FullScreenshot(&picture, 100))
			file := filepath.Join(dir, name+"-"+theme+"-"+map[int64]string{1280: "wide", 390: "narrow"}[width]+".png")
			if err := os.WriteFile(file, picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.Run(chromedp.EmulateViewport(1280, 900), chromedp.Evaluate(`delete document.documentElement.dataset.theme`, nil))
}
