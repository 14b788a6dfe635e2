package web

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/ingest"
	"github.com/larder-go/larder/dashboard/upload"
)

// The lists of the form hold runs of all suites until two are chosen, so two of
// different suites are chosen easily. The form stays, as it was sent.
func TestRunsOfTwoSuitesAreChosenAgain(t *testing.T) {
	h := newPages(t, newStore(t))
	send(t, h, "api", report)
	send(t, h, "ui", report)
	w := get(h, "/compare?base=1&head=2")
	if got := text(w); w.Code != 422 || !strings.Contains(got, "#1 and #2 are runs of two suites; choose two of one.") || !strings.Contains(got, "Base #2 ui") {
		t.Errorf("%d %s", w.Code, got)
	}
	body := w.Body.String()
	for _, want := range []string{`<option value="1" selected>#1 api`, `<option value="2" selected>#2 ui`} {
		if !strings.Contains(body, want) {
			t.Errorf("missing %s in %s", want, body)
		}
	}
}

// A failure may say nothing: its row has a link all the same.
func TestErrorsWithoutAMessageHaveALink(t *testing.T) {
	h := newPages(t, newStore(t))
	send(t, h, "api", `<testsuite><testcase name="a"><failure/></testcase><testcase name="b"><failure/></testcase></testsuite>`)
	for _, path := range []string{"/", "/flaky"} {
		if body := get(h, path).Body.String(); !strings.Contains(body, `href="/executions/1">without a message</a>`) {
			t.Errorf("%s has no link without a message: %s", path, body)
		}
	}
}

func TestReadsPerLoad(t *testing.T) {
	for want, span := range map[string]dashboard.CacheSpan{
		"none was needed":    {Memory: 5},
		"one for every read": {Loaded: 7, Loads: 7},
		"1 in 1.9 reads":     {Memory: 473, Loaded: 527, Loads: 527},
		"1 in 3 reads":       {Memory: 2, Loaded: 1, Loads: 1},
		"1 in 1,235 reads":   {Memory: 123450, Loaded: 5, Loads: 100},
	} {
		if got := readsPerLoad(span); got != want {
			t.Errorf("%+v: %q, want %q", span, got, want)
		}
	}
}

// The commands on the page work as they stand: they name this server, and the
// token where one is needed.
func TestCommandsForCINameTheServerAndTheToken(t *testing.T) {
	store := newStore(t)
	for _, required := range []bool{false, true} {
		h, err := New(Options{Store: store, Formats: upload.Formats{"junit": ingest.JUnit}, TokenRequired: required, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/", "/upload"} {
			got := text(get(h, path))
			if !strings.Contains(got, "export QADASH_URL=http://example.com qadash report") {
				t.Errorf("%s does not name the server: %s", path, got)
			}
			if strings.Contains(got, `curl -H "Authorization: Bearer $QADASH_TOKEN" -F file=@junit.xml "http://example.com/api`) != required || strings.Contains(got, "Each needs QADASH_TOKEN") != required {
				t.Errorf("%s with a token required %v: %s", path, required, got)
			}
		}
	}
}

// The overview stays a page of a screen or two however many suites there are.
func TestTheOverviewShowsTheSuitesThatSucceedLeast(t *testing.T) {
	h := newPages(t, newStore(t))
	for i := range shownSuites {
		send(t, h, fmt.Sprintf("a-%d", i), `<testsuite><testcase name="a"/></testsuite>`)
	}
	const many = "that succeed least of"
	if got := text(get(h, "/")); strings.Contains(got, many) || strings.Count(got, "100 % 0 s 0 s") != shownSuites {
		t.Errorf("%d suites: %s", shownSuites, got)
	}
	send(t, h, "red", report)
	got := text(get(h, "/"))
	_, panel, _ := strings.Cut(got, "the 25 that succeed least of 26, 30 days")
	if !strings.Contains(panel, "p95 red 1 0 %") || strings.Count(panel, "100 % 0 s 0 s") != shownSuites-1 {
		t.Errorf("one more: %s", got)
	}
}
