package api_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/api"
	"github.com/larder-go/larder/dashboard/upload"
)

// remembered is a store that has its answer at hand, as a cache has.
type remembered struct {
	dashboard.Store
	list dashboard.List[dashboard.Execution]
}

func (s *remembered) Executions(context.Context, dashboard.ExecutionFilter, dashboard.Page) (dashboard.List[dashboard.Execution], error) {
	return s.list, nil
}

// BenchmarkAnswer is the work around a list that memory holds: all of it, and what
// is left of it when the client has the same already. See docs/decisions/0060.
func BenchmarkAnswer(b *testing.B) {
	s := &remembered{list: dashboard.List[dashboard.Execution]{Items: make([]dashboard.Execution, 20), Total: 20}}
	for i := range s.list.Items {
		s.list.Items[i] = dashboard.Execution{ID: int64(i), SuiteName: "checkout-api", Branch: "main", Commit: "4f1c2d9e", Status: dashboard.StatusPassed, ResultsSummary: []byte("{}")}
	}
	h := api.New(api.Options{Store: s, Formats: upload.Formats{}, Log: slog.New(slog.DiscardHandler)})
	first := httptest.NewRecorder()
	h.ServeHTTP(first, httptest.NewRequest("GET", "/api/v1/executions?limit=20", nil))
	for name, known := range map[string]string{"known=no": "", "known=yes": first.Header().Get("ETag")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("GET", "/api/v1/executions?limit=20", nil)
				r.Header.Set("If-None-Match", known)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != 200 && w.Code != 304 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
