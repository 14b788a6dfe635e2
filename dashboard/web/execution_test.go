package web

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larder-go/larder/dashboard"
)

// An execution is compared with the one before it, however many came after it.
func TestAnOldExecutionKnowsItsPredecessor(t *testing.T) {
	store := newStore(t)
	for i := range dashboard.DefaultLimit + 3 {
		in := dashboard.Ingestion{Suite: "api", ContentHash: fmt.Sprint(i), Report: dashboard.Report{Cases: []dashboard.ReportCase{{Name: "a", Status: dashboard.StatusPassed}}}}
		in.Branch = "main"
		if _, _, err := store.Ingest(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	h := newPages(t, store)
	if got := text(get(h, "/executions/2")); !strings.Contains(got, "Compare with #1") || strings.Contains(got, "the first of its branch") {
		t.Errorf("the second of %d: %s", dashboard.DefaultLimit+3, got)
	}
	if got := text(get(h, "/executions/1")); !strings.Contains(got, "the first of its branch") {
		t.Errorf("the first: %s", got)
	}
}

// The audit trail has what happened, not what was asked for.
func TestADeletedWebhookIsDeletedOnce(t *testing.T) {
	store := newStore(t)
	h := newPages(t, store)
	if _, err := store.CreateWebhook(t.Context(), dashboard.NewWebhook{URL: "https://chat.example/hook", Secret: "0123456789abcdef"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, httptest.NewRequest("POST", "/settings/webhooks/1/delete", nil)); w.Code != 303 {
			t.Fatalf("got %d", w.Code)
		}
	}
	if list, err := store.Audits(t.Context(), dashboard.Page{}); err != nil || len(list.Items) != 1 {
		t.Errorf("audit: %v, %v", list.Items, err)
	}
}

// A run that failed without a failed case says why, or nobody knows what to mend.
func TestARunSaysWhyItFailedWithoutACase(t *testing.T) {
	store := newStore(t)
	in := dashboard.Ingestion{Suite: "api", ContentHash: "x", Report: dashboard.Report{Failure: "package p failed to build\n./p.go:3: undefined: <b>x</b>",
		Warnings: []string{"package p failed to build", "1 line is no event"}}}
	if _, _, err := store.Ingest(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	w := get(newPages(t, store), "/executions/1")
	got := text(w)
	for _, want := range []string{"What went wrong", "./p.go:3: undefined: <b>x</b>", "Warnings 1 ", "1 line is no event", "no case was reported"} {
		if !strings.Contains(got, want) {
			t.Errorf("missing %q in %s", want, got)
		}
	}
	checkMarkup(t, "/executions/1", w.Body)
}
