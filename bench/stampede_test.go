package bench

import (
	"fmt"
	"net/rpc"
	"testing"
	"time"
)

const (
	herdNodes   = 8
	herdReaders = 125
	herdLoad    = 100 * time.Millisecond
	herdLease   = time.Second
)

// BenchmarkStampede lets 1,000 readers in 8 processes want the same absent key
// at one moment; its load takes 100 ms. With killed=yes the process that loads
// first is killed, where a lease of 1 s decides when another may. An operation
// is a herd.
func BenchmarkStampede(b *testing.B) {
	for _, o := range FleetStores {
		b.Run("cache="+o.Name+"/killed=no", func(b *testing.B) { stampede(b, o.Name, false) })
		b.Run("cache="+o.Name+"/killed=yes", func(b *testing.B) { stampede(b, o.Name, true) })
	}
}

// herd is a set of processes about to want the same key.
type herd struct {
	b      *testing.B
	source *source
	config nodeConfig
	nodes  []*child
}

func stampede(b *testing.B, store string, kill bool) {
	s := startRedis(b)
	h := &herd{b: b, source: startSource(b, herdLoad)}
	h.config = nodeConfig{Store: store, Redis: s.Addr(), Source: h.source.url, Lease: herdLease}
	h.fill()
	defer func() {
		for _, n := range h.nodes {
			n.end()
		}
	}()
	h.run("warm-up", false) // connections and code are warm afterwards
	var took []time.Duration
	loads, late := 0, time.Duration(0)
	b.ResetTimer()
	for i := range b.N {
		key := fmt.Sprint("herd", i)
		took = append(took, h.run(key, kill)...)
		of := h.source.of(key)
		loads += len(of)
		if len(of) > 1 {
			late = max(late, of[1].when.Sub(of[0].when))
		}
		h.fill()
	}
	b.StopTimer()
	b.ReportMetric(float64(loads)/float64(b.N), "loads/op")
	b.ReportMetric(ms(quantile(took, 0.5)), "p50-ms")
	b.ReportMetric(ms(quantile(took, 0.99)), "p99-ms")
	if kill {
		b.ReportMetric(ms(late), "second-load-ms")
	}
}

// fill starts what is missing.
func (h *herd) fill() {
	h.b.StopTimer()
	defer h.b.StartTimer()
	for len(h.nodes) < herdNodes {
		h.nodes = append(h.nodes, startChild(h.b, h.config))
	}
}

// run lets every node read key at the same moment, kills the first to load if
// told to, and returns how long the reads of the others took.
func (h *herd) run(key string, kill bool) (took []time.Duration) {
	at := time.Now().Add(300 * time.Millisecond)
	calls, results := make([]*rpc.Call, len(h.nodes)), make([]Result, len(h.nodes))
	for i, n := range h.nodes {
		calls[i] = n.rpc.Go("Node.Run", Burst{Key: key, Readers: herdReaders, At: at}, &results[i], make(chan *rpc.Call, 1))
	}
	dead := -1
	if kill {
		dead = h.kill(key)
	}
	for i, c := range calls {
		<-c.Done
		switch {
		case i == dead:
		case c.Error != nil:
			h.b.Fatal(c.Error)
		case results[i].Failed != "":
			h.b.Logf("%s: a read failed: %s", h.config.Store, results[i].Failed)
			fallthrough
		default:
			took = append(took, results[i].Took...)
		}
	}
	if dead >= 0 {
		h.nodes[dead].end()
		h.nodes = append(h.nodes[:dead:dead], h.nodes[dead+1:]...)
	}
	return took
}

// kill ends the node that loads key first and returns which it is.
func (h *herd) kill(key string) int {
	for l := range h.source.began {
		if l.key != key {
			continue
		}
		for i, n := range h.nodes {
			if n.cmd.Process.Pid == l.pid {
				_ = n.cmd.Process.Kill()
				return i
			}
		}
	}
	return -1
}
