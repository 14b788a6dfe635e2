package dashboard

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxReportCases is the most cases of one report.
const MaxReportCases = 50_000

// ReportParser reads one report. A report that is not valid is a [ReportError].
type ReportParser func(r io.Reader) (Report, error)

// Report is a parsed test report.
type Report struct {
	// Format is "junit" or "gotest".
	Format string `json:"format"`
	// Suites counts the suites (packages) of the report, empty ones included.
	Suites int          `json:"suites"`
	Cases  []ReportCase `json:"-"`
	// StartedAt is the earliest time stamp of the report; nil when it has none.
	StartedAt *time.Time `json:"started_at"`
	// DurationMS is in milliseconds.
	DurationMS int64 `json:"duration"`
	// Warnings say what was odd but could be read, at most 20.
	Warnings []string `json:"warnings"`
	// Failure says why the run failed beside its cases, as when a package could not
	// be built; empty when nothing did. Such a run never passed.
	Failure string `json:"failure,omitempty"`
}

// Verdict is that of the counts, except that a run with a Failure did not pass.
func (r Report) Verdict() Status {
	v := r.Counts().Verdict()
	if v == StatusPassed && r.Failure != "" {
		return StatusError
	}
	return v
}

// ReportCase is one case of a report.
type ReportCase struct {
	// Name is unique within the report.
	Name       string
	Status     Status
	StartedAt  *time.Time
	DurationMS int64
	Message    string
	Stack      string
	Output     string
	Attempts   []Attempt
	Flaky      bool
}

// Result returns the case as a result of the case with the given id.
func (c ReportCase) Result(caseID int64) NewResult {
	return NewResult{CaseID: caseID, Status: c.Status, StartedAt: c.StartedAt, DurationMS: c.DurationMS,
		Message: c.Message, Stack: c.Stack, Output: c.Output, Attempts: c.Attempts, Flaky: c.Flaky}
}

// Counts counts the cases by state.
func (r Report) Counts() Counts {
	var c Counts
	for i := range r.Cases {
		c.Add(r.Cases[i].Status, 1)
	}
	return c
}

// Ingestion is a report with what is known about its run.
type Ingestion struct {
	// Suite is the name of the suite that the report belongs to; it is created if it is missing.
	Suite string
	// TestType is given to new cases. Default unit.
	TestType TestType
	// Run tells runs apart that have equal content: a run URL, a job id. Empty is a run too.
	Run string
	// ContentHash is a hash of the report's bytes, at most 64 bytes.
	ContentHash string
	// NewExecution holds branch, commit and so on; its SuiteID is ignored.
	NewExecution
	// StartedAt is the start of the run; nil means that it ended when it was ingested.
	StartedAt *time.Time
	Report    Report
}

// Normal returns the ingestion with defaults filled in, or an [InvalidError].
func (in Ingestion) Normal() (Ingestion, error) {
	var c checker
	in.Suite = strings.TrimSpace(in.Suite)
	in.TestType = or(in.TestType, DefaultTestType)
	in.ExecutionType = or(in.ExecutionType, "ci")
	c.name("suite", in.Suite, MaxSuiteName)
	c.check(oneOf(in.TestType, TestTypes), "test_type", list(TestTypes))
	c.text("run", in.Run, MaxURL)
	c.check(in.ContentHash != "" && len(in.ContentHash) <= 64, "content_hash", "must have 1 to 64 bytes")
	in.NewExecution.check(&c)
	c.check(len(in.Report.Cases) <= MaxReportCases, "report", "has too many cases")
	in.Report.check(&c)
	return in, c.err()
}

// check finds what a parser must not let through.
func (r Report) check(c *checker) {
	seen := make(map[string]bool, len(r.Cases))
	for i := range r.Cases {
		k := &r.Cases[i]
		c.name("report", k.Name, MaxCaseName)
		c.check(!seen[k.Name], "report", "has two cases of one name")
		c.check(validResultStatus(k.Status), "report", "has a case of unknown status")
		c.check(k.DurationMS >= 0 && k.DurationMS <= MaxDurationMS, "report", "has a duration that is negative or longer than a year")
		if seen[k.Name] = true; len(c.fields) > 0 {
			return
		}
	}
}

// IngestReport says what an ingestion did.
type IngestReport struct {
	Execution Execution `json:"execution"`
	// Duplicate says that this content of this run was here before; nothing was written.
	Duplicate    bool     `json:"duplicate"`
	SuiteCreated bool     `json:"suite_created"`
	CasesCreated int      `json:"cases_created"`
	Warnings     []string `json:"warnings"`
}

// ReportSummary is the results_summary of an ingested execution.
type ReportSummary struct {
	Format          string     `json:"format"`
	Suites          int        `json:"suites"`
	ReportStartedAt *time.Time `json:"report_started_at,omitempty"`
	Warnings        []string   `json:"warnings,omitempty"`
	Failure         string     `json:"failure,omitempty"`
}

// Summary returns the results_summary for the report.
func (r Report) Summary() json.RawMessage {
	out, err := json.Marshal(ReportSummary{Format: r.Format, Suites: r.Suites, ReportStartedAt: r.StartedAt, Warnings: r.Warnings, Failure: r.Failure})
	if err != nil {
		return json.RawMessage("{}")
	}
	return out
}

// FitName returns a name that a case can have: never empty, valid UTF-8, without
// U+0000 and at most [MaxCaseName] characters. What is longer keeps its beginning
// and a hash of the whole, so that it stays itself from run to run.
func FitName(name string) string {
	name = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(name, "\uFFFD"), "\x00", "\u2400"))
	if name == "" {
		return "(unnamed)"
	}
	if utf8.RuneCountInString(name) <= MaxCaseName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	head := []rune(name)[:MaxCaseName-10]
	return fmt.Sprintf("%s… %x", strings.TrimSpace(string(head)), sum[:4])
}

// WithFailure adds to a results_summary why the run failed, unless it says so already.
func WithFailure(summary json.RawMessage, failure string) json.RawMessage {
	all := map[string]json.RawMessage{}
	if json.Unmarshal(summary, &all) != nil || all == nil || all["failure"] != nil {
		return summary
	}
	text, err := json.Marshal(failure)
	if err != nil {
		return summary
	}
	all["failure"] = text
	out, err := json.Marshal(all)
	if err != nil {
		return summary
	}
	return out
}
