package acceptance

import (
	"net/rpc"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

const (
	herdNodes   = 8
	herdReaders = 125 // in each node
	herdLoad    = 100 * time.Millisecond
)

// herd is 8 processes that are about to want the same key.
type herd struct {
	source *source
	nodes  []*process
	lease  time.Duration
}

// startHerd gives time-outs more room than their defaults: a thousand readers
// under the race detector on two cores must not look like a Redis that hangs,
// which would be answered by loads.
func startHerd(t *testing.T) *herd {
	redis := lardertest.StartRedis(t)
	h := &herd{source: startSource(t, herdLoad), lease: either(time.Second, 3*time.Second)}
	h.nodes = startNodes(t, herdNodes, NodeConfig{Redis: redis.Addr(), Source: h.source.url, Options: larder.Options{
		Namespace: "herd", LeaseTime: h.lease, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxStaleness: 5 * time.Second}})
	return h
}

// run lets every node read key at the same moment and returns the reads of
// those that live to tell.
func (h *herd) run(t *testing.T, key int64) (reads []Read) {
	at := time.Now().Add(300 * time.Millisecond)
	calls, results := make([]*rpc.Call, len(h.nodes)), make([][]Read, len(h.nodes))
	for i, n := range h.nodes {
		calls[i] = n.begin("Burst", BurstOrder{Key: key, Readers: herdReaders, At: at}, &results[i])
	}
	for i, c := range calls {
		if <-c.Done; c.Error == nil {
			reads = append(reads, results[i]...)
		}
	}
	for _, e := range failures(reads) {
		t.Errorf("a read failed: %s", e)
		break
	}
	return reads
}

// A cold key that everybody wants costs the source one query, not a thousand.
func TestHerdLoadsOnce(t *testing.T) {
	h := startHerd(t)
	h.run(t, 1) // connections and code are warm afterwards
	for key := int64(2); key < 7; key++ {
		reads := h.run(t, key)
		if len(reads) != herdNodes*herdReaders {
			t.Errorf("key %d: %d reads came back", key, len(reads))
		}
		if loads := h.source.loadsOf(key); len(loads) != 1 {
			t.Errorf("key %d: %d loads", key, len(loads))
		}
		p50, p99 := percentile(reads, 50), percentile(reads, 99)
		t.Logf("key %d: %d processes × %d readers, load of %v: %d load, p50 %v, p99 %v, max %v", key, herdNodes, herdReaders, herdLoad,
			len(h.source.loadsOf(key)), p50, p99, percentile(reads, 100))
		if p99 > herdLoad+time.Second {
			t.Errorf("key %d: p99 is %v", key, p99)
		}
	}
}

// A process that dies while it loads costs one more load, begun when its lease
// has run out, and no read fails but its own.
func TestHerdSurvivesItsLoader(t *testing.T) {
	h := startHerd(t)
	h.run(t, 1)
	const key = 2
	h.source.began = make(chan load, herdNodes*herdReaders)
	killed := make(chan time.Time, 1)
	go func() {
		first := <-h.source.began
		for _, n := range h.nodes {
			if n.cmd.Process.Pid == first.pid {
				_ = n.cmd.Process.Kill()
				killed <- time.Now()
				return
			}
		}
		close(killed)
	}()
	reads := h.run(t, key)
	at := <-killed
	if at.IsZero() {
		t.Fatal("the loader is none of the nodes")
	}
	loads := h.source.loadsOf(key)
	if len(loads) != 2 {
		t.Fatalf("%d loads, want one of the dead and one more", len(loads))
	}
	if want := (herdNodes - 1) * herdReaders; len(reads) != want {
		t.Errorf("%d reads came back, want %d", len(reads), want)
	}
	wait := loads[1].began.Sub(loads[0].began)
	t.Logf("lease %v, loader killed %v after its load began: next load after %v (lease %+v), p99 of the other readers %v", h.lease,
		at.Sub(loads[0].began).Round(time.Microsecond), wait.Round(time.Microsecond), (wait - h.lease).Round(time.Microsecond), percentile(reads, 99))
	if wait > h.lease+500*time.Millisecond {
		t.Errorf("the next load began %v after the lease had run out", wait-h.lease)
	}
}
