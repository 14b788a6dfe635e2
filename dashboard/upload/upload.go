// Package upload reads test reports out of HTTP requests: raw or multipart,
// plain or compressed with gzip, one file or several. It is shared by the API
// and the web pages, so that both keep the same limits.
package upload

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// Limits of one request.
const (
	MaxBody     = 32 << 20  // bytes as sent
	MaxInflated = 256 << 20 // bytes of all reports after decompression
	MaxField    = 4 << 10   // bytes of a form field
	MaxFiles    = 2000      // reports of one multipart body
)

// Formats are the report formats by name, each with its parser.
type Formats map[string]dashboard.ReportParser

// ErrMediaType means that the content type of the request, or its encoding, is
// not one of a report.
var ErrMediaType = errors.New("unsupported media type")

// Read parses the reports in the body of a request and returns them with what
// the query and the form fields say about the run. The format "" is found out
// from the first bytes. Several files of a multipart body become one report.
//
// Errors are a *dashboard.ReportError, a *dashboard.InvalidError, ErrMediaType,
// or what reading the body returned.
func Read(w http.ResponseWriter, r *http.Request, formats Formats, format string) (dashboard.Ingestion, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil && r.Header.Get("Content-Type") != "" {
		return dashboard.Ingestion{}, fmt.Errorf("%w: %q", ErrMediaType, r.Header.Get("Content-Type"))
	}
	c := &collector{formats: formats, format: format, left: MaxInflated, fields: r.URL.Query(), hash: sha256.New()}
	body := http.MaxBytesReader(w, r.Body, MaxBody)
	if kind == "multipart/form-data" {
		err = c.multipart(multipart.NewReader(body, params["boundary"]))
	} else if err = checkType(kind, r.Header.Get("Content-Encoding")); err == nil {
		err = c.file("", body)
	}
	if err != nil {
		return dashboard.Ingestion{}, limitError(err)
	}
	return c.ingestion()
}

// curl --data-binary says x-www-form-urlencoded for any file, so that is accepted.
var bodyTypes = []string{"", "application/xml", "text/xml", "application/octet-stream", "text/plain", "application/gzip", "application/x-gzip",
	"application/json", "application/x-ndjson", "application/x-www-form-urlencoded"}

func checkType(kind, encoding string) error {
	if !slices.Contains(bodyTypes, kind) && !strings.HasSuffix(kind, "+xml") {
		return fmt.Errorf("%w: %q", ErrMediaType, kind)
	}
	if encoding != "" && encoding != "gzip" && encoding != "identity" {
		return fmt.Errorf("%w: content encoding %q", ErrMediaType, encoding)
	}
	return nil
}

func limitError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &dashboard.ReportError{Reason: fmt.Sprintf("the body has more than %d MiB", MaxBody>>20), TooLarge: true}
	}
	return err
}

// collector gathers the files and fields of one request.
type collector struct {
	formats Formats
	format  string
	left    int64 // inflated bytes that may still come
	fields  url.Values
	hash    hash.Hash
	cases   int
	reports []dashboard.Report
}

func (c *collector) multipart(parts *multipart.Reader) error {
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return bodyError(err)
		}
		if part.FileName() != "" || part.FormName() == "file" {
			err = c.file(part.FileName(), part)
		} else {
			err = c.field(part)
		}
		if err != nil {
			return err
		}
	}
}

func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return &dashboard.ReportError{Reason: "the multipart body is broken or cut off"}
}

func (c *collector) field(part *multipart.Part) error {
	name := part.FormName()
	value, err := io.ReadAll(io.LimitReader(part, MaxField+1))
	if err != nil {
		return bodyError(err)
	}
	if len(value) > MaxField {
		return dashboard.Invalid(name, fmt.Sprintf("must have at most %d bytes", MaxField))
	}
	if c.fields.Get(name) == "" {
		c.fields.Set(name, string(value))
	}
	return nil
}

// file parses one report. A browser sends an empty, nameless file for an input
// that was left empty; that is no report.
func (c *collector) file(name string, r io.Reader) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if _, err := buffered.Peek(1); err == io.EOF {
		if name == "" && len(c.reports) > 0 {
			return nil
		}
		return named(name, &dashboard.ReportError{Reason: "is empty"})
	}
	if len(c.reports) == MaxFiles {
		return &dashboard.ReportError{Reason: fmt.Sprintf("more than %d files", MaxFiles), TooLarge: true}
	}
	plain, err := c.inflate(buffered)
	if err != nil {
		return named(name, err)
	}
	report, err := c.parse(plain)
	if err != nil {
		return named(name, err)
	}
	if c.cases += len(report.Cases); c.cases > dashboard.MaxReportCases {
		return &dashboard.ReportError{Reason: fmt.Sprintf("more than %d cases", dashboard.MaxReportCases), TooLarge: true}
	}
	c.reports = append(c.reports, report)
	return nil
}

// named puts the name of a file in front of what is wrong with it.
func named(name string, err error) error {
	fault, ok := errors.AsType[*dashboard.ReportError](err)
	if !ok || name == "" {
		return err
	}
	name = strings.ToValidUTF8(name, "\ufffd")
	return &dashboard.ReportError{Line: fault.Line, Reason: name + ": " + fault.Reason, TooLarge: fault.TooLarge}
}

func (c *collector) inflate(r *bufio.Reader) (io.Reader, error) {
	plain := io.Reader(r)
	if magic, _ := r.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		inflated, err := gzip.NewReader(r)
		if err != nil {
			return nil, &dashboard.ReportError{Reason: "the gzip data is broken"}
		}
		plain = inflated
	}
	return io.TeeReader(&limiter{r: plain, left: &c.left}, c.hash), nil
}

func (c *collector) parse(r io.Reader) (dashboard.Report, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	format, looks := c.format, sniff(buffered)
	if format == "" {
		format = cmp.Or(looks, unknown)
	}
	parse, ok := c.formats[format]
	if !ok {
		return dashboard.Report{}, &dashboard.ReportError{Reason: "is neither JUnit XML nor the output of go test -json"}
	}
	report, err := parse(buffered)
	if err != nil {
		return report, mistaken(err, format, looks)
	}
	// The parser may stop before the end; the hash covers all bytes.
	_, err = io.Copy(io.Discard, buffered)
	return report, err
}

// mistaken says of a report that was sent as one format and looks like the other
// what to send it as.
func mistaken(err error, format, looks string) error {
	fault, ok := errors.AsType[*dashboard.ReportError](err)
	if !ok || fault.TooLarge || looks == "" || format == looks {
		return err
	}
	what := map[string]string{"gotest": "the output of go test -json", "junit": "XML"}[looks]
	return &dashboard.ReportError{Line: fault.Line, Reason: fmt.Sprintf("%s; it looks like %s, so send it as %s", fault.Reason, what, looks)}
}

// FormatOf returns the name of the format that a report, plain or compressed, has
// by its first bytes.
func FormatOf(r io.Reader) (string, error) {
	c := &collector{left: MaxInflated, hash: sha256.New()}
	plain, err := c.inflate(bufio.NewReader(r))
	if err != nil {
		return "", err
	}
	return cmp.Or(sniff(bufio.NewReader(plain)), unknown), nil
}

// unknown is the format of what looks like none: its parser says what is wrong in line 1.
const unknown = "junit"

// sniff returns "" for what looks like no format.
func sniff(r *bufio.Reader) string {
	head, _ := r.Peek(4096)
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("<")), bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "junit"
	case bytes.HasPrefix(head, []byte("{")), bytes.Contains(head, []byte("\n{\"")): // go test says what it downloads before its first event
		return "gotest"
	}
	return ""
}

// limiter ends a stream that inflates without bound.
type limiter struct {
	r    io.Reader
	left *int64
}

func (l *limiter) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if *l.left -= int64(n); *l.left < 0 {
		return 0, &dashboard.ReportError{Reason: fmt.Sprintf("inflates to more than %d MiB", MaxInflated>>20), TooLarge: true}
	}
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		return n, &dashboard.ReportError{Reason: "the data is broken or cut off"}
	}
	return n, err
}

func (c *collector) ingestion() (dashboard.Ingestion, error) {
	if len(c.reports) == 0 {
		return dashboard.Ingestion{}, dashboard.Invalid("file", "is missing: the request carries no report")
	}
	in := dashboard.Ingestion{
		Suite: c.fields.Get("suite"), TestType: dashboard.TestType(c.fields.Get("test_type")), Run: c.fields.Get("run"),
		ContentHash: hex.EncodeToString(c.hash.Sum(nil)),
		NewExecution: dashboard.NewExecution{
			ExecutedBy: c.fields.Get("executed_by"), ExecutionType: dashboard.ExecutionType(c.fields.Get("execution_type")),
			Environment: c.fields.Get("environment"), Branch: c.fields.Get("branch"), Commit: c.fields.Get("commit"), RunURL: c.fields.Get("run_url"),
		},
		Report: merge(c.reports),
	}
	if in.Run == "" {
		in.Run = in.RunURL
	}
	return in.Normal()
}
