package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/outbox"
)

// A model of the promise: a committed change whose targets have not been
// invalidated with success since, or are about to be by its own process, has a
// row; and when the cache works again, everything is invalidated and no row is
// left. Random operations of three processes that crash, on a cache that fails
// altogether or in part. LARDER_SEED replays one run.
func TestEveryCommittedChangeIsInvalidated(t *testing.T) {
	first, runs := rand.Uint64(), 100
	if seed, err := strconv.ParseUint(os.Getenv("LARDER_SEED"), 10, 64); err == nil {
		first, runs = seed, 1
	}
	p := sqlitePlace(t)
	db := p.create(t)
	var crashes, relayed int
	for i := range runs {
		w := &world{T: t, place: p, db: db, seed: first + uint64(i), changed: make(map[string]int), invalidated: make(map[string]int)}
		w.random = rand.New(rand.NewPCG(w.seed, 1))
		w.run(120)
		crashes, relayed = crashes+w.crashes, relayed+w.relayed
	}
	t.Logf("%d runs, %d crashes, %d flushes", runs, crashes, relayed)
}

// world is the model beside the real thing. Steps number the operations.
type world struct {
	*testing.T
	place  place
	db     *sql.DB
	seed   uint64
	random *rand.Rand

	step                 int
	well                 bool           // the cache works
	changed, invalidated map[string]int // the last step that did it, by target
	boxes                [3]*outbox.Box
	pending              [3][]*outbox.Pending
	crashes, relayed     int
}

// Invalidate makes the world the cache of its processes.
func (w *world) Invalidate(_ context.Context, targets ...larder.Target) error {
	failed := 0
	mood := w.random.IntN(6)
	for _, target := range targets {
		if !w.well && (mood == 0 || mood == 1 && w.random.IntN(2) == 0) {
			failed++
			continue
		}
		w.invalidated[target.String()] = w.step
	}
	if failed > 0 {
		return away(failed)
	}
	return nil
}

func (w *world) run(steps int) {
	for i := range w.boxes {
		w.restart(i)
	}
	for w.step = 1; w.step <= steps; w.step++ {
		w.do(w.random.IntN(len(w.boxes)))
		w.check()
	}
	w.well = true
	w.pending = [3][]*outbox.Pending{} // all crash
	must(w, w.boxes[0].Flush(w.Context()))
	for target, at := range w.changed {
		if w.invalidated[target] < at {
			w.Fatalf("seed %d: %s was changed at %d and last invalidated at %d", w.seed, target, at, w.invalidated[target])
		}
	}
	if left := stored(w, w.db); len(left) > 0 {
		w.Fatalf("seed %d: left %v", w.seed, left)
	}
}

// do lets one process do something.
func (w *world) do(process int) {
	b := w.boxes[process]
	switch w.random.IntN(10) {
	case 0, 1, 2, 3:
		w.change(process)
	case 4, 5, 6: // carries out its oldest
		if waiting := w.pending[process]; len(waiting) > 0 {
			_ = waiting[0].Done(w.Context())
			w.pending[process] = waiting[1:]
		}
	case 7, 8:
		_ = b.Flush(w.Context())
		w.relayed++
	case 9:
		w.restart(process)
		w.crashes++
	}
}

// restart is a crash and a new start.
func (w *world) restart(process int) {
	w.pending[process] = nil
	w.boxes[process] = w.place.box(w, w.db, w, outbox.Options{BatchSize: 1 + w.random.IntN(4)})
}

// change commits a change, or rolls it back.
func (w *world) change(process int) {
	tx, err := w.db.Begin()
	must(w, err)
	defer tx.Rollback()
	targets := []larder.Target{larder.All()}
	for range w.random.IntN(4) {
		targets = append(targets, larder.Tag(fmt.Sprint(w.random.IntN(5))))
	}
	pending, err := w.boxes[process].Add(w.Context(), tx, targets...)
	must(w, err)
	if w.random.IntN(5) == 0 {
		return
	}
	must(w, tx.Commit())
	for _, target := range targets {
		w.changed[target.String()] = w.step
	}
	w.pending[process] = append(w.pending[process], pending)
}

// check holds that what is not invalidated since its last change has a row.
func (w *world) check() {
	rows := stored(w, w.db)
	for target, at := range w.changed {
		// In the step itself the change comes before any invalidation.
		if w.invalidated[target] < at && !slices.Contains(rows, target) {
			w.Fatalf("seed %d, step %d: %s was changed at %d, invalidated at %d, and has no row", w.seed, w.step, target, at, w.invalidated[target])
		}
	}
}
