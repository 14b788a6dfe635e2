package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"strings"
)

// Access decides who may change data. The zero value lets everybody.
type Access struct {
	// Required says that changes need a bearer token.
	Required bool
	// AdminToken is accepted for everything; empty accepts nothing.
	AdminToken string
}

// openPaths are changes that concern only the browser that asks for them.
var openPaths = map[string]bool{"/settings/theme": true}

// guard refuses changes without a token. Reading is free: what may be read is
// the business of the network the server listens on.
func (a Access) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Required && !safe(r.Method) && !openPaths[r.URL.Path] && !a.knows(r.Context(), bearer(r)) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="qadash"`)
			deny(w, http.StatusUnauthorized, "A change needs a token: Authorization: Bearer …")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// knows compares hashes in constant time, so that neither length nor content
// of the token can be measured.
func (a Access) knows(_ context.Context, token string) bool {
	if token == "" || a.AdminToken == "" {
		return false
	}
	given, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(a.AdminToken))
	return subtle.ConstantTimeCompare(given[:], want[:]) == 1
}

// deny answers with a problem of RFC 9457.
func deny(w http.ResponseWriter, status int, detail string) {
	kind := "urn:qadash:forbidden"
	if status == http.StatusUnauthorized {
		kind = "urn:qadash:unauthorized"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "title": http.StatusText(status), "status": status, "detail": detail})
}
