package web

import (
	"strings"
	"testing"

	"github.com/larder-go/larder/dashboard"
)

// A page of what was found does not pass for all of it.
func TestASearchSaysThatThereIsMore(t *testing.T) {
	store := newStore(t)
	h := newPages(t, store)
	if _, err := store.Seed(t.Context(), dashboard.SeedOptions{Days: 2}); err != nil {
		t.Fatal(err)
	}
	if got := text(get(h, "/search?q=a")); !strings.Contains(got, "Cases the first 50") || !strings.Contains(got, "Suites 5") {
		t.Errorf("got %s", got)
	}
}
