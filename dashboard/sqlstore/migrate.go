package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations
var migrations embed.FS

// migrate brings the schema up to date. Two processes may start at once on a
// fresh database: the one that comes second to a step finds it done when it looks again.
func (s *Store) migrate(ctx context.Context) error {
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

func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, s.dialect.migrations)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.Dialect(s.dialect.name), s.write, files)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return provider, nil
}

// Ping returns nil when the database answers and has the schema of this program.
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
		return fmt.Errorf("database has schema %d, this program needs %d", have, want)
	}
	return nil
}
