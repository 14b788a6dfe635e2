package api

import (
	"net/http"

	"github.com/larder-go/larder/dashboard"
)

// cache shows the figures of this instance's cache.
func (a *api) cache(w http.ResponseWriter, _ *http.Request) error {
	if a.Cache == nil {
		return noCache()
	}
	return reply(w, http.StatusOK, a.Cache.Overview())
}

// forget invalidates by tag or pattern, or everything.
func (a *api) forget(w http.ResponseWriter, r *http.Request) error {
	if a.Cache == nil {
		return noCache()
	}
	order, err := decode[dashboard.CacheOrder](w, r, maxJSON)
	if err != nil {
		return err
	}
	if err := order.Check(); err != nil {
		return err
	}
	err = a.Cache.Forget(r.Context(), order)
	a.audit(r, "cache.invalidate", order.String(), order.By)
	if err != nil {
		return &problem{Type: kindUnavailable, Title: "Not confirmed", Status: http.StatusServiceUnavailable,
			Detail: "Redis has not confirmed the invalidation. It is retried, and this server reads what it concerns from the database until then.", cause: err}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func noCache() error {
	return &problem{Type: kindNotFound, Title: "Not found", Status: http.StatusNotFound, Detail: "The cache is off: CACHE_ENABLED=false."}
}
