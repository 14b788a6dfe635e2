package api

import (
	"fmt"
	"net/http"

	"github.com/larder-go/larder/dashboard"
)

// audit notes an administrative act. An act that was done is not undone because
// it could not be noted; that is logged.
func (a *api) audit(r *http.Request, action, target, detail string) {
	entry := dashboard.AuditEntry{Actor: dashboard.PrincipalOf(r.Context()).Name, Action: action, Target: target, Detail: detail}
	if err := a.Admin.AddAudit(r.Context(), entry); err != nil {
		a.Log.ErrorContext(r.Context(), "audit", "action", action, "error", err)
	}
}

func (a *api) tokens(w http.ResponseWriter, r *http.Request) error {
	return adminList(w, r, a.Admin.Tokens)
}

// createdToken is the one answer that carries the secret.
type createdToken struct {
	dashboard.Token
	Secret string `json:"secret"`
}

func (a *api) createToken(w http.ResponseWriter, r *http.Request) error {
	in, err := decode[dashboard.NewToken](w, r, maxJSON)
	if err != nil {
		return err
	}
	var secret string
	secret, in.Hash, in.Hint = dashboard.NewSecret()
	in.CreatedBy = dashboard.PrincipalOf(r.Context()).Name
	token, err := a.Admin.CreateToken(r.Context(), in)
	if err != nil {
		return err
	}
	a.audit(r, "token.create", token.Name, "scope "+string(token.Scope))
	w.Header().Set("Cache-Control", "no-store")
	return created(w, "tokens", token.ID, createdToken{token, secret})
}

func (a *api) revokeToken(w http.ResponseWriter, r *http.Request) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	token, err := a.Admin.RevokeToken(r.Context(), n)
	if err != nil {
		return err
	}
	a.audit(r, "token.revoke", token.Name, "")
	return reply(w, http.StatusOK, token)
}

func (a *api) audits(w http.ResponseWriter, r *http.Request) error {
	return adminList(w, r, a.Admin.Audits)
}

func (a *api) webhooks(w http.ResponseWriter, r *http.Request) error {
	return figures(w, r, a.Admin.Webhooks)
}

func (a *api) createWebhook(w http.ResponseWriter, r *http.Request) error {
	in, err := decode[dashboard.NewWebhook](w, r, maxJSON)
	if err != nil {
		return err
	}
	in.CreatedBy = dashboard.PrincipalOf(r.Context()).Name
	hook, err := a.Admin.CreateWebhook(r.Context(), in)
	if err != nil {
		return err
	}
	a.audit(r, "webhook.create", hook.URL, "branch "+hook.Branch)
	return created(w, "webhooks", hook.ID, hook)
}

func (a *api) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	n, err := id(r)
	if err != nil {
		return err
	}
	if err := a.Admin.DeleteWebhook(r.Context(), n); err != nil {
		return err
	}
	a.audit(r, "webhook.delete", fmt.Sprint(n), "")
	w.WriteHeader(http.StatusNoContent)
	return nil
}
