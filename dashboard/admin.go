package dashboard

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// Admin keeps what administers the dashboard. It is never cached: a token that
// was revoked must be refused by the next request, and there are few of each.
type Admin interface {
	TokenStore
	AuditStore
	WebhookStore
}

// Scope says what a token may do; each scope includes those before it.
type Scope string

// Scopes lists the scopes, the least first.
var Scopes = []Scope{"read", "write", "admin"}

// Includes reports whether a scope allows what another one does.
func (s Scope) Includes(other Scope) bool {
	return oneOf(s, Scopes) && oneOf(other, Scopes) && s.level() >= other.level()
}

func (s Scope) level() int {
	for i, x := range Scopes {
		if s == x {
			return i
		}
	}
	return -1
}

// TokenStore keeps API tokens. Secrets are never stored: only their hash is.
type TokenStore interface {
	// CreateToken adds a token; a name in use among those that are not revoked is a conflict.
	CreateToken(ctx context.Context, token NewToken) (Token, error)
	// Tokens lists tokens by ascending id, revoked ones included.
	Tokens(ctx context.Context, page Page) (List[Token], error)
	// TokenByHash returns the token of a secret that is neither revoked nor
	// expired, or [ErrNotFound], and notes that it was used.
	TokenByHash(ctx context.Context, hash string) (Token, error)
	// RevokeToken ends a token; one that is revoked already is a conflict.
	RevokeToken(ctx context.Context, id int64) (Token, error)
}

// Token is an API token without its secret.
type Token struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Scope Scope  `json:"scope"`
	// Hint is the beginning of the secret, by which a person recognises it.
	Hint      string     `json:"hint"`
	CreatedBy string     `json:"created_by"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	// LastUsedAt is exact to a minute.
	LastUsedAt *time.Time `json:"last_used_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

// NewToken is what is known of a new token.
type NewToken struct {
	Name  string `json:"name"`
	Scope Scope  `json:"scope"`
	// Hash is the SHA-256 of the secret in lower-case hexadecimal.
	Hash      string     `json:"-"`
	Hint      string     `json:"-"`
	CreatedBy string     `json:"-"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// Normal returns the checked token, or an [InvalidError].
func (n NewToken) Normal(now time.Time) (NewToken, error) {
	var c checker
	n.Name = strings.TrimSpace(n.Name)
	n.Scope = or(n.Scope, "read")
	c.name("name", n.Name, MaxSuiteName)
	c.check(oneOf(n.Scope, Scopes), "scope", list(Scopes))
	c.check(len(n.Hash) == 64, "hash", "must be a SHA-256 in hexadecimal")
	c.text("hint", n.Hint, 16)
	c.text("created_by", n.CreatedBy, MaxLabel)
	c.check(n.ExpiresAt == nil || n.ExpiresAt.After(now), "expires_at", "must be in the future")
	return n, c.err()
}

// AuditStore keeps the trail of administrative acts.
type AuditStore interface {
	// AddAudit appends an entry; its ID and At are set by the store.
	AddAudit(ctx context.Context, entry AuditEntry) error
	// Audits lists entries, the newest first.
	Audits(ctx context.Context, page Page) (List[AuditEntry], error)
}

// AuditEntry is one administrative act.
type AuditEntry struct {
	ID int64     `json:"id"`
	At time.Time `json:"at"`
	// Actor is the name of the token, or of the way to sign in.
	Actor string `json:"actor"`
	// Action is a static word such as "token.create".
	Action string `json:"action"`
	// Target is what was acted on, Detail what else there is to say; texts are cut to 500 bytes.
	Target string `json:"target"`
	Detail string `json:"detail"`
}

// WebhookStore keeps webhooks and the deliveries they are owed.
type WebhookStore interface {
	// CreateWebhook adds a webhook.
	CreateWebhook(ctx context.Context, hook NewWebhook) (Webhook, error)
	// Webhooks lists webhooks by ascending id.
	Webhooks(ctx context.Context) ([]Webhook, error)
	// DeleteWebhook removes a webhook with the deliveries it is owed.
	DeleteWebhook(ctx context.Context, id int64) error
	// ClaimDeliveries returns deliveries that are due, each to one caller, who has
	// until the lease ends to report with FinishDelivery; then it is due again.
	ClaimDeliveries(ctx context.Context, limit int, lease time.Duration) ([]Delivery, error)
	// FinishDelivery reports a try. A delivery that failed is due again at retryAt; nil gives it up.
	FinishDelivery(ctx context.Context, id int64, outcome DeliveryOutcome) error
}

// Webhook is an address that is told when a suite becomes red or recovers on a branch.
type Webhook struct {
	ID  int64  `json:"id"`
	URL string `json:"url"`
	// Secret signs the body.
	Secret string `json:"-"`
	// Branch restricts it to one branch; empty means all.
	Branch    string    `json:"branch"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

// NewWebhook is what is known of a new webhook.
type NewWebhook struct {
	URL       string `json:"url"`
	Secret    string `json:"secret"`
	Branch    string `json:"branch"`
	CreatedBy string `json:"-"`
}

// Normal returns the checked webhook, or an [InvalidError].
func (n NewWebhook) Normal() (NewWebhook, error) {
	var c checker
	c.check(n.URL != "", "url", "must not be empty")
	c.url("url", n.URL)
	if u, err := url.Parse(n.URL); err == nil {
		c.check(u.User == nil, "url", "must not contain a password")
	}
	c.check(len(n.Secret) >= 16 && len(n.Secret) <= 256, "secret", "must have 16 to 256 bytes")
	c.text("secret", n.Secret, 256)
	c.text("branch", n.Branch, MaxLabel)
	c.text("created_by", n.CreatedBy, MaxLabel)
	return n, c.err()
}

// Event is what a webhook tells.
type Event string

// The events.
const (
	EventRed       Event = "became_red"
	EventRecovered Event = "recovered"
)

// Delivery is one event that a webhook is owed.
type Delivery struct {
	ID        int64
	Webhook   Webhook
	Event     Event
	Execution Execution
	// Previous is the execution whose state changed; 0 when there was none.
	Previous int64
	// Tries counts the claims, this one included.
	Tries     int
	CreatedAt time.Time
}

// DeliveryOutcome says how a try went.
type DeliveryOutcome struct {
	// OK ends the delivery.
	OK bool
	// Reason is why a try failed, cut to 500 bytes.
	Reason string
	// RetryAt is when a failed delivery is due again; nil gives it up.
	RetryAt *time.Time
}

// Turn returns the event of a suite's branch on which one verdict followed
// another; an empty before means that there was none.
func Turn(before, now Status) (Event, bool) {
	red := func(s Status) bool { return s == StatusFailed || s == StatusError }
	switch {
	case red(now) && !red(before):
		return EventRed, true
	case now == StatusPassed && red(before):
		return EventRecovered, true
	}
	return "", false
}
