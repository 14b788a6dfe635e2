package api_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/api"
	"github.com/larder-go/larder/dashboard/ingest"
	"github.com/larder-go/larder/dashboard/sqlstore"
	"github.com/larder-go/larder/dashboard/upload"
)

// A CI that retries while its first attempt is under way has one execution, and
// every attempt is told which.
func TestTheSameReportManyTimesAtOnceCountsOnce(t *testing.T) {
	c := newClient(t)
	server := httptest.NewServer(c.h)
	defer server.Close()
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		answers = map[int]int{}
		ids     = map[any]bool{}
	)
	for range 24 {
		wg.Go(func() {
			response, err := http.Post(server.URL+"/api/v1/ingest/junit?suite=s&run=1", "text/xml", strings.NewReader(small))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			got := decoded[object](t, response.Body)
			mu.Lock()
			defer mu.Unlock()
			answers[response.StatusCode]++
			if e, ok := got["execution"].(object); ok {
				ids[e["id"]] = true
			}
		})
	}
	wg.Wait()
	http.DefaultClient.CloseIdleConnections()
	if answers[http.StatusCreated] != 1 || answers[http.StatusOK] != 23 || len(ids) != 1 {
		t.Errorf("answers by status: %v, executions: %v", answers, ids)
	}
	if s := want[object](c, 200, "GET", "/api/v1/dashboard/stats", ""); s["total_executions"] != 1.0 || s["total_cases"] != 2.0 {
		t.Errorf("stats: %v", s)
	}
}

// A full disk is said as such, changes nothing and ends with the lack of room.
func TestAFullDiskIsSaid(t *testing.T) {
	c := newClient(t)
	pragma := func(text string) {
		t.Helper()
		if _, err := c.store.(*sqlstore.Store).DB().ExecContext(t.Context(), "PRAGMA "+text); err != nil {
			t.Fatal(err)
		}
	}
	var large strings.Builder
	large.WriteString("<testsuite>")
	for i := range 2000 {
		fmt.Fprintf(&large, `<testcase name="%d"><failure message="m">%s</failure></testcase>`, i, strings.Repeat("x", 1000))
	}
	large.WriteString("</testsuite>")
	pragma("max_page_count = 120") // SQLite answers as it does when the disk is full
	w := c.ingest("?suite=s", "text/xml", strings.NewReader(large.String()))
	if p := decoded[object](t, w.Body); w.Code != http.StatusInsufficientStorage || !strings.Contains(fmt.Sprint(p["detail"]), "no room left; nothing was changed") {
		t.Errorf("got %d %v", w.Code, p)
	}
	if s := want[object](c, 200, "GET", "/api/v1/dashboard/stats", ""); s["total_executions"] != 0.0 || s["total_suites"] != 0.0 {
		t.Errorf("stats: %v", s)
	}
	pragma("max_page_count = 1000000")
	if w := c.ingest("?suite=s", "text/xml", strings.NewReader(large.String())); w.Code != http.StatusCreated {
		t.Errorf("with room again: %d %s", w.Code, w.Body)
	}
}

// away is a store whose database cannot be reached.
type away struct{ dashboard.Store }

func (away) Ingest(context.Context, dashboard.Ingestion) (dashboard.IngestReport, dashboard.Change, error) {
	return dashboard.IngestReport{}, dashboard.Change{}, fmt.Errorf("begin: %w: %w", dashboard.ErrUnavailable, io.ErrUnexpectedEOF)
}

// A lost database is no fault of the report: its sender is told to try again, and
// nothing of the inside.
func TestALostDatabaseIsSaid(t *testing.T) {
	c := &client{t: t, h: api.New(api.Options{Store: away{}, Formats: upload.Formats{"junit": ingest.JUnit}, Log: slog.New(slog.DiscardHandler)})}
	w := c.ingest("?suite=s", "text/xml", strings.NewReader(small))
	if body := w.Body.String(); w.Code != http.StatusServiceUnavailable || !strings.Contains(body, "try again later") || strings.Contains(body, "EOF") {
		t.Errorf("got %d %s", w.Code, body)
	}
}
