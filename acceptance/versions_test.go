package acceptance

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// Two versions of a struct, as an old and a new program declare it.
type (
	suiteBefore struct{ Name string }
	suiteAfter  struct{ Name, Owner string }
)

// version is one version of the program: two caches on the shared Redis.
type version struct {
	name          string
	read          []func(ctx context.Context, key int64) error
	caches        []*larder.Cache
	loads, failed atomic.Int64
	reads         atomic.Int64
}

func startVersion[V any](t *testing.T, name, addr string, value V) *version {
	v := &version{name: name}
	for range 2 {
		c, err := redistier.Open(t.Context(), redistier.Config{Address: addr}, larder.Options{
			ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second, MaxStaleness: 5 * time.Second})
		check(t, err)
		t.Cleanup(func() { c.Close() })
		k, err := larder.NewKeyspace(c, "suite", larder.KeyspaceOptions[int64, V]{})
		check(t, err)
		v.caches = append(v.caches, c)
		v.read = append(v.read, func(ctx context.Context, key int64) error {
			_, err := k.Get(ctx, key, func(context.Context, int64) (V, error) { v.loads.Add(1); return value, nil })
			return err
		})
	}
	return v
}

// run reads the keys in turn, from each cache, until the context ends.
func (v *version) run(ctx context.Context, keys int64, group *sync.WaitGroup) {
	for _, read := range v.read {
		group.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for key := int64(0); ; key++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				v.reads.Add(1)
				if read(context.WithoutCancel(ctx), key%keys) != nil {
					v.failed.Add(1)
				}
			}
		})
	}
}

func (v *version) otherSchema() (n uint64) {
	for _, c := range v.caches {
		n += c.Stats().Keyspaces["suite"].OtherSchema
	}
	return n
}

func (v *version) row() string {
	return fmt.Sprintf("| %s | %d | %d | %d | %d |\n", v.name, v.reads.Load(), v.failed.Load(), v.otherSchema(), v.loads.Load())
}

// TestVersionsShareRedis runs two versions of a struct side by side on a real
// Redis: no read fails, entries of the other version are counted misses, and
// loads stay few. LARDER_VERSIONS is for how long, 1 s by default; then the table
// is written into docs/resilience.md.
func TestVersionsShareRedis(t *testing.T) {
	const keys = 20
	length, text := time.Second, os.Getenv("LARDER_VERSIONS")
	if text != "" {
		var err error
		length, err = time.ParseDuration(text)
		check(t, err)
	}
	redis := lardertest.StartRedis(t)
	versions := []*version{
		startVersion(t, "before", redis.Addr(), suiteBefore{"checkout"}),
		startVersion(t, "after", redis.Addr(), suiteAfter{"checkout", "payments"}),
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var group sync.WaitGroup
	for _, v := range versions {
		v.run(ctx, keys, &group)
	}
	group.Wait()
	var b strings.Builder
	b.WriteString("| version | reads | errors | misses for the other schema | loads |\n|---|---:|---:|---:|---:|\n")
	// Each cache loads a key once in ten seconds at most, and once more where a
	// heartbeat was late.
	most := 2 * keys * (int64(length/(10*time.Second)) + 2)
	var misses uint64
	for _, v := range versions {
		b.WriteString(v.row())
		misses += v.otherSchema()
		if v.reads.Load() == 0 || v.failed.Load() > 0 || v.loads.Load() > most {
			t.Errorf("%s: %d reads, %d errors, %d loads of at most %d", v.name, v.reads.Load(), v.failed.Load(), v.loads.Load(), most)
		}
	}
	if misses == 0 {
		t.Error("no entry of the other version was met")
	}
	t.Log("\n" + b.String())
	if text != "" {
		fmt.Fprintf(&b, "\n%v with two caches of each version, %d keys, at most 1000 reads/s from each cache; %s, %d cores.\n", length, keys, runtime.Version(), runtime.NumCPU())
		check(t, replaceBetween("../docs/resilience.md", "<!-- versions:begin -->", "<!-- versions:end -->", b.String()))
	}
}
