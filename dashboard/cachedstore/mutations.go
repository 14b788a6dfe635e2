package cachedstore

import (
	"context"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// CreateSuite implements [dashboard.SuiteStore].
func (s *Store) CreateSuite(ctx context.Context, n dashboard.NewSuite) (dashboard.Suite, dashboard.Change, error) {
	v, change, err := s.inner.CreateSuite(ctx, n)
	return done(ctx, s, v, change, err)
}

// UpdateSuite implements [dashboard.SuiteStore].
func (s *Store) UpdateSuite(ctx context.Context, id int64, p dashboard.SuitePatch) (dashboard.Suite, dashboard.Change, error) {
	v, change, err := s.inner.UpdateSuite(ctx, id, p)
	return done(ctx, s, v, change, err)
}

// DeleteSuite implements [dashboard.SuiteStore].
func (s *Store) DeleteSuite(ctx context.Context, id int64) (dashboard.Change, error) {
	change, err := s.inner.DeleteSuite(ctx, id)
	_, _, err = done(ctx, s, struct{}{}, change, err)
	return change, err
}

// CreateCase implements [dashboard.CaseStore].
func (s *Store) CreateCase(ctx context.Context, n dashboard.NewCase) (dashboard.Case, dashboard.Change, error) {
	v, change, err := s.inner.CreateCase(ctx, n)
	return done(ctx, s, v, change, err)
}

// UpdateCase implements [dashboard.CaseStore].
func (s *Store) UpdateCase(ctx context.Context, id int64, p dashboard.CasePatch) (dashboard.Case, dashboard.Change, error) {
	v, change, err := s.inner.UpdateCase(ctx, id, p)
	return done(ctx, s, v, change, err)
}

// DeleteCase implements [dashboard.CaseStore].
func (s *Store) DeleteCase(ctx context.Context, id int64) (dashboard.Change, error) {
	change, err := s.inner.DeleteCase(ctx, id)
	_, _, err = done(ctx, s, struct{}{}, change, err)
	return change, err
}

// CreateExecution implements [dashboard.ExecutionStore].
func (s *Store) CreateExecution(ctx context.Context, n dashboard.NewExecution) (dashboard.Execution, dashboard.Change, error) {
	v, change, err := s.inner.CreateExecution(ctx, n)
	return done(ctx, s, v, change, err)
}

// StartExecution implements [dashboard.ExecutionStore].
func (s *Store) StartExecution(ctx context.Context, id int64) (dashboard.Execution, dashboard.Change, error) {
	v, change, err := s.inner.StartExecution(ctx, id)
	return done(ctx, s, v, change, err)
}

// StopExecution implements [dashboard.ExecutionStore].
func (s *Store) StopExecution(ctx context.Context, id int64) (dashboard.Execution, dashboard.Change, error) {
	v, change, err := s.inner.StopExecution(ctx, id)
	return done(ctx, s, v, change, err)
}

// FinishExecution implements [dashboard.ExecutionStore].
func (s *Store) FinishExecution(ctx context.Context, id int64, f dashboard.Finish) (dashboard.Execution, dashboard.Change, error) {
	v, change, err := s.inner.FinishExecution(ctx, id, f)
	return done(ctx, s, v, change, err)
}

// AddResults implements [dashboard.ExecutionStore].
func (s *Store) AddResults(ctx context.Context, id int64, r []dashboard.NewResult) (dashboard.Execution, dashboard.Change, error) {
	v, change, err := s.inner.AddResults(ctx, id, r)
	return done(ctx, s, v, change, err)
}

// Ingest implements [dashboard.ExecutionStore].
func (s *Store) Ingest(ctx context.Context, in dashboard.Ingestion) (dashboard.IngestReport, dashboard.Change, error) {
	v, change, err := s.inner.Ingest(ctx, in)
	return done(ctx, s, v, change, err)
}

// ReapExecutions implements [dashboard.ExecutionStore].
func (s *Store) ReapExecutions(ctx context.Context, silentSince time.Time) ([]dashboard.Execution, dashboard.Change, error) {
	v, change, err := s.inner.ReapExecutions(ctx, silentSince)
	return done(ctx, s, v, change, err)
}

// Seed implements [dashboard.Seeder]; a store below that has no demo data is a conflict.
func (s *Store) Seed(ctx context.Context, options dashboard.SeedOptions) (dashboard.Change, error) {
	seeder, ok := s.inner.(dashboard.Seeder)
	if !ok {
		return dashboard.Change{}, &dashboard.ConflictError{Kind: dashboard.KindSuite, Reason: "this store has no demo data"}
	}
	change, err := seeder.Seed(ctx, options)
	_, _, err = done(ctx, s, struct{}{}, change, err)
	return change, err
}
