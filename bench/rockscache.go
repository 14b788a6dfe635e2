package bench

import (
	"context"
	"time"

	"github.com/dtm-labs/rockscache"
	"github.com/redis/go-redis/v9"
)

type rockscacheStore struct {
	client *redis.Client
	cache  *rockscache.Client
	load   Load
}

// openRockscache has its default of eventual consistency: a deleted entry is
// still served while one process loads the next.
func openRockscache(c Config) (Store, error) { return newRockscache(c, false), nil }

// openRockscacheStrong lets every read wait for the load.
func openRockscacheStrong(c Config) (Store, error) { return newRockscache(c, true), nil }

func newRockscache(c Config, strong bool) *rockscacheStore {
	o := rockscache.NewDefaultOptions()
	o.StrongConsistency = strong
	o.LockSleep = 5 * time.Millisecond // 100 ms by default, which its waiters would spend asleep
	if c.Lease > 0 {
		o.LockExpire = c.Lease
	}
	client := newGoRedis(c.Addr)
	return &rockscacheStore{client: client, cache: rockscache.NewClient(client, o), load: c.Load}
}

func (s *rockscacheStore) Get(ctx context.Context, key string) (string, error) {
	return s.cache.Fetch2(ctx, key, ttl, func() (string, error) { return s.load(ctx, key) })
}

func (s *rockscacheStore) GetMany(ctx context.Context, keys []string) (int, error) {
	values, err := s.cache.FetchBatch2(ctx, keys, ttl, func(missing []int) (map[int]string, error) {
		found := make(map[int]string, len(missing))
		for _, i := range missing {
			value, err := s.load(ctx, keys[i])
			if err != nil {
				return nil, err
			}
			found[i] = value
		}
		return found, nil
	})
	return len(values), err
}

func (s *rockscacheStore) Delete(ctx context.Context, key string) error {
	return s.cache.TagAsDeleted2(ctx, key)
}

func (s *rockscacheStore) Close() { _ = s.client.Close() }
