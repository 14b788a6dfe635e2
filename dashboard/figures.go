package dashboard

// Limits of figures.
const (
	// MaxTrendDays is the most days of Trends.
	MaxTrendDays = 365
	// PerformanceDays is the span of Performance.
	PerformanceDays = 30
)

// Stats are the figures of the overview's tiles, over all executions on record.
type Stats struct {
	TotalSuites     int64 `json:"total_suites"`
	TotalCases      int64 `json:"total_cases"`
	TotalExecutions int64 `json:"total_executions"`
	// ActiveExecutions are running.
	ActiveExecutions int64 `json:"active_executions"`
	// SuccessRate is passed / finished (passed, failed, error, stopped) in percent, 0 when none finished.
	SuccessRate float64 `json:"success_rate"`
	// AvgDurationMS is the mean duration of finished executions in milliseconds.
	AvgDurationMS float64 `json:"avg_duration"`
	// Last24hExecutions were created in the last 24 hours.
	Last24hExecutions int64 `json:"last_24h_executions"`
	PendingExecutions int64 `json:"pending_executions"`
	// PassedExecutions and FinishedExecutions are the two parts of SuccessRate.
	PassedExecutions   int64 `json:"passed_executions"`
	FinishedExecutions int64 `json:"finished_executions"`
}

// TrendDay counts the executions that ended on one day.
type TrendDay struct {
	// Date is the day in the asked time zone, as 2006-01-02.
	Date    string `json:"date"`
	Total   int64  `json:"total"`
	Passed  int64  `json:"passed"`
	Failed  int64  `json:"failed"`
	Error   int64  `json:"error"`
	Stopped int64  `json:"stopped"`
	// SuccessRate is passed / total in percent, 0 on an empty day.
	SuccessRate float64 `json:"success_rate"`
	// AvgDurationMS is in milliseconds, 0 on an empty day.
	AvgDurationMS float64 `json:"avg_duration"`
}

// TypeShare counts the cases of one test type.
type TypeShare struct {
	TestType TestType `json:"test_type"`
	Count    int64    `json:"count"`
	// Percentage of all cases.
	Percentage float64 `json:"percentage"`
}

// PerformanceMetrics are durations and success over the last Days days.
// Durations are milliseconds.
type PerformanceMetrics struct {
	Days             int                `json:"days"`
	TotalExecutions  int64              `json:"total_executions"`
	SuccessRate      float64            `json:"success_rate"`
	AvgDurationMS    float64            `json:"avg_duration"`
	MinDurationMS    int64              `json:"min_duration"`
	MaxDurationMS    int64              `json:"max_duration"`
	MedianDurationMS int64              `json:"median_duration"`
	P95DurationMS    int64              `json:"p95_duration"`
	Suites           []SuitePerformance `json:"suites"`
}

// SuitePerformance are the figures of one suite, by name in the list.
type SuitePerformance struct {
	SuiteID          int64   `json:"suite_id"`
	SuiteName        string  `json:"suite_name"`
	Runs             int64   `json:"runs"`
	SuccessRate      float64 `json:"success_rate"`
	MedianDurationMS int64   `json:"median_duration"`
	P95DurationMS    int64   `json:"p95_duration"`
	// Daily is the median of each UTC day, oldest first; nil entries had no run.
	Daily []*int64 `json:"daily_median"`
}

// SuiteHealth is the newest finished execution of a suite on a branch.
type SuiteHealth struct {
	SuiteID   int64     `json:"suite_id"`
	SuiteName string    `json:"suite_name"`
	Execution Execution `json:"execution"`
	// Red says that it did not pass.
	Red bool `json:"red"`
	// RedSince is the first execution that did not pass after the last that did; 0 when green.
	RedSince int64 `json:"red_since"`
}
