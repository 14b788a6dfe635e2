package larderhttp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// A tool's names are warmed one by one, and what fails is told by its name.
func TestWarmHandler(t *testing.T) {
	var seen []string
	h := WarmHandler(func(_ context.Context, name string) error {
		seen = append(seen, name)
		if name == "suite:x" {
			return errors.New("no such suite")
		}
		return nil
	})
	send := func(method, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/warm", strings.NewReader(body)))
		return w
	}
	w := send(http.MethodPost, "suite:1\n\n suite:x \nsuite:2")
	var got Warmed
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Warmed != 2 || len(got.Failed) != 1 || got.Failed["suite:x"] != "no such suite" {
		t.Errorf("answered %s, %v", w.Body, err)
	}
	if want := []string{"suite:1", "suite:x", "suite:2"}; !slices.Equal(seen, want) {
		t.Errorf("warmed %q", seen)
	}
	for name, c := range map[string]struct {
		method, body string
		code         int
	}{
		"method":         {http.MethodGet, "", http.StatusMethodNotAllowed},
		"too many names": {http.MethodPost, strings.Repeat("n\n", WarmNames+1), http.StatusRequestEntityTooLarge},
		"too large":      {http.MethodPost, strings.Repeat(strings.Repeat("n", 1000)+"\n", 1200), http.StatusRequestEntityTooLarge},
		"a long line":    {http.MethodPost, strings.Repeat("n", 100_000), http.StatusRequestEntityTooLarge},
	} {
		seen = nil
		if w := send(c.method, c.body); w.Code != c.code || seen != nil {
			t.Errorf("%s: %d, %s, warmed %q", name, w.Code, w.Body, seen)
		}
	}
}
