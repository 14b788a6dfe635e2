package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

// The secret of a token is in the answer that made it and nowhere else.
func TestATokenIsMadeSeenAndRevoked(t *testing.T) {
	c := newClient(t)
	made := want[object](c, 201, "POST", "/api/v1/tokens", `{"name":"ci","scope":"write"}`)
	secret, _ := made["secret"].(string)
	if !strings.HasPrefix(secret, "qad_") || len(secret) < 32 || made["hint"] != secret[:8] || made["scope"] != "write" {
		t.Fatalf("made: %v", made)
	}
	sum := sha256.Sum256([]byte(secret))
	if token, err := c.admin.TokenByHash(t.Context(), hex.EncodeToString(sum[:])); err != nil || token.Name != "ci" {
		t.Errorf("by hash: %v, %v", token, err)
	}
	w := c.do("GET", "/api/v1/tokens", "")
	if strings.Contains(w.Body.String(), secret) || !strings.Contains(w.Body.String(), `"name":"ci"`) {
		t.Errorf("list: %s", w.Body)
	}
	if got := want[object](c, 200, "DELETE", "/api/v1/tokens/1", ""); got["revoked_at"] == nil {
		t.Errorf("revoke: %v", got)
	}
	if w := c.do("DELETE", "/api/v1/tokens/1", ""); w.Code != 409 {
		t.Errorf("revoke again: %d", w.Code)
	}
	var acts []string
	for _, entry := range want[[]object](c, 200, "GET", "/api/v1/audit", "") {
		acts = append(acts, entry["action"].(string))
	}
	if strings.Join(acts, " ") != "token.revoke token.create" {
		t.Errorf("audit: %v", acts)
	}
	for body, field := range map[string]string{`{}`: "name", `{"name":"x","scope":"root"}`: "scope", `{"name":"x","expires_at":"2001-01-01T00:00:00Z"}`: "expires_at", `{"name":"x","hash":"y"}`: "hash"} {
		if p := want[object](c, 422, "POST", "/api/v1/tokens", body); p["field"] != field {
			t.Errorf("%s: %v", body, p)
		}
	}
}

func TestAWebhookKeepsItsSecret(t *testing.T) {
	c := newClient(t)
	hook := want[object](c, 201, "POST", "/api/v1/webhooks", `{"url":"https://chat.example/hook","secret":"0123456789abcdef"}`)
	if _, shown := hook["secret"]; shown || hook["url"] != "https://chat.example/hook" {
		t.Errorf("made: %v", hook)
	}
	if list := want[[]object](c, 200, "GET", "/api/v1/webhooks", ""); len(list) != 1 {
		t.Errorf("list: %v", list)
	}
	if w := c.do("DELETE", "/api/v1/webhooks/1", ""); w.Code != 204 {
		t.Errorf("delete: %d", w.Code)
	}
	for _, body := range []string{`{"url":"ftp://x/y","secret":"0123456789abcdef"}`, `{"url":"https://u:p@x/y","secret":"0123456789abcdef"}`, `{"url":"https://x/y","secret":"short"}`} {
		if w := c.do("POST", "/api/v1/webhooks", body); w.Code != 422 {
			t.Errorf("%s: %d", body, w.Code)
		}
	}
}
