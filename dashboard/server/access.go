package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// TokenCookie is the cookie in which a browser that signed in keeps its token.
const TokenCookie = "qadash_token"

// Access decides who may do what. The zero value lets everybody do everything.
type Access struct {
	// Required says that changes and administration need a token. Reading is
	// free: what may be read is the business of the network the server listens on.
	Required bool
	// AdminToken has the admin scope; empty accepts nothing.
	AdminToken string
	// Tokens knows the other tokens by their hash. May be nil.
	Tokens interface {
		TokenByHash(ctx context.Context, hash string) (dashboard.Token, error)
	}
}

// local is who asks where no token is required.
var local = dashboard.Principal{Name: "local", Scope: "admin"}

// Authenticate returns whose token it is. The error is of the store;
// dashboard.ErrNotFound means that the token is nobody's.
func (a Access) Authenticate(ctx context.Context, token string) (dashboard.Principal, error) {
	given := sha256.Sum256([]byte(token))
	want := sha256.Sum256([]byte(a.AdminToken))
	// Hashes of equal length compare in constant time: neither length nor
	// content of the token can be measured.
	if a.AdminToken != "" && subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
		return dashboard.Principal{Name: "ADMIN_TOKEN", Scope: "admin"}, nil
	}
	if token == "" || a.Tokens == nil {
		return dashboard.Principal{}, dashboard.ErrNotFound
	}
	known, err := a.Tokens.TokenByHash(ctx, hex.EncodeToString(given[:]))
	if err != nil {
		return dashboard.Principal{}, err
	}
	return dashboard.Principal{Name: known.Name, Scope: known.Scope}, nil
}

// openPaths are changes that concern only the browser that asks for them.
var openPaths = map[string]bool{"/settings/theme": true, "/login": true, "/logout": true}

// adminPaths begin what only administrators see.
var adminPaths = []string{"/settings/", "/cache", "/api/v1/tokens", "/api/v1/audit", "/api/v1/webhooks", "/api/v1/cache"}

// needed is the scope that a request needs; empty is none.
func needed(r *http.Request) dashboard.Scope {
	if openPaths[r.URL.Path] {
		return ""
	}
	for _, prefix := range adminPaths {
		if strings.HasPrefix(r.URL.Path, prefix) {
			return "admin"
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return ""
	}
	return "write"
}

// guard finds out who asks and refuses what he may not.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := s.who(r)
		if err != nil && !errors.Is(err, dashboard.ErrNotFound) {
			s.Log.ErrorContext(r.Context(), "token", "error", err)
			deny(w, http.StatusServiceUnavailable, "The database does not answer, so the token cannot be checked.")
			return
		}
		need := needed(r)
		if need == "" || who.May(need) {
			known := r.WithContext(dashboard.WithPrincipal(r.Context(), who))
			defer func() { r.Pattern = known.Pattern }() // for the metrics, also after a panic
			next.ServeHTTP(w, known)
			return
		}
		s.refuse(w, r, who, need)
	})
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, who dashboard.Principal, need dashboard.Scope) {
	switch {
	case wantsPage(r) && who.Scope == "":
		http.Redirect(w, r, "/login?next="+url.QueryEscape(nextAfter(r)), http.StatusSeeOther)
	case s.failures.blocked(r):
		w.Header().Set("Retry-After", "60")
		deny(w, http.StatusTooManyRequests, "Too many wrong tokens came from this address. Wait a minute.")
	case who.Scope == "":
		why := "This needs a token with the " + string(need) + " scope: Authorization: Bearer …"
		if given(r) != "" {
			s.failures.add(r)
			why = "The token is not known here: it is wrong, revoked or expired. This needs one with the " + string(need) + " scope."
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="qadash"`)
		deny(w, http.StatusUnauthorized, why)
	default:
		deny(w, http.StatusForbidden, "This needs the "+string(need)+" scope; the token "+who.Name+" has "+string(who.Scope)+".")
	}
}

// who finds out who asks. Addresses that guess are not even looked up.
func (s *Server) who(r *http.Request) (dashboard.Principal, error) {
	if !s.Access.Required {
		return local, nil
	}
	token := given(r)
	if token == "" || s.failures.blocked(r) {
		return dashboard.Principal{}, nil
	}
	return s.Access.Authenticate(r.Context(), token)
}

func wantsPage(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// nextAfter is where signing in leads to: the page itself, or where the form was.
func nextAfter(r *http.Request) string {
	if r.Method == http.MethodGet {
		return r.URL.RequestURI()
	}
	if from, err := url.Parse(r.Referer()); err == nil && strings.HasPrefix(from.Path, "/") {
		return (&url.URL{Path: from.Path, RawQuery: from.RawQuery}).String()
	}
	return "/"
}

// given is the token of a request: the header of a program, the cookie of a browser.
func given(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if c, err := r.Cookie(TokenCookie); err == nil {
		return c.Value
	}
	return ""
}

// deny answers with a problem of RFC 9457.
func deny(w http.ResponseWriter, status int, detail string) {
	kind := "urn:qadash:forbidden"
	switch status {
	case http.StatusUnauthorized:
		kind = "urn:qadash:unauthorized"
	case http.StatusServiceUnavailable:
		kind = "urn:qadash:unavailable"
	case http.StatusTooManyRequests:
		kind = "urn:qadash:too-many-requests"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "title": http.StatusText(status), "status": status, "detail": detail})
}
