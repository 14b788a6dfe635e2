package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/rueidis"
)

// rueidisStore is get, else load and set; delete after a change.
type rueidisStore struct {
	client  rueidis.Client
	load    Load
	tracked bool
}

func openRueidis(c Config) (Store, error) {
	return newRueidis(c, rueidis.ClientOption{DisableCache: true}, false)
}

// openRueidisTuned has one connection and collects requests for 20 µs: more
// throughput for latency.
func openRueidisTuned(c Config) (Store, error) {
	return newRueidis(c, rueidis.ClientOption{DisableCache: true, ForceSingleClient: true, PipelineMultiplex: -1,
		AlwaysPipelining: true, MaxFlushDelay: 20 * time.Microsecond}, false)
}

// openRueidisPipelined sends every request by the goroutines that serve the
// connection, as one must on which the server pushes, and not by the caller's.
func openRueidisPipelined(c Config) (Store, error) {
	return newRueidis(c, rueidis.ClientOption{DisableCache: true, AlwaysPipelining: true}, false)
}

// openRueidisTracking has the client's own cache in memory, invalidated by the
// server.
func openRueidisTracking(c Config) (Store, error) {
	return newRueidis(c, rueidis.ClientOption{}, true)
}

func newRueidis(c Config, o rueidis.ClientOption, tracked bool) (Store, error) {
	o.InitAddress = []string{c.Addr}
	client, err := rueidis.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &rueidisStore{client: client, load: c.Load, tracked: tracked}, nil
}

func (s *rueidisStore) find(ctx context.Context, key string) (string, error) {
	if s.tracked {
		return s.client.DoCache(ctx, s.client.B().Get().Key(key).Cache(), ttl).ToString()
	}
	return s.client.Do(ctx, s.client.B().Get().Key(key).Build()).ToString()
}

func (s *rueidisStore) Get(ctx context.Context, key string) (string, error) {
	value, err := s.find(ctx, key)
	if err == nil {
		return value, nil
	}
	loaded, loadErr := s.load(ctx, key)
	if loadErr == nil && rueidis.IsRedisNil(err) {
		s.client.Do(ctx, s.client.B().Set().Key(key).Value(loaded).Ex(ttl).Build()) // a failure costs another load
	}
	return loaded, loadErr
}

func (s *rueidisStore) GetMany(ctx context.Context, keys []string) (n int, _ error) {
	values, err := s.client.Do(ctx, s.client.B().Mget().Key(keys...).Build()).ToArray()
	for i := range values {
		if _, err := values[i].ToString(); err == nil {
			n++
		}
	}
	return n, err
}

func (s *rueidisStore) Delete(ctx context.Context, key string) error {
	return s.client.Do(ctx, s.client.B().Del().Key(key).Build()).Error()
}

func (s *rueidisStore) Close() { s.client.Close() }

// openRueidisDocs is the client and encoding/json, nothing else.
func openRueidisDocs(addr string) (DocGet, func(), error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, id int64) (*Doc, error) {
		key, doc := fmt.Sprint("json:", id), new(Doc)
		if err := client.Do(ctx, client.B().Get().Key(key).Build()).DecodeJSON(doc); err == nil {
			return doc, nil
		}
		doc = newDoc(id)
		data, err := json.Marshal(doc)
		if err != nil {
			return nil, err
		}
		return doc, client.Do(ctx, client.B().Set().Key(key).Value(string(data)).Ex(ttl).Build()).Error()
	}, client.Close, nil
}
