package bench

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

// quiet drops log lines: outages are part of the workloads.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

type larderStore struct {
	cache  *larder.Cache
	values *larder.Keyspace[string, string]
	load   larder.Loader[string, string]
	reads  []larder.ReadOption
	writes []larder.Target
}

func openLarder(c Config) (Store, error) { return newLarder(c, larder.BothTiers) }

func openLarderRemote(c Config) (Store, error) { return newLarder(c, larder.RemoteOnly) }

func openLarderExact(c Config) (Store, error) { return newLarder(c, larder.RemoteOnly, larder.Exact) }

func openLarderBothExact(c Config) (Store, error) {
	return newLarder(c, larder.BothTiers, larder.Exact)
}

func openLarderStrict(c Config) (Store, error) {
	s, err := newLarder(c, larder.BothTiers)
	if err == nil {
		s.writes = []larder.Target{larder.Strict}
	}
	return s, err
}

func newLarder(c Config, tiers larder.Tiers, reads ...larder.ReadOption) (*larderStore, error) {
	cache, err := openLarderCache(c)
	if err != nil {
		return nil, err
	}
	values, err := larder.NewKeyspace(cache, "v", larder.KeyspaceOptions[string, string]{
		TTL: ttl, Tiers: tiers, Codec: larder.Text})
	return &larderStore{cache: cache, values: values, load: larder.Loader[string, string](c.Load), reads: reads}, err
}

func openLarderCache(c Config) (*larder.Cache, error) {
	o := larder.Options{Logger: quiet, LeaseTime: c.Lease}
	if c.Patient {
		o.ReadTimeout, o.WriteTimeout, o.MaxStaleness = 5*time.Second, 5*time.Second, 5*time.Second
	}
	return redistier.Open(context.Background(), redistier.Config{Address: c.Addr}, o)
}

func (s *larderStore) Get(ctx context.Context, key string) (string, error) {
	return s.values.Get(ctx, key, s.load, s.reads...)
}

func (s *larderStore) GetMany(ctx context.Context, keys []string) (int, error) {
	values, err := s.values.GetMany(ctx, keys, func(ctx context.Context, keys []string) (map[string]string, error) {
		found := make(map[string]string, len(keys))
		for _, key := range keys {
			value, err := s.load(ctx, key)
			if err != nil {
				return nil, err
			}
			found[key] = value
		}
		return found, nil
	}, s.reads...)
	return len(values), err
}

func (s *larderStore) Delete(ctx context.Context, key string) error {
	return s.cache.Invalidate(ctx, append([]larder.Target{s.values.Key(key)}, s.writes...)...)
}

func (s *larderStore) Close() { _ = s.cache.Close() }

// larderMemory returns a cache without Redis.
func larderMemory[K comparable](entries int, load RowLoad[K]) (RowGet[K], func(), error) {
	cache, err := larder.New(larder.Options{Logger: quiet, MemoryBytes: int64(entries) * larderRowBytes()})
	if err != nil {
		return nil, nil, err
	}
	return larderRows(cache, load)
}

// larderBoth returns a cache over Redis whose memory answers, with the
// evidence check on every hit.
func larderBoth[K comparable](addr string) MemoryOpen[K] {
	return func(entries int, load RowLoad[K]) (RowGet[K], func(), error) {
		cache, err := redistier.Open(context.Background(), redistier.Config{Address: addr},
			larder.Options{Logger: quiet, MemoryBytes: int64(entries) * larderRowBytes()})
		if err != nil {
			return nil, nil, err
		}
		return larderRows(cache, load)
	}
}

// larderRowBytes is what a row weighs in the memory budget, so that a budget is
// a number of entries as with the peers.
var larderRowBytes = sync.OnceValue(func() int64 {
	cache, err := larder.New(larder.Options{Logger: quiet})
	if err != nil {
		panic(err)
	}
	get, closeCache, err := larderRows(cache, func(context.Context, int64) (*Row, error) { return new(Row), nil })
	if err != nil {
		panic(err)
	}
	defer closeCache()
	if _, err := get(context.Background(), 1); err != nil {
		panic(err)
	}
	for range 10_000 { // the engine counts in the background
		if n := cache.Stats().MemoryBytes; n > 0 {
			return int64(n)
		}
		<-time.After(time.Millisecond)
	}
	panic("an entry without weight")
})

func larderRows[K comparable](cache *larder.Cache, load RowLoad[K]) (RowGet[K], func(), error) {
	rows, err := larder.NewKeyspace(cache, "row", larder.KeyspaceOptions[K, *Row]{TTL: ttl, Size: func(*Row) int { return rowSize }})
	if err != nil {
		return nil, nil, err
	}
	loader := larder.Loader[K, *Row](load)
	get := func(ctx context.Context, key K) (*Row, error) { return rows.Get(ctx, key, loader) }
	return get, func() { _ = cache.Close() }, nil
}

func openLarderDocs(addr string) (DocGet, func(), error) {
	cache, err := openLarderCache(Config{Addr: addr})
	if err != nil {
		return nil, nil, err
	}
	docs, err := larder.NewKeyspace(cache, "doc", larder.KeyspaceOptions[int64, *Doc]{TTL: ttl, Tiers: larder.RemoteOnly})
	if err != nil {
		return nil, nil, err
	}
	load := func(_ context.Context, id int64) (*Doc, error) { return newDoc(id), nil }
	return func(ctx context.Context, id int64) (*Doc, error) { return docs.Get(ctx, id, load) }, func() { _ = cache.Close() }, nil
}
