package larder

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var defaultCache atomic.Pointer[defaults]

// defaults is the process-wide cache with the keyspaces of the package
// functions.
type defaults struct {
	cache  *Cache
	mu     sync.Mutex
	spaces map[looseID]any // *Keyspace[string, V]
}

type looseID struct {
	name string
	kind any // a nil pointer to V
}

// SetDefault makes c the cache of the package functions; nil takes it away.
// The caller still closes it.
func SetDefault(c *Cache) {
	if c == nil {
		defaultCache.Store(nil)
		return
	}
	defaultCache.Store(&defaults{cache: c, spaces: make(map[looseID]any)})
}

// Default returns the cache of the package functions, nil if there is none.
func Default() *Cache {
	if d := defaultCache.Load(); d != nil {
		return d.cache
	}
	return nil
}

// maxLoose is how many names the package functions keep apart, counted with
// the types of their values.
const maxLoose = 4096

// looseKeyspace returns the keyspace of the part of key before its first
// colon, with the rest as it is. The caller builds the key: text from users
// belongs through [AppendSegment].
func looseKeyspace[V any](key string) (*Keyspace[string, V], string, error) {
	d := defaultCache.Load()
	if d == nil {
		return nil, "", ErrNoDefault
	}
	name, rest, ok := strings.Cut(key, ":")
	if !ok || rest == "" {
		return nil, "", fmt.Errorf("%w: %q is not of the form name:rest", ErrInvalidKey, key)
	}
	id := looseID{name, (*V)(nil)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.spaces[id]; ok {
		return k.(*Keyspace[string, V]), rest, nil
	}
	if len(d.spaces) >= maxLoose {
		return nil, "", fmt.Errorf("%w: %.40q would be name number %d, which user text must not be part of", ErrInvalidKey, name, maxLoose+1)
	}
	if err := validName(name); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrInvalidKey, err)
	}
	k, err := newLoose[V](d.cache, name)
	if err != nil {
		return nil, "", err
	}
	d.spaces[id] = k
	return k, rest, nil
}

// newLoose declares the keyspace of one name and value type. Its keys are
// those of a keyspace called name; its counters stand under "name (type)".
func newLoose[V any](c *Cache, name string) (*Keyspace[string, V], error) {
	k, err := newKeyspace(c, name, KeyspaceOptions[string, V]{AppendKey: appendLoose})
	if err != nil {
		return nil, err
	}
	label := fmt.Sprintf("%s (%T)", name, *new(V))
	return k, c.declare(label, &k.space, k.opts.TTL)
}

// appendLoose keeps what the caller wrote, colons included, except bytes that
// are no printable text.
func appendLoose(dst []byte, rest string) []byte {
	for i, part := range strings.Split(rest, ":") {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = AppendSegment(dst, part)
	}
	return dst
}

// Get returns the value of key, a full name such as "suite:42", from the
// default cache, and never loads. The errors [ErrMiss] and [ErrNotFound] are
// different things; see [Keyspace.Lookup].
func Get[V any](ctx context.Context, key string) (V, error) {
	k, rest, err := looseKeyspace[V](key)
	if err != nil {
		var none V
		return none, err
	}
	return k.Lookup(ctx, rest)
}

// Set stores value under key in the default cache for ttl; zero means
// [Options.DefaultTTL]. See [Keyspace.Set].
func Set[V any](ctx context.Context, key string, value V, ttl time.Duration) error {
	k, rest, err := looseKeyspace[V](key)
	if err != nil {
		return err
	}
	return k.SetTTL(ctx, rest, value, ttl)
}

// Delete invalidates keys in the default cache, full names as in [Get]. See
// [Cache.Invalidate].
func Delete(ctx context.Context, keys ...string) error {
	targets := make([]Target, 0, len(keys))
	for _, key := range keys {
		k, rest, err := looseKeyspace[struct{}](key)
		if err != nil {
			return err
		}
		targets = append(targets, k.Key(rest))
	}
	c := Default()
	if c == nil {
		return ErrNoDefault
	}
	return c.Invalidate(ctx, targets...)
}

// DeletePattern removes matching entries from the default cache. See
// [Cache.DeletePattern].
func DeletePattern(ctx context.Context, pattern string) (int, error) {
	c := Default()
	if c == nil {
		return 0, ErrNoDefault
	}
	return c.DeletePattern(ctx, pattern)
}
