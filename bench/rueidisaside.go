package bench

import (
	"context"

	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidisaside"
)

type rueidisasideStore struct {
	client rueidisaside.CacheAsideClient
	load   Load
}

func openRueidisaside(c Config) (Store, error) {
	client, err := rueidisaside.NewClient(rueidisaside.ClientOption{
		ClientOption: rueidis.ClientOption{InitAddress: []string{c.Addr}}, ClientTTL: c.Lease})
	if err != nil {
		return nil, err
	}
	return &rueidisasideStore{client: client, load: c.Load}, nil
}

func (s *rueidisasideStore) Get(ctx context.Context, key string) (string, error) {
	return s.client.Get(ctx, ttl, key, s.load)
}

func (s *rueidisasideStore) Delete(ctx context.Context, key string) error {
	return s.client.Del(ctx, key)
}

func (s *rueidisasideStore) Close() { s.client.Close() }
