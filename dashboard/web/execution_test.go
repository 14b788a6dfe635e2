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

// A failure without message, stack and output says so, instead of an empty box.
func TestAFailureThatSaysNothing(t *testing.T) {
	h := newPages(t, newStore(t))
	send(t, h, "api", `<testsuite><testcase name="a"><failure/></testcase></testsuite>`)
	send(t, h, "api", `<testsuite><testcase name="a"><failure/><system-out>printed</system-out></testcase></testsuite>`)
	const nothing = "The report says nothing about it"
	if got := text(get(h, "/executions/1")); !strings.Contains(got, nothing) {
		t.Errorf("missing %q in %s", nothing, got)
	}
	if got := text(get(h, "/executions/2")); strings.Contains(got, nothing) || !strings.Contains(got, "captured output: printed") {
		t.Errorf("with output: %s", got)
	}
}

// What is reported test by test has no total before its end: "7 of 7" would say
// that it is over.
func TestARunWhoseTotalIsNotKnown(t *testing.T) {
	store := newStore(t)
	h := newPages(t, store)
	run := func(id int64) {
		t.Helper()
		_, _, err := store.CreateExecution(t.Context(), dashboard.NewExecution{SuiteID: 1})
		if err == nil {
			_, _, err = store.StartExecution(t.Context(), id)
		}
		if err == nil {
			_, _, err = store.AddResults(t.Context(), id, []dashboard.NewResult{{CaseName: "a", Status: dashboard.StatusPassed}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := store.CreateSuite(t.Context(), dashboard.NewSuite{Name: "api"}); err != nil {
		t.Fatal(err)
	}
	run(1)
	if got := text(get(h, "/executions/1")); !strings.Contains(got, "Done 1 so far nobody has said how many there are") {
		t.Errorf("the first: %s", got)
	}
	if _, _, err := store.FinishExecution(t.Context(), 1, dashboard.Finish{}); err != nil {
		t.Fatal(err)
	}
	if got := text(get(h, "/executions/1")); !strings.Contains(got, "Done 1 of 1 all have ended") {
		t.Errorf("the first, at its end: %s", got)
	}
	run(2)
	if got := text(get(h, "/executions/2")); !strings.Contains(got, "Done 1 so far #1 had 1") {
		t.Errorf("the second: %s", got)
	}
	if _, _, err := store.AddResults(t.Context(), 2, []dashboard.NewResult{{CaseName: "b", Status: dashboard.StatusRunning}}); err != nil {
		t.Fatal(err)
	}
	if got := text(get(h, "/executions/2")); !strings.Contains(got, "Done 1 of 2 1 running or waiting") {
		t.Errorf("the second, with one that runs: %s", got)
	}
}
