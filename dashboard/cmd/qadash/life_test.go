package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard/sqlstore"
)

// status is what a process answers at an address, 0 without an answer.
func status(t *testing.T, url string) (code int, body string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	line, _ := bufio.NewReader(response.Body).ReadString('\n')
	return response.StatusCode, line
}

// A load balancer is told when the database is a schema behind, an operator finds
// profiles on the admin address only, and SIGTERM ends the process in order: who
// follows a stream is told to come back elsewhere.
func TestTheLifeOfAProcess(t *testing.T) {
	database := filepath.Join(t.TempDir(), "qa.db")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := "http://" + free.Addr().String()
	_ = free.Close()
	p := launchWith(t, "DATABASE_URL=sqlite:"+database, "CACHE_ENABLED=false", "LOG_LEVEL=error", "PPROF_ADDR="+strings.TrimPrefix(admin, "http://"))
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	if code, body := status(t, p.url+"/healthz"); code != 200 {
		t.Errorf("health: %d %s", code, body)
	}
	if code, body := status(t, p.url+"/readyz"); code != 200 || !strings.Contains(body, `"status":"ready"`) {
		t.Errorf("readiness: %d %s", code, body)
	}

	waitFor(t, "profiles on the admin address", func() bool { code, _ := status(t, admin+"/debug/pprof/"); return code == 200 })
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/profile?seconds=1", "/debug/pprof/heap", "/debug/pprof/trace"} {
		if code, _ := status(t, p.url+path); code != 404 {
			t.Errorf("%s on the public address: %d", path, code)
		}
	}
	for _, path := range []string{"/", "/api/v1/suites", "/metrics"} {
		if code, _ := status(t, admin+path); code != 404 {
			t.Errorf("%s on the admin address: %d", path, code)
		}
	}

	store, err := sqlstore.Open(t.Context(), database, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.MigrateTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if code, body := status(t, p.url+"/readyz"); code != 503 || !strings.Contains(body, `"database":"migrations pending"`) {
		t.Errorf("readiness of an older schema: %d %s", code, body)
	}
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, body := status(t, p.url+"/readyz"); code != 200 {
		t.Errorf("readiness after the migration: %d %s", code, body)
	}

	p.request("POST", "/api/v1/suites", `{"name":"s"}`)
	p.request("POST", "/api/v1/executions", `{"suite_id":1}`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", p.url+"/api/v1/executions/1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	follow := func(want string) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() == want {
				return
			}
		}
		t.Fatalf("the stream ended without %q: %v", want, lines.Err())
	}
	follow("event: progress")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	follow("event: reconnect")
	ended = true
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	if code, body := status(t, p.url+"/healthz"); code != 0 {
		t.Errorf("after its end: %d %s", code, body)
	}
}
