package hooks

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/internal/emptydb"
	"github.com/larder-go/larder/dashboard/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef"

// receiver notes what arrives and answers with what it is told.
type receiver struct {
	*httptest.Server
	status int
	got    []string
	bad    int // wrong signatures
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{status: 200}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		want := "sha256=" + Sign(secret, q.Header.Get("X-Qadash-Timestamp"), body)
		if !hmac.Equal([]byte(want), []byte(q.Header.Get("X-Qadash-Signature"))) {
			r.bad++
		}
		var m message
		if json.Unmarshal(body, &m) == nil {
			r.got = append(r.got, string(m.Event)+" "+m.Suite+" "+string(m.Execution.Status))
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newStore(t *testing.T, c *clock) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), emptydb.SQLite(t), sqlstore.Options{Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// finish runs a suite to an end.
func finish(t *testing.T, store dashboard.Store, status dashboard.Status) {
	t.Helper()
	ctx := t.Context()
	e, _, err := store.CreateExecution(ctx, dashboard.NewExecution{SuiteID: 1, Branch: "main"})
	if err == nil {
		_, _, err = store.StartExecution(ctx, e.ID)
	}
	if err == nil {
		_, _, err = store.FinishExecution(ctx, e.ID, dashboard.Finish{Status: status})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTurnsAreToldSignedAndRetried(t *testing.T) {
	c := &clock{now: time.Date(2025, 11, 20, 14, 0, 0, 0, time.UTC)}
	store, to := newStore(t, c), newReceiver(t)
	if _, _, err := store.CreateSuite(t.Context(), dashboard.NewSuite{Name: "api"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.CreateWebhook(t.Context(), dashboard.NewWebhook{URL: to.URL, Secret: secret}); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Store: store, AllowPrivate: true, Log: slog.New(slog.DiscardHandler), Now: c.Now})
	deliver := func() {
		t.Helper()
		if err := s.Deliver(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	finish(t, store, dashboard.StatusPassed)
	deliver()
	finish(t, store, dashboard.StatusFailed)
	finish(t, store, dashboard.StatusFailed)
	to.status = 500
	deliver() // refused, and due again after half a minute
	deliver()
	to.status = 200
	c.now = c.now.Add(firstRetry + time.Second)
	deliver()
	finish(t, store, dashboard.StatusPassed)
	deliver()
	deliver()
	want := "became_red api failed, became_red api failed, recovered api passed"
	if got := strings.Join(to.got, ", "); got != want || to.bad > 0 {
		t.Errorf("got %s; %d wrong signatures", got, to.bad)
	}
}

// A webhook must not reach what only this server can.
func TestPrivateAddressesAreRefused(t *testing.T) {
	c := &clock{now: time.Now()}
	store, to := newStore(t, c), newReceiver(t)
	s := New(Options{Store: store, Log: slog.New(slog.DiscardHandler)})
	for _, url := range []string{to.URL, strings.Replace(to.URL, "127.0.0.1", "localhost", 1), "http://[::1]:1/", "http://10.0.0.1/", "http://169.254.169.254/", "http://[::ffff:127.0.0.1]:1/", "http://100.64.0.1/", "http://0.0.0.0:1/"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		outcome := s.try(ctx, dashboard.Delivery{Tries: 1, Webhook: dashboard.Webhook{URL: url, Secret: secret}})
		cancel()
		if outcome.OK || outcome.Reason != errPrivate.Error() || outcome.RetryAt != nil {
			t.Errorf("%s: %+v", url, outcome)
		}
	}
	if len(to.got) > 0 {
		t.Errorf("received %v", to.got)
	}
}

func TestRedirectsAreNotFollowedAndTriesEnd(t *testing.T) {
	to := newReceiver(t)
	from := httptest.NewServer(http.RedirectHandler(to.URL, http.StatusTemporaryRedirect))
	defer from.Close()
	s := New(Options{AllowPrivate: true, Log: slog.New(slog.DiscardHandler)})
	d := dashboard.Delivery{Tries: maxTries - 1, Webhook: dashboard.Webhook{URL: from.URL, Secret: secret}}
	if o := s.try(t.Context(), d); o.OK || o.Reason != "answered 307" || o.RetryAt == nil || len(to.got) > 0 {
		t.Errorf("got %+v, %v", o, to.got)
	}
	d.Tries = maxTries
	if o := s.try(t.Context(), d); o.RetryAt != nil {
		t.Errorf("after the last try: %+v", o)
	}
}
