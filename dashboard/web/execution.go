package web

import (
	"fmt"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// executionRow is an execution as lists show it.
type executionRow struct {
	dashboard.Execution
	Meter    meter
	Failures int
	Duration string
	Started  time.Time
}

func newExecutionRow(e dashboard.Execution, now time.Time) executionRow {
	row := executionRow{Execution: e, Failures: e.Failed + e.Errors, Started: e.CreatedAt, Duration: "–"}
	if e.StartedAt != nil {
		row.Started = *e.StartedAt
	}
	row.Meter = countsMeter(e.Counts, fmt.Sprintf("%d passed, %d failed, %d error, %d skipped of %d", e.Passed, e.Failed, e.Errors, e.Skipped, e.Total))
	switch {
	case e.DurationMS != nil:
		row.Duration = duration(millis(*e.DurationMS))
	case e.Status == dashboard.StatusRunning:
		row.Duration = duration(now.Sub(row.Started).Round(time.Second))
	}
	return row
}
