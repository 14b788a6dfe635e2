// Package server runs the HTTP side of qadash: listening, health, metrics,
// access and the end of life. It knows nothing of pages and operations; those
// are handlers it is given.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/larder-go/larder/dashboard"
)

// Options configure a Server. API, Pages and Ping are required.
type Options struct {
	API   http.Handler // everything below /api/
	Pages http.Handler // everything else
	// Ping reports whether the database answers.
	Ping func(context.Context) error
	// CacheState says how the cache finds its Redis: connected, failing or disconnected. Nil: there is no cache.
	CacheState func() string
	// Access decides who may change data.
	Access Access
	// Registry receives the metrics of HTTP. Default: a new one.
	Registry *prometheus.Registry
	Log      *slog.Logger // default: slog.Default()
	// OnDrain, when set, is called once when the end was asked for: what streams
	// ends then.
	OnDrain func()
	// ClientTime is how long a client may take to send its request and to read the
	// answer; streams bound each of their writes themselves. Default 10 min.
	ClientTime time.Duration
	// ReadTime is how long a read may take, streams excepted: what waits for a database
	// that neither answers nor refuses is told so. Default 15 s.
	ReadTime time.Duration
	// DrainTime is how long running requests may take after the end was asked
	// for. Default 10 s.
	DrainTime time.Duration
}

// Server answers HTTP requests. It starts one goroutine per connection and ends
// them all before Serve returns.
type Server struct {
	Options
	handler  http.Handler
	outage   dashboard.Outage
	failures failures
	draining atomic.Bool
}

// New prepares a server.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.ClientTime == 0 {
		o.ClientTime = 10 * time.Minute
	}
	if o.ReadTime == 0 {
		o.ReadTime = 15 * time.Second
	}
	if o.DrainTime == 0 {
		o.DrainTime = 10 * time.Second
	}
	s := &Server{Options: o}
	s.handler = s.chain()
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

func (s *Server) chain() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.metricsHandler())
	mux.Handle("/api/", s.API)
	mux.Handle("/", s.Pages)

	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		deny(w, http.StatusForbidden, "This change came from a page of another origin.")
	}))
	return s.observe(headers(s.bounded(compressed(crossOrigin.Handler(s.guard(mux))))))
}

// uploadTime is how long a client may take to send the body of a request.
const uploadTime = 5 * time.Minute

// bounded gives bodies and answers a deadline, so that a client which sends or reads
// nothing more holds nothing for ever. Requests without a body have none for
// reading: a stream of events reads nothing and may last for hours.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control, now := http.NewResponseController(w), time.Now()
		_ = control.SetWriteDeadline(now.Add(s.ClientTime))
		if r.Body != nil && r.Body != http.NoBody {
			_ = control.SetReadDeadline(now.Add(min(uploadTime, s.ClientTime)))
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead || isStream(r) {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.ReadTime)
		defer cancel()
		brief := r.WithContext(ctx)
		defer func() { r.Pattern = brief.Pattern }() // as in guard
		next.ServeHTTP(w, brief)
	})
}

// isStream reports whether the answer to a request is a stream of events.
func isStream(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/events") }

// compressed sends pages and JSON with gzip to who accepts it. Streams of
// events are left alone: each event has to leave at once.
func compressed(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1400), gzhttp.ContentTypes([]string{
		"text/html", "text/css", "text/javascript", "application/javascript", "application/json", "application/problem+json", "image/svg+xml", "text/plain",
	}))
	if err != nil {
		panic("server: " + err.Error()) // constant options
	}
	zipping := wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isStream(r) || r.URL.Path == "/metrics" {
			next.ServeHTTP(w, r)
			return
		}
		zipping.ServeHTTP(w, r)
	})
}

// Serve answers requests on a listener until the context ends; then readiness
// fails, running requests are given DrainTime, and nil is returned.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	// Requests outlive ctx while they drain; streams end when ended is closed.
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	web := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	if s.OnDrain != nil {
		s.OnDrain()
	}
	drain, cancel := context.WithTimeout(base, s.DrainTime)
	defer cancel()
	err := web.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		end()
		err = web.Close()
		s.Log.Warn("requests were cut off", "after", s.DrainTime)
	}
	<-failed
	return err
}

// Draining reports whether the end was asked for: streams tell their clients to
// reconnect elsewhere.
func (s *Server) Draining() bool { return s.draining.Load() }
