package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// Search implements [dashboard.Insights]. Names are found by any part of them,
// executions by the beginning of their commit or by their number.
func (s *Store) Search(ctx context.Context, query string, limit int) (dashboard.Found, error) {
	out := dashboard.Found{Suites: []dashboard.FoundItem{}, Cases: []dashboard.FoundItem{}, Executions: []dashboard.Execution{}}
	query = strings.TrimSpace(query)
	if err := within("limit", limit, dashboard.MaxLimit); err != nil {
		return out, err
	}
	if query == "" {
		return out, dashboard.Invalid("q", "must not be empty")
	}
	if err := (dashboard.CaseFilter{Query: query}).Check(); err != nil {
		return out, err
	}
	var err error
	if out.Suites, err = s.findNames(ctx, "SELECT s.id, s.name, s.id, s.name FROM suites s", "s", query, limit); err != nil {
		return out, err
	}
	if out.Cases, err = s.findNames(ctx, "SELECT c.id, c.name, s.id, s.name FROM "+caseFrom, "c", query, limit); err != nil {
		return out, err
	}
	out.Executions, err = s.findExecutions(ctx, query, limit)
	return out, err
}

func (s *Store) findNames(ctx context.Context, selection, table, query string, limit int) ([]dashboard.FoundItem, error) {
	var w where
	w.and(table + ".deleted_at IS NULL")
	w.contains(s.dialect.like, query, table+".name")
	out := []dashboard.FoundItem{}
	err := s.reader().each(ctx, func(row scanner) error {
		f, err := scanFound(row)
		out = append(out, f)
		return err
	}, selection+w.String()+" ORDER BY "+table+".name, "+table+".id LIMIT ?", w.with(limit)...)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return out, nil
}

// shortestCommit is the length from which a query is taken for the beginning of a commit.
const shortestCommit = 4

func (s *Store) findExecutions(ctx context.Context, query string, limit int) ([]dashboard.Execution, error) {
	id, err := strconv.ParseInt(strings.TrimPrefix(query, "#"), 10, 64)
	if err != nil {
		id = 0
	}
	condition, args := "e.id = ?", []any{id}
	if len(query) >= shortestCommit {
		condition += " OR (e.commit_id >= ? AND e.commit_id < ?)"
		args = append(args, query, query+"\U0010FFFF")
	}
	out := []dashboard.Execution{}
	err = s.reader().each(ctx, func(row scanner) error {
		e, err := scanExecution(row)
		out = append(out, e)
		return err
	}, "SELECT "+executionColumns+" FROM "+executionFrom+" WHERE "+condition+" ORDER BY e.id DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("search executions: %w", err)
	}
	return out, nil
}
