package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder"
)

// ErrRunning reports a second [Box.Run] while one runs.
var ErrRunning = errors.New("outbox: the relay runs already")

// Invalidator carries out invalidations: a [*larder.Cache].
type Invalidator interface {
	// Invalidate returns nil when all targets are outdated; see
	// [larder.Cache.Invalidate].
	Invalidate(ctx context.Context, targets ...larder.Target) error
}

// Options adjust a [Box]. The zero value is an outbox in SQLite.
type Options struct {
	// Dialect is the SQL of the database. Default SQLite.
	Dialect Dialect
	// Table holds the rows; "schema.table" names one in a schema. Default
	// "larder_outbox". [Schema] creates it.
	Table string
	// PollInterval is how often the relay looks for abandoned rows, give or
	// take a tenth. Default 1 s. After errors it waits longer, up to 10 s.
	PollInterval time.Duration
	// BatchSize is how many rows the relay reads, invalidates and deletes at
	// once. Default 500.
	BatchSize int
	// Listen, if set, runs beside the relay and calls wake when there are rows
	// that nobody carries out by himself, such as those of [Triggers]: with
	// PostgreSQL a LISTEN on [Channel]. It returns when ctx ends or its
	// connection breaks, and is then called again. Polling goes on, so what
	// it misses comes later.
	Listen func(ctx context.Context, wake func()) error
	// Logger is told once when the database, the cache or rows fail, and once
	// when they work again. Default slog.Default.
	Logger *slog.Logger
}

// Box writes invalidations into a table and carries them out. All methods may
// be called concurrently. Only [Box.Run] starts goroutines, and waits for them.
type Box struct {
	db    *sql.DB
	cache Invalidator
	opts  Options
	sql   statements
	state conditions

	running atomic.Bool
	wake    chan struct{} // holds one: a request to carry out every row now
	counts  counters

	mu        sync.Mutex
	confirmed []int64 // rows that are carried out and not yet deleted
}

// New returns an outbox in db, whose invalidations cache carries out. It fails
// only for bad options and does not touch the database. db must be the one that
// the transactions given to Add belong to, or see and write the same data.
// With SQLite it needs a busy time-out, because the relay writes too.
func New(db *sql.DB, cache Invalidator, opts Options) (*Box, error) {
	opts.Table = cmp.Or(opts.Table, defaultTable)
	opts.PollInterval = cmp.Or(opts.PollInterval, time.Second)
	opts.BatchSize = cmp.Or(opts.BatchSize, 500)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	var errs []error
	if db == nil || cache == nil {
		errs = append(errs, errors.New("a database and a cache are needed"))
	}
	if opts.PollInterval < 0 || opts.BatchSize < 0 {
		errs = append(errs, errors.New("Options: negative PollInterval or BatchSize"))
	}
	texts, err := opts.Dialect.statements(opts.Table)
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	b := &Box{db: db, cache: cache, opts: opts, sql: texts, wake: make(chan struct{}, 1)}
	b.state.log = opts.Logger
	return b, nil
}

// mostConfirmed is how many rows may wait for their deletion. Rows beyond it
// stay and are carried out once more.
const mostConfirmed = 100_000

// confirm has rows deleted that are carried out: by the relay if there is one,
// else now.
func (b *Box) confirm(ctx context.Context, rows []int64) {
	b.mu.Lock()
	if len(b.confirmed)+len(rows) <= mostConfirmed {
		b.confirmed = append(b.confirmed, rows...)
	}
	b.mu.Unlock()
	// In this order: a relay that ends after this look deletes once more.
	if !b.running.Load() {
		_ = b.deleteConfirmed(context.WithoutCancel(ctx)) // told to the log
	}
}

// deleteConfirmed deletes the rows that are carried out.
func (b *Box) deleteConfirmed(ctx context.Context) error {
	for {
		b.mu.Lock()
		batch := b.confirmed[:min(len(b.confirmed), b.opts.BatchSize)]
		b.confirmed = b.confirmed[len(batch):]
		b.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if err := b.remove(ctx, batch); err != nil {
			b.mu.Lock()
			b.confirmed = append(b.confirmed, batch...)
			b.mu.Unlock()
			return err
		}
	}
}

// Wake makes the relay carry out every row now instead of at its next poll. It
// does not wait, and does nothing without a relay.
func (b *Box) Wake() {
	select {
	case b.wake <- struct{}{}:
	default: // it is awake
	}
}

// Stats counts rows since the box was made.
type Stats struct {
	Added   int64 // written by Add, those of rolled back transactions included
	Done    int64 // carried out by Done
	Relayed int64 // carried out by the relay or Flush, for whoever wrote them
	Waiting int64 // left by the last look at the table because the cache failed
	Refused int64 // left by it because they name nothing this process can invalidate
}

type counters struct{ added, done, relayed, waiting, refused atomic.Int64 }

// Stats returns the counters.
func (b *Box) Stats() Stats {
	c := &b.counts
	return Stats{c.added.Load(), c.done.Load(), c.relayed.Load(), c.waiting.Load(), c.refused.Load()}
}
