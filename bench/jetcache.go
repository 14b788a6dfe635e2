package bench

import (
	"context"
	"fmt"

	"github.com/mgtv-tech/jetcache-go"
	"github.com/mgtv-tech/jetcache-go/local"
	"github.com/mgtv-tech/jetcache-go/remote"
	"github.com/redis/go-redis/v9"
)

// jetcacheStore is without the local cache: telling other processes of a
// change is left to its user.
type jetcacheStore struct {
	client *redis.Client
	cache  cache.Cache
	many   *cache.T[string, string]
	load   Load
}

func openJetcache(c Config) (Store, error) {
	client := newGoRedis(c.Addr)
	jet := cache.New(cache.WithRemote(remote.NewGoRedisV9Adapter(client)), cache.WithRemoteExpiry(ttl), cache.WithStatsDisabled(true))
	return &jetcacheStore{client: client, cache: jet, many: cache.NewT[string, string](jet), load: c.Load}, nil
}

func (s *jetcacheStore) Get(ctx context.Context, key string) (value string, err error) {
	err = s.cache.Once(ctx, "v:"+key, cache.Value(&value), cache.Do(func(ctx context.Context) (any, error) { return s.load(ctx, key) }))
	return value, err
}

func (s *jetcacheStore) GetMany(ctx context.Context, keys []string) (int, error) {
	values, err := s.many.MGetWithErr(ctx, "v", keys, func(ctx context.Context, keys []string) (map[string]string, error) {
		found := make(map[string]string, len(keys))
		for _, key := range keys {
			value, err := s.load(ctx, key)
			if err != nil {
				return nil, err
			}
			found[key] = value
		}
		return found, nil
	})
	return len(values), err
}

func (s *jetcacheStore) Delete(ctx context.Context, key string) error {
	return s.cache.Delete(ctx, "v:"+key)
}

func (s *jetcacheStore) Close() {
	s.cache.Close()
	_ = s.client.Close()
}

// openJetcacheRows is its local cache alone. It holds encoded bytes.
func openJetcacheRows[K interface{ int64 | string }](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	const overhead = 56 // that its engine adds to the cost of each entry
	c := cache.New(cache.WithLocal(local.NewTinyLFU(entries*(1+overhead), ttl)), cache.WithStatsDisabled(true))
	return func(ctx context.Context, key K) (*Row, error) {
		row := new(Row)
		err := c.Once(ctx, text(key), cache.Value(row), cache.Do(func(ctx context.Context) (any, error) { return load(ctx, key) }))
		return row, err
	}, c.Close, nil
}

func openJetcacheDocs(codec string) func(addr string) (DocGet, func(), error) {
	return func(addr string) (DocGet, func(), error) {
		client := newGoRedis(addr)
		c := cache.New(cache.WithRemote(remote.NewGoRedisV9Adapter(client)), cache.WithRemoteExpiry(ttl),
			cache.WithStatsDisabled(true), cache.WithCodec(codec))
		return func(ctx context.Context, id int64) (*Doc, error) {
				doc := new(Doc)
				err := c.Once(ctx, fmt.Sprint("jet-", codec, ":", id), cache.Value(doc),
					cache.Do(func(context.Context) (any, error) { return newDoc(id), nil }))
				return doc, err
			}, func() {
				c.Close()
				_ = client.Close()
			}, nil
	}
}
