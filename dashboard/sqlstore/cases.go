package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/larder-go/larder/dashboard"
)

const (
	caseColumns = `c.id, c.suite_id, s.name, c.name, c.description, c.test_code, c.test_type, c.priority, c.tags, c.is_active, c.created_at, c.updated_at`
	caseFrom    = "cases c JOIN suites s ON s.id = c.suite_id"
)

func scanCase(row scanner) (dashboard.Case, error) {
	var (
		c                dashboard.Case
		tags             string
		created, updated int64
	)
	err := row.Scan(&c.ID, &c.SuiteID, &c.SuiteName, &c.Name, &c.Description, &c.TestCode, &c.TestType, &c.Priority, &tags, &c.IsActive, &created, &updated)
	if err != nil {
		return c, err
	}
	c.CreatedAt, c.UpdatedAt = instantOf(created), instantOf(updated)
	return c, json.Unmarshal([]byte(tags), &c.Tags)
}

// Case implements [dashboard.CaseStore].
func (s *Store) Case(ctx context.Context, id int64) (dashboard.Case, error) {
	return readCase(ctx, s.reader(), id, "")
}

func readCase(ctx context.Context, q *querier, id int64, lock string) (dashboard.Case, error) {
	c, err := scanCase(q.row(ctx, "SELECT "+caseColumns+" FROM "+caseFrom+" WHERE c.id = ? AND c.deleted_at IS NULL"+lock, id))
	if err != nil {
		return dashboard.Case{}, missing(err, dashboard.KindCase, id)
	}
	return c, nil
}

// Cases implements [dashboard.CaseStore].
func (s *Store) Cases(ctx context.Context, filter dashboard.CaseFilter, page dashboard.Page) (dashboard.List[dashboard.Case], error) {
	page, err := page.Normal()
	if err == nil {
		err = filter.Check()
	}
	if err != nil {
		return dashboard.List[dashboard.Case]{}, err
	}
	l := listing[dashboard.Case]{
		columns: caseColumns, from: caseFrom, count: "cases c", id: "c.id", scan: scanCase,
		cursor: func(c dashboard.Case) string { return idCursor(c.ID) },
	}
	l.where = s.caseWhere(filter)
	return list(ctx, s.reader(), page, l)
}

func (s *Store) caseWhere(f dashboard.CaseFilter) where {
	var w where
	w.and("c.deleted_at IS NULL")
	if f.SuiteID != 0 {
		w.and("c.suite_id = ?", f.SuiteID)
	}
	if f.TestType != "" {
		w.and("c.test_type = ?", string(f.TestType))
	}
	if f.Priority != "" {
		w.and("c.priority = ?", string(f.Priority))
	}
	if f.Active != nil {
		w.and("c.is_active = ?", *f.Active)
	}
	if f.Query != "" {
		w.contains(s.dialect.like, f.Query, "c.name")
	}
	return w
}

// CreateCase implements [dashboard.CaseStore].
func (s *Store) CreateCase(ctx context.Context, c dashboard.NewCase) (dashboard.Case, dashboard.Change, error) {
	var out dashboard.Case
	c, err := c.Normal()
	if err != nil {
		return out, dashboard.Change{}, err
	}
	change, err := s.mutate(ctx, func(t *txn) error {
		if err := t.suiteExists(ctx, c.SuiteID); err != nil {
			return err
		}
		ids, err := t.insertCases(ctx, []dashboard.NewCase{c})
		if err != nil {
			return err
		}
		id, ok := ids[c.Name]
		if !ok {
			return nameTaken(dashboard.KindCase, "a case of the suite")
		}
		out, err = readCase(ctx, t.querier, id, "")
		return err
	})
	return out, change, err
}

// suiteExists refuses a suite_id that names no suite. The row is locked, so that
// the suite cannot be deleted before what now refers to it is there.
func (t *txn) suiteExists(ctx context.Context, id int64) error {
	var found int64
	err := t.each(ctx, scanID(&found), "SELECT id FROM suites WHERE id = ? AND deleted_at IS NULL"+t.dialect.lock("suites"), id)
	if err != nil {
		return fmt.Errorf("read suite: %w", err)
	}
	if found == 0 {
		return dashboard.Invalid("suite_id", "must be the id of a suite")
	}
	return nil
}

// insertCases adds the cases whose names are free in their suite and returns the ids of those.
func (t *txn) insertCases(ctx context.Context, cases []dashboard.NewCase) (map[string]int64, error) {
	args := make([]any, 0, 10*len(cases))
	for _, c := range cases {
		tags, err := json.Marshal(c.Tags)
		if err != nil {
			return nil, fmt.Errorf("tags: %w", err)
		}
		args = append(args, c.SuiteID, c.Name, c.Description, c.TestCode, string(c.TestType), string(c.Priority), string(tags), *c.IsActive, millis(t.now), millis(t.now))
	}
	ids := make(map[string]int64, len(cases))
	err := t.each(ctx, func(rows scanner) error {
		var (
			id, suite int64
			name      string
		)
		if err := rows.Scan(&id, &suite, &name); err != nil {
			return err
		}
		ids[name] = id
		t.change.Cases = append(t.change.Cases, dashboard.CaseChange{ID: id, SuiteID: suite, OldSuiteID: suite, Op: dashboard.Created})
		return nil
	}, `INSERT INTO cases (suite_id, name, description, test_code, test_type, priority, tags, is_active, created_at, updated_at)
		VALUES `+rowsOf(len(cases), 10)+` ON CONFLICT (suite_id, name) WHERE deleted_at IS NULL DO NOTHING RETURNING id, suite_id, name`, args...)
	if err != nil {
		return nil, fmt.Errorf("insert cases: %w", err)
	}
	return ids, nil
}

// UpdateCase implements [dashboard.CaseStore].
func (s *Store) UpdateCase(ctx context.Context, id int64, patch dashboard.CasePatch) (dashboard.Case, dashboard.Change, error) {
	var out dashboard.Case
	change, err := s.mutate(ctx, func(t *txn) error {
		old, err := readCase(ctx, t.querier, id, s.dialect.lock("c"))
		if err != nil {
			return err
		}
		changed, err := patch.Apply(old)
		if err != nil {
			return err
		}
		if err := t.writeCase(ctx, old, changed); err != nil {
			return err
		}
		out, err = readCase(ctx, t.querier, id, "")
		return err
	})
	return out, change, err
}

func (t *txn) writeCase(ctx context.Context, old, c dashboard.Case) error {
	if c.SuiteID != old.SuiteID {
		if err := t.suiteExists(ctx, c.SuiteID); err != nil {
			return err
		}
	}
	tags, err := json.Marshal(c.Tags)
	if err != nil {
		return fmt.Errorf("tags: %w", err)
	}
	_, err = t.exec(ctx, `UPDATE cases SET suite_id = ?, name = ?, description = ?, test_code = ?, test_type = ?, priority = ?, tags = ?, is_active = ?, updated_at = ? WHERE id = ?`,
		c.SuiteID, c.Name, c.Description, c.TestCode, string(c.TestType), string(c.Priority), string(tags), c.IsActive, millis(t.now), c.ID)
	if t.dialect.unique(err) {
		return nameTaken(dashboard.KindCase, "another case of the suite")
	}
	if err != nil {
		return fmt.Errorf("update case: %w", err)
	}
	t.change.Cases = append(t.change.Cases, dashboard.CaseChange{ID: c.ID, SuiteID: c.SuiteID, OldSuiteID: old.SuiteID, Op: dashboard.Updated})
	return nil
}

// DeleteCase implements [dashboard.CaseStore].
func (s *Store) DeleteCase(ctx context.Context, id int64) (dashboard.Change, error) {
	return s.mutate(ctx, func(t *txn) error {
		var suite int64
		err := t.each(ctx, scanID(&suite), "UPDATE cases SET deleted_at = ?, updated_at = ? WHERE id = ? AND deleted_at IS NULL RETURNING suite_id", millis(t.now), millis(t.now), id)
		if err != nil {
			return fmt.Errorf("delete case: %w", err)
		}
		if suite == 0 {
			return &dashboard.NotFoundError{Kind: dashboard.KindCase, ID: id}
		}
		t.change.Cases = append(t.change.Cases, dashboard.CaseChange{ID: id, SuiteID: suite, OldSuiteID: suite, Op: dashboard.Deleted})
		return nil
	})
}
