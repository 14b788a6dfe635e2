package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/cachedstore"
	"github.com/larder-go/larder/dashboard/config"
	"github.com/larder-go/larder/dashboard/hooks"
	"github.com/larder-go/larder/dashboard/sqlstore"
)

// Executions whose reporter is silent for this long end as error.
const (
	silentFor = 30 * time.Minute
	reapEvery = time.Minute
)

// recheckEvery is how late the log may say that invalidations are confirmed again.
const recheckEvery = 5 * time.Second

// Invalidations that nobody has carried out for outboxAge and twice the longest TTL
// concern entries that have expired.
const (
	outboxAge = 24 * time.Hour
	tidyEvery = time.Hour
)

// startTasks starts what runs beside the server: the reaper of silent executions, the
// end of invalidations that nobody needs any more, word of those that are confirmed
// again, and the sender of webhooks. The function it returns ends them and waits.
func startTasks(ctx context.Context, c config.Config, b *backend, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { reap(ctx, b.store, log) })
	if store, ok := b.store.(*cachedstore.Store); ok {
		running.Go(func() { recheck(ctx, store) })
	}
	running.Go(func() {
		tidy(ctx, b.database, outboxAge+2*max(c.Cache.TTL.Short, c.Cache.TTL.Medium, c.Cache.TTL.Default), log)
	})
	sender := hooks.New(hooks.Options{Store: b.admin, AllowPrivate: c.WebhookPrivate, BaseURL: c.PublicURL, Log: log})
	running.Go(func() { sender.Run(ctx) })
	if c.PprofAddr != "" {
		running.Go(func() { profiles(ctx, c.PprofAddr, log) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// profiles serves net/http/pprof on an address of its own.
func profiles(ctx context.Context, addr string, log *slog.Logger) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	web := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	log.InfoContext(ctx, "profiles", "url", "http://"+addr+"/debug/pprof/")
	if err := web.ListenAndServe(); err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "no profiles", "error", err)
	}
}

func tidy(ctx context.Context, db *sqlstore.Store, age time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(tidyEvery)
	defer ticker.Stop()
	for {
		n, err := db.ForgetOutbox(ctx, age)
		switch {
		case err != nil && ctx.Err() == nil:
			log.WarnContext(ctx, "old invalidations were not deleted", "error", err)
		case n > 0:
			log.InfoContext(ctx, "invalidations of entries that have expired were deleted", "count", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func recheck(ctx context.Context, store *cachedstore.Store) {
	ticker := time.NewTicker(recheckEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			store.Recheck()
		}
	}
}

func reap(ctx context.Context, store dashboard.Store, log *slog.Logger) {
	ticker := time.NewTicker(reapEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			ended, _, err := store.ReapExecutions(ctx, now.Add(-silentFor))
			switch {
			case err != nil && ctx.Err() == nil:
				log.WarnContext(ctx, "silent executions were not ended", "error", err)
			case len(ended) > 0:
				log.InfoContext(ctx, "silent executions ended as error", "count", len(ended), "silent_for", silentFor)
			}
		}
	}
}
