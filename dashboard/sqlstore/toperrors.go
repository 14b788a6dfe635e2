package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/larder-go/larder/dashboard"
)

// errorGroup are the failures of one signature.
type errorGroup struct {
	dashboard.TopError
	cases  map[int64]bool
	newest int64
}

// TopErrors implements [dashboard.Insights]. Failures are few among results: they
// are read from their own index and counted here.
func (s *Store) TopErrors(ctx context.Context, limit int) ([]dashboard.TopError, error) {
	if err := within("limit", limit, dashboard.MaxInsights); err != nil {
		return nil, err
	}
	groups, err := s.errorGroups(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(groups, func(a, b *errorGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.newest, a.newest))
	})
	out := []dashboard.TopError{}
	for _, g := range groups[:min(limit, len(groups))] {
		g.Cases = int64(len(g.cases))
		if err := s.describeError(ctx, g); err != nil {
			return nil, err
		}
		out = append(out, g.TopError)
	}
	return out, nil
}

func (s *Store) errorGroups(ctx context.Context) ([]*errorGroup, error) {
	bySignature := make(map[string]*errorGroup)
	var groups []*errorGroup
	err := s.reader().each(ctx, func(row scanner) error {
		var (
			signature  string
			caseID, id int64
		)
		if err := row.Scan(&signature, &caseID, &id); err != nil {
			return err
		}
		g := bySignature[signature]
		if g == nil {
			g = &errorGroup{TopError: dashboard.TopError{Signature: signature}, cases: make(map[int64]bool)}
			bySignature[signature], groups = g, append(groups, g)
		}
		g.Count++
		g.cases[caseID] = true
		g.newest = max(g.newest, id)
		return nil
	}, `SELECT r.signature, r.case_id, r.id FROM results r JOIN cases c ON c.id = r.case_id
		WHERE (r.rank < 2 OR r.flaky) AND r.rank < 2 AND r.recorded_at >= ? AND c.deleted_at IS NULL AND r.`+unfinished, s.since())
	if err != nil {
		return nil, fmt.Errorf("top errors: %w", err)
	}
	return groups, nil
}

// describeError fills in what the newest failure says, and the number of suites.
func (s *Store) describeError(ctx context.Context, g *errorGroup) error {
	var (
		q    = s.reader()
		seen int64
	)
	err := q.row(ctx, `SELECT r.message, r.case_id, c.name, s.id, s.name, r.execution_id, r.recorded_at FROM results r
		JOIN cases c ON c.id = r.case_id JOIN suites s ON s.id = c.suite_id WHERE r.id = ?`, g.newest).
		Scan(&g.Message, &g.CaseID, &g.CaseName, &g.SuiteID, &g.SuiteName, &g.ExecutionID, &seen)
	if err != nil {
		return fmt.Errorf("describe error: %w", err)
	}
	g.Message, g.LastSeen = dashboard.FirstLine(g.Message), instantOf(seen)
	suites := make(map[int64]bool)
	ids := make([]int64, 0, len(g.cases))
	for id := range g.cases {
		ids = append(ids, id)
	}
	for part := range slices.Chunk(ids, chunk) {
		names, err := q.caseNames(ctx, part)
		if err != nil {
			return err
		}
		for _, f := range names {
			suites[f.SuiteID] = true
		}
	}
	g.Suites = int64(len(suites))
	return nil
}
