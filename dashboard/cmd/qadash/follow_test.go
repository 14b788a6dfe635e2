package main

import (
	"bufio"
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// follow reads the stream of the first execution behind a known event, and returns
// what gives the id of the next.
func (p *process) follow(known string) (next func() string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	p.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/executions/1/events", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", known)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	return func() string {
		for lines.Scan() {
			if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				return id
			}
		}
		return "end"
	}
}

// Progress that one process takes in is streamed by another, which a client may
// change to in the middle of the run.
func TestARunIsFollowedThroughAnotherProcess(t *testing.T) {
	redis, database := lardertest.StartRedis(t), filepath.Join(t.TempDir(), "qa.db")
	one, two := startProcess(t, database, redis), startProcess(t, database, redis)
	one.request("POST", "/api/v1/suites", `{"name":"live"}`)
	one.request("POST", "/api/v1/executions", `{"suite_id":1}`)
	one.request("POST", "/api/v1/executions/1/start", "{}")
	next := two.follow("")
	expect := func(want string) {
		t.Helper()
		got := next()
		for got == "pending-0-0-0-0-0" { // the start may not have come through yet
			got = next()
		}
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	expect("running-0-0-0-0-0")
	one.request("POST", "/api/v1/executions/1/results", `[{"case_name":"a","status":"failed"}]`)
	expect("running-1-0-1-0-0")
	next = one.follow("running-1-0-1-0-0")
	two.request("POST", "/api/v1/executions/1/results", `[{"case_name":"b","status":"passed"}]`)
	expect("running-2-1-1-0-0")
	two.request("POST", "/api/v1/executions/1/finish", "{}")
	expect("failed-2-1-1-0-0")
	expect("end")
}
