package bench

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/viccon/sturdyc"
)

func openSturdycRows[K interface{ int64 | string }](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	c := sturdyc.New[*Row](entries, 64, ttl, 10)
	return func(ctx context.Context, key K) (*Row, error) {
		return c.GetOrFetch(ctx, text(key), func(ctx context.Context) (*Row, error) { return load(ctx, key) })
	}, func() {}, nil
}

// sturdycStore keeps values in memory and in Redis. It has no way to tell other
// processes of a change: what they have in memory stays until its TTL.
type sturdycStore struct {
	client *redis.Client
	cache  *sturdyc.Client[string]
	load   Load
}

func openSturdyc(c Config) (Store, error) {
	client := newGoRedis(c.Addr)
	return &sturdycStore{client: client, load: c.Load,
		cache: sturdyc.New[string](100_000, 64, ttl, 10, sturdyc.WithDistributedStorage(sturdycRedis{client}))}, nil
}

func (s *sturdycStore) Get(ctx context.Context, key string) (string, error) {
	return s.cache.GetOrFetch(ctx, key, func(ctx context.Context) (string, error) { return s.load(ctx, key) })
}

func (s *sturdycStore) Delete(ctx context.Context, key string) error {
	err := s.client.Del(ctx, key).Err()
	s.cache.Delete(key)
	return err
}

func (s *sturdycStore) Close() { _ = s.client.Close() }

// sturdycRedis is its distributed storage.
type sturdycRedis struct{ client *redis.Client }

func (r sturdycRedis) Get(ctx context.Context, key string) ([]byte, bool) {
	value, err := r.client.Get(ctx, key).Bytes()
	return value, err == nil
}

func (r sturdycRedis) Set(ctx context.Context, key string, value []byte) {
	r.client.Set(ctx, key, value, ttl)
}

func (r sturdycRedis) GetBatch(ctx context.Context, keys []string) map[string][]byte {
	found := make(map[string][]byte, len(keys))
	values, _ := r.client.MGet(ctx, keys...).Result()
	for i, value := range values {
		if value, ok := value.(string); ok {
			found[keys[i]] = []byte(value)
		}
	}
	return found
}

func (r sturdycRedis) SetBatch(ctx context.Context, records map[string][]byte) {
	pipe := r.client.Pipeline()
	for key, value := range records {
		pipe.Set(ctx, key, value, ttl)
	}
	_, _ = pipe.Exec(ctx)
}
