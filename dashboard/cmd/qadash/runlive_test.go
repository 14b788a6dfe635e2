package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// event is a line of go test -json about a test of the package p.
func event(action, test string) string {
	return `{"Time":"2025-11-20T14:00:00Z","Action":"` + action + `","Package":"p","Test":"` + test + `","Elapsed":1}` + "\n"
}

// What has ended is seen while the command still runs, and the command's exit code
// becomes that of qadash run.
func TestARunIsReportedWhileItRuns(t *testing.T) {
	h, b := newServer(t)
	server := httptest.NewServer(h)
	defer server.Close()
	dir := t.TempDir()
	for name, text := range map[string]string{"first": event("run", "One") + event("pass", "One"), "rest": event("run", "Two") + event("fail", "Two")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs lockedBuffer
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"QADASH_URL": server.URL, "QADASH_SUITE": "unit"}[name]
		return v, ok
	}
	script := `cd '` + dir + `'; cat first; until [ -e go ]; do sleep 0.02; done; cat rest; exit 3`
	done := make(chan error, 1)
	go func() {
		done <- runCommand(t.Context(), []string{"--", "sh", "-c", script}, streams{out: &out, err: &errs, env: env})
	}()
	seen := func() bool {
		list, err := b.store.Results(t.Context(), 1, dashboard.ResultFilter{Status: dashboard.StatusPassed}, dashboard.Page{})
		return err == nil && len(list.Items) == 1 && list.Items[0].CaseName == "p.One"
	}
	waitFor(t, "the first result is there", seen)
	if e, err := b.store.Execution(t.Context(), 1); err != nil || e.Status != dashboard.StatusRunning || e.Total != 1 {
		t.Errorf("meanwhile: %+v, %v", e, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if exit, ok := errors.AsType[*exitError](<-done); !ok || exit.code != 3 {
		t.Errorf("got %v, want the code 3", exit)
	}
	if e, err := b.store.Execution(t.Context(), 1); err != nil || e.Status != dashboard.StatusFailed || e.Passed != 1 || e.Failed != 1 {
		t.Errorf("at the end: %+v, %v", e, err)
	}
	if want := event("pass", "One"); !strings.Contains(out.String(), want) || !strings.Contains(out.String(), event("fail", "Two")) {
		t.Errorf("the output was not passed on: %s", out.String())
	}
}

// While no test ends the server is told that the run lives, or it would be ended
// as silent; that needs no result.
func TestASlowTestIsNoSilence(t *testing.T) {
	signs := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case signs <- r.URL.Path + " " + string(body):
		default:
		}
	}))
	defer server.Close()
	live := &liveRun{client: client{url: server.URL}, id: 7, err: io.Discard, life: time.Millisecond}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); live.sendUntil(t.Context(), stop) }()
	for range 2 {
		if got := <-signs; got != `/api/v1/executions/7/results {"results":[]}` {
			t.Errorf("got %s", got)
		}
	}
	close(stop)
	<-done
}
