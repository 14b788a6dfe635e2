package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/larder-go/larder/dashboard"
)

//go:embed migrations
var migrations embed.FS

// Migrate brings the schema up to date. Open has done it already. Two processes may start at once on a
// fresh database: the one that comes second to a step finds it done when it looks again.
func (s *Store) Migrate(ctx context.Context) error {
	provider, err := s.provider()
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		_, err = provider.Up(ctx)
		if err == nil || try == 5 || ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}

// MigrateTo goes down to a version of the schema, 0 being an empty database. It is
// for taking a release back; what only later versions keep is lost.
func (s *Store) MigrateTo(ctx context.Context, version int64) error {
	provider, err := s.provider()
	if err != nil {
		return err
	}
	if _, err := provider.DownTo(ctx, version); err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}

func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, s.dialect.migrations)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	var options []goose.ProviderOption
	if s.dialect.name == postgresDialect.name {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // asks every second, for five minutes
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(goose.Dialect(s.dialect.name), s.write, files, options...)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return provider, nil
}

// Ping returns nil when the database answers and has the schema of this program,
// and [dashboard.ErrSchema] while migrations are pending.
func (s *Store) Ping(ctx context.Context) error {
	var have int64
	err := s.reader().row(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&have)
	if err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	files, err := fs.Glob(migrations, s.dialect.migrations+"/*.sql")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if want := int64(len(files)); have < want {
		return fmt.Errorf("%w: schema %d, this program needs %d", dashboard.ErrSchema, have, want)
	}
	return nil
}
