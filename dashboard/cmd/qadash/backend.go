package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/config"
	"github.com/larder-go/larder/dashboard/sqlstore"
)

// collectTime bounds what metrics ask the database.
const collectTime = time.Second

// backend is the store with what runs below it.
type backend struct {
	store     dashboard.Store
	metrics   prometheus.Collector // of the cache; nil without one
	connected func() bool          // whether Redis is; nil without a cache
	line      string
	closers   []func() error // in the order of opening
}

// open opens the database and puts the cache over it. An absent Redis is no
// failure; an absent database is.
func open(ctx context.Context, c config.Config, log *slog.Logger) (*backend, error) {
	db, err := sqlstore.Open(ctx, c.Database.DSN, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	return &backend{store: db, line: "off", closers: []func() error{db.Close}}, nil
}

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
