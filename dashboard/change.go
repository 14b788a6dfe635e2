package dashboard

// Op is what happened to a thing.
type Op int

// The operations.
const (
	Created Op = iota + 1
	Updated
	Deleted
)

// Change lists what a mutation touched, for caches and event streams. The zero
// value means that nothing changed.
type Change struct {
	Suites     []SuiteChange
	Cases      []CaseChange
	Executions []ExecutionChange
}

// SuiteChange says what happened to a suite.
type SuiteChange struct {
	ID int64
	Op Op
}

// CaseChange says what happened to a case.
type CaseChange struct {
	ID      int64
	SuiteID int64
	// OldSuiteID differs from SuiteID when the case was moved.
	OldSuiteID int64
	Op         Op
}

// ExecutionChange says what happened to an execution.
type ExecutionChange struct {
	ID      int64
	SuiteID int64
	Op      Op
	// Results says that results were added or changed.
	Results bool
	// Finished says that it reached a final state.
	Finished bool
}

// Empty reports whether nothing changed.
func (c Change) Empty() bool {
	return len(c.Suites) == 0 && len(c.Cases) == 0 && len(c.Executions) == 0
}
