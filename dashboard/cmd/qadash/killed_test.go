package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// A process that is killed between its commit and its invalidation leaves the
// old value in the caches of the others, which cannot know; its outbox has the
// invalidation, and another process carries it out.
func TestAKilledProcessOwesNoInvalidation(t *testing.T) {
	redis := lardertest.StartRedis(t)
	database := filepath.Join(t.TempDir(), "qa.db")
	survivor := startProcess(t, database, redis)
	survivor.request("POST", "/api/v1/suites", `{"name":"round 0"}`)
	db, err := sql.Open("sqlite", "file:"+database+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for round := 1; round <= 3; round++ {
		// Its way to Redis breaks off, so that it commits and cannot invalidate.
		proxy := lardertest.StartProxy(t, redis.Addr())
		victim := launch(t, database, proxy.Addr())
		kill := sync.OnceFunc(func() { _, _ = victim.cmd.Process.Kill(), victim.cmd.Wait() })
		t.Cleanup(kill)
		was, is := fmt.Sprint("round ", round-1), fmt.Sprint("round ", round)
		if got := names(survivor); got != was {
			t.Fatalf("round %d: the survivor reads %q", round, got)
		}
		proxy.Hold()
		gone := victim.rename(t, is)
		waitFor(t, "the commit, with what it owes", func() bool { // at one instant: the survivor pays soon
			return one(t, db, "SELECT count(*) FROM suites, larder_outbox WHERE suites.id = 1 AND suites.name = '"+is+"'") != "0"
		})
		kill()
		<-gone
		killed := time.Now()
		before := names(survivor)
		waitFor(t, "the new name", func() bool { return names(survivor) == is })
		waitFor(t, "an empty outbox", func() bool { return one(t, db, "SELECT count(*) FROM larder_outbox") == "0" })
		t.Logf("round %d: the survivor read %q at first, and %q at most %v after the end of the other", round, before, is, time.Since(killed))
		if got, _ := survivor.request("GET", "/api/v1/suites/1", ""); got["name"] != is {
			t.Fatalf("round %d: the survivor reads suite %v", round, got)
		}
	}
}

// rename changes the name of the first suite and returns when the request has
// been sent; the channel is closed when it has an answer or will have none.
func (p *process) rename(t *testing.T, name string) <-chan struct{} {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	r, err := http.NewRequestWithContext(ctx, "PATCH", p.url+"/api/v1/suites/1", strings.NewReader(fmt.Sprintf(`{"name":%q}`, name)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		if response, err := http.DefaultClient.Do(r); err == nil {
			_ = response.Body.Close()
		}
	}()
	return done
}

// names returns the names in the list of suites, read through the caches.
func names(p *process) string {
	p.t.Helper()
	response, err := http.Get(p.url + "/api/v1/suites")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var list []struct{ Name string }
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for _, suite := range list {
		all = append(all, suite.Name)
	}
	return strings.Join(all, ", ")
}

func one(t *testing.T, db *sql.DB, query string) (text string) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func waitFor(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !reached(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}
