package redistier

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// BenchmarkKeyspace measures whole operations on a keyspace that keeps nothing in
// memory: hits and misses, of one key and of 100 at once, with a source that
// answers at once, and a SetMany of 1,000.
func BenchmarkKeyspace(b *testing.B) {
	ctx, keys := context.Background(), benchNames()
	cache, err := Open(ctx, Config{Address: lardertest.StartRedis(b).Addr()}, larder.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer cache.Close()
	k, err := larder.NewKeyspace(cache, "v", larder.KeyspaceOptions[string, string]{TTL: time.Hour, Tiers: larder.RemoteOnly, Codec: larder.Text})
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	load := func(_ context.Context, key string) (string, error) { return key, nil }
	loadMany := func(_ context.Context, keys []string) (map[string]string, error) {
		found := make(map[string]string, len(keys))
		for _, key := range keys {
			found[key] = key
		}
		return found, nil
	}
	if _, err := k.GetMany(ctx, keys, loadMany); err != nil {
		b.Fatal(err)
	}
	hit := func(i int) error { _, err := k.Get(ctx, keys[i%benchKeys], load); return err }
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64, 256} {
		b.Run("read=hit/goroutines="+strconv.Itoa(n), func(b *testing.B) { spread(b, n, hit) })
	}
	b.Run("read=exact/goroutines=64", func(b *testing.B) {
		spread(b, 64, func(i int) error { _, err := k.Get(ctx, keys[i%benchKeys], load, larder.Exact); return err })
	})
	for _, n := range []int{1, 8} {
		b.Run("read=many/goroutines="+strconv.Itoa(n), func(b *testing.B) {
			spread(b, n, func(int) error { _, err := k.GetMany(ctx, keys[:100], loadMany); return err })
		})
	}
	for _, n := range []int{1, 8, 64} { // of so many, all ask for the same keys
		b.Run("read=many-miss/goroutines="+strconv.Itoa(n), func(b *testing.B) {
			first := next.Add(int64(b.N))
			spread(b, n, func(i int) error {
				keys := make([]string, 100)
				for j := range keys {
					keys[j] = fmt.Sprintf("new%d-%d", first+int64(i/n), j)
				}
				_, err := k.GetMany(ctx, keys, loadMany)
				return err
			})
		})
	}
	values := make(map[string]string, len(keys))
	for _, key := range keys {
		values[key] = key
	}
	b.Run("write=many/goroutines=1", func(b *testing.B) {
		spread(b, 1, func(int) error { return k.SetMany(ctx, values) })
	})
	b.Run("read=miss/goroutines=1", func(b *testing.B) {
		spread(b, 1, func(int) error {
			_, err := k.Get(ctx, "new"+strconv.FormatInt(next.Add(1), 10), load)
			return err
		})
	})
}
