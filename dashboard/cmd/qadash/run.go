package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/ingest"
)

// exitError ends the process with the code of a child.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("the command ended with %d", e.code) }

// runCommand runs a test command, reports it while it runs and ends with its
// exit code. A server that cannot be reached costs a line on standard error,
// never the run.
func runCommand(ctx context.Context, args []string, s streams) error {
	f := flags("run", "-- COMMAND…", s)
	r := reportFlags{fields: fromCI(s.env)}
	f.StringVar(&r.url, "url", either(get(s.env, "QADASH_URL"), defaultURL), "address of the server; QADASH_URL")
	f.StringVar(&r.token, "token", "", "token with the write scope; better QADASH_TOKEN")
	junit := f.String("junit", "", "pattern of JUnit files that the command writes; reported when it ended")
	r.fields.flags(f)
	if err := parse(f, args); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return &usageError{"needs a command, as in: qadash run --suite unit -- go test -json ./..."}
	}
	if r.fields.Suite == "" {
		return &usageError{"--suite is missing: name the suite that the run belongs to, or set QADASH_SUITE"}
	}
	r.token, r.format, r.wait = either(r.token, get(s.env, "QADASH_TOKEN")), "junit", 2*time.Minute
	if *junit != "" {
		return runThenReport(ctx, r, f.Args(), *junit, s)
	}
	return runLive(ctx, r, f.Args(), s)
}

// child prepares a command that is asked to end when ctx does.
func child(ctx context.Context, args []string, s streams) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.in, s.out, s.err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// ended turns the end of a child into the end of this process.
func ended(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return &exitError{max(exit.ExitCode(), 1)}
	}
	return err
}

func runThenReport(ctx context.Context, r reportFlags, args []string, pattern string, s streams) error {
	result := ended(child(ctx, args, s).Run())
	files, err := expand([]string{pattern})
	if err == nil {
		sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.wait)
		defer cancel()
		var answer dashboard.IngestReport
		if answer, err = r.send(sending, files); err == nil {
			r.tell(s.err, answer)
		}
	}
	if err != nil {
		fmt.Fprintf(s.err, "qadash run: not reported: %v\n", err)
	}
	return result
}

// runLive reads the output of go test -json while it passes through.
func runLive(ctx context.Context, r reportFlags, args []string, s streams) error {
	reading, writing := io.Pipe()
	live := &liveRun{client: client{url: r.url, token: r.token, tries: 3}, fields: r.fields, err: s.err, wake: make(chan struct{}, 1)}
	cmd := child(ctx, args, s)
	cmd.Stdout = io.MultiWriter(s.out, writing)
	begun := live.begin(context.WithoutCancel(ctx))
	if err := cmd.Start(); err != nil {
		live.finish(context.WithoutCancel(ctx), dashboard.Report{Failure: "The command could not be started: " + err.Error()}, dashboard.StatusError)
		return err
	}
	var work sync.WaitGroup
	stream := ingest.NewGoTestStream(ingest.Limits{}, live.add)
	work.Go(func() { readLines(reading, stream) })
	stop := make(chan struct{})
	if begun {
		work.Go(func() { live.sendUntil(context.WithoutCancel(ctx), stop) })
	}
	result := cmd.Wait()
	_ = writing.Close()
	close(stop)
	work.Wait()
	status := dashboard.Status("") // as the counts say
	if result != nil {
		status = dashboard.StatusFailed
	}
	report, err := stream.Report()
	if err != nil {
		report = dashboard.Report{Format: "gotest"}
	}
	if result != nil && report.Failure == "" && report.Counts().Verdict() == dashboard.StatusPassed {
		report.Failure = "The command ended with " + result.Error() + ", and no test failed."
	}
	if begun {
		live.finish(context.WithoutCancel(ctx), report, status)
	}
	return ended(result)
}

// readLines feeds the stream; it reads to the end also after a line too long,
// because the child must not be held up.
func readLines(r io.Reader, stream *ingest.GoTestStream) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 && stream.Line(line) != nil {
			_, _ = io.Copy(io.Discard, lines)
			return
		}
		if err != nil {
			return
		}
	}
}

// liveRun sends results in batches while a command runs.
type liveRun struct {
	client client
	fields origin
	err    io.Writer
	id     int64
	wake   chan struct{}
	life   time.Duration // between signs of life; default lifeTime

	mu      sync.Mutex
	waiting []dashboard.NewResult
	sent    map[string]bool
	failed  bool // the server is lost; said once
}

// Batches are sent when they are full, or every half second. While nothing ends,
// a sign of life keeps the server from taking the reporter for dead.
const (
	batchSize = 200
	batchTime = 500 * time.Millisecond
	lifeTime  = 5 * time.Minute
)

// begin makes the execution. A run that cannot be reported is still run.
func (l *liveRun) begin(ctx context.Context) bool {
	l.sent = map[string]bool{}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	suite, err := l.client.suite(ctx, l.fields.Suite, dashboard.FrameworkOf("gotest"))
	var made dashboard.Execution
	if err == nil {
		err = l.client.call(ctx, http.MethodPost, "/executions", dashboard.NewExecution{
			SuiteID: suite, ExecutedBy: l.fields.By, ExecutionType: dashboard.ExecutionType(l.fields.Type), Environment: l.fields.Environment,
			Branch: l.fields.Branch, Commit: l.fields.Commit, RunURL: l.fields.URL,
		}, &made)
	}
	if err == nil {
		err = l.client.call(ctx, http.MethodPost, fmt.Sprintf("/executions/%d/start", made.ID), nil, nil)
	}
	if err != nil {
		fmt.Fprintf(l.err, "qadash run: not reported: %v\n", err)
		return false
	}
	l.id = made.ID
	fmt.Fprintf(l.err, "qadash run: %s/executions/%d\n", l.client.url, l.id)
	return true
}

// add takes a case that ended.
func (l *liveRun) add(c dashboard.ReportCase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent[c.Name] {
		return // an earlier attempt was reported; the first counts
	}
	l.sent[c.Name] = true
	l.waiting = append(l.waiting, newResult(c))
	if len(l.waiting) >= batchSize {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func newResult(c dashboard.ReportCase) dashboard.NewResult {
	return dashboard.NewResult{CaseName: c.Name, Status: c.Status, StartedAt: c.StartedAt, DurationMS: c.DurationMS, Message: c.Message,
		Stack: c.Stack, Output: c.Output, Attempts: c.Attempts, Flaky: c.Flaky}
}

func (l *liveRun) sendUntil(ctx context.Context, stop <-chan struct{}) {
	ticker := time.NewTicker(batchTime)
	defer ticker.Stop()
	for heard := time.Now(); ; {
		select {
		case <-stop:
			return
		case <-ticker.C:
		case <-l.wake:
		}
		switch {
		case l.send(ctx):
			heard = time.Now()
		case time.Since(heard) >= cmp.Or(l.life, lifeTime):
			_ = l.post(ctx, []dashboard.NewResult{}) // the server waits for several
			heard = time.Now()
		}
	}
}

func (l *liveRun) post(ctx context.Context, results []dashboard.NewResult) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return l.client.call(ctx, http.MethodPost, fmt.Sprintf("/executions/%d/results", l.id), map[string]any{"results": results}, nil)
}

// send sends what waits, at most a batch at a time, and reports whether anything was sent.
func (l *liveRun) send(ctx context.Context) (sent bool) {
	for ; ; sent = true {
		l.mu.Lock()
		n := min(len(l.waiting), dashboard.MaxResultBatch)
		batch := l.waiting[:n]
		l.waiting = l.waiting[n:]
		lost := l.failed
		l.mu.Unlock()
		if n == 0 || lost {
			return sent
		}
		if err := l.post(ctx, batch); err != nil {
			l.lose(err)
			return sent
		}
	}
}

func (l *liveRun) lose(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.failed {
		l.failed = true
		fmt.Fprintf(l.err, "qadash run: the rest is not reported: %v\n", err)
	}
}

// finish sends what no event ended and closes the execution.
func (l *liveRun) finish(ctx context.Context, report dashboard.Report, status dashboard.Status) {
	for _, c := range report.Cases {
		l.add(c)
	}
	l.send(ctx)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if l.failed || l.id == 0 {
		return
	}
	var end dashboard.Execution
	if err := l.client.call(ctx, http.MethodPost, fmt.Sprintf("/executions/%d/finish", l.id), dashboard.Finish{Status: status, ResultsSummary: report.Summary()}, &end); err != nil {
		l.lose(err)
		return
	}
	fmt.Fprintln(l.err, "qadash run:", verdict(end))
}
