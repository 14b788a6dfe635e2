package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// outage is a way in which Redis fails.
type outage struct {
	name   string
	length time.Duration // of the long form
	begin  func(r *lardertest.RedisServer, p *lardertest.Proxy) error
	end    func(r *lardertest.RedisServer, p *lardertest.Proxy) error
}

// order is a command to Redis.
func order(args ...string) func(*lardertest.RedisServer, *lardertest.Proxy) error {
	return func(r *lardertest.RedisServer, _ *lardertest.Proxy) error {
		_, err := r.Command(args...)
		return err
	}
}

var outages = []outage{
	{"hangs (SIGSTOP)", 25 * time.Second,
		func(r *lardertest.RedisServer, _ *lardertest.Proxy) error { return r.Stop() },
		func(r *lardertest.RedisServer, _ *lardertest.Proxy) error { return r.Cont() }},
	{"is killed", 10 * time.Second,
		func(r *lardertest.RedisServer, _ *lardertest.Proxy) error { return r.Kill() },
		func(r *lardertest.RedisServer, _ *lardertest.Proxy) error { return r.Restart(context.Background()) }},
	{"is slow (50 ms more each way)", 10 * time.Second,
		func(_ *lardertest.RedisServer, p *lardertest.Proxy) error { p.Delay(50 * time.Millisecond); return nil },
		func(_ *lardertest.RedisServer, p *lardertest.Proxy) error { p.Delay(0); return nil }},
	{"is full (OOM)", 10 * time.Second, order("CONFIG", "SET", "maxmemory", "1"), order("CONFIG", "SET", "maxmemory", "0")},
	{"is a replica (READONLY)", 10 * time.Second, order("REPLICAOF", "127.0.0.1", "1"), order("REPLICAOF", "NO", "ONE")},
}

const (
	outageRate = 200 // reads of new keys a second
	outageLoad = 100 * time.Millisecond
	outageMost = 16 // LoadLimit with the bulkhead on, which is 160 loads a second, and LoadQueue
)

// row is what one outage cost.
type row struct {
	what     string
	bulkhead string
	reads    []Read
	refused  int
	hits     []Read // of few keys, in memory
	loads    float64
	most     int
	recovery time.Duration
}

// suffer plays one outage and measures reads of new keys, whose loads the
// source takes 100 ms for, and of few.
func suffer(t *testing.T, o outage, limit int) row {
	redis := lardertest.StartRedis(t)
	proxy := lardertest.StartProxy(t, redis.Addr())
	src := startSource(t, outageLoad)
	node := startNode(t, NodeConfig{Redis: proxy.Addr(), Source: src.url, LoadLimit: limit, LoadQueue: outageMost, Options: larder.Options{Namespace: "outages"}})
	until(t, 5*time.Second, "connected", func() bool { return connected(node) })
	const before = 500 * time.Millisecond
	length := either(1500*time.Millisecond, o.length)
	total := before + length + either(time.Second, 3*time.Second)
	var hot, cold []Read
	few := node.begin("Flow", FlowOrder{PerSecond: flowRate, For: total, Keys: hotKeys}, &hot)
	<-time.After(before)
	src.takeMost()
	loads, begun := src.count(), time.Now()
	check(t, o.begin(redis, proxy))
	many := node.begin("Flow", FlowOrder{PerSecond: outageRate, For: length, First: hotKeys, Keys: coldKeys}, &cold)
	<-time.After(length)
	r := row{what: "Redis " + o.name, most: src.takeMost(), bulkhead: "off"}
	r.loads = float64(src.count()-loads) / time.Since(begun).Seconds()
	ended := time.Now()
	check(t, o.end(redis, proxy))
	r.recovery = until(t, 10*time.Second, "Redis used again", func() bool {
		h := node.state().Health
		return h.Remote == "connected" && h.Breaker == "closed" && h.CoherentFor < time.Since(ended)
	})
	if limit > 0 {
		r.bulkhead = "on"
	}
	<-few.Done
	<-many.Done
	check(t, errors.Join(few.Error, many.Error))
	for _, read := range cold {
		switch read.Err {
		case "":
			r.reads = append(r.reads, read)
		case larder.ErrBusy.Error():
			r.refused++
		default:
			t.Errorf("a read failed: %s", read.Err)
		}
	}
	for _, read := range hot {
		if read.Began.After(begun) && read.Began.Before(ended) {
			r.hits = append(r.hits, read)
		}
	}
	return r
}

// TestOutages plays each way in which Redis fails: no read fails, no more loads
// reach the source at once than the bulkhead allows, and Redis is used again by
// itself. In the long form it measures all of them with the bulkhead on and off,
// and with LARDER_RENDER writes the table into docs/resilience.md.
func TestOutages(t *testing.T) {
	var rows []row
	for _, o := range outages {
		limits := []int{outageMost}
		if long() {
			limits = append(limits, -1)
		}
		for _, limit := range limits {
			t.Run(fmt.Sprintf("%s/%d", o.name, limit), func(t *testing.T) {
				r := suffer(t, o, limit)
				rows = append(rows, r)
				if len(r.reads) == 0 {
					t.Error("nothing was read")
				}
				if limit > 0 && r.most > limit+2 { // a load that ended and one that began may cross
					t.Errorf("%d loads at once, the limit is %d", r.most, limit)
				}
				if r.recovery > 3*time.Second {
					t.Errorf("used again after %v", r.recovery)
				}
			})
		}
	}
	table := renderOutages(rows)
	t.Log("\n" + table)
	if os.Getenv("LARDER_RENDER") != "" {
		check(t, replaceBetween("../docs/resilience.md", "<!-- outages:begin -->", "<!-- outages:end -->", table))
	}
}

func renderOutages(rows []row) string {
	var b strings.Builder
	b.WriteString("| | bulkhead | loads/s | most at once | new keys: p50 | p99 | max | refused | few keys: p50 | p99 | used again after |\n")
	b.WriteString("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %d | %s | %s | %s | %d | %s | %s | %s |\n", r.what, r.bulkhead, r.loads, r.most,
			ms(percentile(r.reads, 50)), ms(percentile(r.reads, 99)), ms(percentile(r.reads, 100)), r.refused,
			ms(percentile(r.hits, 50)), ms(percentile(r.hits, 99)), r.recovery.Round(time.Millisecond))
	}
	return b.String()
}

// replaceBetween replaces what a file has between two lines.
func replaceBetween(file, begin, end, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(old), begin+"\n")
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no lines %s and %s", file, begin, end)
	}
	return os.WriteFile(file, []byte(head+begin+"\n"+text+end+tail), 0o644)
}
