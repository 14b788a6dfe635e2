package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/larder-go/larder/dashboard"
)

const suiteColumns = `s.id, s.name, s.description, s.framework_type, s.config, s.is_active, s.created_by, s.created_at, s.updated_at,
	(SELECT count(*) FROM cases c WHERE c.suite_id = s.id AND c.deleted_at IS NULL)`

func scanSuite(row scanner) (dashboard.Suite, error) {
	var (
		s                dashboard.Suite
		config           string
		created, updated int64
	)
	err := row.Scan(&s.ID, &s.Name, &s.Description, &s.FrameworkType, &config, &s.IsActive, &s.CreatedBy, &created, &updated, &s.CaseCount)
	s.Config, s.CreatedAt, s.UpdatedAt = []byte(config), instantOf(created), instantOf(updated)
	return s, err
}

// Suite implements [dashboard.SuiteStore].
func (s *Store) Suite(ctx context.Context, id int64) (dashboard.Suite, error) {
	return readSuite(ctx, s.reader(), id, "")
}

func readSuite(ctx context.Context, q *querier, id int64, lock string) (dashboard.Suite, error) {
	out, err := scanSuite(q.row(ctx, "SELECT "+suiteColumns+" FROM suites s WHERE s.id = ? AND s.deleted_at IS NULL"+lock, id))
	if err != nil {
		return dashboard.Suite{}, missing(err, dashboard.KindSuite, id)
	}
	return out, nil
}

// Suites implements [dashboard.SuiteStore].
func (s *Store) Suites(ctx context.Context, filter dashboard.SuiteFilter, page dashboard.Page) (dashboard.List[dashboard.Suite], error) {
	page, err := page.Normal()
	if err == nil {
		err = filter.Check()
	}
	if err != nil {
		return dashboard.List[dashboard.Suite]{}, err
	}
	l := listing[dashboard.Suite]{
		columns: suiteColumns, from: "suites s", id: "s.id", scan: scanSuite,
		cursor: func(s dashboard.Suite) string { return idCursor(s.ID) },
	}
	l.where.and("s.deleted_at IS NULL")
	if filter.Active != nil {
		l.where.and("s.is_active = ?", *filter.Active)
	}
	if filter.Query != "" {
		l.where.contains(s.dialect.like, filter.Query, "s.name")
	}
	return list(ctx, s.reader(), page, l)
}

// CreateSuite implements [dashboard.SuiteStore].
func (s *Store) CreateSuite(ctx context.Context, suite dashboard.NewSuite) (dashboard.Suite, dashboard.Change, error) {
	var out dashboard.Suite
	suite, err := suite.Normal()
	if err != nil {
		return out, dashboard.Change{}, err
	}
	change, err := s.mutate(ctx, func(t *txn) error {
		id, err := t.insertSuite(ctx, suite, t.now)
		if err != nil {
			return err
		}
		if id == 0 {
			return nameTaken(dashboard.KindSuite, "a suite")
		}
		out, err = readSuite(ctx, t.querier, id, "")
		return err
	})
	return out, change, err
}

// insertSuite returns 0 when a suite of that name exists.
func (t *txn) insertSuite(ctx context.Context, n dashboard.NewSuite, at time.Time) (int64, error) {
	var id int64
	err := t.each(ctx, scanID(&id), `INSERT INTO suites
		(name, description, framework_type, config, is_active, created_by, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING RETURNING id`,
		n.Name, n.Description, n.FrameworkType, string(n.Config), *n.IsActive, n.CreatedBy, millis(at), millis(at))
	if err != nil {
		return 0, fmt.Errorf("insert suite: %w", err)
	}
	if id != 0 {
		t.change.Suites = append(t.change.Suites, dashboard.SuiteChange{ID: id, Op: dashboard.Created})
	}
	return id, nil
}

// UpdateSuite implements [dashboard.SuiteStore].
func (s *Store) UpdateSuite(ctx context.Context, id int64, patch dashboard.SuitePatch) (dashboard.Suite, dashboard.Change, error) {
	var out dashboard.Suite
	change, err := s.mutate(ctx, func(t *txn) error {
		old, err := readSuite(ctx, t.querier, id, s.dialect.lock("s"))
		if err != nil {
			return err
		}
		if out, err = patch.Apply(old); err != nil {
			return err
		}
		out.UpdatedAt = t.now
		_, err = t.exec(ctx, `UPDATE suites SET name = ?, description = ?, framework_type = ?, config = ?, is_active = ?, updated_at = ? WHERE id = ?`,
			out.Name, out.Description, out.FrameworkType, string(out.Config), out.IsActive, millis(t.now), id)
		if s.dialect.unique(err) {
			return nameTaken(dashboard.KindSuite, "another suite")
		}
		if err != nil {
			return fmt.Errorf("update suite: %w", err)
		}
		t.change.Suites = append(t.change.Suites, dashboard.SuiteChange{ID: id, Op: dashboard.Updated})
		return nil
	})
	if err != nil {
		return dashboard.Suite{}, change, err
	}
	return out, change, nil
}

// DeleteSuite implements [dashboard.SuiteStore].
func (s *Store) DeleteSuite(ctx context.Context, id int64) (dashboard.Change, error) {
	return s.mutate(ctx, func(t *txn) error {
		n, err := t.exec(ctx, "UPDATE suites SET deleted_at = ?, updated_at = ? WHERE id = ? AND deleted_at IS NULL", millis(t.now), millis(t.now), id)
		if err != nil {
			return fmt.Errorf("delete suite: %w", err)
		}
		if n == 0 {
			return &dashboard.NotFoundError{Kind: dashboard.KindSuite, ID: id}
		}
		t.change.Suites = append(t.change.Suites, dashboard.SuiteChange{ID: id, Op: dashboard.Deleted})
		var caseID int64
		err = t.each(ctx, func(rows scanner) error {
			if err := rows.Scan(&caseID); err != nil {
				return err
			}
			t.change.Cases = append(t.change.Cases, dashboard.CaseChange{ID: caseID, SuiteID: id, OldSuiteID: id, Op: dashboard.Deleted})
			return nil
		}, "UPDATE cases SET deleted_at = ?, updated_at = ? WHERE suite_id = ? AND deleted_at IS NULL RETURNING id", millis(t.now), millis(t.now), id)
		if err != nil {
			return fmt.Errorf("delete cases: %w", err)
		}
		return nil
	})
}

func nameTaken(kind dashboard.Kind, what string) error {
	return &dashboard.ConflictError{Kind: kind, Field: "name", Reason: what + " has this name"}
}
