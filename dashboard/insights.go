package dashboard

import (
	"context"
	"slices"
	"time"
)

// Limits of insights.
const (
	// HistoryLimit is the number of outcomes by which a case is judged.
	HistoryLimit = 50
	// MaxHistory is the most outcomes of one History.
	MaxHistory = 200
	// InsightDays is the span of Flaky, Slowest and TopErrors.
	InsightDays = 30
	// MaxInsights is the most entries of Flaky, Slowest and TopErrors.
	MaxInsights = 200
	// MaxDeltas is the most entries of each list of a Comparison.
	MaxDeltas = 500
)

// Insights answers what the results say beyond one execution. Flaky, Slowest and
// TopErrors look at executions that have ended, of the last InsightDays days.
type Insights interface {
	// History returns the newest outcomes of a case, the newest first, and what
	// follows from them; limit is 1 to [MaxHistory]. A case that is unknown or
	// deleted has the history that its results make, perhaps none.
	History(ctx context.Context, caseID int64, limit int) (CaseHistory, error)
	// Flaky returns the cases that are flaky now, the worst first; limit is 1 to [MaxInsights].
	Flaky(ctx context.Context, limit int) ([]FlakyCase, error)
	// Slowest returns the cases with the longest 95th percentile; limit is 1 to [MaxInsights].
	Slowest(ctx context.Context, limit int) ([]SlowCase, error)
	// TopErrors returns the most frequent messages of failures, counted by their
	// [Signature]; limit is 1 to [MaxInsights].
	TopErrors(ctx context.Context, limit int) ([]TopError, error)
	// Compare compares two executions of one suite.
	Compare(ctx context.Context, base, head int64) (Comparison, error)
	// Search finds suites, cases and executions; limit, of each kind, is 1 to [MaxLimit].
	Search(ctx context.Context, query string, limit int) (Found, error)
}

// Outcome is a result of a case as its history shows it.
type Outcome struct {
	ResultID    int64  `json:"result_id"`
	ExecutionID int64  `json:"execution_id"`
	Status      Status `json:"status"`
	Flaky       bool   `json:"flaky"`
	// Attempts is the number of tries, at least 1.
	Attempts    int       `json:"attempts"`
	DurationMS  int64     `json:"duration"`
	StartedAt   time.Time `json:"started_at"`
	Branch      string    `json:"branch"`
	Commit      string    `json:"commit"`
	Environment string    `json:"environment"`
	Message     string    `json:"message"`
}

// bad reports an outcome that did not pass, good one that did. Skipped and
// unfinished ones are neither.
func (o Outcome) bad() bool  { return o.Status == StatusFailed || o.Status == StatusError }
func (o Outcome) good() bool { return o.Status == StatusPassed }

// CaseHistory is what the results of one case say.
type CaseHistory struct {
	CaseID int64 `json:"case_id"`
	// Outcomes are the newest, the newest first.
	Outcomes []Outcome `json:"outcomes"`
	// Runs counts all results that ended, Passed those that passed.
	Runs   int64 `json:"runs"`
	Passed int64 `json:"passed"`
	// PassRate is passed / (passed, failed, error) of Outcomes in percent, TotalPassRate that of all.
	PassRate         float64  `json:"pass_rate"`
	TotalPassRate    float64  `json:"total_pass_rate"`
	MedianDurationMS int64    `json:"median_duration"`
	P95DurationMS    int64    `json:"p95_duration"`
	FirstFailure     *Outcome `json:"first_failure"`
	LastFailure      *Outcome `json:"last_failure"`
	// Flaky is the verdict of Signs.
	Flaky bool   `json:"flaky"`
	Signs []Sign `json:"signs"`
	// Mixed lists the commits with good and bad outcomes, the newest first.
	Mixed []MixedCommit `json:"mixed_commits"`
}

// SignName names a sign of flakiness.
type SignName string

// The signs.
const (
	// SignRetried counts executions in which the case failed and then passed.
	SignRetried SignName = "retried"
	// SignMixed counts commits on which it passed and failed.
	SignMixed SignName = "mixed_commits"
	// SignSwitches counts changes between good and bad from one run to the next.
	SignSwitches SignName = "switches"
)

// CleanRuns is the number of passes in a row, each at the first attempt, that
// clears a case of all signs before them.
const CleanRuns = 10

// Sign is one reason to count a case as flaky.
type Sign struct {
	Name SignName `json:"name"`
	// Value counts the sign in Of runs, commits or pairs of runs; from Threshold on it is Met.
	Value     int  `json:"value"`
	Of        int  `json:"of"`
	Threshold int  `json:"threshold"`
	Met       bool `json:"met"`
}

// MixedCommit is a commit on which a case passed and failed.
type MixedCommit struct {
	Commit string `json:"commit"`
	// Outcomes are its runs, the oldest first.
	Outcomes []Outcome `json:"outcomes"`
}

// Signs judges outcomes, the newest first, of which it looks at HistoryLimit. Any
// sign that is met makes a case flaky; [CleanRuns] clean passes in a row clear
// it of what was before them, so only what came after is counted.
func Signs(outcomes []Outcome) (signs []Sign, mixed []MixedCommit, flaky bool) {
	outcomes = sinceClean(outcomes[:min(len(outcomes), HistoryLimit)])
	retried, pairs, switches := 0, 0, 0
	byCommit := make(map[string][]Outcome)
	var commits []string
	for i, o := range outcomes {
		if o.Flaky {
			retried++
		}
		if i > 0 {
			pairs++
			if o.good() != outcomes[i-1].good() {
				switches++
			}
		}
		if o.Commit != "" {
			if byCommit[o.Commit] == nil {
				commits = append(commits, o.Commit)
			}
			byCommit[o.Commit] = append(byCommit[o.Commit], o)
		}
	}
	for _, commit := range commits {
		runs := byCommit[commit]
		if slices.ContainsFunc(runs, Outcome.good) && slices.ContainsFunc(runs, Outcome.bad) {
			slices.Reverse(runs)
			mixed = append(mixed, MixedCommit{Commit: commit, Outcomes: runs})
		}
	}
	signs = []Sign{
		{Name: SignRetried, Value: retried, Of: len(outcomes), Threshold: 1},
		{Name: SignMixed, Value: len(mixed), Of: len(commits), Threshold: 1},
		{Name: SignSwitches, Value: switches, Of: pairs, Threshold: 3},
	}
	for i := range signs {
		signs[i].Met = signs[i].Value >= signs[i].Threshold
		flaky = flaky || signs[i].Met
	}
	return signs, mixed, flaky
}

// sinceClean returns the good and bad outcomes that came after the last clean row.
func sinceClean(outcomes []Outcome) []Outcome {
	var out []Outcome
	clean := 0
	for _, o := range outcomes {
		if !o.good() && !o.bad() {
			continue
		}
		out = append(out, o)
		if clean++; !o.good() || o.Flaky {
			clean = 0
		}
		if clean == CleanRuns {
			return out[:len(out)-CleanRuns]
		}
	}
	return out
}

// Dot is an outcome in a strip.
type Dot struct {
	ExecutionID int64  `json:"execution_id"`
	Status      Status `json:"status"`
	Flaky       bool   `json:"flaky"`
}

// FlakyCase is a case that is flaky now.
type FlakyCase struct {
	CaseID    int64  `json:"case_id"`
	CaseName  string `json:"case_name"`
	SuiteID   int64  `json:"suite_id"`
	SuiteName string `json:"suite_name"`
	// Strip are the last HistoryLimit outcomes, the oldest first.
	Strip        []Dot      `json:"strip"`
	PassRate     float64    `json:"pass_rate"`
	MixedCommits int        `json:"mixed_commits"`
	Signs        []Sign     `json:"signs"`
	LastFailure  *time.Time `json:"last_failure"`
}

// SlowCase is a case with its durations in milliseconds.
type SlowCase struct {
	CaseID           int64  `json:"case_id"`
	CaseName         string `json:"case_name"`
	SuiteID          int64  `json:"suite_id"`
	SuiteName        string `json:"suite_name"`
	Runs             int64  `json:"runs"`
	MedianDurationMS int64  `json:"median_duration"`
	P95DurationMS    int64  `json:"p95_duration"`
	MaxDurationMS    int64  `json:"max_duration"`
}

// TopError is a message that failures share, up to its variable parts.
type TopError struct {
	Signature string `json:"signature"`
	// Message is the first line of the newest.
	Message string `json:"message"`
	Count   int64  `json:"count"`
	Cases   int64  `json:"cases"`
	Suites  int64  `json:"suites"`
	// SuiteID to LastSeen are those of the newest.
	SuiteID     int64     `json:"suite_id"`
	SuiteName   string    `json:"suite_name"`
	CaseID      int64     `json:"case_id"`
	CaseName    string    `json:"case_name"`
	ExecutionID int64     `json:"execution_id"`
	LastSeen    time.Time `json:"last_seen"`
}
