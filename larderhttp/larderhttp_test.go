package larderhttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/larderhttp"
)

func token(t *testing.T) larder.Token {
	t.Helper()
	c, err := larder.New(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tok, err := c.InvalidateToken(context.Background(), larder.Tag("suites"))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestTokenTravelsByHeaderAndByCookie(t *testing.T) {
	want := token(t)
	w := httptest.NewRecorder()
	larderhttp.Set(w, httptest.NewRequest(http.MethodPost, "/suites", nil), want)
	res := w.Result()

	byHeader := httptest.NewRequest(http.MethodGet, "/suites", nil)
	byHeader.Header.Set(larderhttp.Header, res.Header.Get(larderhttp.Header))
	if got := larderhttp.From(byHeader); got != want {
		t.Errorf("by header: %v, want %v", got, want)
	}
	byCookie := httptest.NewRequest(http.MethodGet, "/suites", nil)
	for _, c := range res.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie is not protected: %v", c)
		}
		byCookie.AddCookie(c)
	}
	if got := larderhttp.From(byCookie); got != want {
		t.Errorf("by cookie: %v, want %v", got, want)
	}
}

func TestWhatIsNoTokenDemandsNothing(t *testing.T) {
	for _, text := range []string{"", "x", "AAAAAAAAAAAA", "AQ==", "!!!!!!!!!!!!", string(make([]byte, 4096))} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header[larderhttp.Header] = []string{text}
		r.Header["Cookie"] = []string{larderhttp.Cookie + "=" + text}
		if got := larderhttp.From(r); got != (larder.Token{}) {
			t.Errorf("%.20q: %v", text, got)
		}
	}
}

func TestZeroTokenWritesNothing(t *testing.T) {
	w := httptest.NewRecorder()
	larderhttp.Set(w, httptest.NewRequest(http.MethodPost, "/", nil), larder.Token{})
	if len(w.Header()) != 0 {
		t.Errorf("headers %v", w.Header())
	}
}
