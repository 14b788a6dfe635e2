package bench

import (
	"context"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	outageRate = 50                   // reads per second of each store
	outageLoad = 5 * time.Millisecond // of the source
)

// BenchmarkOutage pauses the Redis server under all stores at once, for
// LARDER_BENCH_OUTAGE (default 5s), while each of them is read 50 times a
// second with a new key each. Contexts have no deadline. It runs once;
// the operations of its parts mean nothing.
func BenchmarkOutage(b *testing.B) {
	length := 5 * time.Second
	if env := os.Getenv("LARDER_BENCH_OUTAGE"); env != "" {
		var err error
		if length, err = time.ParseDuration(env); err != nil {
			b.Fatal(err)
		}
	}
	took := outage(b, length)
	for _, o := range FleetStores {
		b.Run("cache="+o.Name, func(b *testing.B) {
			t := took[o.Name]
			b.ReportMetric(ms(quantile(t, 0.5)), "p50-ms")
			b.ReportMetric(ms(quantile(t, 0.99)), "p99-ms")
			b.ReportMetric(ms(quantile(t, 1)), "max-ms")
		})
	}
}

// outage returns how long the reads took that began while the server was
// paused.
func outage(b *testing.B, length time.Duration) map[string][]time.Duration {
	s := startRedis(b)
	load := func(ctx context.Context, key string) (string, error) {
		select {
		case <-time.After(outageLoad):
			return key, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	reads := int(length.Seconds() * outageRate)
	keys := names(reads)
	stores := make([]Store, len(FleetStores))
	for i, o := range FleetStores {
		stores[i], _ = openStore(b, o, Config{Addr: s.Addr(), Load: load})
	}
	flows := make([]flow, len(stores))
	for i := range flows {
		flows[i].run(stores[i], keys[:outageRate]) // a second of peace, which connects
		flows[i] = flow{}
	}
	if err := s.Stop(); err != nil {
		b.Fatal(err)
	}
	resume := time.AfterFunc(length, func() { _ = s.Cont() })
	defer resume.Stop()
	var wg sync.WaitGroup
	took := map[string][]time.Duration{}
	for i := range flows {
		wg.Go(func() { flows[i].run(stores[i], keys) })
	}
	wg.Wait()
	for i, o := range FleetStores {
		took[o.Name] = flows[i].took
	}
	return took
}

// flow is a stream of reads at a steady rate, whether or not earlier ones
// have ended.
type flow struct {
	mu   sync.Mutex
	took []time.Duration
}

func (f *flow) run(s Store, keys []string) {
	tick := time.NewTicker(time.Second / outageRate)
	defer tick.Stop()
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			began := time.Now()
			_, _ = s.Get(context.Background(), "outage"+strconv.Itoa(i))
			f.mu.Lock()
			defer f.mu.Unlock()
			f.took = append(f.took, time.Since(began))
		})
		<-tick.C
	}
	wg.Wait()
}
