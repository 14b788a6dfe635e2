package redistier

import (
	"sync"
	"testing"
)

// TestBeatsAfterAFlush: a flush takes the membership, which heartbeats and the
// answering goroutine renew at the same time; no heartbeat fails for that.
// Numbered, without an order of the two:
//
//  1. the goroutine enrolls with a number, a heartbeat with another one
//  2. the heartbeat notes its number, then the goroutine the older one
//  3. the next heartbeat counts on from the younger: "forgotten"
func TestBeatsAfterAFlush(t *testing.T) {
	tier, events, srv := connected(t)
	for range 200 {
		mark := events.mark()
		command(t, srv, "FLUSHALL")
		var beats sync.WaitGroup
		for range 3 {
			beats.Go(func() {
				if err := tier.Beat(testContext(t)); err != nil {
					t.Errorf("after a flush: %v", err)
				}
			})
		}
		beats.Wait()
		events.await(t, mark, "flushed")
	}
	if n := events.countOf(0, "disconnected"); n != 0 {
		t.Errorf("%d times disconnected", n)
	}
}
