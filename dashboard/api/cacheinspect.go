package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// inspectTime bounds what Redis is asked for by one request.
const inspectTime = 5 * time.Second

// inspecting calls ask with the inspector of the cache and answers with what it
// returns.
func inspecting[T any](a *api, w http.ResponseWriter, r *http.Request, ask func(context.Context, dashboard.CacheInspector) (T, error)) error {
	if a.Cache == nil {
		return noCache()
	}
	i, ok := a.Cache.(dashboard.CacheInspector)
	if !ok {
		return noCache()
	}
	ctx, cancel := context.WithTimeout(r.Context(), inspectTime)
	defer cancel()
	answer, err := ask(ctx, i)
	if err != nil {
		if errors.Is(err, dashboard.ErrInvalid) {
			return err
		}
		return &problem{Type: kindUnavailable, Title: "Redis does not answer", Status: http.StatusServiceUnavailable, Detail: "The cache cannot be looked into at the moment.", cause: err}
	}
	w.Header().Set("Cache-Control", "no-store")
	return reply(w, http.StatusOK, answer)
}

func (a *api) previewCache(w http.ResponseWriter, r *http.Request) error {
	order, err := decode[dashboard.CacheOrder](w, r, maxJSON)
	if err != nil {
		return err
	}
	if err := order.Check(); err != nil {
		return err
	}
	return inspecting(a, w, r, func(ctx context.Context, i dashboard.CacheInspector) (dashboard.CachePreview, error) {
		return i.Preview(ctx, order)
	})
}

func (a *api) cacheInstances(w http.ResponseWriter, r *http.Request) error {
	return inspecting(a, w, r, func(ctx context.Context, i dashboard.CacheInspector) ([]dashboard.CacheOverview, error) {
		return i.Instances(ctx)
	})
}

func (a *api) cacheServer(w http.ResponseWriter, r *http.Request) error {
	return inspecting(a, w, r, func(ctx context.Context, i dashboard.CacheInspector) (dashboard.CacheServer, error) {
		return i.Server(ctx)
	})
}

func (a *api) cacheDoctor(w http.ResponseWriter, r *http.Request) error {
	return inspecting(a, w, r, func(ctx context.Context, i dashboard.CacheInspector) ([]dashboard.CacheNote, error) {
		return i.Doctor(ctx)
	})
}

func (a *api) cacheKeys(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	return inspecting(a, w, r, func(ctx context.Context, i dashboard.CacheInspector) (dashboard.CacheKeys, error) {
		return i.Keys(ctx, q.Get("prefix"), q.Get("cursor"))
	})
}

func (a *api) cacheHot(w http.ResponseWriter, r *http.Request) error {
	return inspecting(a, w, r, func(ctx context.Context, i dashboard.CacheInspector) ([]dashboard.CacheHotKey, error) {
		return i.Hot(ctx)
	})
}

func (a *api) cacheEntry(w http.ResponseWriter, r *http.Request) error {
	return a.entryOf(w, r, r.URL.Query().Get("name"), false)
}

// cacheName names an entry.
type cacheName struct {
	Name string `json:"name"`
}

// revealEntry shows a value, which is written to the audit log first.
func (a *api) revealEntry(w http.ResponseWriter, r *http.Request) error {
	in, err := decode[cacheName](w, r, maxJSON)
	if err != nil {
		return err
	}
	if a.Cache != nil && in.Name != "" {
		a.audit(r, "cache.reveal", in.Name, "")
	}
	return a.entryOf(w, r, in.Name, true)
}

func (a *api) entryOf(w http.ResponseWriter, r *http.Request, name string, reveal bool) error {
	if name == "" {
		return dashboard.Invalid("name", "must not be empty")
	}
	return inspecting(a, w, r, func(ctx context.Context, i dashboard.CacheInspector) (dashboard.CacheEntry, error) {
		return i.Entry(ctx, name, reveal)
	})
}

// cacheEvents streams what happens in the cache while somebody reads it.
func (a *api) cacheEvents(w http.ResponseWriter, r *http.Request) error {
	i, ok := a.Cache.(dashboard.CacheInspector)
	if !ok {
		return noCache()
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	events := i.Watch(ctx)
	s, end := a.openStream(w)
	defer end()
	for {
		e, open, over := next(s, r, a.Ending, events)
		if over || !open || !s.event("cache", "", e) {
			return nil
		}
	}
}
