package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/api"
	"github.com/larder-go/larder/dashboard/upload"
)

// stuckStore does not answer for the first execution until it is freed.
type stuckStore struct {
	dashboard.Store
	asked chan struct{} // receives each question for it
	free  chan struct{}
}

func (s *stuckStore) Execution(ctx context.Context, id int64) (dashboard.Execution, error) {
	if id == 1 {
		select {
		case s.asked <- struct{}{}:
		default:
		}
		<-s.free
	}
	return s.Store.Execution(ctx, id)
}

// An execution that the database is slow to answer for holds up nobody who follows
// another one, and who gives up waiting for it is gone at once.
func TestFollowersOfOneExecutionDoNotWaitForAnother(t *testing.T) {
	c := newClient(t)
	stuck := &stuckStore{c.store, make(chan struct{}, 1), make(chan struct{})}
	server := httptest.NewServer(api.New(api.Options{Store: stuck, Formats: upload.Formats{}, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close) // after the streams have ended
	free := sync.OnceFunc(func() { close(stuck.free) })
	t.Cleanup(free)
	suite := c.suite("api")
	c.execution(suite)
	c.execution(suite)
	url := server.URL + "/api/v1/executions/"
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, giveUp := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(ctx, "GET", url+"1/events", nil)
		if err == nil {
			var response *http.Response
			if response, err = client.Do(r); err == nil {
				_ = response.Body.Close()
			}
		}
		gone <- err
	}()
	<-stuck.asked
	next, _ := listen(t, url+"2/events", "")
	if e := next(); e.id != "pending-0-0-0-0-0" {
		t.Errorf("the other: %+v", e)
	}
	giveUp()
	if err := <-gone; err == nil {
		t.Error("the first has an answer")
	}
	free()
	again, _ := listen(t, url+"1/events", "")
	if e := again(); e.id != "pending-0-0-0-0-0" {
		t.Errorf("the first once more: %+v", e)
	}
}
