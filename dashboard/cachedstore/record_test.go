package cachedstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard/cachedstore"
	"github.com/larder-go/larder/outbox"
)

// A process without a cache, on the database of others that have one, leaves none
// of their reads outdated: what it changes is in the outbox, and they relay it.
func TestAStoreWithoutCacheTellsTheOthers(t *testing.T) {
	w := newWorld(t, set{rows: larder.MemoryOnly, outbox: true}, 7)
	w.settled()
	w.run("through the caches", 10)
	plain := openDatabase(t, w.path, w.clock)
	w.ok(cachedstore.Record(plain, plain.DB(), outbox.SQLite))
	for i := range 16 {
		for _, x := range w.questions() { // there is something to outdate
			for _, n := range w.nodes {
				x.put(t.Context(), n.store)
			}
		}
		kind := w.mutateThrough(plain)
		for _, x := range w.questions() {
			want := x.put(w.Context(), w.twin)
			for j, n := range w.nodes {
				w.equalWithin(5*time.Second, func() answer { return x.put(w.Context(), n.store) }, want, fmt.Sprintf("after %s (%d) without a cache, read of %s by node %d", kind, i, x.name, j))
			}
		}
	}
}
