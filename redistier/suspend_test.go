package redistier

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// TestSuspend: a machine that slept has a monotonic clock that stood still, so
// its evidence looks fresh; the first heartbeat after it gives up everything
// that was read before.
func TestSuspend(t *testing.T) {
	srv := lardertest.StartRedis(t)
	tier, err := New(Config{Address: srv.Addr()}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	var slept atomic.Int64
	tier.self.asleep = func() time.Duration { return 5*time.Hour + time.Duration(slept.Load()) }
	events := newRecorder()
	t.Cleanup(func() { tier.Close() })
	tier.Start(testContext(t), events)
	mark := events.await(t, 0, "connected")
	epoch := tier.Epoch("k")
	slept.Add(int64(900 * time.Millisecond)) // clocks may differ a little
	if err := tier.Beat(testContext(t)); err != nil || !epoch.Alive() {
		t.Fatalf("a little drift: %v, epoch alive %v", err, epoch.Alive())
	}
	asOf := epoch.AsOf()
	slept.Add(int64(time.Second))
	if err := tier.Beat(testContext(t)); err == nil {
		t.Error("a heartbeat after a suspension succeeded on the old connection")
	}
	if epoch.Alive() || epoch.AsOf() != asOf {
		t.Error("what was read before the suspension can be used")
	}
	events.await(t, mark, "connected")
	if got := asleep(); got != 0 && asleep()-got > time.Second {
		t.Errorf("two readings differ by %v without a suspension", asleep()-got)
	}
}
