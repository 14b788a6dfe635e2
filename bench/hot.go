package bench

import (
	"context"

	"github.com/samber/hot"
)

// openHot has one lock for all: shards of version 0.13.0 have none each, and two
// goroutines end the process by "concurrent map read and map write". LRU keeps
// whatever fits; its W-TinyLFU turns entries away while there is room.
func openHot[K interface{ int64 | string }](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	c := hot.NewHotCache[K, *Row](hot.LRU, entries).
		WithTTL(ttl).
		WithLoaders(func(keys []K) (map[K]*Row, error) {
			found := make(map[K]*Row, len(keys))
			for _, key := range keys {
				row, err := load(context.Background(), key)
				if err != nil {
					return nil, err
				}
				found[key] = row
			}
			return found, nil
		}).
		Build()
	return func(_ context.Context, key K) (*Row, error) {
		row, _, err := c.Get(key)
		return row, err
	}, c.Purge, nil
}
