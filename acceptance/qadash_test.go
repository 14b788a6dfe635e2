package acceptance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildQadash compiles the program once for all tests.
var buildQadash = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "larder-qadash-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "qadash")
	if out, err := goCommand("../dashboard", "build", "-o", program, "./cmd/qadash").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

// qadash is a running server.
type qadash struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	log    syncBuffer
	client http.Client
}

var urlLine = regexp.MustCompile(`http://\S+`)

// startQadash starts a server on a free port and returns when it listens.
func startQadash(t *testing.T, database, redis string) *qadash {
	t.Helper()
	program, err := buildQadash()
	if err != nil {
		t.Fatal(err)
	}
	q := &qadash{t: t, cmd: exec.Command(program, "serve"), client: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	q.cmd.Env = append(os.Environ(), "ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:"+database, "REDIS_URL=redis://"+redis,
		"REDIS_HOST=", "REDIS_PORT=", "REDIS_PASSWORD=", "AUTH_MODE=", "LOG_FORMAT=text", "LOG_LEVEL=info")
	q.cmd.Stderr = &q.log
	out, err := q.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	check(t, q.cmd.Start())
	lines := bufio.NewScanner(out)
	for q.url == "" && lines.Scan() {
		q.url = urlLine.FindString(lines.Text())
	}
	if q.url == "" {
		_ = q.cmd.Wait()
		t.Fatalf("qadash did not start: %v\n%s", q.cmd.ProcessState, &q.log)
	}
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, out)
		close(read)
	}()
	t.Cleanup(func() {
		q.client.CloseIdleConnections()
		check(t, q.cmd.Process.Signal(syscall.SIGTERM))
		<-read
		if err := q.cmd.Wait(); err != nil {
			t.Errorf("qadash ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log of qadash at %s:\n%s", q.url, &q.log)
		}
	})
	return q
}

// answer is what came back for a request.
type answer struct {
	began  time.Time
	took   time.Duration
	status int
	tiers  string // from X-Cache: "suite=memory"
	body   []byte
	err    error
}

// do sends a request; exact asks for what is true at that moment.
func (q *qadash) do(method, path, body string, exact bool) (a answer) {
	a.began = time.Now()
	request, err := http.NewRequest(method, q.url+path, strings.NewReader(body))
	if err != nil {
		a.err = err
		return a
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if exact {
		request.Header.Set("Cache-Control", "no-cache")
	}
	response, err := q.client.Do(request)
	if err != nil {
		a.err = err
		return a
	}
	defer response.Body.Close()
	a.body, a.err = io.ReadAll(response.Body)
	a.status, a.tiers, a.took = response.StatusCode, strings.Join(response.Header.Values("X-Cache"), " "), time.Since(a.began)
	return a
}

// must is do for requests that have to succeed; it decodes the body.
func must[T any](q *qadash, method, path, body string, exact bool) (v T) {
	q.t.Helper()
	a := q.do(method, path, body, exact)
	if a.err != nil || a.status >= 300 {
		q.t.Fatalf("%s %s: %d %v %s", method, path, a.status, a.err, a.body)
	}
	if err := json.NewDecoder(bytes.NewReader(a.body)).Decode(&v); err != nil {
		q.t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
	}
	return v
}

// suite is what these tests look at of a suite.
type suite struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (q *qadash) createSuite(name string) suite {
	q.t.Helper()
	return must[suite](q, "POST", "/api/v1/suites", fmt.Sprintf(`{"name": %q}`, name), false)
}

func (q *qadash) rename(path, name string) {
	q.t.Helper()
	if got := must[suite](q, "PATCH", path, fmt.Sprintf(`{"name": %q}`, name), false); got.Name != name {
		q.t.Fatalf("renamed to %q, got %q", name, got.Name)
	}
}

func (q *qadash) name(path string, exact bool) string {
	q.t.Helper()
	return must[suite](q, "GET", path, "", exact).Name
}

// connected tells whether the server says that it reaches its Redis.
func (q *qadash) connected() bool {
	a := q.do("GET", "/readyz", "", false)
	return a.status == http.StatusOK && strings.Contains(string(a.body), `"status":"ready"`)
}
