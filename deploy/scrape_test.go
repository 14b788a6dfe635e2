package deploy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/larder-go/larder/lardertest"
)

// qadash is the program, running over a Redis of its own until the end of a test.
type qadash struct {
	t   *testing.T
	url string
}

var urlLine = regexp.MustCompile(`http://\S+`)

func startQadash(t *testing.T) *qadash {
	t.Helper()
	redis, dir := lardertest.StartRedis(t), unpack(t)
	cmd := exec.Command(filepath.Join(dir, "qadash"), "serve")
	cmd.Env = append(os.Environ(), "ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:"+filepath.Join(dir, "qa.db"), "REDIS_URL=redis://"+redis.Addr(),
		"CACHE_COMPRESS_MIN=256", "CACHE_READ_TIMEOUT=5s", "LOG_LEVEL=error", "AUTH_MODE=auto", "ADMIN_TOKEN=")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("qadash ended with %v", err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url := urlLine.FindString(lines.Text()); url != "" {
			return &qadash{t, url}
		}
	}
	t.Fatal("qadash did not say where it is")
	return nil
}

// send returns the status of the answer.
func (q *qadash) send(method, path, body string) int {
	q.t.Helper()
	r, err := http.NewRequestWithContext(q.t.Context(), method, q.url+path, strings.NewReader(body))
	if err != nil {
		q.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		q.t.Error(err)
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// scrape is the metrics of a moment by name.
type scrape map[string]*dto.MetricFamily

func (q *qadash) scrape() scrape {
	q.t.Helper()
	response, err := http.Get(q.url + "/metrics")
	if err != nil {
		q.t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	s, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		q.t.Fatal(err)
	}
	return s
}

// sum adds the values of the series that have all labels, given as name=value;
// of histograms their counts.
func (s scrape) sum(name string, labels ...string) (sum float64) {
	for _, m := range s[name].GetMetric() {
		have := map[string]bool{}
		for _, l := range m.GetLabel() {
			have[l.GetName()+"="+l.GetValue()] = true
		}
		all := true
		for _, l := range labels {
			all = all && have[l]
		}
		if all {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

const (
	suites  = 5
	workers = 4
	rounds  = 60 // of requests of each worker
)

// fill creates suites and takes in a report for each.
func (q *qadash) fill() {
	q.t.Helper()
	for i := range suites {
		report := fmt.Sprintf(`<testsuite name="s%d"><testcase classname="c" name="a" time="0.5"/><testcase classname="c" name="b"><failure message="%s"/></testcase></testsuite>`,
			i, strings.Repeat("long ", 100))
		r, err := http.NewRequestWithContext(q.t.Context(), "POST", fmt.Sprintf("%s/api/v1/ingest/junit?suite=s%d", q.url, i), bytes.NewReader([]byte(report)))
		if err != nil {
			q.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/xml")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			q.t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusCreated {
			q.t.Fatalf("report %d: %s", i, response.Status)
		}
	}
}

// load sends reads, changes and what is not there, some rounds and on until
// enough is closed, and returns how many requests went to the route of one suite
// by method.
func (q *qadash) load(enough <-chan struct{}) (gets, patches int) {
	var running sync.WaitGroup
	counts := make([][2]int, workers)
	for w := range workers {
		random := rand.New(rand.NewPCG(7, uint64(w)))
		running.Go(func() {
			for round := 0; round < rounds || !closed(enough); round++ {
				id := 1 + random.IntN(suites)
				switch random.IntN(8) {
				case 0:
					q.send("PATCH", fmt.Sprintf("/api/v1/suites/%d", id), fmt.Sprintf(`{"description":"%d"}`, random.Int()))
					counts[w][1]++
				case 1:
					q.send("GET", fmt.Sprintf("/api/v1/suites/%d", 1000+random.IntN(20)), "") // none
					counts[w][0]++
				case 2:
					q.send("GET", "/api/v1/executions", "")
				case 3:
					q.send("GET", "/api/v1/dashboard/stats", "")
				default:
					q.send("GET", fmt.Sprintf("/api/v1/suites/%d", id), "")
					counts[w][0]++
				}
			}
		})
	}
	running.Wait()
	for _, c := range counts {
		gets, patches = gets+c[0], patches+c[1]
	}
	return gets, patches
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// expressions are the queries of the alerts and of the Grafana dashboard, with
// the variables of Grafana filled in.
func expressions(t *testing.T) map[string][]string {
	t.Helper()
	rules, err := os.ReadFile("../telemetry/alerts/larder.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^\s+expr: (.+)$`).FindAllStringSubmatch(string(rules), -1) {
		found["alerts"] = append(found["alerts"], m[1])
	}
	data, err := os.ReadFile("../telemetry/grafana/larder.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			found["grafana"] = append(found["grafana"], strings.ReplaceAll(q.Expr, "$__rate_interval", "5m"))
		}
	}
	if len(found["alerts"]) < 5 || len(found["grafana"]) < 20 {
		t.Fatalf("%d alerts, %d queries were found", len(found["alerts"]), len(found["grafana"]))
	}
	return found
}
