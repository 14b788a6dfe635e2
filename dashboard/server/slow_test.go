package server

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// talk sends raw bytes to a server whose clients have little time, and returns when
// its handler has ended; the connection reads nothing.
func talk(t *testing.T, request string, pages http.HandlerFunc) {
	t.Helper()
	done := make(chan struct{})
	s := newServer(Options{ClientTime: 100 * time.Millisecond, Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		pages(w, r)
	})})
	address, end, served := serve(t, s)
	conn := say(t, address, request)
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Error("the handler still waits for its client")
	}
	end()
	_ = conn.Close()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// Who does not read his answer is let go, whatever its size.
func TestAClientThatDoesNotReadIsLetGo(t *testing.T) {
	talk(t, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n", func(w http.ResponseWriter, _ *http.Request) {
		part := make([]byte, 1<<20)
		for range 1 << 10 { // more than any buffer on the way
			if _, err := w.Write(part); err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the answer ended with %v", err)
				}
				return
			}
		}
		t.Error("an answer of 1 GiB was sent to nobody")
	})
}

// Who does not send the rest of his body is let go.
func TestAClientThatDoesNotSendIsLetGo(t *testing.T) {
	talk(t, "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin", func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %q and %v", body, err)
		}
	})
}

// A database that neither answers nor refuses holds no reader for ever; streams last
// as long as they like, and a change as long as its client.
func TestAReadEndsWhenTheDatabaseIsSilent(t *testing.T) {
	wait := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, bounded := r.Context().Deadline(); !bounded {
			return
		}
		<-r.Context().Done()
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	s := newServer(Options{API: wait, Pages: wait, ReadTime: 10 * time.Millisecond})
	for target, want := range map[string]int{
		"GET /executions/1": 503, "HEAD /": 503, "GET /api/v1/suites": 503,
		"GET /api/v1/executions/1/events": 200, "POST /upload": 200, "POST /api/v1/ingest/junit": 200,
	} {
		method, path, _ := strings.Cut(target, " ")
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, httptest.NewRequest(method, path, nil)); w.Code != want {
			t.Errorf("%s: got %d, want %d", target, w.Code, want)
		}
	}
}
