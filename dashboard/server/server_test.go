package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/dashboard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(o Options) *Server {
	if o.API == nil {
		o.API = http.NotFoundHandler()
	}
	if o.Pages == nil {
		o.Pages = http.NotFoundHandler()
	}
	if o.Ping == nil {
		o.Ping = func(context.Context) error { return nil }
	}
	o.Log = slog.New(slog.DiscardHandler)
	return New(o)
}

// serve runs s on a free port until end is called; served tells how it ended.
func serve(t *testing.T, s *Server) (address string, end context.CancelFunc, served <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- s.Serve(ctx, listener) }()
	return listener.Addr().String(), end, result
}

// say sends raw bytes on a connection that reads nothing.
func say(t *testing.T, address, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// A missing Redis must not take the server out of the load balancer; a missing
// database must.
func TestReadinessFollowsTheDatabaseNotTheCache(t *testing.T) {
	for _, c := range []struct {
		name     string
		ping     error
		cache    func() string
		status   int
		contains string
	}{
		{"all there", nil, func() string { return "connected" }, 200, `"status":"ready"`},
		{"no cache", nil, nil, 200, `"cache":"off"`},
		{"Redis away", nil, func() string { return "disconnected" }, 200, `"cache":"disconnected","database":"ok","status":"degraded"`},
		{"Redis full", nil, func() string { return "failing" }, 200, `"cache":"failing","database":"ok","status":"degraded"`},
		{"database away", errors.New("gone"), func() string { return "connected" }, 503, `"database":"away"`},
		{"older schema", fmt.Errorf("%w: schema 1", dashboard.ErrSchema), nil, 503, `"database":"migrations pending"`},
	} {
		s := newServer(Options{Ping: func(context.Context) error { return c.ping }, CacheState: c.cache})
		if w := get(s, "/readyz"); w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) {
			t.Errorf("%s: got %d %s", c.name, w.Code, w.Body)
		}
		if w := get(s, "/healthz"); w.Code != 200 {
			t.Errorf("%s: health: got %d", c.name, w.Code)
		}
	}
}

// Requests that run when the end is asked for get their answer, while new ones
// are sent elsewhere by the failing readiness.
func TestTheEndWaitsForRunningRequests(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := newServer(Options{Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})})
	address, end, served := serve(t, s)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan string, 1)
	go func() {
		response, err := client.Get("http://" + address + "/slow")
		if err != nil {
			answered <- err.Error()
			return
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		answered <- string(body)
	}()
	<-entered
	end()
	for !s.Draining() {
		time.Sleep(time.Millisecond)
	}
	if w := get(s, "/readyz"); w.Code != 503 || !strings.Contains(w.Body.String(), "draining") {
		t.Errorf("readiness while draining: %d %s", w.Code, w.Body)
	}
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("running request: %s", got)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestARequestThatDoesNotEndIsCutOff(t *testing.T) {
	entered := make(chan struct{})
	s := newServer(Options{DrainTime: 20 * time.Millisecond, Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})})
	address, end, served := serve(t, s)
	say(t, address, "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	end()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestChangesNeedATokenWhereRequired(t *testing.T) {
	const token = "0123456789abcdef"
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	for _, c := range []struct {
		name, method, path, header string
		access                     Access
		status                     int
	}{
		{"reading", "GET", "/api/v1/suites", "", Access{Required: true, AdminToken: token}, 204},
		{"open", "POST", "/api/v1/suites", "", Access{}, 204},
		{"no token", "POST", "/api/v1/suites", "", Access{Required: true, AdminToken: token}, 401},
		{"wrong token", "DELETE", "/api/v1/suites/1", "Bearer 0123456789abcdeX", Access{Required: true, AdminToken: token}, 401},
		{"right token", "DELETE", "/api/v1/suites/1", "bearer " + token, Access{Required: true, AdminToken: token}, 204},
		{"other scheme", "PUT", "/api/v1/suites/1", "Basic " + token, Access{Required: true, AdminToken: token}, 401},
		{"empty token where none is set", "POST", "/upload", "Bearer ", Access{Required: true}, 401},
		{"theme", "POST", "/settings/theme", "", Access{Required: true, AdminToken: token}, 204},
		{"tokens are not read without one", "GET", "/api/v1/tokens", "", Access{Required: true, AdminToken: token}, 401},
		{"the cache page is not read without one", "GET", "/cache", "", Access{Required: true, AdminToken: token}, 401},
		{"a token of the store that may", "POST", "/api/v1/suites", "Bearer writer", Access{Required: true, Tokens: known{}}, 204},
		{"a token of the store that may not", "POST", "/api/v1/suites", "Bearer reader", Access{Required: true, Tokens: known{}}, 403},
		{"write is not admin", "GET", "/api/v1/audit", "Bearer writer", Access{Required: true, Tokens: known{}}, 403},
		{"a token of nobody", "POST", "/api/v1/suites", "Bearer nobody", Access{Required: true, Tokens: known{}}, 401},
		{"unknown method", "BREW", "/api/v1/suites", "", Access{Required: true, AdminToken: token}, 401},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		w := httptest.NewRecorder()
		newServer(Options{API: ok, Pages: ok, Access: c.access}).ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s: got %d %s", c.name, w.Code, w.Body)
		}
		if w.Code == 401 && (w.Header().Get("WWW-Authenticate") == "" || w.Header().Get("Content-Type") != "application/problem+json") {
			t.Errorf("%s: headers %v", c.name, w.Header())
		}
	}
}

// known is a store with a token for each scope, whose secret is its name.
type known struct{}

func (known) TokenByHash(_ context.Context, hash string) (dashboard.Token, error) {
	for secret, scope := range map[string]dashboard.Scope{"reader": "read", "writer": "write"} {
		if sum := sha256.Sum256([]byte(secret)); hash == hex.EncodeToString(sum[:]) {
			return dashboard.Token{Name: secret, Scope: scope}, nil
		}
	}
	return dashboard.Token{}, dashboard.ErrNotFound
}

// Who guesses tokens is refused unread after a while, also with a right one.
func TestGuessingTokensIsSlow(t *testing.T) {
	s := newServer(Options{Access: Access{Required: true, AdminToken: "0123456789abcdef"}})
	post := func(address, token string) int {
		r := httptest.NewRequest("POST", "/api/v1/suites", nil)
		r.RemoteAddr = address
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	for range maxFailures {
		if got := post("192.0.2.1:99", "guess"); got != 401 {
			t.Fatalf("got %d", got)
		}
	}
	if got := post("192.0.2.1:98", "0123456789abcdef"); got != 429 {
		t.Errorf("after guessing: %d", got)
	}
	if got := post("192.0.2.2:99", "0123456789abcdef"); got != 404 {
		t.Errorf("from elsewhere: %d", got)
	}
}

// A browser is sent to where it can sign in, and back.
func TestABrowserIsSentToSignIn(t *testing.T) {
	s := newServer(Options{Access: Access{Required: true, AdminToken: "0123456789abcdef"}})
	r := httptest.NewRequest("GET", "/cache?x=1", nil)
	r.Header.Set("Accept", "text/html,*/*")
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 303 || w.Header().Get("Location") != "/login?next=%2Fcache%3Fx%3D1" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	r.AddCookie(&http.Cookie{Name: TokenCookie, Value: "0123456789abcdef"})
	w = httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 404 {
		t.Errorf("signed in: got %d", w.Code)
	}
}

// A page of another site must not change data with the reader's network position.
func TestAnotherOriginCannotChangeAnything(t *testing.T) {
	s := newServer(Options{API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })})
	for site, status := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 204, "none": 204, "": 204} {
		r := httptest.NewRequest("POST", "/api/v1/suites", nil)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Code != status {
			t.Errorf("%q: got %d", site, w.Code)
		}
	}
}

// Labels must not hold what a client can invent, or the series grow without bound.
func TestMetricsAreByRoutePattern(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/suites/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /api/v1/panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	s := newServer(Options{API: mux})
	get(s, "/api/v1/suites/1")
	get(s, "/api/v1/suites/2")
	get(s, "/api/v1/made/up")
	get(s, "/made/up")
	if w := get(s, "/api/v1/panic"); w.Code != 500 {
		t.Errorf("panic: got %d", w.Code)
	}
	r := httptest.NewRequest("MADEUP", "/x", nil)
	s.ServeHTTP(httptest.NewRecorder(), r)
	text := get(s, "/metrics").Body.String()
	for _, line := range []string{
		`qadash_http_request_seconds_count{method="GET",route="/api/v1/suites/{id}",status="200"} 2`,
		`qadash_http_request_seconds_count{method="GET",route="/api/v1/panic",status="500"} 1`,
		`qadash_http_request_seconds_count{method="GET",route="unmatched",status="404"} 2`,
		`qadash_http_request_seconds_count{method="other",route="unmatched",status="404"} 1`,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("missing: %s", line)
		}
	}
	if strings.Contains(strings.ToLower(text), "madeup") || strings.Contains(text, "made/up") {
		t.Error("a label holds what the client sent")
	}
}

// Pages are sent compressed, streams of events are not.
func TestPagesAreCompressed(t *testing.T) {
	long := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, strings.Repeat("<p>text</p>", 1000))
	})
	s := newServer(Options{Pages: long, API: long})
	for path, want := range map[string]string{"/": "gzip", "/api/v1/executions/1/events": ""} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, r); w.Header().Get("Content-Encoding") != want {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
	if w := get(s, "/"); w.Header().Get("Content-Encoding") != "" || !strings.Contains(w.Body.String(), "<p>text") {
		t.Errorf("not asked for: %v", w.Header())
	}
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	s := newServer(Options{})
	for _, path := range []string{"/", "/api/v1/x", "/healthz", "/metrics"} {
		h := get(s, path).Header()
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'self'") || strings.Contains(csp, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
}
