package bench

import (
	"context"
	"fmt"

	"github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
)

// goRedisCacheStore is without the local cache, which no other process could
// invalidate.
type goRedisCacheStore struct {
	client *redis.Client
	cache  *cache.Cache
	load   Load
}

func openGoRedisCache(c Config) (Store, error) {
	client := newGoRedis(c.Addr)
	return &goRedisCacheStore{client: client, load: c.Load, cache: cache.New(&cache.Options{Redis: client})}, nil
}

func (s *goRedisCacheStore) Get(ctx context.Context, key string) (value string, err error) {
	err = s.cache.Once(&cache.Item{Ctx: ctx, Key: key, Value: &value, TTL: ttl,
		Do: func(item *cache.Item) (any, error) { return s.load(item.Context(), key) }})
	return value, err
}

func (s *goRedisCacheStore) Delete(ctx context.Context, key string) error {
	return s.cache.Delete(ctx, key)
}

func (s *goRedisCacheStore) Close() { _ = s.client.Close() }

// openGoRedisCacheRows is its local cache alone. It holds encoded bytes.
func openGoRedisCacheRows[K interface{ int64 | string }](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	c := cache.New(&cache.Options{LocalCache: cache.NewTinyLFU(entries, ttl)})
	return func(ctx context.Context, key K) (*Row, error) {
		row := new(Row)
		err := c.Once(&cache.Item{Ctx: ctx, Key: text(key), Value: row, TTL: ttl,
			Do: func(item *cache.Item) (any, error) { return load(item.Context(), key) }})
		return row, err
	}, func() {}, nil
}

func openGoRedisCacheDocs(addr string) (DocGet, func(), error) {
	client := newGoRedis(addr)
	c := cache.New(&cache.Options{Redis: client})
	return func(ctx context.Context, id int64) (*Doc, error) {
		doc := new(Doc)
		err := c.Once(&cache.Item{Ctx: ctx, Key: fmt.Sprint("grc:", id), Value: doc, TTL: ttl,
			Do: func(*cache.Item) (any, error) { return newDoc(id), nil }})
		return doc, err
	}, func() { _ = client.Close() }, nil
}
