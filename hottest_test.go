package larder

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// What this process read most by far counts as twice as dear to load when its
// early refresh is drawn, and is refreshed earlier than others; what is read
// like everything else is not.
func TestHottestAreRefreshedEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		k, err := NewKeyspace(c, "k", KeyspaceOptions[int, int]{TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		load := func(context.Context, int) (int, error) { return 0, nil }
		hurried := func(key int) bool { return c.heat.hurried(k.hash(key), time.Second) == 2*time.Second }
		for range 40_000 {
			time.Sleep(time.Nanosecond) // sampling goes by the clock
			k.Get(t.Context(), 1, load)
		}
		for key := range 100 {
			k.Get(t.Context(), key, load)
		}
		if hurried(1) {
			t.Error("before the window is over")
		}
		time.Sleep(readWindow)
		k.Get(t.Context(), 2, load)
		k.Get(t.Context(), 1000, load) // past memory: the window turns
		if !hurried(1) || hurried(2) || hurried(99) {
			t.Errorf("hurried: %v, %v, %v", hurried(1), hurried(2), hurried(99))
		}
		time.Sleep(readWindow)
		k.Get(t.Context(), 1001, load)
		if hurried(1) {
			t.Error("hot a window later, though nobody read it")
		}
	})
}
