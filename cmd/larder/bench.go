package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

func (a *app) benchCommand() *cobra.Command {
	b := bench{app: a}
	c := &cobra.Command{
		Use: "bench", Short: "measure this Redis from this machine, through the library", Args: cobra.NoArgs,
		Long: "Loads and fills entries, reads them from Redis and from memory, and invalidates them, each for as long as --for or\n" +
			"--requests. It takes part in the namespace as any program does, under names that begin with larder-bench:, and\n" +
			"removes them at the end.",
		RunE: func(cmd *cobra.Command, _ []string) error { return b.run(cmd.Context()) },
	}
	c.Flags().IntVar(&b.requests, "requests", 10_000, "requests of each kind, at most 1000000")
	c.Flags().IntVar(&b.clients, "clients", 8, "how many at a time, at most 1024")
	c.Flags().IntVar(&b.size, "size", 1024, "bytes of a value, at most 1048576")
	c.Flags().DurationVar(&b.limit, "for", 5*time.Second, "end each kind after so long")
	return c
}

// bench is one measurement.
type bench struct {
	app                     *app
	requests, clients, size int
	limit                   time.Duration
}

const benchSpace = "larder-bench"

func (b *bench) check() error {
	switch {
	case b.requests < 1 || b.requests > 1_000_000:
		return usage("--requests %d is not from 1 to 1000000", b.requests)
	case b.clients < 1 || b.clients > 1024:
		return usage("--clients %d is not from 1 to 1024", b.clients)
	case b.size < 1 || b.size > 1<<20:
		return usage("--size %d is not from 1 to 1048576", b.size)
	case b.limit <= 0:
		return usage("--for %v is not above zero", b.limit)
	}
	return nil
}

func (b *bench) run(ctx context.Context) (err error) {
	if err := b.check(); err != nil {
		return err
	}
	staleness := time.Duration(0)
	if err := b.app.inspect(ctx, func(i *redistier.Inspector) error { staleness = i.MaxStaleness(); return nil }); err != nil {
		return err
	}
	cfg, err := b.app.config()
	if err != nil {
		return err
	}
	cache, err := redistier.Open(ctx, cfg, larder.Options{Namespace: b.app.namespace(), MaxStaleness: staleness, MaxValueBytes: 2 << 20,
		MemoryBytes: 256 << 20, ReadTimeout: time.Second, WriteTimeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return usage("%w", err)
	}
	defer func() {
		if n, removing := cache.DeletePattern(context.WithoutCancel(ctx), benchSpace+":*"); err == nil && removing != nil {
			err = fmt.Errorf("%d entries removed, others begin with %s: and expire within a minute: %w", n, benchSpace, removing)
		}
		if closing := cache.Close(); err == nil {
			err = closing
		}
	}()
	space, err := larder.NewKeyspace(cache, benchSpace, larder.KeyspaceOptions[int, string]{TTL: time.Minute, Codec: larder.Text})
	if err != nil {
		return err
	}
	return b.measure(ctx, cache, space)
}

// measure runs the kinds in the order in which each finds what it needs.
func (b *bench) measure(ctx context.Context, cache *larder.Cache, space *larder.Keyspace[int, string]) error {
	value := strings.Repeat("x", b.size)
	load := func(context.Context, int) (string, error) { return value, nil }
	get := func(opts ...larder.ReadOption) func(context.Context, int) error {
		return func(ctx context.Context, key int) error {
			_, err := space.Get(ctx, key, load, opts...)
			return err
		}
	}
	keys := b.requests
	for _, kind := range []struct {
		name string
		do   func(context.Context, int) error
	}{
		{"miss and fill", get()},
		{"hit in Redis", get(larder.Exact)},
		{"hit in memory", get()},
		{"invalidation", func(ctx context.Context, key int) error { return cache.Invalidate(ctx, space.Key(key)) }},
	} {
		r, err := b.drive(ctx, kind.name, keys, kind.do)
		if err != nil {
			return fmt.Errorf("%s: %w", kind.name, err)
		}
		if kind.name == "miss and fill" {
			keys = r.Requests // the others find what was filled
		}
		if err := b.print(r); err != nil {
			return err
		}
	}
	return nil
}

// result is one kind in figures.
type result struct {
	Kind      string  `json:"kind"`
	Requests  int     `json:"requests"`
	Clients   int     `json:"clients"`
	Bytes     int     `json:"value_bytes"`
	PerSecond float64 `json:"per_second"`
	Median    float64 `json:"p50_us"`
	P99       float64 `json:"p99_us"`
	Max       float64 `json:"max_us"`
}

// drive has the clients take the keys one after the other.
func (b *bench) drive(ctx context.Context, kind string, keys int, do func(context.Context, int) error) (result, error) {
	var next atomic.Int64
	took, errs := make([][]time.Duration, b.clients), make([]error, b.clients)
	began := time.Now()
	var clients sync.WaitGroup
	for c := range b.clients {
		clients.Go(func() {
			for time.Since(began) < b.limit {
				key := int(next.Add(1)) - 1
				if key >= keys {
					return
				}
				start := time.Now()
				if errs[c] = do(ctx, key); errs[c] != nil {
					return
				}
				took[c] = append(took[c], time.Since(start))
			}
		})
	}
	clients.Wait()
	elapsed := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return result{}, err
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	at := func(part float64) float64 {
		return float64(all[int(part*float64(len(all)-1))].Nanoseconds()) / 1000
	}
	return result{kind, len(all), b.clients, b.size, float64(len(all)) / elapsed.Seconds(), at(0.5), at(0.99), at(1)}, nil
}

func (b *bench) print(r result) error {
	if b.app.flags.json {
		return b.app.document(r)
	}
	us := func(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) + " µs" }
	_, err := fmt.Fprintf(b.app.out, "%-14s %8d requests %10.0f/s   p50 %10s   p99 %10s   max %10s\n", r.Kind, r.Requests, r.PerSecond, us(r.Median), us(r.P99), us(r.Max))
	return err
}
