package larder

import "context"

// Memoize returns a function of the same shape as fn that answers from a
// keyspace called name: fn is called for what is not cached, once for
// concurrent callers in all processes. It fails like [NewKeyspace].
func Memoize[K comparable, V any](cache *Cache, name string, opts KeyspaceOptions[K, V], fn func(context.Context, K) (V, error)) (func(context.Context, K) (V, error), error) {
	k, err := NewKeyspace(cache, name, opts)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, key K) (V, error) { return k.Get(ctx, key, fn) }, nil
}
