package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/marshaler"
	"github.com/eko/gocache/lib/v4/store"
	gocacheredis "github.com/eko/gocache/store/redis/v4"
	gocacheristretto "github.com/eko/gocache/store/ristretto/v4"
	"github.com/redis/go-redis/v9"
)

// gocacheStore is a loadable cache over Redis alone: its chains keep memory
// that no other process can invalidate.
type gocacheStore struct {
	client *redis.Client
	cache  *cache.LoadableCache[string]
}

func openGocache(c Config) (Store, error) {
	client := newGoRedis(c.Addr)
	backend := cache.New[string](gocacheredis.NewRedis(client, store.WithExpiration(ttl)))
	load := func(ctx context.Context, key any) (string, []store.Option, error) {
		value, err := c.Load(ctx, key.(string))
		return value, nil, err
	}
	return &gocacheStore{client: client, cache: cache.NewLoadable(load, backend)}, nil
}

func (s *gocacheStore) Get(ctx context.Context, key string) (string, error) {
	return s.cache.Get(ctx, key)
}

func (s *gocacheStore) Delete(ctx context.Context, key string) error {
	return s.cache.Delete(ctx, key)
}

func (s *gocacheStore) Close() {
	_ = s.cache.Close()
	_ = s.client.Close()
}

// gocacheEngine is the ristretto under its store.
type gocacheEngine struct{ *ristretto.Cache[string, any] }

func (e gocacheEngine) Get(key any) (any, bool) { return e.Cache.Get(key.(string)) }

func (e gocacheEngine) Del(key any) { e.Cache.Del(key.(string)) }

func (e gocacheEngine) SetWithTTL(key, value any, cost int64, ttl time.Duration) bool {
	return e.Cache.SetWithTTL(key.(string), value, cost, ttl)
}

func openGocacheRows[K interface{ int64 | string }](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	engine, err := ristretto.NewCache(&ristretto.Config[string, any]{
		NumCounters: int64(entries) * 10, MaxCost: int64(entries), BufferItems: 64, IgnoreInternalCost: true})
	if err != nil {
		return nil, nil, err
	}
	backend := cache.New[*Row](gocacheristretto.NewRistretto(gocacheEngine{engine}, store.WithExpiration(ttl), store.WithCost(1)))
	c := cache.NewLoadable(func(ctx context.Context, key any) (*Row, []store.Option, error) {
		row, err := load(ctx, rowKey[K](key.(string)))
		return row, nil, err
	}, backend)
	return func(ctx context.Context, key K) (*Row, error) { return c.Get(ctx, text(key)) }, func() {
		_ = c.Close()
		engine.Close()
	}, nil
}

// rowKey is the reverse of text.
func rowKey[K interface{ int64 | string }](key string) (k K) {
	switch k := any(&k).(type) {
	case *int64:
		_, _ = fmt.Sscanf(key, "row:%d", k)
	case *string:
		*k = key
	}
	return k
}

func openGocacheDocs(addr string) (DocGet, func(), error) {
	client := newGoRedis(addr)
	docs := marshaler.New(cache.New[any](gocacheredis.NewRedis(client, store.WithExpiration(ttl))))
	return func(ctx context.Context, id int64) (*Doc, error) {
		key, doc := fmt.Sprint("gocache:", id), new(Doc)
		if _, err := docs.Get(ctx, key, doc); err == nil {
			return doc, nil
		}
		doc = newDoc(id)
		return doc, docs.Set(ctx, key, doc)
	}, func() { _ = client.Close() }, nil
}
