package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// maxSuspects bounds the cases that Flaky looks at: those in trouble most recently.
const maxSuspects = 5000

// suspect is a case that failed or was flaky of late, with its newest outcomes.
type suspect struct {
	dashboard.FlakyCase
	outcomes []dashboard.Outcome
}

// Flaky implements [dashboard.Insights]. It judges each case that failed or was
// flaky within the span. One statement reads the outcomes of all of them, others
// the executions that these were of.
func (s *Store) Flaky(ctx context.Context, limit int) ([]dashboard.FlakyCase, error) {
	if err := within("limit", limit, dashboard.MaxInsights); err != nil {
		return nil, err
	}
	q := s.reader()
	suspects, err := q.suspects(ctx, s.since())
	if err != nil {
		return nil, err
	}
	if err := q.dateOutcomes(ctx, suspects); err != nil {
		return nil, err
	}
	out := []dashboard.FlakyCase{}
	for _, x := range suspects {
		if x.judge() {
			out = append(out, x.FlakyCase)
		}
	}
	slices.SortFunc(out, func(a, b dashboard.FlakyCase) int {
		return cmp.Or(cmp.Compare(b.MixedCommits, a.MixedCommits), cmp.Compare(weight(b.Signs), weight(a.Signs)), cmp.Compare(a.PassRate, b.PassRate), cmp.Compare(a.CaseID, b.CaseID))
	})
	return out[:min(limit, len(out))], nil
}

// weight adds up how far signs are beyond their thresholds.
func weight(signs []dashboard.Sign) int {
	w := 0
	for _, s := range signs {
		if s.Met {
			w += 1 + s.Value - s.Threshold
		}
	}
	return w
}

// selectSuspects returns the newest outcomes of a case in one column, because a row
// for each costs more than all else. The + keeps SQLite, which has no statistics,
// from walking through the whole history to save itself the grouping.
const selectSuspects = `SELECT c.id, c.name, s.id, s.name, COALESCE((SELECT string_agg(o.execution_id || ' ' || o.status || ' ' || CASE WHEN o.flaky THEN 1 ELSE 0 END, ' ') FROM
		(SELECT execution_id, status, flaky FROM results WHERE case_id = c.id AND status NOT IN ('running', 'pending') AND ` + unfinished + ` ORDER BY execution_id DESC LIMIT ?) o), '')
	FROM (SELECT +case_id AS case_id, max(recorded_at) AS last FROM results WHERE (rank < 2 OR flaky) AND recorded_at >= ? GROUP BY +case_id ORDER BY last DESC LIMIT ?) t
	JOIN cases c ON c.id = t.case_id JOIN suites s ON s.id = c.suite_id WHERE c.deleted_at IS NULL`

func (q *querier) suspects(ctx context.Context, since int64) ([]*suspect, error) {
	var out []*suspect
	err := q.each(ctx, func(row scanner) error {
		var (
			x        suspect
			outcomes string
		)
		if err := row.Scan(&x.CaseID, &x.CaseName, &x.SuiteID, &x.SuiteName, &outcomes); err != nil {
			return err
		}
		for all := (words{outcomes}); all.more(); {
			execution, err := all.whole("execution_id")
			if err != nil {
				return fmt.Errorf("case %d: %w", x.CaseID, err)
			}
			x.outcomes = append(x.outcomes, dashboard.Outcome{ExecutionID: execution, Status: dashboard.Status(all.next()), Flaky: all.next() == "1"})
		}
		// The database does not promise the order in which it joins them.
		slices.SortFunc(x.outcomes, func(a, b dashboard.Outcome) int { return cmp.Compare(b.ExecutionID, a.ExecutionID) })
		out = append(out, &x)
		return nil
	}, selectSuspects, dashboard.HistoryLimit, since, maxSuspects)
	if err != nil {
		return nil, fmt.Errorf("find flaky cases: %w", err)
	}
	return out, nil
}

// run is what an outcome has from its execution.
type run struct {
	commit  string
	started time.Time
}

// dateOutcomes fills in the commits and the times of all outcomes. Cases of one
// suite share their executions, so these are far fewer.
func (q *querier) dateOutcomes(ctx context.Context, suspects []*suspect) error {
	runs := make(map[int64]run)
	for _, x := range suspects {
		for _, o := range x.outcomes {
			runs[o.ExecutionID] = run{}
		}
	}
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(runs)), chunk) {
		if err := q.readRuns(ctx, ids, runs); err != nil {
			return err
		}
	}
	for _, x := range suspects {
		for i := range x.outcomes {
			o := &x.outcomes[i]
			r := runs[o.ExecutionID]
			o.Commit, o.StartedAt = r.commit, r.started
		}
	}
	return nil
}

func (q *querier) readRuns(ctx context.Context, ids []int64, into map[int64]run) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	err := q.each(ctx, func(row scanner) error {
		var (
			id, started int64
			r           run
		)
		err := row.Scan(&id, &r.commit, &started)
		r.started = instantOf(started)
		into[id] = r
		return err
	}, "SELECT id, commit_id, COALESCE(started_at, created_at) FROM executions WHERE id IN "+rowsOf(1, len(ids)), args...)
	if err != nil {
		return fmt.Errorf("date outcomes: %w", err)
	}
	return nil
}

// judge fills in what the outcomes say and reports whether the case is flaky.
func (x *suspect) judge() bool {
	signs, mixed, flaky := dashboard.Signs(x.outcomes)
	x.Signs, x.MixedCommits, x.PassRate = signs, len(mixed), passRate(x.outcomes)
	x.Strip = make([]dashboard.Dot, len(x.outcomes))
	for i, o := range x.outcomes {
		x.Strip[len(x.outcomes)-1-i] = dashboard.Dot{ExecutionID: o.ExecutionID, Status: o.Status, Flaky: o.Flaky}
		if x.LastFailure == nil && o.Status != dashboard.StatusPassed && o.Status != dashboard.StatusSkipped {
			x.LastFailure = &o.StartedAt
		}
	}
	return flaky
}

// words reads what string_agg has joined: words between single spaces.
type words struct{ rest string }

func (w *words) more() bool { return w.rest != "" }

func (w *words) next() string {
	word, rest, _ := strings.Cut(w.rest, " ")
	w.rest = rest
	return word
}

// whole reads a number of a column, and names the column of what is none.
func (w *words) whole(column string) (int64, error) {
	word := w.next()
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("column %s has %q, which is no whole number", column, word)
	}
	return n, nil
}
