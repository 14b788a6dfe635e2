package larder_test

import (
	"testing"
	"time"
)

// A Get that waits for another node's load must not go on waiting for a push
// that a Redis which hangs will not send: it would cost it a lease, not a load.
func TestWaiterLeavesAHangingRedis(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a, b := r.two()
		slow := r.src.slow("k")
		first := a.begin("k")
		<-slow.entered
		waiting := b.begin("k")
		r.pass(100 * time.Millisecond)
		if waiting.ended() {
			t.Fatal("b did not wait for the load of a")
		}
		hung := time.Now()
		b.remote.Hold()
		waiting.brings(t, 0)
		if took := time.Since(hung); took > tolerance {
			t.Errorf("b left %v after Redis hung", took)
		}
		b.remote.Resume()
		slow.pass()
		first.brings(t, 0)
	})
}
