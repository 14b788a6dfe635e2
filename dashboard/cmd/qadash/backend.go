package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/cachedstore"
	"github.com/larder-go/larder/dashboard/config"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/outbox"
	"github.com/larder-go/larder/redistier"
	"github.com/larder-go/larder/telemetry/larderprom"
)

// collectTime bounds what metrics ask the database.
const collectTime = time.Second

// backend is the store with what runs below it.
type backend struct {
	store    dashboard.Store
	database *sqlstore.Store
	admin    dashboard.Admin      // never cached
	metrics  prometheus.Collector // of the cache; nil without one
	view     dashboard.CacheView  // nil without a cache
	remote   func() string        // how the cache finds Redis; nil without a cache
	line     string
	closers  []func() error // in the order of opening
}

// open opens the database and puts the cache over it. An absent Redis is no
// failure; an absent database is.
func open(ctx context.Context, c config.Config, log *slog.Logger) (*backend, error) {
	db, err := sqlstore.Open(ctx, c.Database.DSN, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	b := &backend{store: db, database: db, admin: db, line: "off", closers: []func() error{db.Close}}
	if !c.Cache.Enabled {
		// Others on this database may have caches.
		return b, cachedstore.Record(db, db.DB(), dialectOf(c))
	}
	if err := b.addCache(ctx, c, log, db); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *backend) addCache(ctx context.Context, c config.Config, log *slog.Logger, db *sqlstore.Store) error {
	redis := redistier.FromEnv()
	if err := redis.Validate(); err != nil {
		return &configError{err}
	}
	keys, err := keyRing(c.Cache)
	if err != nil {
		return err
	}
	cache, err := redistier.Open(ctx, redis, larder.Options{
		Namespace: c.Cache.Namespace, MemoryBytes: c.Cache.MemoryBytes, MaxStaleness: c.Cache.MaxStaleness, ReadTimeout: c.Cache.ReadTimeout,
		MaxValueBytes: int(c.Cache.MaxValue), CompressMin: int(c.Cache.CompressMin), Keys: keys,
		DefaultTTL: c.Cache.TTL.Default, Logger: log,
	})
	if err != nil {
		return &configError{err}
	}
	b.closers = append(b.closers, func() error { return closed(cache.Close(), log) })
	box, err := b.addOutbox(c, log, db, cache)
	if err != nil {
		return err
	}
	options := cachedstore.Options{Logger: log, Outbox: box, ShortTTL: c.Cache.TTL.Short, MediumTTL: c.Cache.TTL.Medium,
		LongTTL: c.Cache.TTL.Long, ExtendedTTL: c.Cache.TTL.Extended}
	if c.Database.Driver == "sqlite" {
		options.Rows = larder.MemoryOnly // a row of the embedded database is nearer than Redis
	}
	b.store, err = cachedstore.New(b.store, cache, options)
	b.remote = func() string { return cache.Health().Remote }
	b.metrics = larderprom.Collector(cache)
	view, viewErr := newCacheView(cache, redis, c.Cache, keys)
	if viewErr != nil {
		return viewErr
	}
	b.view, b.closers = view, append(b.closers, view.close)
	b.line = "memory and Redis at " + addressOf(redis)
	if b.remote() != "connected" {
		b.line = "memory alone until Redis appears at " + addressOf(redis)
	}
	return err
}

// addressOf names the servers of a configuration.
func addressOf(c redistier.Config) string {
	if len(c.Addresses) > 0 {
		return strings.Join(c.Addresses, ", ")
	}
	return c.Address
}

// keyRing reads the keys that values are encrypted with; nil for none.
func keyRing(c config.Cache) (*larder.KeyRing, error) {
	if !c.Enabled || c.KeyFile == "" {
		return nil, nil
	}
	keys, err := larder.ReadKeyFile(c.KeyFile)
	if err != nil {
		return nil, &configError{config.Fault("CACHE_KEY_FILE", c.KeyFile, err)}
	}
	return keys, nil
}

// closed is the error of a cache that ends. What Redis did not confirm until now is
// in the outbox, and the next process with a Redis carries it out.
func closed(err error, log *slog.Logger) error {
	if errors.Is(err, larder.ErrPending) {
		log.Info("invalidations that Redis has not confirmed are left to the outbox", "error", err)
		return nil
	}
	return err
}

func dialectOf(c config.Config) outbox.Dialect {
	if c.Database.Driver == "sqlite" {
		return outbox.SQLite
	}
	return outbox.PostgreSQL
}

// addOutbox makes an outbox in the database and runs its relay until the end.
func (b *backend) addOutbox(c config.Config, log *slog.Logger, db *sqlstore.Store, cache *larder.Cache) (*outbox.Box, error) {
	box, err := outbox.New(db.DB(), cache, outbox.Options{Dialect: dialectOf(c), Logger: log})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- box.Run(ctx) }()
	b.closers = append(b.closers, func() error {
		cancel()
		return <-ended
	})
	return box, nil
}

// configError is a bad variable that was found where it is used.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// cacheLine says in a few words which cache is used.
func (b *backend) cacheLine() string { return b.line }

// close ends everything in the reverse order.
func (b *backend) close() error {
	var errs []error
	for i := len(b.closers) - 1; i >= 0; i-- {
		errs = append(errs, b.closers[i]())
	}
	return errors.Join(errs...)
}

// joined is the error of a command and of its end; the first alone when both are.
func joined(err, closing error) error {
	if err == nil && closing != nil {
		return fmt.Errorf("close: %w", closing)
	}
	return err
}
