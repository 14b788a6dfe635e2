package larder_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// Ten thousand keys in one call are looked for, loaded and stored a thousand at
// a time: no call of the loader gets more, and what one of them needs is let go
// before the next, so the memory in use grows by the result alone.
func TestGetManyIsBounded(t *testing.T) {
	c, err := larder.New(larder.Options{MemoryBytes: -1}) // keeps nothing that would be counted
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := space(t, c, "many", larder.KeyspaceOptions[int, int]{})
	inUse := func(n int) (bytes int64) {
		keys := make([]int, n)
		for i := range keys {
			keys[i] = i
		}
		loaded := 0
		values, err := k.GetMany(t.Context(), keys, func(_ context.Context, part []int) (map[int]int, error) {
			if len(part) > 1000 {
				t.Errorf("a load of %d keys", len(part))
			}
			found := make(map[int]int, len(part))
			for _, key := range part {
				found[key] = -key
			}
			if loaded += len(part); loaded == n {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				bytes = int64(m.HeapAlloc)
			}
			return found, nil
		})
		if err != nil || len(values) != n || values[n-1] != 1-n {
			t.Fatalf("%d values, %v", len(values), err)
		}
		return bytes
	}
	inUse(1000) // whatever is made once
	one, ten := inUse(1000), inUse(10_000)
	// The result and the set of keys seen: two maps of ten thousand integers,
	// which may have twice the room. A key under way needs half a KiB and more.
	const result = 10_000 * 24 * 2 * 2
	t.Logf("%d KiB in use at 1000 keys, %d KiB more at 10,000", one>>10, (ten-one)>>10)
	if ten-one > result+(512<<10) {
		t.Errorf("%d KiB more in use, the result takes less than %d KiB", (ten-one)>>10, result>>10)
	}
}

// Values that were found are returned although a later part fails, and the
// error names exactly the keys that failed, those that cannot name an entry too.
func TestGetManyPartialErrors(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		boom := errors.New("boom")
		keys := append(names(0, 2500), "")
		values, err := a.plain.GetMany(r.ctx, keys, func(ctx context.Context, part []string) (map[string]int, error) {
			if strings.HasPrefix(part[0], "k1") {
				return nil, boom // of the part that begins with k1000
			}
			return r.src.loadMany(ctx, part)
		})
		var each *larder.BatchError
		if !errors.As(err, &each) || len(values) != 1500 || len(each.Failed) != 1001 {
			t.Fatalf("%d values, %v", len(values), err)
		}
		for i, key := range names(0, 2500) {
			_, found := values[key]
			if failed := errors.Is(each.Of(key), boom); failed == found || failed != (i >= 1000 && i < 2000) {
				t.Fatalf("%s: found %v, error %v", key, found, each.Of(key))
			}
		}
		if !errors.Is(each.Of(""), larder.ErrInvalidKey) || !errors.Is(err, larder.ErrInvalidKey) {
			t.Errorf("the empty key: %v", each.Of(""))
		}
		if s := a.stats(); s.Reads != 2501 || s.Errors != 1001 || s.Loaded != 1500 {
			t.Errorf("counted %+v", s)
		}
	})
}

// A caller who leaves in the middle of many keys ends the call: nothing more is
// begun, what was found is returned, every other key is named.
func TestGetManyEndsWithItsContext(t *testing.T) {
	inRig(t, 1, func(r *rig) {
		a := r.nodes[0]
		ctx, leave := context.WithCancel(r.ctx)
		calls := 0
		values, err := a.plain.GetMany(ctx, names(0, 5000), func(ctx context.Context, part []string) (map[string]int, error) {
			if calls++; calls == 2 {
				leave()
				<-ctx.Done()
			}
			return r.src.loadMany(context.Background(), part)
		})
		var each *larder.BatchError
		if !errors.As(err, &each) || !errors.Is(err, context.Canceled) || len(values) != 1000 || len(each.Failed) != 4000 {
			t.Errorf("%d values, %v", len(values), err)
		}
		if calls != 2 {
			t.Errorf("%d loads", calls)
		}
	})
}

// SetMany of many entries sets all that can be set, and names the others.
func TestSetManyPartialErrors(t *testing.T) {
	inSetup(t, setup{nodes: 2, cache: larder.Options{MaxValueBytes: 10}}, func(r *rig) {
		a, b := r.two()
		texts := space(t, a.cache, "texts", larder.KeyspaceOptions[string, string]{})
		there := space(t, b.cache, "texts", larder.KeyspaceOptions[string, string]{})
		values := map[string]string{"": "no name", "large": "more than ten bytes"}
		for i := range 2500 {
			values[fmt.Sprint("k", i)] = fmt.Sprint("v", i)
		}
		err := texts.SetMany(r.ctx, values)
		var each *larder.BatchError
		if !errors.As(err, &each) || len(each.Failed) != 2 ||
			!errors.Is(each.Of(""), larder.ErrInvalidKey) || !errors.Is(each.Of("large"), larder.ErrTooLarge) {
			t.Fatalf("SetMany = %v", err)
		}
		for _, i := range []int{0, 999, 1000, 2499} {
			if v, err := there.Lookup(r.ctx, fmt.Sprint("k", i)); err != nil || v != fmt.Sprint("v", i) {
				t.Errorf("k%d: %q, %v", i, v, err)
			}
		}
		r.failing(a, larder.OpSet, lardertest.ReplyError)
		err = texts.SetMany(r.ctx, map[string]string{"x": "1", "y": "2"})
		if !errors.As(err, &each) || len(each.Failed) != 2 || !errors.Is(each.Of("x"), larder.ErrPending) {
			t.Errorf("while Redis refuses: %v", err)
		}
		r.healthy()
	})
}
