package bench

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// subject is one node of a cache under the checker.
type subject struct {
	Store
	patience time.Duration // for an operation, whether or not it heeds its context; 0: no end
}

// bounded carries out f, for as long as patience lasts.
func (s subject) bounded(ctx context.Context, f func(ctx context.Context) error) error {
	if s.patience == 0 {
		return f(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Get implements lardertest.Subject.
func (s subject) Get(ctx context.Context, key int) (uint64, error) {
	answer := make(chan string, 1)
	if err := s.bounded(ctx, func(ctx context.Context) error {
		value, err := s.Store.Get(ctx, strconv.Itoa(key))
		answer <- value
		return err
	}); err != nil {
		return 0, err
	}
	return strconv.ParseUint(<-answer, 10, 64)
}

// Invalidate implements lardertest.Subject.
func (s subject) Invalidate(ctx context.Context, key int) error {
	return s.bounded(ctx, func(ctx context.Context) error { return s.Delete(ctx, strconv.Itoa(key)) })
}

// BenchmarkFreshness counts reads that return what an invalidation, complete
// before they began, has outdated. Two nodes read and write 256 keys; every
// fourth load takes up to 5 ms; one change comes to 30 reads. An operation is a
// read.
func BenchmarkFreshness(b *testing.B) {
	for _, o := range FreshStores {
		b.Run("cache="+o.Name, func(b *testing.B) { freshness(b, o, nil) })
	}
}

// BenchmarkFreshnessUnderFaults is the same for at least faultsLast, while the
// link of one node to Redis is cut or holds everything back, all clients are
// disconnected, or all data is lost. A read that fails, or has no answer within
// five seconds, is no stale one; an invalidation that fails promises nothing.
func BenchmarkFreshnessUnderFaults(b *testing.B) {
	for _, o := range FreshStores {
		b.Run("cache="+o.Name, func(b *testing.B) { freshness(b, o, faults) })
	}
}

const (
	faultsLast = 10 * time.Second
	faultLasts = 400 * time.Millisecond // and so long is the pause after it
)

// faults plays one fault after the other until ctx ends; link is one node's.
func faults(ctx context.Context, s *lardertest.RedisServer, link *lardertest.Proxy) {
	command := func(args ...string) func() {
		return func() { _, _ = s.Command(args...) } // some end the connection of who asks
	}
	list := []func(){link.Hold, link.Cut, link.Drop, command("CLIENT", "KILL", "TYPE", "normal"), command("FLUSHALL")}
	for i := 0; ctx.Err() == nil; i++ {
		for _, do := range []func(){list[i%len(list)], link.Resume} {
			do()
			select {
			case <-time.After(faultLasts):
			case <-ctx.Done():
			}
		}
	}
}

func freshness(b *testing.B, o Opener, disturb func(context.Context, *lardertest.RedisServer, *lardertest.Proxy)) {
	s := startRedis(b)
	checker := lardertest.NewChecker(lardertest.CheckerOptions{SlowLoad: 5 * time.Millisecond})
	load := func(ctx context.Context, key string) (string, error) {
		n, err := strconv.Atoi(key)
		if err != nil {
			return "", err
		}
		version, err := checker.Load(ctx, n)
		return strconv.FormatUint(version, 10), err
	}
	work := lardertest.Workload{Reads: b.N, Workers: 16, ReadsPerWrite: 30}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var patience time.Duration
	addresses := []string{s.Addr(), s.Addr()}
	if disturb != nil {
		link := lardertest.StartProxy(b, s.Addr())
		addresses[1] = link.Addr()
		work.Lasts, patience = faultsLast, faultsLast/2
		ctx, cancel = context.WithTimeout(ctx, 3*faultsLast) // for who hangs
		defer cancel()
		work.Chaos = func(ctx context.Context) { disturb(ctx, s, link) }
	}
	nodes := make([]lardertest.Subject, len(addresses))
	for i, address := range addresses {
		store, err := o.Open(Config{Addr: address, Load: load})
		if err != nil {
			b.Fatal(err)
		}
		nodes[i] = subject{store, patience}
		b.Cleanup(func() {
			_ = nodes[i].(subject).bounded(context.Background(), func(context.Context) error { store.Close(); return nil })
		})
	}
	b.ResetTimer()
	r := checker.Run(ctx, work, nodes...)
	b.StopTimer()
	if r.Invented > 0 || r.Failed > 0 {
		b.Logf("%s", r)
	}
	b.ReportMetric(float64(r.Reads), "reads")
	b.ReportMetric(float64(r.Stale), "stale")
	b.ReportMetric(100*float64(r.Stale)/float64(r.Reads), "stale%")
	b.ReportMetric(ms(r.AgeP50), "age-p50-ms")
	b.ReportMetric(ms(r.AgeMax), "age-max-ms")
	b.ReportMetric(100*float64(r.Failed)/float64(r.Reads), "failed%")
	b.ReportMetric(float64(r.Loads)/float64(r.Writes), "loads/write")
}
