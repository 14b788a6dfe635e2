package acceptance

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// TestHitsEndWithTheirTime holds that no Get which began after the TTL of a value
// returns it from memory, whatever the clock of hits costs: not by a microsecond,
// at full speed and after pauses.
func TestHitsEndWithTheirTime(t *testing.T) {
	cache, err := larder.New(larder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cache.Close() })
	const ttl = 20 * time.Millisecond
	births, err := larder.NewKeyspace(cache, "births", larder.KeyspaceOptions[int64, time.Time]{TTL: ttl})
	if err != nil {
		t.Fatal(err)
	}
	load := func(context.Context, int64) (time.Time, error) { return time.Now(), nil }
	end := time.Now().Add(either(2*time.Second, time.Minute))
	var wg sync.WaitGroup
	for i := range int64(4) {
		wg.Go(func() {
			pauses := time.NewTicker(time.Duration(i+1) * 7 * time.Millisecond)
			defer pauses.Stop()
			for n := 0; ; n++ {
				start := time.Now()
				born, err := births.Get(t.Context(), i%3, load)
				if err != nil || start.Sub(born) >= ttl {
					t.Errorf("a read returned a value of %v before it began, with a TTL of %v: %v", start.Sub(born), ttl, err)
				}
				if t.Failed() || start.After(end) {
					return
				}
				if n%50_000 == 0 {
					<-pauses.C
				}
			}
		})
	}
	wg.Wait()
	if s := cache.Stats().Keyspaces["births"]; s.MemoryHits < 20*s.Loads || s.Loads < 50 {
		t.Errorf("%d hits and %d loads say little", s.MemoryHits, s.Loads)
	}
}
