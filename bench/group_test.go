package bench

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/eko/gocache/lib/v4/cache"
	"github.com/eko/gocache/lib/v4/store"
	gocacheredis "github.com/eko/gocache/store/redis/v4"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

const (
	groupOthers  = 1_000_000 // keys that are none of the group's
	groupMembers = 1000
)

// BenchmarkGroupInvalidation invalidates a group of 1,000 entries among a
// million others, while another client measures its own GETs. An operation is
// an invalidation; the other client measures for 20 ms at least, and for 20 ms
// before each.
func BenchmarkGroupInvalidation(b *testing.B) {
	s := startRedis(b, "--enable-debug-command", "yes")
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), DisableIdentity: true, ReadTimeout: time.Minute}) // KEYS is slow
	b.Cleanup(func() { _ = client.Close() })
	if err := client.Do(context.Background(), "DEBUG", "POPULATE", groupOthers, "other", 100).Err(); err != nil {
		b.Fatal(err)
	}
	for _, w := range []struct {
		name string
		open func(testing.TB, *lardertest.RedisServer, *redis.Client) (fill, invalidate func(context.Context) error)
	}{
		{"larder-tag", groupLarder}, {"gocache-tag-set", groupTagSet},
		{"scan-unlink", groupScan}, {"keys-unlink", groupKeys}, {"version-incr", groupVersion},
	} {
		b.Run("way="+w.name, func(b *testing.B) {
			fill, invalidate := w.open(b, s, client)
			groupInvalidation(b, s.Addr(), fill, invalidate)
		})
	}
}

func groupInvalidation(b *testing.B, addr string, fill, invalidate func(context.Context) error) {
	ctx := context.Background()
	p := startProbe(addr)
	defer p.stop()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		if err := fill(ctx); err != nil {
			b.Fatal(err)
		}
		p.record(before)
		<-time.After(groupWindow)
		p.record(during)
		least := time.After(groupWindow)
		b.StartTimer()
		err := invalidate(ctx)
		b.StopTimer()
		<-least
		p.record(nothing)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.StopTimer()
	took := p.stop()
	b.ReportMetric(float64(quantile(took[before], 0.99).Microseconds()), "before-p99-us")
	b.ReportMetric(float64(quantile(took[during], 0.99).Microseconds()), "others-p99-us")
	b.ReportMetric(float64(quantile(took[during], 1).Microseconds()), "others-max-us")
}

// groupWindow is a time in which others have some reads.
const groupWindow = 20 * time.Millisecond

// phase is what a read counts for.
type phase int

const (
	nothing phase = iota
	before
	during
	phases
)

// probe is another client: it reads without pause and notes how long the reads of
// each phase took. A read during which the phase changes counts for the later one, or
// for the last that is recorded.
type probe struct {
	client *redis.Client
	ended  sync.WaitGroup
	quit   chan struct{}
	once   sync.Once

	mu   sync.Mutex
	now  phase
	took [phases][]time.Duration
}

func startProbe(addr string) *probe {
	p := &probe{client: newGoRedis(addr), quit: make(chan struct{})}
	p.ended.Go(func() {
		for {
			select {
			case <-p.quit:
				return
			default:
				p.read()
			}
		}
	})
	return p
}

func (p *probe) read() {
	p.mu.Lock()
	at := p.now
	p.mu.Unlock()
	began := time.Now()
	p.client.Get(context.Background(), "other:7")
	took := time.Since(began)
	p.mu.Lock()
	defer p.mu.Unlock()
	at = max(at, p.now)
	p.took[at] = append(p.took[at], took)
}

// record says what reads count for from now on.
func (p *probe) record(now phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
}

// stop ends the probe and returns what it noted.
func (p *probe) stop() [phases][]time.Duration {
	p.once.Do(func() {
		close(p.quit)
		p.ended.Wait()
		_ = p.client.Close()
	})
	return p.took
}

// groupLarder is a declared tag.
func groupLarder(tb testing.TB, s *lardertest.RedisServer, _ *redis.Client) (fill, invalidate func(context.Context) error) {
	c, err := redistier.Open(context.Background(), redistier.Config{Address: s.Addr()}, larder.Options{Logger: quiet})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	members, err := larder.NewKeyspace(c, "member", larder.KeyspaceOptions[int64, string]{
		TTL: ttl, Codec: larder.Text, Tags: func(int64) []string { return []string{"group"} }})
	if err != nil {
		tb.Fatal(err)
	}
	ids := make([]int64, groupMembers)
	for i := range ids {
		ids[i] = int64(i)
	}
	load := func(_ context.Context, ids []int64) (map[int64]string, error) {
		found := make(map[int64]string, len(ids))
		for _, id := range ids {
			found[id] = "member"
		}
		return found, nil
	}
	fill = func(ctx context.Context) error {
		_, err := members.GetMany(ctx, ids, load)
		return err
	}
	return fill, func(ctx context.Context) error { return c.Invalidate(ctx, larder.Tag("group")) }
}

// groupTagSet is the tags of gocache: a set of keys for each.
func groupTagSet(_ testing.TB, _ *lardertest.RedisServer, client *redis.Client) (fill, invalidate func(context.Context) error) {
	c := cache.New[string](gocacheredis.NewRedis(client, store.WithExpiration(ttl)))
	fill = func(ctx context.Context) error {
		for i := range groupMembers {
			if err := c.Set(ctx, fmt.Sprint("member:", i), "member", store.WithTags([]string{"group"})); err != nil {
				return err
			}
		}
		return nil
	}
	return fill, func(ctx context.Context) error { return c.Invalidate(ctx, store.WithInvalidateTags([]string{"group"})) }
}

func fillMembers(client *redis.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		pipe := client.Pipeline()
		for i := range groupMembers {
			pipe.Set(ctx, fmt.Sprint("member:", i), "member", ttl)
		}
		_, err := pipe.Exec(ctx)
		return err
	}
}

func groupScan(_ testing.TB, _ *lardertest.RedisServer, client *redis.Client) (fill, invalidate func(context.Context) error) {
	return fillMembers(client), func(ctx context.Context) error {
		for cursor := uint64(0); ; {
			keys, next, err := client.Scan(ctx, cursor, "member:*", 1000).Result()
			if err == nil && len(keys) > 0 {
				err = client.Unlink(ctx, keys...).Err()
			}
			if cursor = next; err != nil || cursor == 0 {
				return err
			}
		}
	}
}

func groupKeys(_ testing.TB, _ *lardertest.RedisServer, client *redis.Client) (fill, invalidate func(context.Context) error) {
	return fillMembers(client), func(ctx context.Context) error {
		keys, err := client.Keys(ctx, "member:*").Result()
		if err == nil && len(keys) > 0 {
			err = client.Unlink(ctx, keys...).Err()
		}
		return err
	}
}

// groupVersion counts up a number that is part of every key: every read has to
// know it.
func groupVersion(_ testing.TB, _ *lardertest.RedisServer, client *redis.Client) (fill, invalidate func(context.Context) error) {
	return func(context.Context) error { return nil }, func(ctx context.Context) error { return client.Incr(ctx, "group:version").Err() }
}
