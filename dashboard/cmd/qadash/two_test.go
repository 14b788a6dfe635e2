package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// process is a "qadash serve" of its own.
type process struct {
	t   *testing.T
	url string
	cmd *exec.Cmd
}

// startProcess runs this test binary as qadash, on a database and a Redis, until
// the end of the test.
func startProcess(t *testing.T, database string, redis *lardertest.RedisServer) *process {
	t.Helper()
	p := launch(t, database, redis.Addr())
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("qadash ended with %v", err)
		}
	})
	return p
}

// launch runs this test binary as qadash. The caller ends it.
func launch(t *testing.T, database, redis string) *process {
	t.Helper()
	host, port, _ := strings.Cut(redis, ":")
	return launchWith(t, "DATABASE_URL=sqlite:"+database, "REDIS_HOST="+host, "REDIS_PORT="+port)
}

// launchWith is launch with variables of the environment.
func launchWith(t *testing.T, variables ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "serve")
	cmd.Args[0] = "qadash"
	cmd.Env = append(append(os.Environ(), "ADDR=127.0.0.1:0", "LOG_LEVEL=error"), variables...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("qadash said nothing: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return &process{t, strings.Fields(line)[3], cmd}
}

func (p *process) request(method, path, body string, headers ...string) (map[string]any, http.Header) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		p.t.Fatal(err)
	}
	if response.StatusCode/100 != 2 {
		p.t.Fatalf("%s %s: %d %v", method, path, response.StatusCode, out)
	}
	return out, response.Header
}

// What was renamed through one process is read renamed through the other by the
// next request when that asks for it, and within the staleness bound otherwise.
func TestTwoProcessesAgree(t *testing.T) {
	redis := lardertest.StartRedis(t)
	database := filepath.Join(t.TempDir(), "qa.db")
	one, two := startProcess(t, database, redis), startProcess(t, database, redis)
	one.request("POST", "/api/v1/suites", `{"name":"suite 0"}`)
	const bound = time.Second // the default of CACHE_MAX_STALENESS
	rounds := 250
	if os.Getenv("LARDER_LONG") != "" {
		rounds = 1000
	}
	stale, worst := 0, time.Duration(0)
	tiers := map[string]int{}
	for i := 1; i <= rounds; i++ {
		writer, reader := one, two
		if i%2 == 0 {
			writer, reader = two, one
		}
		reader.request("GET", "/api/v1/suites/1", "") // there is something to be outdated
		name := "suite " + strconv.Itoa(i)
		writer.request("PATCH", "/api/v1/suites/1", fmt.Sprintf(`{"name":%q}`, name))
		changed := time.Now()
		if got, _ := reader.request("GET", "/api/v1/suites/1", "", "Cache-Control", "no-cache"); got["name"] != name {
			stale++
		}
		for {
			got, header := reader.request("GET", "/api/v1/suites/1", "")
			if tiers[header.Get("X-Cache")]++; got["name"] == name {
				break
			}
			if worst = max(worst, time.Since(changed)); worst > bound {
				t.Fatalf("round %d: still %v after %v", i, got["name"], worst)
			}
		}
	}
	if stale > 0 {
		t.Errorf("%d of %d exact reads were outdated", stale, rounds)
	}
	t.Logf("%d exact reads, %d outdated; other reads outdated for at most %v; answered by %v", rounds, stale, worst, tiers)
	if tiers["suite=memory"] == 0 {
		t.Errorf("no read was answered from memory (%v): the test proved nothing", tiers)
	}
}

// Redis may hang for seconds, die and come back: no request fails for it.
func TestARedisThatHangsFailsNoRequest(t *testing.T) {
	redis := lardertest.StartRedis(t)
	p := startProcess(t, filepath.Join(t.TempDir(), "qa.db"), redis)
	p.request("POST", "/api/v1/suites", `{"name":"s"}`)
	check := func(phase string, during time.Duration) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), during)
		defer cancel()
		n, slowest := 0, time.Duration(0)
		for ; ctx.Err() == nil; n++ {
			begin := time.Now()
			p.request("GET", "/api/v1/suites/1", "")
			name := fmt.Sprint(phase, n)
			p.request("PATCH", "/api/v1/suites/1", fmt.Sprintf(`{"description":%q}`, name))
			if got, _ := p.request("GET", "/api/v1/suites/1", ""); got["description"] != name {
				t.Fatalf("%s: own write not read: %v", phase, got["description"])
			}
			slowest = max(slowest, time.Since(begin))
		}
		t.Logf("%s: %d rounds of three requests, slowest %v", phase, n, slowest)
	}
	check("connected", 300*time.Millisecond)
	_ = redis.Stop()
	check("stopped", 3*time.Second)
	_ = redis.Cont()
	check("continued", 500*time.Millisecond)
	_ = redis.Kill()
	check("killed", time.Second)
	_ = redis.Restart(t.Context())
	check("restarted", time.Second)
}
