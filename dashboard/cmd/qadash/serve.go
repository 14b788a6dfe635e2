package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/api"
	"github.com/larder-go/larder/dashboard/config"
	"github.com/larder-go/larder/dashboard/ingest"
	"github.com/larder-go/larder/dashboard/server"
	"github.com/larder-go/larder/dashboard/upload"
	"github.com/larder-go/larder/dashboard/web"
)

// formats are the reports that can be taken in.
var formats = upload.Formats{"junit": ingest.JUnit, "gotest": ingest.GoTest}

// serve runs the server until it is told to end.
func serve(ctx context.Context, args []string, s streams) error {
	f := flags("serve", "", s)
	addr := f.String("addr", "", "address to listen on, instead of ADDR")
	if err := noArgs(f, args); err != nil {
		return err
	}
	env := s.env
	if *addr != "" {
		env = func(name string) (string, bool) {
			if name == "ADDR" {
				return *addr, true
			}
			return s.env(name)
		}
	}
	c, err := config.Load(env)
	if err != nil {
		return err
	}
	log := logger(c, s.err)
	for _, w := range c.Warnings {
		log.Warn(w)
	}
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("%w; ADDR names another address, such as ADDR=127.0.0.1:8001", err)
	}
	defer listener.Close()
	return serveOn(ctx, listener, c, log, s)
}

func serveOn(ctx context.Context, listener net.Listener, c config.Config, log *slog.Logger, s streams) (err error) {
	b, err := open(ctx, c, log)
	if err != nil {
		return err
	}
	defer func() { err = joined(err, b.close()) }()
	web, err := assemble(c, b, log)
	if err != nil {
		return err
	}
	stop := startTasks(ctx, c, b, log)
	defer stop()
	fmt.Fprintf(s.out, "qadash is at http://%s (database: %s; cache: %s)\n", listener.Addr(), describe(c.Database), b.cacheLine())
	err = web.Serve(ctx, listener)
	log.Info("ended")
	return err
}

// assemble puts the handlers together.
func assemble(c config.Config, b *backend, log *slog.Logger) (*server.Server, error) {
	registry := prometheus.NewRegistry()
	reports := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "qadash_reports_total", Help: "Reports taken in, by format."}, []string{"format"})
	cases := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "qadash_report_cases_total", Help: "Cases in the reports taken in, by format."}, []string{"format"})
	registry.MustRegister(reports, cases, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &executionGauges{store: b.store})
	if b.metrics != nil {
		registry.MustRegister(b.metrics)
	}
	ingested := func(format string, n int) {
		reports.WithLabelValues(format).Inc()
		cases.WithLabelValues(format).Add(float64(n))
	}
	streams := prometheus.NewGauge(prometheus.GaugeOpts{Name: "qadash_event_streams", Help: "Clients that follow an execution."})
	registry.MustRegister(streams)
	ending := make(chan struct{})
	access := server.Access{Required: c.RequiresToken(), AdminToken: c.AdminToken, Tokens: b.admin}
	pages, err := web.New(web.Options{
		Store: b.store, Admin: b.admin, Formats: formats, Branch: c.Branch, Log: log, Ingested: ingested, Cache: b.view,
		SignIn: access.Authenticate, TokenCookie: server.TokenCookie, TokenRequired: access.Required,
	})
	if err != nil {
		return nil, err
	}
	return server.New(server.Options{
		API: api.New(api.Options{
			Store: b.store, Admin: b.admin, Formats: formats, Log: log, Ingested: ingested, Branch: c.Branch, Ending: ending, Cache: b.view,
			Streams: func(by int) { streams.Add(float64(by)) },
		}),
		Pages: pages, Ping: b.store.Ping, CacheState: b.remote, Registry: registry, Log: log,
		Access:  access,
		OnDrain: sync.OnceFunc(func() { close(ending) }),
	}), nil
}

func describe(d config.Database) string {
	if d.Driver == "sqlite" {
		return d.DSN
	}
	return d.Driver
}

// executionGauges counts executions by state when metrics are asked for.
type executionGauges struct{ store dashboard.Store }

var executionsNow = prometheus.NewDesc("qadash_executions", "Executions that run or wait to.", []string{"state"}, nil)

// Describe implements prometheus.Collector.
func (g *executionGauges) Describe(to chan<- *prometheus.Desc) { to <- executionsNow }

// Collect implements prometheus.Collector. Without a database the gauges are
// absent, not zero.
func (g *executionGauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTime)
	defer cancel()
	stats, err := g.store.Stats(ctx)
	if err != nil {
		return
	}
	to <- prometheus.MustNewConstMetric(executionsNow, prometheus.GaugeValue, float64(stats.ActiveExecutions), "running")
	to <- prometheus.MustNewConstMetric(executionsNow, prometheus.GaugeValue, float64(stats.PendingExecutions), "pending")
}
