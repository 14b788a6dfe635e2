// Package cachedstore is a [dashboard.Store] over another one, with Larder in
// between. It is the only package of the dashboard that knows about the cache.
//
// Reads go through a keyspace each; what they depend on is declared there, in
// spaces.go. Mutations go to the store below, read nothing from the cache, and
// invalidate right after their commit what targets.go derives from their
// [dashboard.Change]. Results, whose pages are large and whose executions are
// mostly read once, and searches are not cached.
package cachedstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/outbox"
)

// Options adjust a store. The zero value works.
type Options struct {
	// Rows says where single suites, cases and executions are kept. Default
	// larder.BothTiers; larder.MemoryOnly suits an embedded database, whose point
	// read is faster than a Redis hit. Invalidations reach every process either way.
	Rows larder.Tiers
	// ShortTTL is the TTL of executions and figures. Default larder.ShortTTL.
	ShortTTL time.Duration
	// MediumTTL is the TTL of suites, cases and their lists. Default larder.MediumTTL.
	MediumTTL time.Duration
	// LongTTL is the TTL of comparisons of executions of which one has not ended.
	// Default larder.LongTTL.
	LongTTL time.Duration
	// ExtendedTTL is the TTL of comparisons of executions that have both ended.
	// Default larder.ExtendedTTL.
	ExtendedTTL time.Duration
	// Exact makes every read exact, as dashboard.WithExact does for one. Default:
	// a read may be as old as larder.Options.MaxStaleness.
	Exact bool
	// InvalidateTimeout bounds the invalidations of one mutation. Default 2 s. What is not
	// confirmed by then is retried by the cache.
	InvalidateTimeout time.Duration
	// Outbox keeps the invalidations of a mutation in its own transaction, so that
	// they are carried out also when this process dies after the commit. The store
	// below must be a [Recorder]. Default: none. Whoever made the outbox runs its relay.
	Outbox *outbox.Box
	// Logger is told when invalidations cannot be confirmed, and when they can
	// again. Default slog.Default.
	Logger *slog.Logger
}

// Store is a [dashboard.Store] that answers reads from a cache. It starts no goroutines.
type Store struct {
	inner   dashboard.Store
	cache   *larder.Cache
	options Options
	spaces  spaces
	// unconfirmed is set while invalidations fail, so that each change of state is logged once.
	unconfirmed atomic.Bool
}

var (
	_ dashboard.Store  = (*Store)(nil)
	_ dashboard.Seeder = (*Store)(nil)
)

// Recorder is a store that lets others write into the transactions of its mutations.
type Recorder interface {
	OnChange(call func(ctx context.Context, tx *sql.Tx, change dashboard.Change) error)
}

// New returns a store that reads inner through cache. It declares its keyspaces
// in the cache, so a cache serves one such store. Close closes neither.
func New(inner dashboard.Store, cache *larder.Cache, options Options) (*Store, error) {
	if options.InvalidateTimeout <= 0 {
		options.InvalidateTimeout = 2 * time.Second
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	options.ShortTTL, options.MediumTTL = cmp.Or(options.ShortTTL, larder.ShortTTL), cmp.Or(options.MediumTTL, larder.MediumTTL)
	options.LongTTL, options.ExtendedTTL = cmp.Or(options.LongTTL, larder.LongTTL), cmp.Or(options.ExtendedTTL, larder.ExtendedTTL)
	s := &Store{inner: inner, cache: cache, options: options}
	if err := s.declare(); err != nil {
		return nil, err
	}
	if options.Outbox == nil {
		return s, nil
	}
	recorder, ok := inner.(Recorder)
	if !ok {
		return nil, errors.New("cachedstore: Outbox: the store below does not let it write into its transactions")
	}
	recorder.OnChange(s.write)
	return s, nil
}

// Ping asks the database; the cache may be away.
func (s *Store) Ping(ctx context.Context) error { return s.inner.Ping(ctx) }

// Close does nothing: whoever opened the store below and the cache closes them.
func (s *Store) Close() error { return nil }

// mutate runs a mutation of the store below and invalidates what it changed.
func mutate[V any](ctx context.Context, s *Store, do func(context.Context) (V, dashboard.Change, error)) (V, dashboard.Change, error) {
	written := new(note)
	v, change, err := do(context.WithValue(ctx, noteKey{}, written))
	if err == nil && !change.Empty() {
		s.committed(ctx, change, written.pending)
	}
	return v, change, err
}

// mutate is the same for a mutation that returns nothing else.
func (s *Store) mutate(ctx context.Context, do func(context.Context) (dashboard.Change, error)) (dashboard.Change, error) {
	_, change, err := mutate(ctx, s, func(ctx context.Context) (struct{}, dashboard.Change, error) {
		change, err := do(ctx)
		return struct{}{}, change, err
	})
	return change, err
}

// note carries what was written into the outbox from within the transaction of a
// mutation to behind its commit.
type note struct{ pending *outbox.Pending }

type noteKey struct{}

// write puts the invalidations of a change into the outbox. It is called inside
// the transaction, also for mutations that go past this store; of those the relay
// carries out the invalidations.
func (s *Store) write(ctx context.Context, tx *sql.Tx, change dashboard.Change) error {
	pending, err := s.options.Outbox.Add(ctx, tx, s.Targets(change)...)
	if written, ok := ctx.Value(noteKey{}).(*note); ok {
		written.pending = pending // of a transaction that is repeated the last counts
	}
	return err
}

// committed invalidates what a mutation changed. The mutation is done by now and
// its caller may have gone, so neither his context ends the invalidation nor does
// its failure make the mutation fail: this process reads what is concerned from
// the database until Redis has confirmed, and the outbox keeps it until then.
func (s *Store) committed(ctx context.Context, change dashboard.Change, pending *outbox.Pending) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.InvalidateTimeout)
	defer cancel()
	var err error
	if pending != nil {
		err = pending.Done(ctx)
	} else {
		err = s.cache.Invalidate(ctx, s.Targets(change)...)
	}
	switch {
	case errors.Is(err, larder.ErrClosed):
	case err != nil:
		if s.unconfirmed.CompareAndSwap(false, true) {
			s.options.Logger.Warn("invalidations are not confirmed; this process reads what they concern from the database and retries, others may serve it until then", "error", err)
		}
	default:
		s.confirmed()
	}
}

func (s *Store) confirmed() {
	if s.unconfirmed.CompareAndSwap(true, false) {
		s.options.Logger.Info("invalidations are confirmed again")
	}
}

// Recheck logs that invalidations are confirmed again, which a mutation does too:
// call it now and then, or the log says nothing until somebody changes something.
func (s *Store) Recheck() {
	if s.unconfirmed.Load() && s.cache.Health().Pending == 0 {
		s.confirmed()
	}
}
