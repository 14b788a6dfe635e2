package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/upload"
)

// uploadPanel is the form with what happened last.
type uploadPanel struct {
	Notice notice
	Suites []string // names to choose from
	Suite  string   // as entered
}

// uploadData is the content of the page.
type uploadData struct {
	Panel uploadPanel
	CI    ciLines
}

// notice says what an upload did. An empty Class is no notice.
type notice struct {
	Class string // passed, failed …
	Text  string
	Link  string
	Name  string // of the link
}

func (s *web) uploadPage(_ http.ResponseWriter, r *http.Request) (*view, error) {
	suites, err := s.store.Suites(r.Context(), dashboard.SuiteFilter{}, dashboard.Page{Limit: dashboard.MaxLimit})
	if err != nil {
		return nil, err
	}
	panel := uploadPanel{Notice: s.noticeOf(r), Suite: r.URL.Query().Get("suite")}
	for _, suite := range suites.Items {
		panel.Suites = append(panel.Suites, suite.Name)
	}
	return &view{Name: "upload", Title: "Upload", Path: "/upload", Data: uploadData{panel, s.ciLines(r)}}, nil
}

// upload takes in a report from the form and leads back to the overview, which
// shows it. What is wrong with a report is shown in its place.
func (s *web) upload(w http.ResponseWriter, r *http.Request) (*view, error) {
	in, err := upload.Read(w, r, s.Formats, "")
	var report dashboard.IngestReport
	if err == nil {
		report, _, err = s.store.Ingest(r.Context(), in)
	}
	if errors.Is(err, dashboard.ErrInvalid) || errors.Is(err, upload.ErrMediaType) {
		return s.overviewWith(r, http.StatusUnprocessableEntity, notice{Class: "failed", Text: refusal(err)})
	}
	if err != nil {
		return nil, err
	}
	query := url.Values{"uploaded": {strconv.FormatInt(report.Execution.ID, 10)}}
	if report.Duplicate {
		query.Set("again", "1")
	} else {
		s.Ingested(in.Report.Format, len(in.Report.Cases))
	}
	http.Redirect(w, r, "/?"+query.Encode(), http.StatusSeeOther)
	return nil, nil
}

// refusal words why a report was not taken in.
func refusal(err error) string {
	text := Printable(err.Error())
	if e, ok := errors.AsType[*dashboard.ReportError](err); ok {
		text = Printable(e.Reason)
		if e.Line > 0 {
			text = fmt.Sprintf("line %d: %s", e.Line, text)
		}
	}
	return "Refused, nothing was changed. " + strings.ToUpper(text[:1]) + text[1:] + "."
}

// noticeOf reads the outcome of an upload from the address it led to.
func (s *web) noticeOf(r *http.Request) notice {
	q := r.URL.Query()
	id, err := strconv.ParseInt(q.Get("uploaded"), 10, 64)
	if err != nil || id <= 0 {
		return notice{}
	}
	e, err := s.store.Execution(r.Context(), id)
	if err != nil {
		return notice{}
	}
	n := notice{Class: string(e.Status), Name: fmt.Sprintf("%s #%d", e.SuiteName, e.ID), Link: fmt.Sprintf("/executions/%d", e.ID)}
	if q.Get("again") != "" {
		n.Text = "This report was here already; nothing was changed:"
		return n
	}
	n.Text = outcome(e.Counts) + ":"
	return n
}

// outcome puts results into words, failures first.
func outcome(c dashboard.Counts) string {
	var parts []string
	for _, p := range []struct {
		n    int
		name string
	}{{c.Failed, "failed"}, {c.Errors, "error"}, {c.Passed, "passed"}, {c.Skipped, "skipped"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n)+" "+p.name)
		}
	}
	if len(parts) == 0 {
		return "No case in this report"
	}
	return plural(int64(c.Total), "case", "cases") + ", " + strings.Join(parts, ", ")
}

// demo fills an empty database.
func (s *web) demo(w http.ResponseWriter, r *http.Request) (*view, error) {
	seeder, ok := s.store.(dashboard.Seeder)
	if !ok {
		return notFound("This store has no demo data."), nil
	}
	_, err := seeder.Seed(r.Context(), dashboard.SeedOptions{})
	if errors.Is(err, dashboard.ErrConflict) {
		return s.overviewWith(r, http.StatusConflict, notice{Class: "failed", Text: "Demo data is for an empty database; this one has suites. Nothing was changed."})
	}
	if err != nil {
		return nil, err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil, nil
}
