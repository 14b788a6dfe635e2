package bench

import (
	"context"

	"github.com/Yiling-J/theine-go"
)

func openTheine[K comparable](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	c, err := theine.NewBuilder[K, *Row](int64(entries)).Loading(func(ctx context.Context, key K) (theine.Loaded[*Row], error) {
		row, err := load(ctx, key)
		return theine.Loaded[*Row]{Value: row, Cost: 1, TTL: ttl}, err
	}).Build()
	if err != nil {
		return nil, nil, err
	}
	return c.Get, c.Close, nil
}
