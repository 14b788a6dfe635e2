package dashboard

import "context"

type exactKey struct{}

// WithExact returns a context whose reads see every change that was reported as
// done before they began, in any process. A caching Store asks its shared tier
// for them; a Store without a cache always reads like that.
func WithExact(ctx context.Context) context.Context {
	return context.WithValue(ctx, exactKey{}, true)
}

// IsExact reports whether the context came from [WithExact].
func IsExact(ctx context.Context) bool {
	exact, _ := ctx.Value(exactKey{}).(bool)
	return exact
}
