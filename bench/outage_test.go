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
	outageRate  = 50 // reads per second of each store
	outageTurns = 5
	outageLoad  = 5 * time.Millisecond // of the source
)

// BenchmarkOutage pauses the Redis server under all stores at once, for
// LARDER_BENCH_OUTAGE (default 5s), while each of them is read 50 times a
// second with a new key each. Contexts have no deadline. It runs once;
// the operations of its parts mean nothing. source is what a read of the source
// alone takes at the same time.
func BenchmarkOutage(b *testing.B) {
	length := 5 * time.Second
	if env := os.Getenv("LARDER_BENCH_OUTAGE"); env != "" {
		var err error
		if length, err = time.ParseDuration(env); err != nil {
			b.Fatal(err)
		}
	}
	took := outage(b, length)
	for _, o := range append([]Opener{sourceAlone}, FleetStores...) {
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
	openers := append([]Opener{sourceAlone}, FleetStores...)
	stores := make([]Store, len(openers))
	for i, o := range openers {
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
	for i, o := range openers {
		took[o.Name] = flows[i].took
	}
	return took
}

var sourceAlone = Opener{"source", func(c Config) (Store, error) { return sourceStore{c.Load}, nil }}

// sourceStore caches nothing.
type sourceStore struct{ load Load }

func (s sourceStore) Get(ctx context.Context, key string) (string, error) { return s.load(ctx, key) }
func (s sourceStore) Delete(context.Context, string) error                { return nil }
func (s sourceStore) Close()                                              {}

// BenchmarkOutageMemory reads what is in memory, a thousand times a second,
// before the server hangs and while it hangs for less than MaxStaleness, several
// times in turn.
func BenchmarkOutageMemory(b *testing.B) {
	s := startRedis(b)
	store, _ := openStore(b, FleetStores[0], Config{Addr: s.Addr(), Load: ofSize(100)})
	keys := names(100)
	hits := func(took []time.Duration) []time.Duration {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := range 700 { // of a MaxStaleness of a second, with a heartbeat every quarter
			<-tick.C
			began := time.Now()
			if _, err := store.Get(b.Context(), keys[i%len(keys)]); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		return took
	}
	var calm, hung []time.Duration
	for range outageTurns {
		warm(b, store, keys)
		calm = hits(calm)
		if err := s.Stop(); err != nil {
			b.Fatal(err)
		}
		hung = hits(hung)
		if err := s.Cont(); err != nil {
			b.Fatal(err)
		}
	}
	for name, took := range map[string][]time.Duration{"calm": calm, "hung": hung} {
		b.Run("redis="+name, func(b *testing.B) {
			b.ReportMetric(float64(quantile(took, 0.5))/1e3, "p50-us")
			b.ReportMetric(float64(quantile(took, 0.99))/1e3, "p99-us")
		})
	}
}

// BenchmarkOutageBack measures how long after a hang of 3 s what is in the
// server is read from there again.
func BenchmarkOutageBack(b *testing.B) {
	s := startRedis(b)
	loads := 0
	load := func(context.Context, string) (string, error) { loads++; return "loaded", nil }
	store, _ := openStore(b, FleetStores[0], Config{Addr: s.Addr(), Load: load})
	other, _ := openStore(b, FleetStores[0], Config{Addr: s.Addr(), Load: ofSize(100)})
	keys := names(1000)
	warm(b, other, keys)
	warm(b, store, names(1))
	if err := s.Stop(); err != nil {
		b.Fatal(err)
	}
	hung, tick := time.After(3*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for i, over := 0, false; !over; i++ {
		select {
		case <-tick.C:
		case <-hung:
			over = true
		}
		if _, err := store.Get(b.Context(), "absent"+strconv.Itoa(i)); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Cont(); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for _, key := range keys[1:] {
		before := loads
		if _, err := store.Get(b.Context(), key); err != nil {
			b.Fatal(err)
		}
		if loads == before {
			b.ReportMetric(ms(time.Since(began)), "back-ms")
			return
		}
		<-tick.C
	}
	b.Fatal("Redis is not read after 5 s")
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
