package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// AdminStore is a store with its administration.
type AdminStore interface {
	dashboard.Store
	dashboard.Admin
}

// RunAdmin runs the conformance suite of [dashboard.Admin].
func RunAdmin(t *testing.T, open func(t *testing.T, clock *Clock) AdminStore) {
	for _, p := range []struct {
		name string
		run  func(*fixture, AdminStore)
	}{
		{"a token works until it is revoked or expires", tokenLife},
		{"wrong tokens are refused", tokenInvalid},
		{"the trail lists what was done, newest first", auditTrail},
		{"a webhook is owed one delivery for each turn", webhookTurns},
		{"a delivery is claimed once, again after its lease, and never after its end", webhookClaims},
		{"wrong webhooks are refused", webhookInvalid},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			s := open(t, clock)
			p.run(&fixture{T: t, ctx: t.Context(), clock: clock, store: s}, s)
		})
	}
}

func hashOf(c string) string { return strings.Repeat(c, 64) }

func tokenLife(f *fixture, s AdminStore) {
	expires := Start.Add(time.Hour)
	tok, err := s.CreateToken(f.ctx, dashboard.NewToken{Name: " ci ", Scope: "write", Hash: hashOf("a"), Hint: "qad_ab", CreatedBy: "ada", ExpiresAt: &expires})
	f.ok(err)
	f.equal(tok, dashboard.Token{ID: tok.ID, Name: "ci", Scope: "write", Hint: "qad_ab", CreatedBy: "ada", CreatedAt: Start, ExpiresAt: &expires}, "token")
	got, err := s.TokenByHash(f.ctx, hashOf("a"))
	f.ok(err)
	for got.LastUsedAt == nil { // a busy database notes a later use
		got, err = s.TokenByHash(f.ctx, hashOf("a"))
		f.ok(err)
	}
	f.equal([]any{got.ID, *got.LastUsedAt}, []any{tok.ID, Start}, "token by hash")
	f.clock.Advance(30 * time.Second)
	got, err = s.TokenByHash(f.ctx, hashOf("a"))
	f.ok(err)
	f.equal(*got.LastUsedAt, Start, "last use within the minute")
	f.clock.Advance(time.Hour)
	_, err = s.TokenByHash(f.ctx, hashOf("a"))
	f.is(err, dashboard.ErrNotFound)
	forever, err := s.CreateToken(f.ctx, dashboard.NewToken{Name: "forever", Hash: hashOf("b")})
	f.ok(err)
	f.equal(forever.Scope, dashboard.Scope("read"), "default scope")
	_, err = s.TokenByHash(f.ctx, hashOf("b"))
	f.ok(err)
	revoked, err := s.RevokeToken(f.ctx, forever.ID)
	f.ok(err)
	f.equal(*revoked.RevokedAt, f.clock.Now(), "revoked at")
	_, err = s.TokenByHash(f.ctx, hashOf("b"))
	f.is(err, dashboard.ErrNotFound)
	_, err = s.RevokeToken(f.ctx, forever.ID)
	f.is(err, dashboard.ErrConflict)
	_, err = s.RevokeToken(f.ctx, 1<<40)
	f.is(err, dashboard.ErrNotFound)
	_, err = s.CreateToken(f.ctx, dashboard.NewToken{Name: "forever", Hash: hashOf("c")})
	f.ok(err)
	l, err := s.Tokens(f.ctx, dashboard.Page{})
	f.ok(err)
	f.equal([]any{l.Total, l.Items[0].Name, l.Items[1].ID}, []any{int64(3), "ci", forever.ID}, "tokens")
}

func tokenInvalid(f *fixture, s AdminStore) {
	past := Start.Add(-time.Second)
	for field, n := range map[string]dashboard.NewToken{
		"name": {Hash: hashOf("a")}, "scope": {Name: "n", Scope: "root", Hash: hashOf("a")}, "hash": {Name: "n", Hash: "secret"}, "expires_at": {Name: "n", Hash: hashOf("a"), ExpiresAt: &past},
	} {
		_, err := s.CreateToken(f.ctx, n)
		f.invalid(err, field)
	}
	_, err := s.CreateToken(f.ctx, dashboard.NewToken{Name: "n", Hash: hashOf("a")})
	f.ok(err)
	_, err = s.CreateToken(f.ctx, dashboard.NewToken{Name: "n", Hash: hashOf("b")})
	f.is(err, dashboard.ErrConflict)
	_, err = s.TokenByHash(f.ctx, hashOf("b"))
	f.is(err, dashboard.ErrNotFound)
}

func auditTrail(f *fixture, s AdminStore) {
	for i := range 5 {
		f.ok(s.AddAudit(f.ctx, dashboard.AuditEntry{Actor: "ada", Action: "token.create", Target: fmt.Sprint(i), Detail: strings.Repeat("d", 2000)}))
		f.clock.Advance(time.Second)
	}
	l, err := s.Audits(f.ctx, dashboard.Page{Limit: 2})
	f.ok(err)
	f.equal([]any{l.Total, len(l.Items), l.Items[0].Target, l.Items[0].Actor, l.Items[0].Action, l.Items[0].At}, []any{int64(5), 2, "4", "ada", "token.create", Start.Add(4 * time.Second)}, "trail")
	if n := len(l.Items[0].Detail); n > 500 || n < 400 {
		f.Fatalf("a long detail has %d bytes", n)
	}
	next, err := s.Audits(f.ctx, dashboard.Page{Limit: 2, Cursor: l.Next})
	f.ok(err)
	f.equal(next.Items[0].Target, "2", "next page")
}

const secret = "0123456789abcdef"

func webhookTurns(f *fixture, s AdminStore) {
	all, err := s.CreateWebhook(f.ctx, dashboard.NewWebhook{URL: "https://hooks.example/x", Secret: secret, CreatedBy: "ada"})
	f.ok(err)
	_, err = s.CreateWebhook(f.ctx, dashboard.NewWebhook{URL: "https://hooks.example/release", Secret: secret, Branch: "release"})
	f.ok(err)
	hooks, err := s.Webhooks(f.ctx)
	f.ok(err)
	f.equal([]any{len(hooks), hooks[0]}, []any{2, all}, "webhooks")
	suite := f.suite("s")
	type turn struct {
		event               dashboard.Event
		execution, previous int64
	}
	var want []turn
	var before int64
	for i, status := range []dashboard.Status{"passed", "failed", "error", "stopped", "failed", "passed", "passed", "error"} {
		e := f.ran(suite.ID, time.Second, status)
		switch i {
		case 1, 7:
			want = append(want, turn{dashboard.EventRed, e.ID, before})
		case 5:
			want = append(want, turn{dashboard.EventRecovered, e.ID, before})
		}
		if status != dashboard.StatusStopped {
			before = e.ID
		}
	}
	report, _, err := s.Ingest(f.ctx, report("new suite", "h", mixedCases()...))
	f.ok(err)
	want = append(want, turn{dashboard.EventRed, report.Execution.ID, 0})
	due, err := s.ClaimDeliveries(f.ctx, 100, time.Minute)
	f.ok(err)
	var got []turn
	for _, d := range due {
		f.equal([]any{d.Webhook, d.Tries}, []any{all, 1}, "webhook of a delivery")
		got = append(got, turn{d.Event, d.Execution.ID, d.Previous})
	}
	f.equal(got, want, "deliveries")
}

func webhookClaims(f *fixture, s AdminStore) {
	hook, err := s.CreateWebhook(f.ctx, dashboard.NewWebhook{URL: "https://hooks.example/x", Secret: secret})
	f.ok(err)
	claim := func(want int) []dashboard.Delivery {
		f.Helper()
		got, err := s.ClaimDeliveries(f.ctx, 10, time.Minute)
		f.ok(err)
		f.equal(len(got), want, "claimed deliveries")
		return got
	}
	claim(0)
	suite := f.suite("s")
	f.ran(suite.ID, time.Second, dashboard.StatusFailed)
	first := claim(1)[0]
	claim(0)
	f.clock.Advance(61 * time.Second)
	f.equal(claim(1)[0].Tries, 2, "tries after the lease")
	f.ok(s.FinishDelivery(f.ctx, first.ID, dashboard.DeliveryOutcome{Reason: "refused", RetryAt: new(f.clock.Now().Add(10 * time.Second))}))
	claim(0)
	f.clock.Advance(11 * time.Second)
	claim(1)
	f.ok(s.FinishDelivery(f.ctx, first.ID, dashboard.DeliveryOutcome{OK: true}))
	f.clock.Advance(time.Hour)
	claim(0)
	f.ran(suite.ID, time.Second, dashboard.StatusPassed)
	f.ok(s.DeleteWebhook(f.ctx, hook.ID))
	claim(0)
	f.is(s.DeleteWebhook(f.ctx, hook.ID), dashboard.ErrNotFound)
}

func webhookInvalid(f *fixture, s AdminStore) {
	for _, n := range []dashboard.NewWebhook{{Secret: secret}, {URL: "ftp://x", Secret: secret}, {URL: "https://a:b@x/", Secret: secret}} {
		_, err := s.CreateWebhook(f.ctx, n)
		f.invalid(err, "url")
	}
	_, err := s.CreateWebhook(f.ctx, dashboard.NewWebhook{URL: "https://x/", Secret: "short"})
	f.invalid(err, "secret")
}
