package api

import (
	"context"
	"net/http"
	"time"

	"github.com/larder-go/larder/dashboard"
)

func (a *api) stats(w http.ResponseWriter, r *http.Request) error {
	return figure(w, r, a.store.Stats)
}

func (a *api) testTypes(w http.ResponseWriter, r *http.Request) error {
	return figures(w, r, a.store.TestTypes)
}

func (a *api) performance(w http.ResponseWriter, r *http.Request) error {
	return figure(w, r, a.store.Performance)
}

func figure[T any](w http.ResponseWriter, r *http.Request, read func(context.Context) (T, error)) error {
	value, err := read(r.Context())
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, value)
}

// figures is figure for a list, which is never null.
func figures[T any](w http.ResponseWriter, r *http.Request, read func(context.Context) ([]T, error)) error {
	return figure(w, r, func(ctx context.Context) ([]T, error) {
		list, err := read(ctx)
		if list == nil {
			list = []T{}
		}
		return list, err
	})
}

// trends takes days and an IANA time zone in which days begin.
func (a *api) trends(w http.ResponseWriter, r *http.Request) error {
	q := params(r)
	days := q.whole("days", 30, 1, dashboard.MaxTrendDays)
	zone := q.text("tz", "time_zone")
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		q.fail("tz", "%q is not the name of a time zone such as Europe/Berlin", zone)
	}
	if q.err != nil {
		return q.err
	}
	return figures(w, r, func(ctx context.Context) ([]dashboard.TrendDay, error) { return a.store.Trends(ctx, int(days), loc) })
}

func (a *api) recent(w http.ResponseWriter, r *http.Request) error {
	q := params(r)
	limit := q.whole("limit", 10, 1, dashboard.MaxLimit)
	if q.err != nil {
		return q.err
	}
	return figures(w, r, func(ctx context.Context) ([]dashboard.Execution, error) { return a.store.Recent(ctx, int(limit)) })
}
