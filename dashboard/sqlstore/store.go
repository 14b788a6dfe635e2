// Package sqlstore keeps the dashboard's data in a SQL database: SQLite embedded
// in the process, or PostgreSQL.
//
// The statements are written once, in the SQL that both understand; what differs
// is a [dialect] in a file of its own.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// Options adjust a store. The zero value is ready for production.
type Options struct {
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Readers is the number of connections that read at once. Default 8. A
	// PostgreSQL store uses twice as many for readers and writers together.
	Readers int
}

// Store is a [dashboard.Store] on a SQL database. It starts no goroutines of its own.
type Store struct {
	write, read *sql.DB
	dialect     dialect
	now         func() time.Time
	changed     atomic.Pointer[OnChange]
	close       func() error
	// tap, if set, stands before the database of every read. Tests only.
	tap func(handle) handle
}

var (
	_ dashboard.Store  = (*Store)(nil)
	_ dashboard.Seeder = (*Store)(nil)
)

// dialect is what SQLite and PostgreSQL do not share.
type dialect struct {
	name string
	// migrations is the folder of the embedded migrations.
	migrations string
	// rebind turns ? into the placeholders of the database.
	rebind func(string) string
	// lock is appended to a SELECT whose rows of the table (or alias) will be updated.
	lock func(table string) string
	// agedOutbox is the condition of rows of the outbox that are older than a number of seconds.
	agedOutbox string
	// skipLocked is appended to a SELECT that claims rows which another transaction may be claiming.
	skipLocked string
	// like is the operator that ignores the case of ASCII letters.
	like string
	// unique reports whether an error is a violated unique index.
	unique func(error) bool
	// full and away classify errors of the database.
	full, away func(error) bool
	// again reports whether a transaction that failed would succeed when it is repeated.
	again func(error) bool
}

// fault makes errors of the database those of the domain. The cause stays in the chain.
func (d *dialect) fault(err error) error {
	switch {
	case err == nil, errors.Is(err, sql.ErrNoRows), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case d.full(err):
		return fmt.Errorf("%w: %w", dashboard.ErrFull, err)
	case d.away(err):
		return fmt.Errorf("%w: %w", dashboard.ErrUnavailable, err)
	}
	return err
}

// Open opens the database and brings its schema up to date. The URL is
// postgres://… or postgresql://… for PostgreSQL, and a path, sqlite:path or
// file:path for SQLite.
func Open(ctx context.Context, url string, options Options) (*Store, error) {
	s, err := connect(url, max(options.Readers, 0))
	if err != nil {
		return nil, err
	}
	s.now = options.Now
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func connect(url string, readers int) (*Store, error) {
	if readers == 0 {
		readers = 8
	}
	if strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://") {
		return openPostgres(url, readers)
	}
	return openSQLite(url, readers)
}

// OnChange is called at the end of each mutation that changed something, inside its
// transaction: what it writes through tx is committed with the mutation or not at
// all, and an error undoes both. A transaction that is repeated calls it again.
type OnChange = func(ctx context.Context, tx *sql.Tx, change dashboard.Change) error

// OnChange sets what is called for every mutation that begins later. It is the
// place of an outbox.
func (s *Store) OnChange(call OnChange) { s.changed.Store(&call) }

// DB returns the connections that write, for what shares the database with the
// store. Only the store closes it.
func (s *Store) DB() *sql.DB { return s.write }

// Close closes the database. It may be called twice.
func (s *Store) Close() error { return s.close() }

func closer(dbs ...*sql.DB) func() error {
	return sync.OnceValue(func() error {
		var errs []error
		for _, db := range dbs {
			errs = append(errs, db.Close())
		}
		return errors.Join(errs...)
	})
}

// instant is the present in the resolution that the database keeps.
func (s *Store) instant() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// txn is one mutation under way.
type txn struct {
	*querier
	tx     *sql.Tx
	now    time.Time
	change dashboard.Change
}

// tries is how often a transaction is begun that others keep from being first.
const tries = 5

// mutate runs fn in one transaction and returns the change that fn recorded. It
// may run fn several times, of which the last counts.
func (s *Store) mutate(ctx context.Context, fn func(*txn) error) (change dashboard.Change, err error) {
	for range tries {
		change, err = s.transact(ctx, fn)
		if err == nil || !s.dialect.again(err) || ctx.Err() != nil {
			break
		}
	}
	return change, err
}

func (s *Store) transact(ctx context.Context, fn func(*txn) error) (dashboard.Change, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return dashboard.Change{}, fmt.Errorf("begin: %w", s.dialect.fault(err))
	}
	defer func() { _ = tx.Rollback() }()
	t := &txn{querier: &querier{db: tx, dialect: &s.dialect}, tx: tx, now: s.instant()}
	if err := fn(t); err != nil {
		return dashboard.Change{}, err
	}
	if changed := s.changed.Load(); changed != nil && !t.change.Empty() {
		if err := (*changed)(ctx, tx, t.change); err != nil {
			return dashboard.Change{}, fmt.Errorf("record change: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return dashboard.Change{}, fmt.Errorf("commit: %w", s.dialect.fault(err))
	}
	return t.change, nil
}

// reader returns a querier outside of any transaction.
func (s *Store) reader() *querier {
	q := &querier{db: s.read, dialect: &s.dialect}
	if s.tap != nil {
		q.db = s.tap(s.read)
	}
	return q
}
