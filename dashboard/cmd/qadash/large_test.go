package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
)

// The largest report: as many cases as there may be, in almost as many bytes. It
// must be taken in while a CI waits for its upload, and in memory that a small
// machine has.
const (
	largeTime   = 10 * time.Second
	largeMemory = 384 << 20
)

// largeReport is a report of so many cases, 600 bytes each.
func largeReport(cases int) []byte {
	var b bytes.Buffer
	b.WriteString("<testsuites><testsuite name='large'>")
	for i := range cases {
		fmt.Fprintf(&b, `<testcase classname="package.module.TestClass%d" name="test number %d of this class" time="0.005"><system-out>`, i/50, i)
		for range 16 {
			fmt.Fprintf(&b, "a line of output, number %d\n", i)
		}
		b.WriteString("</system-out></testcase>")
	}
	b.WriteString("</testsuite></testsuites>")
	return b.Bytes()
}

// peak is the most memory that a process has had resident so far, in bytes.
func (p *process) peak() int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kb << 10
		}
	}
	p.t.Fatal("the system does not tell the peak of memory")
	return 0
}

func TestTheLargestReportIsTakenInInTimeAndMemory(t *testing.T) {
	cases := dashboard.MaxReportCases
	if raceDetector {
		cases /= 10
	}
	report := largeReport(cases)
	p := launchWith(t, "CACHE_ENABLED=false", "DATABASE_URL=sqlite:"+emptydb.SQLite(t))
	defer func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("qadash ended with %v", err)
		}
	}()
	for run := range 2 { // into an empty suite, then into one that has the cases
		begin := time.Now()
		response, err := http.Post(fmt.Sprintf("%s/api/v1/ingest/junit?suite=large&run=%d", p.url, run), "text/xml", bytes.NewReader(report))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		took, peak := time.Since(begin), p.peak()
		t.Logf("run %d: %d cases in %.1f MB: %v, peak of memory %d MiB", run, cases, float64(len(report))/1e6, took.Round(time.Millisecond), peak>>20)
		if response.StatusCode != http.StatusCreated {
			t.Fatal(response.Status)
		}
		if !raceDetector && (took > largeTime || peak > largeMemory) {
			t.Errorf("at most %v and %d MiB are allowed", largeTime, largeMemory>>20)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
