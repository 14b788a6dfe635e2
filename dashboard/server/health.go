package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// pingTime bounds the question to the database.
const pingTime = 2 * time.Second

// health says that the process runs.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready says whether requests can be answered: a missing Redis makes them
// slower, a missing database or one of an older schema makes them fail.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	state := map[string]string{"status": "ready", "database": "ok", "cache": "off"}
	status := http.StatusOK
	if s.CacheState != nil {
		if state["cache"] = s.CacheState(); state["cache"] != "connected" {
			state["status"] = "degraded"
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), pingTime)
	defer cancel()
	if err := s.Ping(ctx); err != nil {
		if s.outage.Tell(err, time.Now()) {
			s.Log.WarnContext(ctx, "readiness: database", "error", err)
		}
		state["status"], state["database"], status = "unavailable", "away", http.StatusServiceUnavailable
		if errors.Is(err, dashboard.ErrSchema) {
			state["database"] = "migrations pending"
		}
	}
	if s.Draining() {
		state["status"], status = "draining", http.StatusServiceUnavailable
	}
	answer(w, status, state)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
