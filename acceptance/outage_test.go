package acceptance

import (
	"net/rpc"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

const (
	flowRate = 50      // reads per second
	hotKeys  = 20      // read again and again: memory answers most
	coldKeys = 1 << 30 // never read twice: Redis or the source answer
	// flowLoad is how long the source takes: what a read costs at least while
	// Redis is away.
	flowLoad = 5 * time.Millisecond
)

// Reads go on while Redis hangs, which is worse than being down: connections
// stay open and nothing is answered. Afterwards it is used again by itself.
// What the machine itself adds to a read, a control without a cache shows.
func TestRedisHangs(t *testing.T) {
	redis := lardertest.StartRedis(t)
	src := startSource(t, flowLoad)
	config := NodeConfig{Redis: redis.Addr(), Source: src.url, Options: larder.Options{Namespace: "outage"}}
	node, other := startNode(t, config), startNode(t, config)
	until(t, 5*time.Second, "connected", func() bool { return connected(node) && connected(other) })

	const before = time.Second
	stopped := either(3*time.Second, 10*time.Second)
	length := before + stopped + 3*time.Second
	hot := begin(node, FlowOrder{PerSecond: flowRate, For: length, Keys: hotKeys})
	cold := begin(node, FlowOrder{PerSecond: flowRate, For: length, First: hotKeys, Keys: coldKeys})
	control := begin(node, FlowOrder{PerSecond: flowRate, For: length, First: -coldKeys, Keys: coldKeys, Bypass: true})
	<-time.After(before)
	stop := time.Now()
	check(t, redis.Stop())
	<-time.After(stopped / 2)

	// The change of an entry is not confirmed, and yet seen here at once.
	version := src.write(3)
	if text := call[string](node, "Invalidate", int64(3)); !strings.Contains(text, larder.ErrPending.Error()) {
		t.Errorf("invalidation while Redis hangs: %q", text)
	}
	if r := node.read(3, false); r.Doc.Version != version {
		t.Errorf("read %+v after the invalidation of version %d", r, version-1)
	}
	<-time.After(time.Until(stop.Add(stopped)))

	hits := node.state().Docs.RemoteHits
	loads := src.count()
	check(t, redis.Cont())
	cont := time.Now()
	recovery := until(t, 5*time.Second, "a hit in Redis", func() bool { return node.state().Docs.RemoteHits > hits })
	until(t, 5*time.Second, "the invalidation confirmed", func() bool { return node.state().Health.Pending == 0 })
	confirmed := time.Since(cont)
	if r := other.read(3, true); r.Doc.Version != version {
		t.Errorf("the other node reads %+v after the confirmed invalidation of version %d", r, version-1)
	}
	noise := control.during(t, stop, cont)
	t.Logf("Redis stopped for %v: %d loads until SIGCONT; used again after %v, pending invalidation confirmed after %v",
		stopped, loads, recovery.Round(time.Millisecond), confirmed.Round(time.Millisecond))
	show(t, "no cache", noise)
	for what, f := range map[string]*flow{"few keys": hot, "new keys": cold} {
		reads := f.during(t, stop, cont)
		show(t, what, reads)
		if p99 := percentile(reads, 99); p99 > 250*time.Millisecond+percentile(noise, 99) {
			t.Errorf("%s: p99 while Redis hangs: %v", what, p99)
		}
	}
	if recovery > time.Second+percentile(noise, 100) {
		t.Errorf("recovery took %v", recovery)
	}
	checkLog(t, node)
}

// flow is a stream of reads under way.
type flow struct {
	call  *rpc.Call
	reads []Read
}

func begin(node *process, order FlowOrder) *flow {
	f := new(flow)
	f.call = node.begin("Flow", order, &f.reads)
	return f
}

// during waits for the end of the flow and returns the reads that began in a
// span of time. None of the flow may have failed, then or ever.
func (f *flow) during(t *testing.T, from, to time.Time) (in []Read) {
	t.Helper()
	if <-f.call.Done; f.call.Error != nil {
		t.Fatal(f.call.Error)
	}
	for _, r := range f.reads {
		if r.Err != "" {
			t.Fatalf("a read failed: %s", r.Err)
		}
		if r.Began.After(from) && r.Began.Before(to) {
			in = append(in, r)
		}
	}
	return in
}

func show(t *testing.T, what string, reads []Read) {
	t.Helper()
	t.Logf("%s, %d reads/s while Redis hangs, source takes %v: %d reads, p50 %v, p99 %v, max %v", what, flowRate, flowLoad, len(reads),
		percentile(reads, 50), percentile(reads, 99), percentile(reads, 100))
}

var logMessage = regexp.MustCompile(`msg="[^"]*"`)

// checkLog demands one line for each change of state, not one for each read: a busy
// machine may change it more often, but no line says what the last one has said.
func checkLog(t *testing.T, node *process) {
	t.Helper()
	lines := logMessage.FindAllString(node.log.String(), -1)
	if n := len(slices.Compact(slices.Clone(lines))); n < 2 || n < len(lines) {
		t.Errorf("%d lines of log, %d changes of state:\n%s", len(lines), n, node.log)
	}
}

// A cache that starts before its Redis serves from the source, and uses Redis
// as soon as it is there.
func TestRedisAppears(t *testing.T) {
	redis := lardertest.StartRedis(t)
	check(t, redis.Kill())
	src := startSource(t, flowLoad)
	node := startNode(t, NodeConfig{Redis: redis.Addr(), Source: src.url, Options: larder.Options{Namespace: "outage"}})

	begun := time.Now()
	reads := call[[]Read](node, "Flow", FlowOrder{PerSecond: flowRate, For: time.Second, Keys: hotKeys})
	for _, e := range failures(reads) {
		t.Fatalf("a read without Redis failed: %s", e)
	}
	t.Logf("without Redis: %d reads in %v, p99 %v, %d loads", len(reads), time.Since(begun).Round(time.Millisecond), percentile(reads, 99), src.count())
	check(t, redis.Restart(t.Context()))
	appeared := time.Now()
	until(t, 5*time.Second, "connected", func() bool { return connected(node) })
	linked := time.Since(appeared)
	until(t, 5*time.Second, "a hit in Redis", func() bool {
		if r := node.read(1, true); r.Err != "" {
			t.Fatal(r.Err)
		}
		return node.state().Docs.RemoteHits > 0
	})
	t.Logf("Redis appeared: connected after %v, first hit after %v", linked.Round(time.Millisecond), time.Since(appeared).Round(time.Millisecond))
	if linked > 2*time.Second {
		t.Errorf("connected only after %v", linked)
	}
}

func connected(n *process) bool { return n.state().Health.Remote == "connected" }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
