package cachedstore

import (
	"context"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// CreateSuite implements [dashboard.SuiteStore].
func (s *Store) CreateSuite(ctx context.Context, n dashboard.NewSuite) (dashboard.Suite, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Suite, dashboard.Change, error) {
		return s.inner.CreateSuite(ctx, n)
	})
}

// UpdateSuite implements [dashboard.SuiteStore].
func (s *Store) UpdateSuite(ctx context.Context, id int64, p dashboard.SuitePatch) (dashboard.Suite, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Suite, dashboard.Change, error) {
		return s.inner.UpdateSuite(ctx, id, p)
	})
}

// DeleteSuite implements [dashboard.SuiteStore].
func (s *Store) DeleteSuite(ctx context.Context, id int64) (dashboard.Change, error) {
	return s.mutate(ctx, func(ctx context.Context) (dashboard.Change, error) { return s.inner.DeleteSuite(ctx, id) })
}

// CreateCase implements [dashboard.CaseStore].
func (s *Store) CreateCase(ctx context.Context, n dashboard.NewCase) (dashboard.Case, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Case, dashboard.Change, error) {
		return s.inner.CreateCase(ctx, n)
	})
}

// UpdateCase implements [dashboard.CaseStore].
func (s *Store) UpdateCase(ctx context.Context, id int64, p dashboard.CasePatch) (dashboard.Case, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Case, dashboard.Change, error) {
		return s.inner.UpdateCase(ctx, id, p)
	})
}

// DeleteCase implements [dashboard.CaseStore].
func (s *Store) DeleteCase(ctx context.Context, id int64) (dashboard.Change, error) {
	return s.mutate(ctx, func(ctx context.Context) (dashboard.Change, error) { return s.inner.DeleteCase(ctx, id) })
}

// CreateExecution implements [dashboard.ExecutionStore].
func (s *Store) CreateExecution(ctx context.Context, n dashboard.NewExecution) (dashboard.Execution, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Execution, dashboard.Change, error) {
		return s.inner.CreateExecution(ctx, n)
	})
}

// StartExecution implements [dashboard.ExecutionStore].
func (s *Store) StartExecution(ctx context.Context, id int64) (dashboard.Execution, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Execution, dashboard.Change, error) {
		return s.inner.StartExecution(ctx, id)
	})
}

// StopExecution implements [dashboard.ExecutionStore].
func (s *Store) StopExecution(ctx context.Context, id int64) (dashboard.Execution, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Execution, dashboard.Change, error) {
		return s.inner.StopExecution(ctx, id)
	})
}

// FinishExecution implements [dashboard.ExecutionStore].
func (s *Store) FinishExecution(ctx context.Context, id int64, f dashboard.Finish) (dashboard.Execution, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Execution, dashboard.Change, error) {
		return s.inner.FinishExecution(ctx, id, f)
	})
}

// AddResults implements [dashboard.ExecutionStore].
func (s *Store) AddResults(ctx context.Context, id int64, r []dashboard.NewResult) (dashboard.Execution, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.Execution, dashboard.Change, error) {
		return s.inner.AddResults(ctx, id, r)
	})
}

// Ingest implements [dashboard.ExecutionStore].
func (s *Store) Ingest(ctx context.Context, in dashboard.Ingestion) (dashboard.IngestReport, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) (dashboard.IngestReport, dashboard.Change, error) {
		return s.inner.Ingest(ctx, in)
	})
}

// ReapExecutions implements [dashboard.ExecutionStore].
func (s *Store) ReapExecutions(ctx context.Context, silentSince time.Time) ([]dashboard.Execution, dashboard.Change, error) {
	return mutate(ctx, s, func(ctx context.Context) ([]dashboard.Execution, dashboard.Change, error) {
		return s.inner.ReapExecutions(ctx, silentSince)
	})
}

// Seed implements [dashboard.Seeder]; a store below that has no demo data is a conflict.
func (s *Store) Seed(ctx context.Context, options dashboard.SeedOptions) (dashboard.Change, error) {
	seeder, ok := s.inner.(dashboard.Seeder)
	if !ok {
		return dashboard.Change{}, &dashboard.ConflictError{Kind: dashboard.KindSuite, Reason: "this store has no demo data"}
	}
	return s.mutate(ctx, func(ctx context.Context) (dashboard.Change, error) { return seeder.Seed(ctx, options) })
}
