package bench

import (
	"context"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// openLRU has no loader of its own: concurrent misses load twice.
func openLRU[K comparable](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	c := expirable.NewLRU[K, *Row](entries, nil, ttl)
	return func(ctx context.Context, key K) (*Row, error) {
		if row, ok := c.Get(key); ok {
			return row, nil
		}
		row, err := load(ctx, key)
		if err == nil {
			c.Add(key, row)
		}
		return row, err
	}, c.Purge, nil
}
