package dashboard

import "context"

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
