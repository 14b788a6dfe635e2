package api

import (
	"context"
	"fmt"
	"math"
	"net/http"

	"github.com/larder-go/larder/dashboard"
)

func (a *api) history(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r, dashboard.HistoryLimit, dashboard.MaxHistory)
	if err != nil {
		return err
	}
	return one(w, r, func(ctx context.Context, id int64) (dashboard.CaseHistory, error) {
		if _, err := a.store.Case(ctx, id); err != nil {
			return dashboard.CaseHistory{}, err
		}
		return a.store.History(ctx, id, limit)
	})
}

func (a *api) flaky(w http.ResponseWriter, r *http.Request) error {
	return limited(w, r, a.store.Flaky)
}

func (a *api) slowest(w http.ResponseWriter, r *http.Request) error {
	return limited(w, r, a.store.Slowest)
}

func (a *api) topErrors(w http.ResponseWriter, r *http.Request) error {
	return limited(w, r, a.store.TopErrors)
}

func limitOf(r *http.Request, fallback, most int64) (int, error) {
	q := params(r)
	limit := q.whole("limit", fallback, 1, most)
	return int(limit), q.err
}

func limited[T any](w http.ResponseWriter, r *http.Request, read func(context.Context, int) ([]T, error)) error {
	limit, err := limitOf(r, 10, dashboard.MaxInsights)
	if err != nil {
		return err
	}
	return figures(w, r, func(ctx context.Context) ([]T, error) { return read(ctx, limit) })
}

func (a *api) compare(w http.ResponseWriter, r *http.Request) error {
	q := params(r)
	base, head := q.whole("base", 0, 1, math.MaxInt64), q.whole("head", 0, 1, math.MaxInt64)
	if q.err == nil && base == 0 {
		q.fail("base", "is missing: the id of an execution")
	}
	if q.err == nil && head == 0 {
		q.fail("head", "is missing: the id of an execution")
	}
	if q.err != nil {
		return q.err
	}
	return figure(w, r, func(ctx context.Context) (dashboard.Comparison, error) { return a.store.Compare(ctx, base, head) })
}

func (a *api) health(w http.ResponseWriter, r *http.Request) error {
	branch := params(r).text("branch")
	if branch == "" {
		branch = a.Branch
	}
	return figures(w, r, func(ctx context.Context) ([]dashboard.SuiteHealth, error) { return a.store.Health(ctx, branch) })
}

func (a *api) search(w http.ResponseWriter, r *http.Request) error {
	limit, err := limitOf(r, 20, dashboard.MaxLimit)
	if err != nil {
		return err
	}
	query := params(r).text("q")
	if query == "" {
		return invalid("q", "is missing: what to search for")
	}
	return figure(w, r, func(ctx context.Context) (dashboard.Found, error) { return a.store.Search(ctx, query, limit) })
}

// badge draws the state of a suite on a branch for a README.
func (a *api) badge(w http.ResponseWriter, r *http.Request) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	branch := params(r).text("branch")
	if branch == "" {
		branch = a.Branch
	}
	if _, err := a.store.Suite(r.Context(), n); err != nil {
		return err
	}
	health, err := a.store.Health(r.Context(), branch)
	if err != nil {
		return err
	}
	text, color := "no runs", "#656873"
	for _, h := range health {
		if h.SuiteID != n {
			continue
		}
		text, color = string(h.Execution.Status), "#1b7440"
		if h.Red {
			color = "#c01f2b"
			if bad := h.Execution.Failed + h.Execution.Errors; bad > 0 {
				text = fmt.Sprintf("%d failing", bad)
			}
		}
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "no-cache, max-age=0")
	w.WriteHeader(http.StatusOK)
	_, _ = fmt.Fprint(w, badgeSVG("tests", text, color))
	return nil
}

// badgeSVG draws two words side by side. Verdana's letters are about 6.6 wide
// at this size; textLength fits them wherever the font is another.
func badgeSVG(left, right, color string) string {
	width := func(text string) int { return 10 + 66*len(text)/10 }
	l, r := width(left), width(right)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img" aria-label="%[2]s: %[3]s"><title>%[2]s: %[3]s</title>`+
		`<clipPath id="r"><rect width="%[1]d" height="20" rx="4"/></clipPath><g clip-path="url(#r)"><rect width="%[4]d" height="20" fill="#4d5059"/><rect x="%[4]d" width="%[5]d" height="20" fill="%[6]s"/></g>`+
		`<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"><text x="%[7]d" y="14" textLength="%[9]d">%[2]s</text><text x="%[8]d" y="14" textLength="%[10]d">%[3]s</text></g></svg>`,
		l+r, left, right, l, r, color, l/2, l+r/2, l-10, r-10)
}
