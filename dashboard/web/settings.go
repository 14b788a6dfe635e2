package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// settingsData is the content of the page of tokens, webhooks and the audit trail.
type settingsData struct {
	Tokens   []tokenRow
	Webhooks []dashboard.Webhook
	Audits   []dashboard.AuditEntry
	Secret   string // of the token just made; shown this once
	Made     string // its name
	Notice   notice
	Required bool
	Who      dashboard.Principal
	Now      time.Time
	Zone     *time.Location
}

type tokenRow struct {
	dashboard.Token
	State string
	Ended bool
}

func (s *web) settings(_ http.ResponseWriter, r *http.Request) (*view, error) {
	return s.settingsWith(r, http.StatusOK, settingsData{})
}

func (s *web) settingsWith(r *http.Request, status int, d settingsData) (*view, error) {
	d.Required, d.Who, d.Now, d.Zone = s.TokenRequired, dashboard.PrincipalOf(r.Context()), s.Now(), zoneOf(r)
	tokens, err := s.Admin.Tokens(r.Context(), dashboard.Page{Limit: dashboard.MaxLimit})
	if err != nil {
		return nil, err
	}
	for _, t := range tokens.Items {
		row := tokenRow{Token: t, State: "valid"}
		switch {
		case t.RevokedAt != nil:
			row.State, row.Ended = "revoked "+ago(d.Now, *t.RevokedAt), true
		case t.ExpiresAt != nil && t.ExpiresAt.Before(d.Now):
			row.State, row.Ended = "expired "+ago(d.Now, *t.ExpiresAt), true
		case t.ExpiresAt != nil:
			row.State = "until " + t.ExpiresAt.In(d.Zone).Format("2 Jan 2006")
		}
		d.Tokens = append(d.Tokens, row)
	}
	if d.Webhooks, err = s.Admin.Webhooks(r.Context()); err != nil {
		return nil, err
	}
	audits, err := s.Admin.Audits(r.Context(), dashboard.Page{Limit: pageSize})
	d.Audits = audits.Items
	return &view{Name: "settings", Title: "Tokens", Path: "/settings/tokens", Status: status, Data: d}, err
}

func (s *web) audit(r *http.Request, action, target, detail string) {
	entry := dashboard.AuditEntry{Actor: dashboard.PrincipalOf(r.Context()).Name, Action: action, Target: target, Detail: detail}
	if err := s.Admin.AddAudit(r.Context(), entry); err != nil {
		s.Log.ErrorContext(r.Context(), "audit", "action", action, "error", err)
	}
}

// createToken shows the secret in its answer, and nowhere after.
func (s *web) createToken(w http.ResponseWriter, r *http.Request) (*view, error) {
	in := dashboard.NewToken{Name: r.PostFormValue("name"), Scope: dashboard.Scope(r.PostFormValue("scope")), CreatedBy: dashboard.PrincipalOf(r.Context()).Name}
	if days, err := strconv.Atoi(r.PostFormValue("days")); err == nil && days > 0 && days <= 3650 {
		at := s.Now().AddDate(0, 0, days)
		in.ExpiresAt = &at
	}
	var secret string
	secret, in.Hash, in.Hint = dashboard.NewSecret()
	token, err := s.Admin.CreateToken(r.Context(), in)
	if errors.Is(err, dashboard.ErrInvalid) || errors.Is(err, dashboard.ErrConflict) {
		return s.settingsWith(r, http.StatusUnprocessableEntity, settingsData{Notice: notice{Class: "failed", Text: "No token was made. " + capital(Printable(err.Error())) + "."}})
	}
	if err != nil {
		return nil, err
	}
	s.audit(r, "token.create", token.Name, "scope "+string(token.Scope))
	w.Header().Set("Cache-Control", "no-store")
	return s.settingsWith(r, http.StatusOK, settingsData{Secret: secret, Made: token.Name})
}

func (s *web) revokeToken(w http.ResponseWriter, r *http.Request) (*view, error) {
	id, ok := pathID(r)
	if !ok {
		return notFound("There is no such token."), nil
	}
	token, err := s.Admin.RevokeToken(r.Context(), id)
	if err != nil && !errors.Is(err, dashboard.ErrConflict) {
		return nil, err
	}
	if err == nil {
		s.audit(r, "token.revoke", token.Name, "")
	}
	http.Redirect(w, r, "/settings/tokens", http.StatusSeeOther)
	return nil, nil
}

func (s *web) createWebhook(w http.ResponseWriter, r *http.Request) (*view, error) {
	hook, err := s.Admin.CreateWebhook(r.Context(), dashboard.NewWebhook{URL: r.PostFormValue("url"), Secret: r.PostFormValue("secret"),
		Branch: r.PostFormValue("branch"), CreatedBy: dashboard.PrincipalOf(r.Context()).Name})
	if errors.Is(err, dashboard.ErrInvalid) || errors.Is(err, dashboard.ErrConflict) {
		return s.settingsWith(r, http.StatusUnprocessableEntity, settingsData{Notice: notice{Class: "failed", Text: "No webhook was made. " + capital(Printable(err.Error())) + "."}})
	}
	if err != nil {
		return nil, err
	}
	s.audit(r, "webhook.create", hook.URL, "branch "+hook.Branch)
	http.Redirect(w, r, "/settings/tokens#h-hooks", http.StatusSeeOther)
	return nil, nil
}

func (s *web) deleteWebhook(w http.ResponseWriter, r *http.Request) (*view, error) {
	id, ok := pathID(r)
	if !ok {
		return notFound("There is no such webhook."), nil
	}
	err := s.Admin.DeleteWebhook(r.Context(), id)
	if err != nil && !errors.Is(err, dashboard.ErrNotFound) {
		return nil, err
	}
	if err == nil {
		s.audit(r, "webhook.delete", strconv.FormatInt(id, 10), "")
	}
	http.Redirect(w, r, "/settings/tokens#h-hooks", http.StatusSeeOther)
	return nil, nil
}

// loginData is the content of the page on which a browser signs in.
type loginData struct {
	Next   string
	Wrong  bool
	Unused bool // no token is required here
}

func (s *web) loginPage(_ http.ResponseWriter, r *http.Request) (*view, error) {
	return &view{Name: "login", Title: "Sign in", Data: loginData{Next: localPath(r.URL.Query().Get("next")), Unused: !s.TokenRequired}}, nil
}

// login keeps a token that is known in a cookie that scripts cannot read.
func (s *web) login(w http.ResponseWriter, r *http.Request) (*view, error) {
	token, next := strings.TrimSpace(r.PostFormValue("token")), localPath(r.PostFormValue("next"))
	who, err := s.SignIn(r.Context(), token)
	if errors.Is(err, dashboard.ErrNotFound) {
		return &view{Name: "login", Title: "Sign in", Status: http.StatusUnauthorized, Data: loginData{Next: next, Wrong: true}}, nil
	}
	if err != nil {
		return nil, err
	}
	ctx := dashboard.WithPrincipal(r.Context(), who)
	s.audit(r.WithContext(ctx), "login", who.Name, "scope "+string(who.Scope))
	http.SetCookie(w, s.cookie(r, token, 30*24*3600))
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil, nil
}

func (s *web) logout(w http.ResponseWriter, r *http.Request) (*view, error) {
	http.SetCookie(w, s.cookie(r, "", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil, nil
}

func (s *web) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{Name: s.TokenCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(originOf(r), "https:")}
}

// localPath is an address of this server, "/" for anything else.
func localPath(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, `\`) {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}
