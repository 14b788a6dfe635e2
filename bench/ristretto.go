package bench

import (
	"context"

	"github.com/dgraph-io/ristretto/v2"
)

// openRistretto has no loader of its own: concurrent misses load twice.
func openRistretto[K interface{ int64 | string }](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	c, err := ristretto.NewCache(&ristretto.Config[K, *Row]{
		NumCounters: int64(entries) * 10, MaxCost: int64(entries), BufferItems: 64, IgnoreInternalCost: true})
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, key K) (*Row, error) {
		if row, ok := c.Get(key); ok {
			return row, nil
		}
		row, err := load(ctx, key)
		if err == nil {
			c.SetWithTTL(key, row, 1, ttl)
		}
		return row, err
	}, c.Close, nil
}
