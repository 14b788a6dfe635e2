package dashboard

import (
	"encoding/json"
	"time"
)

// ExecutionType says what caused an execution.
type ExecutionType string

// ExecutionTypes lists the causes.
var ExecutionTypes = []ExecutionType{"manual", "scheduled", "ci"}

// Counts are results by state. Total also counts pending and running ones.
type Counts struct {
	Total   int `json:"total_tests"`
	Passed  int `json:"passed_tests"`
	Failed  int `json:"failed_tests"`
	Skipped int `json:"skipped_tests"`
	Errors  int `json:"error_tests"`
}

// Add counts a result that enters (by 1) or leaves (by -1) a state.
func (c *Counts) Add(s Status, by int) {
	c.Total += by
	switch s {
	case StatusPassed:
		c.Passed += by
	case StatusFailed:
		c.Failed += by
	case StatusSkipped:
		c.Skipped += by
	case StatusError:
		c.Errors += by
	}
}

// Verdict is the state that the counts give a finished execution: failed if a
// case failed, else error if one erred, else passed.
func (c Counts) Verdict() Status {
	switch {
	case c.Failed > 0:
		return StatusFailed
	case c.Errors > 0:
		return StatusError
	}
	return StatusPassed
}

// Execution is one run of a suite.
type Execution struct {
	ID            int64         `json:"id"`
	SuiteID       int64         `json:"suite_id"`
	SuiteName     string        `json:"suite_name"`
	ExecutedBy    string        `json:"executed_by"`
	ExecutionType ExecutionType `json:"execution_type"`
	Environment   string        `json:"environment"`
	Branch        string        `json:"branch"`
	Commit        string        `json:"commit"`
	RunURL        string        `json:"run_url"`
	Status        Status        `json:"status"`
	CreatedAt     time.Time     `json:"created_at"`
	StartedAt     *time.Time    `json:"started_at"`
	EndedAt       *time.Time    `json:"ended_at"`
	// DurationMS is the time from start to end in milliseconds; nil until it ended.
	DurationMS *int64 `json:"duration"`
	Counts
	// Flaky counts the results that passed only after a failed attempt.
	Flaky          int             `json:"flaky_tests"`
	ResultsSummary json.RawMessage `json:"results_summary"`
}

// NewExecution is what a caller says about a new execution.
type NewExecution struct {
	SuiteID       int64         `json:"suite_id"`
	ExecutedBy    string        `json:"executed_by"`
	ExecutionType ExecutionType `json:"execution_type"`
	Environment   string        `json:"environment"`
	Branch        string        `json:"branch"`
	Commit        string        `json:"commit"`
	RunURL        string        `json:"run_url"`
}

// Normal returns the execution with defaults filled in, or an [InvalidError].
func (n NewExecution) Normal() (NewExecution, error) {
	var c checker
	n.ExecutionType = or(n.ExecutionType, "manual")
	c.check(n.SuiteID > 0, "suite_id", "must be the id of a suite")
	n.check(&c)
	return n, c.err()
}

func (n NewExecution) check(c *checker) {
	c.text("executed_by", n.ExecutedBy, MaxLabel)
	c.check(oneOf(n.ExecutionType, ExecutionTypes), "execution_type", list(ExecutionTypes))
	c.text("environment", n.Environment, MaxLabel)
	c.text("branch", n.Branch, MaxLabel)
	c.text("commit", n.Commit, MaxLabel)
	c.url("run_url", n.RunURL)
}

// Finish says how an execution ended. The zero value takes the verdict of its counts.
type Finish struct {
	// Status is passed, failed or error; empty means the verdict of the counts.
	Status Status `json:"status"`
	// ResultsSummary is any JSON object; empty keeps the present one.
	ResultsSummary json.RawMessage `json:"results_summary"`
}

// Normal returns the checked value, or an [InvalidError].
func (f Finish) Normal() (Finish, error) {
	var c checker
	switch f.Status {
	case "", StatusPassed, StatusFailed, StatusError:
	default:
		c.check(false, "status", "must be one of passed, failed, error")
	}
	if len(f.ResultsSummary) > 0 {
		f.ResultsSummary = c.object("results_summary", f.ResultsSummary)
	}
	return f, c.err()
}

// ExecutionFilter selects executions. The zero value selects all.
type ExecutionFilter struct {
	// SuiteID selects the executions of one suite; 0 means all.
	SuiteID       int64         `json:"suite_id,omitempty"`
	Status        Status        `json:"status,omitempty"`
	ExecutionType ExecutionType `json:"execution_type,omitempty"`
	Branch        string        `json:"branch,omitempty"`
	Commit        string        `json:"commit,omitempty"`
	Environment   string        `json:"environment,omitempty"`
}

// Check returns an [InvalidError] for a filter that cannot be.
func (f ExecutionFilter) Check() error {
	var c checker
	c.check(f.SuiteID >= 0, "suite_id", "must not be negative")
	c.check(f.Status == "" || validExecutionStatus(f.Status), "status", list(ExecutionStatuses))
	c.check(f.ExecutionType == "" || oneOf(f.ExecutionType, ExecutionTypes), "execution_type", list(ExecutionTypes))
	c.text("branch", f.Branch, MaxLabel)
	c.text("commit", f.Commit, MaxLabel)
	c.text("environment", f.Environment, MaxLabel)
	return c.err()
}
