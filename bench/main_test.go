package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mgtv-tech/jetcache-go/logger"
	"github.com/redis/go-redis/v9/logging"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/lardertest"
)

// nodeVariable holds the configuration of a node; a test program that finds it
// set is one.
const nodeVariable = "LARDER_BENCH_NODE"

func TestMain(m *testing.M) {
	logger.SetLevel(logger.LevelError) // an outage is part of the workloads
	logging.Disable()
	if config := os.Getenv(nodeVariable); config != "" {
		if err := runNode(config); err != nil && err != io.EOF {
			fmt.Fprintln(os.Stderr, "node:", err)
			os.Exit(1)
		}
		return
	}
	clock.UseCounter(true) // as programs do that are no tests
	os.Exit(m.Run())
}

// ofSize returns a loader of values of n bytes.
func ofSize(n int) Load {
	value := make([]byte, n)
	for i := range value {
		value[i] = 'a' + byte(i%26)
	}
	return func(context.Context, string) (string, error) { return string(value), nil }
}

// openStore opens a store that is closed at the end, or by closeStore before.
func openStore(tb testing.TB, o Opener, c Config) (s Store, closeStore func()) {
	tb.Helper()
	s, err := o.Open(c)
	if err != nil {
		tb.Fatalf("%s: %v", o.Name, err)
	}
	closeStore = sync.OnceFunc(s.Close)
	tb.Cleanup(closeStore)
	return s, closeStore
}

// names returns n keys.
func names(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "k" + strconv.Itoa(i)
	}
	return keys
}

// zipf returns draws of n keys, the same in every run.
func zipf(n, draws int) []int64 {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, uint64(n-1))
	keys := make([]int64, draws)
	for i := range keys {
		keys[i] = int64(z.Uint64())
	}
	return keys
}

// spread runs work b.N times on n goroutines and reports the CPU time that
// this process spent on each.
func spread(b *testing.B, n int, work func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	var wg sync.WaitGroup
	for g := range n {
		wg.Go(func() {
			for i := g; i < b.N; i += n {
				if err := work(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
}

// cpuTime returns what this process has used.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// quantile returns the q-quantile of d, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// startRedis starts the server of a benchmark.
func startRedis(tb testing.TB, args ...string) *lardertest.RedisServer {
	return lardertest.StartRedis(tb, lardertest.RedisOptions{Args: args, AllRights: true})
}
