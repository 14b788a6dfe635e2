// Package dashboard is the domain of the QA dashboard: suites, cases,
// executions, their results, and the figures drawn from them.
//
// A [Store] keeps them. Stores validate what they are given, hold the state
// machine of [Status] with compare-and-set updates, and do every mutation in
// one transaction. There is no layer between the Store and the HTTP handlers:
// rules that belong to a value are methods of that value, and the Store applies
// them where the data is. A caching Store implements the same interface over
// another Store; each mutation returns a [Change] that tells it what to
// invalidate. Mutations read and write the database only.
//
// Instants are UTC with millisecond resolution, durations are milliseconds.
// Values returned by a Store are shared: do not modify them.
package dashboard

import (
	"context"
	"time"
)

// Store keeps suites, cases, executions and results and answers the questions
// of the dashboard.
//
// All methods may be called concurrently. Errors to branch on are [ErrNotFound],
// [ErrConflict] and [ErrInvalid]; anything else means that the store itself
// failed. A mutation that returns an error changed nothing.
type Store interface {
	SuiteStore
	CaseStore
	ExecutionStore
	Figures
	Insights

	// Ping returns nil when the database answers and its schema is current.
	Ping(ctx context.Context) error
	// Close releases the store. It may be called twice.
	Close() error
}

// SuiteStore keeps suites.
type SuiteStore interface {
	// Suite returns the suite, or [ErrNotFound] when it does not exist or is deleted.
	Suite(ctx context.Context, id int64) (Suite, error)
	// Suites lists suites by ascending id.
	Suites(ctx context.Context, filter SuiteFilter, page Page) (List[Suite], error)
	// CreateSuite adds a suite; a name in use is a conflict.
	CreateSuite(ctx context.Context, suite NewSuite) (Suite, Change, error)
	// UpdateSuite changes the fields that the patch sets.
	UpdateSuite(ctx context.Context, id int64, patch SuitePatch) (Suite, Change, error)
	// DeleteSuite hides the suite and its cases; its executions stay as history.
	DeleteSuite(ctx context.Context, id int64) (Change, error)
}

// CaseStore keeps test cases.
type CaseStore interface {
	// Case returns the case, or [ErrNotFound] when it or its suite does not exist or is deleted.
	Case(ctx context.Context, id int64) (Case, error)
	// Cases lists cases by ascending id.
	Cases(ctx context.Context, filter CaseFilter, page Page) (List[Case], error)
	// CreateCase adds a case; a name in use in the suite is a conflict.
	CreateCase(ctx context.Context, c NewCase) (Case, Change, error)
	// UpdateCase changes the fields that the patch sets; it may move the case to another suite.
	UpdateCase(ctx context.Context, id int64, patch CasePatch) (Case, Change, error)
	// DeleteCase hides the case; its results stay.
	DeleteCase(ctx context.Context, id int64) (Change, error)
}

// ExecutionStore keeps executions and their results.
type ExecutionStore interface {
	// Execution returns the execution, or [ErrNotFound].
	Execution(ctx context.Context, id int64) (Execution, error)
	// Executions lists executions, the newest (highest id) first.
	Executions(ctx context.Context, filter ExecutionFilter, page Page) (List[Execution], error)
	// CreateExecution adds a pending execution to a suite that is not deleted.
	CreateExecution(ctx context.Context, execution NewExecution) (Execution, Change, error)
	// StartExecution moves pending to running.
	StartExecution(ctx context.Context, id int64) (Execution, Change, error)
	// StopExecution moves running to stopped.
	StopExecution(ctx context.Context, id int64) (Execution, Change, error)
	// FinishExecution moves running to passed, failed or error.
	FinishExecution(ctx context.Context, id int64, finish Finish) (Execution, Change, error)
	// AddResults records at most [MaxResultBatch] results of a running execution:
	// all or none. Cases that are named but unknown are created. An empty list, not
	// nil, changes nothing but says that the reporter is alive, see ReapExecutions.
	AddResults(ctx context.Context, id int64, results []NewResult) (Execution, Change, error)
	// Results lists the results of an execution: failed, error, running,
	// pending, skipped, passed; within each by ascending id.
	Results(ctx context.Context, id int64, filter ResultFilter, page Page) (List[Result], error)
	// Ingest writes a whole report as one finished execution in one transaction,
	// with suite and cases created where they are missing. The same content of
	// the same run again returns the execution of the first time.
	Ingest(ctx context.Context, in Ingestion) (IngestReport, Change, error)
	// ReapExecutions ends running executions that reported nothing since the
	// given instant, and pending ones older than it, as error.
	ReapExecutions(ctx context.Context, silentSince time.Time) ([]Execution, Change, error)
}

// Figures answers the questions of the overview page.
type Figures interface {
	// Stats returns the eight figures of the tiles.
	Stats(ctx context.Context) (Stats, error)
	// Trends returns one entry per day, oldest first, today included, days
	// without executions filled with zeros. A nil location means UTC; days is
	// 1 to [MaxTrendDays].
	Trends(ctx context.Context, days int, loc *time.Location) ([]TrendDay, error)
	// Recent returns the newest executions; limit is 1 to [MaxLimit].
	Recent(ctx context.Context, limit int) ([]Execution, error)
	// TestTypes returns how many cases there are of each type, all types, most first.
	TestTypes(ctx context.Context) ([]TypeShare, error)
	// Performance returns durations and success over the last [PerformanceDays] days.
	Performance(ctx context.Context) (PerformanceMetrics, error)
	// Health returns, per suite by name, the newest finished execution on a branch.
	// Suites without one are left out.
	Health(ctx context.Context, branch string) ([]SuiteHealth, error)
}

// Seeder is implemented by stores that can fill themselves with demo data.
type Seeder interface {
	// Seed adds demo data to an empty store; a store with suites is a conflict.
	Seed(ctx context.Context, options SeedOptions) (Change, error)
}

// SeedOptions say how much demo data to write. The zero value is the demo.
type SeedOptions struct {
	// Seed makes the data; equal seeds give equal data. Default 1.
	Seed uint64
	// Days back from now that have executions. Default 30.
	Days int
	// Suites is the number of suites, at most 8. Default 8.
	Suites int
	// CasesPerSuite is the number of cases in each. Default 24.
	CasesPerSuite int
	// RunsPerDay is the number of executions of a suite on a working day. Default 4.
	RunsPerDay int
}
