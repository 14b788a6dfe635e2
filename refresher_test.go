package larder_test

import (
	"testing"
	"time"
)

// TestLateRefresherLooksAgain holds that a refresher which found the value
// stale, and gets its lock only when another one has stored the new value, does
// not load it once more.
func TestLateRefresherLooksAgain(t *testing.T) {
	for name, invalidated := range map[string]bool{"refreshed": false, "invalidated": true} {
		t.Run(name, func(t *testing.T) {
			inAging(t, 2, func(r *rig) {
				a, b := r.two()
				r.stale("k")
				g := r.src.slow("k")
				a.expect("k", 0)
				r.pass(0)
				b.remote.Delay(10 * time.Millisecond)
				b.expect("k", 0)              // has looked after 20 ms, in the background after 40
				r.pass(25 * time.Millisecond) // its request for the lock is on the way
				g.pass()
				r.pass(0)
				r.loads("k", 1)
				if invalidated {
					a.invalidate(a.plain.Key("k"))
				}
				r.pass(100 * time.Millisecond)
				r.loads("k", 0)
				b.expect("k", 1)
				a.expect("k", 1)
			})
		})
	}
}
