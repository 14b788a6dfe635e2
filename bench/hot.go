package bench

import (
	"context"
	"hash/maphash"

	"github.com/samber/hot"
)

// openHot shards, since its lock is otherwise one for all. LRU keeps whatever
// fits; its W-TinyLFU turns entries away while there is room.
func openHot[K interface{ int64 | string }](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	seed := maphash.MakeSeed()
	c := hot.NewHotCache[K, *Row](hot.LRU, entries/hotShards).
		WithTTL(ttl).
		WithSharding(hotShards, func(key K) uint64 { return maphash.Comparable(seed, key) }).
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

const hotShards = 8
