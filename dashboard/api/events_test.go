package api_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/api"
	"github.com/larder-go/larder/dashboard/upload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// event is one server-sent event.
type event struct{ name, id, data string }

// listen follows an execution over a real connection.
func listen(t *testing.T, url, lastID string) (next func() event, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", lastID)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	return func() event {
		t.Helper()
		var e event
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case field == "event":
				e.name = value
			case field == "id":
				e.id = value
			case field == "data":
				e.data = value
			case lines.Text() == "" && e.name != "":
				return e
			}
		}
		return event{name: "end"}
	}, response.StatusCode
}

func TestALiveExecutionIsFollowedAndResumed(t *testing.T) {
	c := newClient(t)
	server := httptest.NewServer(c.h)
	defer server.Close()
	c.execution(c.suite("api"))
	url := server.URL + "/api/v1/executions/1/events"
	next, _ := listen(t, url, "")
	if e := next(); e.name != "progress" || e.id != "pending-0-0-0-0-0" {
		t.Fatalf("first: %+v", e)
	}
	want[object](c, 200, "POST", "/api/v1/executions/1/start", "")
	if e := next(); e.id != "running-0-0-0-0-0" {
		t.Fatalf("start: %+v", e)
	}
	want[object](c, 200, "POST", "/api/v1/executions/1/results", `[{"case_name":"a","status":"passed"},{"case_name":"b","status":"failed","message":"no"}]`)
	if e := next(); e.name != "result" || e.id != "" || !strings.Contains(e.data, `"case_name":"b"`) || !strings.Contains(e.data, `"message":"no"`) {
		t.Fatalf("failure: %+v", e)
	}
	progress := next()
	if progress.id != "running-2-1-1-0-0" || !strings.Contains(progress.data, `"failed_tests":1`) {
		t.Fatalf("progress: %+v", progress)
	}

	// Who comes back with the last id is told what happened since, no more.
	resumed, _ := listen(t, url, progress.id)
	want[object](c, 200, "POST", "/api/v1/executions/1/results", `[{"case_name":"c","status":"error"}]`)
	for name, next := range map[string]func() event{"first": next, "resumed": resumed} {
		if e := next(); e.name != "result" || !strings.Contains(e.data, `"case_name":"c"`) {
			t.Errorf("%s: %+v", name, e)
		}
		if e := next(); e.id != "running-3-1-1-1-0" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	want[object](c, 200, "POST", "/api/v1/executions/1/finish", "")
	last := next()
	if last.id != "failed-3-1-1-1-0" || next().name != "end" {
		t.Errorf("finish: %+v", last)
	}
	if _, status := listen(t, url, last.id); status != http.StatusNoContent {
		t.Errorf("back after the end: %d", status)
	}
	again, _ := listen(t, url, "")
	if a, b, p := again(), again(), again(); a.name != "result" || b.name != "result" || p.id != last.id || again().name != "end" {
		t.Errorf("from the start after the end: %+v %+v %+v", a, b, p)
	}
}

// A server that ends tells its clients to come back, and waits for none.
func TestStreamsEndWithTheServer(t *testing.T) {
	c := newClient(t)
	ending := make(chan struct{})
	streams := make(chan int, 2)
	h := api.New(api.Options{Store: c.store, Formats: upload.Formats{}, Log: slog.New(slog.DiscardHandler), Ending: ending, Streams: func(by int) { streams <- by }})
	server := httptest.NewServer(h)
	c.execution(c.suite("api"))
	next, _ := listen(t, server.URL+"/api/v1/executions/1/events", "")
	next()
	close(ending)
	if e := next(); e.name != "reconnect" || next().name != "end" {
		t.Errorf("got %+v", e)
	}
	server.Close()
	if a, b := <-streams, <-streams; a != 1 || b != -1 {
		t.Errorf("streams counted: %d, %d", a, b)
	}
}

func TestTheBadgeSaysHowTheDefaultBranchIs(t *testing.T) {
	c := newClient(t)
	c.suite("api")
	badge := func(query string) string {
		w := c.do("GET", "/api/v1/suites/1/badge.svg"+query, "")
		if w.Code != 200 || w.Header().Get("Content-Type") != "image/svg+xml" {
			t.Fatalf("%d %v", w.Code, w.Header())
		}
		return w.Body.String()
	}
	if got := badge(""); !strings.Contains(got, "tests: no runs") {
		t.Errorf("got %s", got)
	}
	if w := c.ingest("?suite=api&branch=main", "text/xml", strings.NewReader(small)); w.Code != 201 {
		t.Fatal(w.Body)
	}
	if w := c.ingest("?suite=api&branch=dev", "text/xml", strings.NewReader(`<testsuite><testcase name="a"/></testsuite>`)); w.Code != 201 {
		t.Fatal(w.Body)
	}
	if got := badge(""); !strings.Contains(got, "tests: 1 failing") {
		t.Errorf("main: got %s", got)
	}
	if got := badge("?branch=dev"); !strings.Contains(got, "tests: passed") {
		t.Errorf("dev: got %s", got)
	}
}

func TestInsightsAnswer(t *testing.T) {
	c := newClient(t)
	for run := range 3 {
		if w := c.ingest("?suite=api&branch=main&run="+string(rune('a'+run)), "text/xml", strings.NewReader(small)); w.Code != 201 {
			t.Fatal(w.Body)
		}
	}
	if h := want[object](c, 200, "GET", "/api/v1/cases/2/history?limit=2", ""); len(h["outcomes"].([]any)) != 2 || h["runs"] != 3.0 {
		t.Errorf("history: %v", h)
	}
	if e := want[[]object](c, 200, "GET", "/api/v1/dashboard/top-errors", ""); len(e) != 1 || e[0]["count"] != 3.0 {
		t.Errorf("top errors: %v", e)
	}
	if s := want[[]object](c, 200, "GET", "/api/v1/dashboard/slowest?limit=1", ""); len(s) != 1 || s[0]["case_name"] != "s.a" {
		t.Errorf("slowest: %v", s)
	}
	if f := want[[]object](c, 200, "GET", "/api/v1/dashboard/flaky", ""); len(f) != 0 {
		t.Errorf("flaky: %v", f)
	}
	if d := want[object](c, 200, "GET", "/api/v1/compare?base=1&head=2", ""); len(d["still_failing"].([]any)) != 1 {
		t.Errorf("compare: %v", d)
	}
	if f := want[object](c, 200, "GET", "/api/v1/search?q=API", ""); len(f["suites"].([]any)) != 1 {
		t.Errorf("search: %v", f)
	}
	if h := want[[]object](c, 200, "GET", "/api/v1/dashboard/health", ""); len(h) != 1 || h[0]["red"] != true {
		t.Errorf("health: %v", h)
	}
}

// However many follow an execution, it is read once per tick and everybody
// hears of its end; who does not read holds up nobody.
func TestAThousandClientsFollowOneExecution(t *testing.T) {
	c := newClient(t)
	counted := &countingStore{Store: c.store}
	h := api.New(api.Options{Store: counted, Admin: c.admin, Formats: upload.Formats{}, Log: slog.New(slog.DiscardHandler), Tick: 20 * time.Millisecond})
	server := httptest.NewServer(h)
	defer server.Close()
	c.execution(c.suite("api"))
	url := server.URL + "/api/v1/executions/1/events"
	const clients = 1000
	streams := make([]func() event, clients)
	for i := range streams {
		streams[i], _ = listen(t, url, "")
	}
	deaf, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	if _, err := io.WriteString(deaf, "GET /api/v1/executions/1/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	before, begin := counted.reads.Load(), time.Now()
	want[object](c, 200, "POST", "/api/v1/executions/1/start", "")
	want[object](c, 200, "POST", "/api/v1/executions/1/stop", "")
	for i, next := range streams {
		last := event{}
		for e := next(); e.name != "end"; e = next() {
			last = e
		}
		if last.id != "stopped-0-0-0-0-0" {
			t.Fatalf("client %d: last %+v", i, last)
		}
	}
	took := time.Since(begin)
	if reads := counted.reads.Load() - before; reads > int64(took/(20*time.Millisecond))+2 {
		t.Errorf("%d reads in %v for %d clients", reads, took, clients)
	}
}

// countingStore counts reads of executions.
type countingStore struct {
	dashboard.Store
	reads atomic.Int64
}

func (s *countingStore) Execution(ctx context.Context, id int64) (dashboard.Execution, error) {
	s.reads.Add(1)
	return s.Store.Execution(ctx, id)
}
