package cachedstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/outbox"
)

// Record makes a store that has no cache write into its transactions what caches of
// other processes must forget: the relay of any of them carries it out, about two of
// its poll intervals later. Single rows are named by their common tag, because the
// name of an entry depends on the cache that holds it.
func Record(inner Recorder, database *sql.DB, dialect outbox.Dialect) error {
	box, err := outbox.New(database, nobody{}, outbox.Options{Dialect: dialect})
	if err != nil {
		return err
	}
	inner.OnChange(func(ctx context.Context, tx *sql.Tx, change dashboard.Change) error {
		_, err := box.Add(ctx, tx, targets(change)...)
		return err
	})
	return nil
}

// nobody carries out no invalidation.
type nobody struct{}

// Invalidate implements outbox.Invalidator.
func (nobody) Invalidate(context.Context, ...larder.Target) error {
	return errors.New("cachedstore: this process has no cache")
}
