package bench

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// goRedisConns is enough for the goroutines of every workload: the default of
// ten for each core would queue them.
const goRedisConns = 64

func newGoRedis(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, PoolSize: goRedisConns, DisableIdentity: true})
}

// goRedisStore is get, else load and set; delete after a change.
type goRedisStore struct {
	client *redis.Client
	cmds   interface {
		Get(ctx context.Context, key string) *redis.StringCmd
	}
	load Load
}

func openGoRedis(c Config) (Store, error) {
	client := newGoRedis(c.Addr)
	return &goRedisStore{client: client, cmds: client, load: c.Load}, nil
}

// openNaive is what most services write by hand.
func openNaive(c Config) (Store, error) { return openGoRedis(c) }

// openGoRedisAutopipeline collects concurrent commands into pipelines.
func openGoRedisAutopipeline(c Config) (Store, error) {
	client := newGoRedis(c.Addr)
	pipeliner, err := client.AutoPipeline()
	if err != nil {
		return nil, err
	}
	return &goRedisStore{client: client, cmds: pipeliner, load: c.Load}, nil
}

// openGoRedisTracking has the client's own cache in memory, invalidated by the
// server.
func openGoRedisTracking(c Config) (Store, error) {
	client := redis.NewClient(&redis.Options{Addr: c.Addr, PoolSize: goRedisConns, Protocol: 3, DisableIdentity: true,
		ClientSideCacheConfig: &redis.ClientSideCacheConfig{MaxEntries: 100_000}})
	return &goRedisStore{client: client, cmds: client, load: c.Load}, nil
}

func (s *goRedisStore) Get(ctx context.Context, key string) (string, error) {
	value, err := s.cmds.Get(ctx, key).Result()
	if err == nil {
		return value, nil
	}
	loaded, loadErr := s.load(ctx, key)
	if loadErr == nil && errors.Is(err, redis.Nil) {
		s.client.Set(ctx, key, loaded, ttl) // a failure costs another load
	}
	return loaded, loadErr
}

func (s *goRedisStore) GetMany(ctx context.Context, keys []string) (n int, _ error) {
	values, err := s.client.MGet(ctx, keys...).Result()
	for _, value := range values {
		if _, ok := value.(string); ok {
			n++
		}
	}
	return n, err
}

func (s *goRedisStore) Delete(ctx context.Context, key string) error {
	return s.client.Del(ctx, key).Err()
}

func (s *goRedisStore) Close() { _ = s.client.Close() }
