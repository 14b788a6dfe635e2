package dashboard

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Principal is who asks.
type Principal struct {
	// Name is that of the token, or of the way to sign in.
	Name  string
	Scope Scope
}

// May reports whether the principal's scope includes another one.
func (p Principal) May(scope Scope) bool { return p.Scope.Includes(scope) }

type principalKey struct{}

// WithPrincipal returns a context of requests by p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalOf returns who asks; the zero value is nobody.
func PrincipalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// NewSecret makes the secret of a token, with the hash by which a TokenStore
// knows it and the hint by which a person does. The secret has 160 random bits:
// a hash without salt or cost is enough to keep it.
func NewSecret() (secret, hash, hint string) {
	secret = "qad_" + strings.ToLower(rand.Text()+rand.Text()[:6])
	sum := sha256.Sum256([]byte(secret))
	return secret, hex.EncodeToString(sum[:]), secret[:8]
}
