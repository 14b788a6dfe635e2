package dashboard

// Status is the state of an execution or of a result.
type Status string

// The states. An execution goes pending → running → passed, failed, error or
// stopped; a result pending → running → passed, failed, error or skipped.
const (
	StatusPending Status = "pending"
	StatusRunning Status = "running"
	StatusPassed  Status = "passed"
	StatusFailed  Status = "failed"
	StatusError   Status = "error"
	StatusStopped Status = "stopped"
	StatusSkipped Status = "skipped"
)

// ExecutionStatuses lists the states of an execution in the order of its life.
var ExecutionStatuses = []Status{StatusPending, StatusRunning, StatusPassed, StatusFailed, StatusError, StatusStopped}

// ResultStatuses lists the states of a result, the loudest first.
var ResultStatuses = []Status{StatusFailed, StatusError, StatusRunning, StatusPending, StatusSkipped, StatusPassed}

// Finished reports whether the state is final.
func (s Status) Finished() bool {
	switch s {
	case StatusPassed, StatusFailed, StatusError, StatusStopped, StatusSkipped:
		return true
	}
	return false
}

// ExecutionMay reports whether an execution may go from one state to another.
func ExecutionMay(from, to Status) bool {
	switch from {
	case StatusPending:
		return to == StatusRunning
	case StatusRunning:
		return to == StatusPassed || to == StatusFailed || to == StatusError || to == StatusStopped
	}
	return false
}

// ResultMay reports whether a result may go from one state to another. An empty
// from is a result that does not exist yet: reporters may skip states.
func ResultMay(from, to Status) bool {
	switch from {
	case "":
		return validResultStatus(to)
	case StatusPending:
		return to == StatusRunning || to != StatusPending && validResultStatus(to)
	case StatusRunning:
		return to.Finished() && validResultStatus(to)
	}
	return false
}

// Rank orders result states: failed 0, error 1, running 2, pending 3, skipped 4, passed 5.
func (s Status) Rank() int {
	for i, r := range ResultStatuses {
		if s == r {
			return i
		}
	}
	return len(ResultStatuses)
}

// IllegalTransition returns the conflict for a transition that the state forbids.
func IllegalTransition(kind Kind, id int64, from, to Status) error {
	return &ConflictError{Kind: kind, ID: id, State: from, Reason: "is " + string(from) + " and cannot become " + string(to)}
}

func validExecutionStatus(s Status) bool {
	switch s {
	case StatusPending, StatusRunning, StatusPassed, StatusFailed, StatusError, StatusStopped:
		return true
	}
	return false
}

func validResultStatus(s Status) bool {
	switch s {
	case StatusPending, StatusRunning, StatusPassed, StatusFailed, StatusError, StatusSkipped:
		return true
	}
	return false
}
