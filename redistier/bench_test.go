package redistier

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// benchKeys is how many keys the benchmarks read.
const benchKeys = 1000

// benchServer returns a server with keys of 100 bytes.
func benchServer(b *testing.B) *lardertest.RedisServer {
	srv := lardertest.StartRedis(b)
	args := []string{"MSET"}
	for i := range benchKeys {
		args = append(args, fmt.Sprint("shop:k", i), fmt.Sprintf("%0100d", i))
	}
	command(b, srv, args...)
	return srv
}

func benchTier(b *testing.B, srv *lardertest.RedisServer, cfg Config) *Tier {
	cfg.Address = srv.Addr()
	tier, events := openTier(b, cfg, "shop")
	events.await(b, 0, "connected")
	return tier
}

func benchClient(b *testing.B, srv *lardertest.RedisServer, o rueidis.ClientOption) rueidis.Client {
	o.InitAddress = []string{srv.Addr()}
	client, err := rueidis.NewClient(o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	return client
}

func benchNames() []string {
	names := make([]string, benchKeys)
	for i := range names {
		names[i] = fmt.Sprint("shop:k", i)
	}
	return names
}

// spread runs read b.N times on n goroutines.
func spread(b *testing.B, n int, read func(i int) error) {
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for g := range n {
		wg.Go(func() {
			for i := g; i < b.N; i += n {
				if err := read(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkGet compares the tier with the bare client: with its defaults, and
// with one connection and a flush delay of 20 µs.
func BenchmarkGet(b *testing.B) {
	srv, names, ctx := benchServer(b), benchNames(), context.Background()
	long, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	bare := func(client rueidis.Client, ctx context.Context) func(int) error {
		return func(i int) error {
			_, err := client.Do(ctx, client.B().Get().Key(names[i%benchKeys]).Build()).ToString()
			return err
		}
	}
	plain := benchClient(b, srv, rueidis.ClientOption{})
	tuned := benchClient(b, srv, rueidis.ClientOption{ForceSingleClient: true, PipelineMultiplex: -1, AlwaysPipelining: true, MaxFlushDelay: 20 * time.Microsecond})
	tier := benchTier(b, srv, Config{})
	tiered := func(tier *Tier, ctx context.Context) func(int) error {
		return func(i int) error { return tier.Get(ctx, names[i%benchKeys]).Err }
	}
	for _, n := range []int{1, 8, 64} {
		for _, c := range []struct {
			name string
			read func(int) error
		}{
			{"client=default/deadline=no", bare(plain, ctx)},
			{"client=tuned/deadline=no", bare(tuned, ctx)},
			{"client=tuned/deadline=yes", bare(tuned, long)},
			{"client=tier/deadline=no", tiered(tier, ctx)},
			{"client=tier/deadline=yes", tiered(tier, long)},
		} {
			b.Run(fmt.Sprintf("goroutines=%d/%s", n, c.name), func(b *testing.B) { spread(b, n, c.read) })
		}
	}
}

// BenchmarkGetMany compares a Do of 100 reads with the bare client's MGET.
func BenchmarkGetMany(b *testing.B) {
	srv, names, ctx := benchServer(b), benchNames()[:100], context.Background()
	client := benchClient(b, srv, rueidis.ClientOption{ForceSingleClient: true, PipelineMultiplex: -1, AlwaysPipelining: true})
	tier := benchTier(b, srv, Config{})
	ops, replies := make([]larder.Op, len(names)), make([]larder.Reply, len(names))
	for i := range ops {
		ops[i] = larder.Op{Kind: larder.OpGet, Key: names[i]}
	}
	b.Run("client=bare", func(b *testing.B) {
		spread(b, 1, func(int) error {
			values, err := client.Do(ctx, client.B().Mget().Key(names...).Build()).ToArray()
			for i := range values {
				if _, err := values[i].ToString(); err != nil {
					return err
				}
			}
			return err
		})
	})
	b.Run("client=tier", func(b *testing.B) {
		spread(b, 1, func(int) error {
			tier.Do(ctx, ops, replies)
			return replies[99].Err
		})
	})
}

// BenchmarkOps measures each op on 64 goroutines, on keys of their own.
func BenchmarkOps(b *testing.B) {
	srv, ctx := benchServer(b), context.Background()
	tier := benchTier(b, srv, Config{})
	value := make([]byte, 100)
	for _, c := range []struct {
		name string
		op   larder.Op
	}{
		{"acquire", larder.Op{Kind: larder.OpAcquire, Token: mine, TTL: time.Minute}},
		{"fill", larder.Op{Kind: larder.OpFill, Token: mine, Value: value, TTL: time.Minute}},
		{"set", larder.Op{Kind: larder.OpSet, Value: value, TTL: time.Minute}},
		{"generation", larder.Op{Kind: larder.OpGeneration, Value: value[:8], TTL: time.Minute}},
		{"delete", larder.Op{Kind: larder.OpDelete}},
	} {
		b.Run("op="+c.name, func(b *testing.B) {
			spread(b, 64, func(i int) error {
				op, replies := c.op, make([]larder.Reply, 1)
				op.Key = fmt.Sprint("shop:x", c.name, i%100000)
				tier.Do(ctx, []larder.Op{op}, replies)
				return replies[0].Err
			})
		})
	}
}

func BenchmarkBeat(b *testing.B) {
	tier, ctx := benchTier(b, benchServer(b), Config{}), context.Background()
	spread(b, 1, func(int) error { return tier.Beat(ctx) })
}
