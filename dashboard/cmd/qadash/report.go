package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/upload"
)

const defaultURL = "http://127.0.0.1:8000"

// reportFlags say where a report goes and what is known about its run.
type reportFlags struct {
	url, token, format string
	fields             origin
	wait               time.Duration
}

// report sends files as one execution.
func report(ctx context.Context, args []string, s streams) error {
	f := flags("report", "FILE…", s)
	r := reportFlags{fields: fromCI(s.env)}
	f.StringVar(&r.url, "url", either(get(s.env, "QADASH_URL"), defaultURL), "address of the server; QADASH_URL")
	f.StringVar(&r.token, "token", "", "token with the write scope; better QADASH_TOKEN, which no process list shows")
	f.StringVar(&r.format, "format", "", "format of the files: junit, or gotest for the output of go test -json; default what the first file looks like")
	f.DurationVar(&r.wait, "timeout", 2*time.Minute, "longest time to wait for the server")
	r.fields.flags(f)
	if err := parse(f, args); err != nil {
		return err
	}
	if r.format != "" && r.format != "junit" && r.format != "gotest" {
		return &usageError{fmt.Sprintf("--format %q is neither junit nor gotest", r.format)}
	}
	r.token = either(r.token, get(s.env, "QADASH_TOKEN"))
	files, err := expand(f.Args())
	if err != nil {
		return err
	}
	if r.fields.Suite == "" {
		return &usageError{"--suite is missing: name the suite that the report belongs to, or set QADASH_SUITE"}
	}
	ctx, cancel := context.WithTimeout(ctx, r.wait)
	defer cancel()
	answer, err := r.send(ctx, files)
	if err != nil {
		return err
	}
	r.tell(s.out, answer)
	return nil
}

// expand resolves patterns that the shell left alone.
func expand(patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return nil, &usageError{"needs at least one file"}
	}
	var files []string
	for _, p := range patterns {
		if _, err := os.Stat(p); err == nil || !strings.ContainsAny(p, "*?[") {
			files = append(files, p)
			continue
		}
		found, err := filepath.Glob(p)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no file matches %s", p)
		}
		files = append(files, found...)
	}
	return files, nil
}

// send streams the files as one multipart body and returns what the server did.
func (r *reportFlags) send(ctx context.Context, files []string) (dashboard.IngestReport, error) {
	var none dashboard.IngestReport
	for _, name := range files { // a missing one is found before anything is sent
		if info, err := os.Stat(name); err != nil {
			return none, err
		} else if info.IsDir() {
			return none, fmt.Errorf("%s is a directory", name)
		}
	}
	format := r.format
	if format == "" {
		var err error
		if format, err = formatOf(files[0]); err != nil {
			return none, err
		}
	}
	target, err := url.JoinPath(r.url, "/api/v1/ingest/", format)
	if err != nil {
		return none, &usageError{fmt.Sprintf("--url %q is not an address", r.url)}
	}
	reader, writer := io.Pipe()
	body := multipart.NewWriter(writer)
	go func() { writer.CloseWithError(r.write(body, files)) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, reader)
	if err != nil {
		return none, &usageError{fmt.Sprintf("--url %q is not an address", r.url)}
	}
	request.Header.Set("Content-Type", body.FormDataContentType())
	(&client{token: r.token}).sign(request)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return none, fmt.Errorf("%s cannot be reached: %w", r.url, cause(err))
	}
	defer response.Body.Close()
	return readAnswer(response)
}

func formatOf(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	format, err := upload.FormatOf(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return format, nil
}

func (r *reportFlags) write(body *multipart.Writer, files []string) error {
	for name, value := range r.fields.values() {
		if err := body.WriteField(name, value); err != nil {
			return err
		}
	}
	for _, name := range files {
		if err := attach(body, name); err != nil {
			return err
		}
	}
	return body.Close()
}

func attach(body *multipart.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	part, err := body.CreateFormFile("file", filepath.Base(name))
	if err != nil {
		return err
	}
	_, err = io.Copy(part, file)
	return err
}

// readAnswer returns the report, or what the server said against it.
func readAnswer(response *http.Response) (out dashboard.IngestReport, err error) {
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return out, err
	}
	if response.StatusCode/100 == 2 {
		if err := json.Unmarshal(data, &out); err != nil {
			return out, fmt.Errorf("the answer is not that of a qadash server: %w", err)
		}
		return out, nil
	}
	return out, refusal(response, data)
}

func (r *reportFlags) tell(w io.Writer, answer dashboard.IngestReport) {
	e := answer.Execution
	fmt.Fprintln(w, verdict(e))
	if answer.Duplicate {
		fmt.Fprintln(w, "This report was here already; nothing was changed.")
	}
	for _, warning := range answer.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
	if page, err := url.JoinPath(r.url, "executions", fmt.Sprint(e.ID)); err == nil {
		fmt.Fprintln(w, page)
	}
}

// verdict is an execution that ended, in one line.
func verdict(e dashboard.Execution) string {
	cases := "cases"
	if e.Total == 1 {
		cases = "case"
	}
	return fmt.Sprintf("%s #%d %s: %d %s, %d passed, %d failed, %d error, %d skipped", e.SuiteName, e.ID, e.Status, e.Total, cases, e.Passed, e.Failed, e.Errors, e.Skipped)
}

// cause drops the repetition of method and address that net/http puts in front.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
