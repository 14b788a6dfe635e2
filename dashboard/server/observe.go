package server

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// observe counts and logs every request and ends a panic as a 500.
func (s *Server) observe(next http.Handler) http.Handler {
	requests := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "qadash_http_request_seconds", Help: "Time to answer, by route pattern, method and status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"route", "method", "status"})
	active := prometheus.NewGauge(prometheus.GaugeOpts{Name: "qadash_http_requests_active", Help: "Requests being answered, streams included."})
	s.Registry.MustRegister(requests, active)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, seen := time.Now(), &recorder{ResponseWriter: w}
		active.Inc()
		defer func() {
			active.Dec()
			s.recovered(seen, r, recover())
			route, status := route(r), strconv.Itoa(seen.code())
			requests.WithLabelValues(route, method(r.Method), status).Observe(time.Since(start).Seconds())
			s.Log.DebugContext(r.Context(), "request", "method", r.Method, "route", route, "status", status, "took", time.Since(start), "bytes", seen.bytes)
		}()
		next.ServeHTTP(seen, r)
	})
}

func (s *Server) recovered(w *recorder, r *http.Request, cause any) {
	if cause == nil || cause == http.ErrAbortHandler {
		return
	}
	s.Log.ErrorContext(r.Context(), "panic", "route", route(r), "cause", cause, "stack", string(debug.Stack()))
	if w.status == 0 {
		answer(w, http.StatusInternalServerError, map[string]any{"type": "urn:qadash:internal", "title": "Internal error", "status": 500})
	}
}

// route is the pattern that matched, without its method: a label must not hold
// what a client can make up.
func route(r *http.Request) string {
	pattern := r.Pattern
	if _, path, ok := strings.Cut(pattern, " "); ok {
		pattern = path
	}
	if pattern == "" || pattern == "/api/" || pattern == "/" && r.URL.Path != "/" {
		return "unmatched"
	}
	return pattern
}

func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return name
	}
	return "other"
}

// recorder remembers the status and the size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) code() int { return max(r.status, http.StatusOK) }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.status = r.code()
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (s *Server) metricsHandler() http.Handler {
	return promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{Registry: s.Registry, EnableOpenMetrics: true})
}

// headers sets what holds for every answer. Pages may not run anything that is
// not a file of this server.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
