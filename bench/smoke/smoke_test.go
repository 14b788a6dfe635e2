//go:build !race

package smoke

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/lardertest"
)

const (
	ratioFile = "../results/ratio"
	worse     = 1.30 // than recorded
	rounds    = 15
	attempts  = 20
	draws     = 1 << 16 // reads of a round
)

type row struct{ ID int64 }

// side is a cache, filled, with its way to read one key.
type side struct {
	name string
	get  func(i int) error
}

// TestMemoryHitAllocatesNothing holds the hit with the evidence check, for keys
// of both forms.
func TestMemoryHitAllocatesNothing(t *testing.T) {
	keys := zipf()
	for _, s := range []side{larderSide(t, "int64", keys), larderSide(t, "string", asText(keys))} {
		i := 0
		if n := testing.AllocsPerRun(len(keys), func() {
			if err := s.get(i % len(keys)); err != nil {
				t.Fatal(err)
			}
			i++
		}); n > 0 {
			t.Errorf("a memory hit with %s keys allocates %v times", s.name, n)
		}
	}
}

// TestMemoryHitKeepsItsRatio compares medians of rounds in turn. Who else runs on
// the machine disturbs some rounds, seldom all of several attempts; a hit that
// has become slower is slower in each. Hits read the clock, as on any machine; by
// the counter, where the system trusts it, they must be faster than that.
func TestMemoryHitKeepsItsRatio(t *testing.T) {
	keys := zipf()
	ours, theirs := larderSide(t, "int64", keys), otterSide(t, keys)
	record := os.Getenv("LARDER_RECORD_RATIO") != ""
	limit := recorded(t) * worse
	if record {
		limit = 0
	}
	best := reach(t, ours, theirs, limit)
	switch {
	case record:
		if err := os.WriteFile(ratioFile, fmt.Appendf(nil, "%.3f\n", best), 0o644); err != nil {
			t.Fatal(err)
		}
	case best > limit:
		t.Errorf("a memory hit takes %.2f × otter's time, %.2f was recorded", best, recorded(t))
	default:
		t.Logf("a memory hit takes %.2f × otter's time, at most %.2f", best, limit)
	}
	if !clock.UseCounter(true) {
		t.Log("the system does not trust the processor's counter")
		return
	}
	defer clock.UseCounter(false)
	if counted := reach(t, ours, theirs, 0.9*best); counted > 0.9*best {
		t.Errorf("by the counter a memory hit takes %.2f × otter's time, by the clock %.2f", counted, best)
	} else {
		t.Logf("by the counter %.2f", counted)
	}
}

// reach returns the ratio of the first attempt that is within limit, or the best.
func reach(t *testing.T, ours, theirs side, limit float64) float64 {
	best := math.Inf(1)
	for n := 0; n < attempts && best > limit; n++ {
		best = min(best, compare(t, ours, theirs))
	}
	return best
}

// BenchmarkMemoryHit is what scripts/bench counts instructions of.
func BenchmarkMemoryHit(b *testing.B) {
	keys := zipf()
	for _, open := range []struct {
		name string
		side func() side
	}{
		{"cache=larder/keys=int64", func() side { return larderSide(b, "int64", keys) }},
		{"cache=larder/keys=string", func() side { return larderSide(b, "string", asText(keys)) }},
		{"cache=otter/keys=int64", func() side { return otterSide(b, keys) }},
	} {
		b.Run(open.name, func(b *testing.B) {
			s := open.side()
			b.ResetTimer()
			for i := range b.N {
				if err := s.get(i % draws); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func recorded(t *testing.T) float64 {
	data, err := os.ReadFile(ratioFile)
	if err != nil {
		t.Fatal(err)
	}
	ratio, err := strconv.ParseFloat(strings.TrimSpace(string(data)), 64)
	if err != nil || ratio <= 0 {
		t.Fatalf("%s holds %q, no ratio", ratioFile, data)
	}
	return ratio
}

// compare returns the ratio of the medians.
func compare(t *testing.T, ours, theirs side) float64 {
	var took [2][]float64
	for range rounds {
		for i, s := range []side{ours, theirs} {
			begun := time.Now()
			for n := range draws {
				if err := s.get(n); err != nil {
					t.Fatal(err)
				}
			}
			took[i] = append(took[i], float64(time.Since(begun)))
		}
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	return took[0][rounds/2] / took[1][rounds/2]
}

// larderSide is a cache over a remote tier, so that each hit checks its evidence.
func larderSide[K comparable](t testing.TB, name string, keys []K) side {
	c, err := larder.NewWithRemote(t.Context(), lardertest.NewRemote(lardertest.RemoteOptions{}, lardertest.NewServer()), larder.Options{MaxStaleness: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	k, err := larder.NewKeyspace(c, "row", larder.KeyspaceOptions[K, *row]{TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	load := func(context.Context, K) (*row, error) { return new(row), nil }
	ctx := context.Background()
	return filled(t, side{name, func(i int) error { _, err := k.Get(ctx, keys[i], load); return err }})
}

func otterSide(t testing.TB, keys []int64) side {
	c, err := otter.New(&otter.Options[int64, *row]{MaximumSize: 1 << 20, ExpiryCalculator: otter.ExpiryWriting[int64, *row](time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.StopAllGoroutines() })
	load := otter.LoaderFunc[int64, *row](func(context.Context, int64) (*row, error) { return new(row), nil })
	ctx := context.Background()
	return filled(t, side{"otter", func(i int) error { _, err := c.Get(ctx, keys[i], load); return err }})
}

func filled(t testing.TB, s side) side {
	for i := range draws {
		if err := s.get(i); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func zipf() []int64 {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.01, 1, 1<<14-1)
	keys := make([]int64, draws)
	for i := range keys {
		keys[i] = int64(z.Uint64())
	}
	return keys
}

func asText(keys []int64) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = "row:" + strconv.FormatInt(key, 10)
	}
	return names
}
