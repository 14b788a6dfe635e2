package larder_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/larder-go/larder"
)

// TestMemoryLimits holds that memory keeps no more bytes and no more entries
// than it may, counts what had to leave, and that Redis has it still.
func TestMemoryLimits(t *testing.T) {
	const keys, size = 1000, 500
	for name, o := range map[string]larder.Options{
		"bytes":   {MemoryBytes: 128 << 10},
		"entries": {MemoryBytes: 8 << 20, MemoryEntries: 100},
		"both":    {MemoryBytes: 64 << 10, MemoryEntries: 90},
	} {
		t.Run(name, func(t *testing.T) {
			inSetup(t, setup{nodes: 1, cache: o}, func(r *rig) {
				n := r.nodes[0]
				k := space(t, n.cache, "limited", larder.KeyspaceOptions[int, string]{Codec: larder.Text})
				load := func(_ context.Context, id int) (string, error) {
					return strings.Repeat("x", size-8) + strconv.Itoa(1e7+id), nil
				}
				for i := range keys {
					if _, err := k.Get(r.ctx, i, load); err != nil {
						t.Fatal(err)
					}
				}
				r.pass(0) // the engine makes room in the background
				st := n.cache.Stats()
				most := int(o.MemoryBytes) / size
				if o.MemoryEntries > 0 {
					most = min(most, o.MemoryEntries)
				}
				if st.MemoryEntries > most || st.MemoryEntries < most/2 {
					t.Errorf("%d entries, at most %d and not many less", st.MemoryEntries, most)
				}
				if st.MemoryBytes > uint64(o.MemoryBytes) {
					t.Errorf("%d bytes, at most %d", st.MemoryBytes, o.MemoryBytes)
				}
				if st.MemoryEvictions+uint64(st.MemoryEntries) != keys {
					t.Errorf("%d evictions and %d entries, of %d", st.MemoryEvictions, st.MemoryEntries, keys)
				}
				for i := range keys {
					if _, err := k.Lookup(r.ctx, i); err != nil {
						t.Fatalf("Lookup(%d): %v", i, err)
					}
				}
				if ks := n.cache.Stats().Keyspaces["limited"]; ks.Loads != keys || ks.RemoteHits < uint64(keys-most) {
					t.Errorf("%d loads, %d hits in Redis", ks.Loads, ks.RemoteHits)
				}
			})
		})
	}
}

// TestMemoryEntriesRefused holds that a cap which cannot be kept is an error.
func TestMemoryEntriesRefused(t *testing.T) {
	for _, o := range []larder.Options{{MemoryEntries: -1}, {MemoryEntries: 7}, {MemoryBytes: 1 << 40, MemoryEntries: 256}} {
		if _, err := larder.New(o); err == nil || !strings.Contains(err.Error(), "MemoryEntries") {
			t.Errorf("%d entries in %d bytes: %v", o.MemoryEntries, o.MemoryBytes, err)
		}
	}
}

// TestLongNames holds that a key above the limit is cached like any other,
// apart from every other, and counted.
func TestLongNames(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		long := strings.Repeat("x", 600)
		for _, key := range []string{long + "1", long + "2", "short"} {
			r.src.version[key] = len(key) + int(key[len(key)-1])
			a.expect(key, r.src.version[key])
			b.expect(key, r.src.version[key])
			r.loads(key, 1)
		}
		want := r.src.change(long + "1")
		a.invalidate(a.plain.Key(long + "1"))
		r.pass(0)
		b.expect(long+"1", want)
		if st := b.stats(); st.LongNames != 3 {
			t.Errorf("%d long names, want 3", st.LongNames)
		}
	})
}
