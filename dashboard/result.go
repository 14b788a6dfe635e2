package dashboard

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of results.
const (
	// MaxResultBatch is the most results of one AddResults.
	MaxResultBatch = 1000
	// MaxAttempts is the most attempts that are kept of one result.
	MaxAttempts = 50
	// MaxMessage is the size in bytes to which messages are cut.
	MaxMessage = 8 << 10
	// MaxText is the size in bytes to which stacks and outputs are cut.
	MaxText = 64 << 10
)

// Attempt is one try of a case within one execution.
type Attempt struct {
	Status     Status `json:"status"`
	DurationMS int64  `json:"duration"`
	Message    string `json:"message"`
	Stack      string `json:"stack"`
	Output     string `json:"output,omitempty"`
}

// Result is the outcome of one case in one execution.
type Result struct {
	ID          int64      `json:"id"`
	ExecutionID int64      `json:"execution_id"`
	CaseID      int64      `json:"case_id"`
	CaseName    string     `json:"case_name"`
	TestType    TestType   `json:"test_type"`
	Status      Status     `json:"status"`
	StartedAt   *time.Time `json:"started_at"`
	// DurationMS is in milliseconds.
	DurationMS int64  `json:"duration"`
	Message    string `json:"message"`
	Stack      string `json:"stack"`
	Output     string `json:"output"`
	// Attempts are the tries in order, the last one included; empty when there was one.
	Attempts []Attempt `json:"attempts"`
	// Flaky says that the case passed after an attempt that did not.
	Flaky bool `json:"flaky"`
	// FailingRuns counts, for a failed or erred result, the runs in a row that
	// went wrong up to this one: 1 is a new failure. It stops at [MaxFailingRuns].
	FailingRuns int `json:"failing_runs"`
}

// MaxFailingRuns is where FailingRuns stops.
const MaxFailingRuns = 21

// MaxDurationMS is the longest duration of a result: a year. What is longer is a
// mistake of its reporter, and sums of many must not overflow.
const MaxDurationMS = 366 * 24 * 3600 * 1000

const durationRule = "must not be negative, nor longer than a year"

// Plausible reports whether an instant can be one of a test run. Clocks of reporters
// are wrong by years now and then; what matters is that each can be stored and shown.
func Plausible(at time.Time) bool {
	year := at.UTC().Year()
	return year > 1970 && year < 3000
}

// NewResult is what a reporter says about one case.
type NewResult struct {
	// CaseID or CaseName says which case; a name that is unknown in the suite creates the case.
	CaseID     int64      `json:"case_id"`
	CaseName   string     `json:"case_name"`
	TestType   TestType   `json:"test_type"`
	Status     Status     `json:"status"`
	StartedAt  *time.Time `json:"started_at"`
	DurationMS int64      `json:"duration"`
	Message    string     `json:"message"`
	Stack      string     `json:"stack"`
	Output     string     `json:"output"`
	Attempts   []Attempt  `json:"attempts"`
	Flaky      bool       `json:"flaky"`
}

// NormalResults returns checked results with defaults and long texts cut, or an
// [InvalidError] whose fields name the entry, as in "results[3].status".
func NormalResults(in []NewResult) ([]NewResult, error) {
	var c checker
	c.check(in != nil, "results", "is missing: a list, empty to say that the reporter is alive")
	c.check(len(in) <= MaxResultBatch, "results", fmt.Sprintf("must have at most %d entries", MaxResultBatch))
	if err := c.err(); err != nil {
		return nil, err
	}
	out := make([]NewResult, len(in))
	for i, r := range in {
		out[i] = r.normal(&c, fmt.Sprintf("results[%d].", i))
	}
	return out, c.err()
}

func (r NewResult) normal(c *checker, at string) NewResult {
	r.CaseName = strings.TrimSpace(r.CaseName)
	r.TestType = or(r.TestType, DefaultTestType)
	c.check(r.CaseID > 0 || r.CaseName != "", at+"case_id", "or case_name must name the case")
	c.text(at+"case_name", r.CaseName, MaxCaseName)
	c.check(oneOf(r.TestType, TestTypes), at+"test_type", list(TestTypes))
	c.check(validResultStatus(r.Status), at+"status", list(ResultStatuses))
	c.check(r.DurationMS >= 0 && r.DurationMS <= MaxDurationMS, at+"duration", durationRule)
	c.check(r.StartedAt == nil || Plausible(*r.StartedAt), at+"started_at", "must lie between 1970 and 3000")
	c.check(len(r.Attempts) <= MaxAttempts, at+"attempts", fmt.Sprintf("must have at most %d entries", MaxAttempts))
	r.Message, r.Stack, r.Output = CutText(r.Message, MaxMessage), CutText(r.Stack, MaxText), CutText(r.Output, MaxText)
	attempts := make([]Attempt, len(r.Attempts))
	for i, a := range r.Attempts {
		where := fmt.Sprintf("%sattempts[%d].", at, i)
		c.check(validResultStatus(a.Status), where+"status", list(ResultStatuses))
		c.check(a.DurationMS >= 0 && a.DurationMS <= MaxDurationMS, where+"duration", durationRule)
		a.Message, a.Stack, a.Output = CutText(a.Message, MaxMessage), CutText(a.Stack, MaxText), CutText(a.Output, MaxText)
		attempts[i] = a
	}
	r.Attempts = attempts
	return r
}

// CutText makes a text of a report fit to be stored: valid UTF-8, without U+0000,
// cut in the middle of what is over size bytes, because a log is most telling
// at its two ends. The mark that stands for the cut part says how long it was.
func CutText(s string, size int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\x00", "\u2400")
	if len(s) <= size {
		return s
	}
	cut, end := size/2, len(s)-size/2+64
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	head, tail := s[:cut], s[end:]
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	return fmt.Sprintf("%s\n… %d bytes cut …\n%s", head, len(s)-len(head)-len(tail), tail)
}

// ResultFilter selects results of an execution. The zero value selects all.
type ResultFilter struct {
	Status Status `json:"status,omitempty"`
	// Flaky selects the flaky ones.
	Flaky bool `json:"flaky,omitempty"`
	// Query selects case names and messages that contain the text, whatever the case of ASCII letters.
	Query string `json:"q,omitempty"`
}

// Check returns an [InvalidError] for a filter that cannot be.
func (f ResultFilter) Check() error {
	var c checker
	c.check(f.Status == "" || validResultStatus(f.Status), "status", list(ResultStatuses))
	c.text("q", f.Query, MaxQuery)
	return c.err()
}
