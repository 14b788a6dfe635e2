package dashboard

// Cases are called slower from both of these on.
const (
	SlowerRatio = 1.5
	SlowerByMS  = 250
)

// Comparison says what changed from one execution to another. Its lists hold at
// most [MaxDeltas] entries; Counts has their full lengths.
type Comparison struct {
	Base Execution `json:"base"`
	Head Execution `json:"head"`
	// Counts are the lengths of the lists before they were cut.
	Counts DeltaCounts `json:"counts"`
	// NewFailures passed (or did not run) in base and fail in head.
	NewFailures  []Delta `json:"new_failures"`
	StillFailing []Delta `json:"still_failing"`
	// Fixed failed in base and pass in head.
	Fixed []Delta `json:"fixed"`
	// Slower passed in both and took [SlowerRatio] times and [SlowerByMS] longer, the highest ratio first.
	Slower []Delta `json:"slower"`
	// Added and Removed are cases of one execution only.
	Added        []Delta `json:"added"`
	Removed      []Delta `json:"removed"`
	NewlySkipped []Delta `json:"newly_skipped"`
}

// DeltaCounts counts the entries of each list of a Comparison.
type DeltaCounts struct {
	NewFailures  int `json:"new_failures"`
	StillFailing int `json:"still_failing"`
	Fixed        int `json:"fixed"`
	Slower       int `json:"slower"`
	Added        int `json:"added"`
	Removed      int `json:"removed"`
	NewlySkipped int `json:"newly_skipped"`
}

// Delta is one case in two executions.
type Delta struct {
	CaseID   int64  `json:"case_id"`
	CaseName string `json:"case_name"`
	// Base and Head are nil where the case did not run.
	Base *Side `json:"base"`
	Head *Side `json:"head"`
	// Ratio is the duration of head over that of base, 0 where one is missing or 0.
	Ratio float64 `json:"ratio"`
}

// Side is the result of a case in one of two executions.
type Side struct {
	Status     Status `json:"status"`
	DurationMS int64  `json:"duration"`
	// Message of a failure.
	Message string `json:"message"`
	Flaky   bool   `json:"flaky"`
}

// Found is what a search found; the totals of each kind are not counted.
type Found struct {
	Suites     []FoundItem `json:"suites"`
	Cases      []FoundItem `json:"cases"`
	Executions []Execution `json:"executions"`
}

// FoundItem is a suite or case by its name.
type FoundItem struct {
	ID        int64  `json:"id"`
	Name      string `json:"name"`
	SuiteID   int64  `json:"suite_id"`
	SuiteName string `json:"suite_name"`
}
