package bench

import (
	"context"

	"github.com/maypok86/otter/v2"
)

func openOtter[K comparable](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	return otterRows(otter.Options[K, *Row]{MaximumSize: entries, ExpiryCalculator: otter.ExpiryWriting[K, *Row](ttl)}, load)
}

func openOtterNoExpiry[K comparable](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	return otterRows(otter.Options[K, *Row]{MaximumSize: entries}, load)
}

func otterRows[K comparable](o otter.Options[K, *Row], load RowLoad[K]) (RowGet[K], func(), error) {
	c, err := otter.New(&o)
	if err != nil {
		return nil, nil, err
	}
	loader := otter.LoaderFunc[K, *Row](load)
	get := func(ctx context.Context, key K) (*Row, error) { return c.Get(ctx, key, loader) }
	return get, func() { c.StopAllGoroutines() }, nil
}
