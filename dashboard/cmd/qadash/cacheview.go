package main

import (
	"context"
	"math/rand/v2"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/config"
	"github.com/larder-go/larder/redistier"
)

// The charts: 15 minutes in steps of 5 seconds, and an hour in steps of a
// minute for the figures, kept in rings in this process.
const (
	sampleStep = 5 * time.Second
	samples    = 180
	minuteStep = 12 // samples
	minutes    = 60
)

// cacheView watches the cache for the pages. Its goroutine takes a sample per
// step, from its making to close, and shows it to the other instances.
type cacheView struct {
	cache   *larder.Cache
	redis   redistier.Config
	config  config.Cache
	keys    *larder.KeyRing // of values that are sealed; nil: none
	since   time.Time
	name    string
	board   *board
	done    chan struct{}
	running sync.WaitGroup

	mu        sync.Mutex
	ring      []reading // the newest last, at most samples+1
	hour      []reading // one a minute, with times of loads, at most minutes+1
	inspector *redistier.Inspector
}

// reading is the state of all counters at one instant.
type reading struct {
	at      time.Time
	spaces  map[string]dashboard.CacheSpan // counted since the start
	total   dashboard.CacheSpan            // invalidations, pushes and calls
	calls   larder.Distribution
	loads   map[string]larder.Distribution // nil in the ring of samples
	pending int
	remote  string
}

func newCacheView(cache *larder.Cache, redis redistier.Config, c config.Cache, keys *larder.KeyRing) (*cacheView, error) {
	v := &cacheView{cache: cache, redis: redis, config: c, keys: keys, since: time.Now(), name: instanceName(), done: make(chan struct{})}
	var err error
	if v.board, err = newBoard(cache, v.name); err != nil {
		return nil, err
	}
	v.take(time.Now())
	v.running.Go(v.watch)
	return v, nil
}

// instanceName tells this instance from others on the same and on other hosts,
// where containers may have equal process numbers.
func instanceName() string {
	host, _ := os.Hostname()
	return host + "-" + strconv.FormatInt(1<<16+rand.Int64N(15<<16), 16)
}

func (v *cacheView) close() error {
	close(v.done)
	v.running.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inspector != nil {
		return v.inspector.Close()
	}
	return nil
}

func (v *cacheView) watch() {
	v.board.post(v.Overview())
	ticker := time.NewTicker(sampleStep)
	defer ticker.Stop()
	for {
		select {
		case <-v.done:
			return
		case now := <-ticker.C:
			v.take(now)
			v.board.post(v.Overview())
		}
	}
}

func (v *cacheView) read(at time.Time, withLoads bool) (reading, larder.Stats) {
	h, s := v.cache.Health(), v.cache.Stats()
	r := reading{at: at, spaces: make(map[string]dashboard.CacheSpan, len(s.Keyspaces)), pending: h.Pending, remote: h.Remote}
	for name, k := range s.Keyspaces {
		if name != boardName {
			r.spaces[name] = counted(k)
		}
	}
	for _, op := range s.Remote {
		r.calls = r.calls.Plus(&op.Time)
		r.total.Calls += op.Calls()
	}
	r.total.Invalidations, r.total.Pushes = s.Invalidations, s.Pushes
	if withLoads {
		r.loads = make(map[string]larder.Distribution, len(s.Keyspaces))
		for name, k := range s.Keyspaces {
			r.loads[name] = k.LoadTimes
		}
	}
	return r, s
}

// counted is what a keyspace counted since the start.
func counted(k larder.KeyspaceStats) dashboard.CacheSpan {
	return dashboard.CacheSpan{
		Memory: k.MemoryHits + k.StaleHits, Stale: k.StaleHits, Redis: k.RemoteHits + k.NegativeHits, Loaded: k.Loaded + k.Misses, Errors: k.Errors,
		Loads: k.Loads, LoadSeconds: k.LoadTime.Seconds(), Waits: k.LocalWaits + k.ClusterWaits,
	}
}

func (v *cacheView) take(at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	minute := len(v.hour) == 0 || at.Sub(v.hour[len(v.hour)-1].at) >= minuteStep*sampleStep-sampleStep/2
	r, _ := v.read(at, minute)
	if minute {
		v.hour = keepLast(append(v.hour, r), minutes+1)
	}
	r.loads = nil
	v.ring = keepLast(append(v.ring, r), samples+1)
}

func keepLast(ring []reading, n int) []reading {
	if len(ring) <= n {
		return ring
	}
	return append(ring[:0:0], ring[len(ring)-n:]...)
}

// Overview implements dashboard.CacheView.
func (v *cacheView) Overview() dashboard.CacheOverview {
	now, stats := v.read(time.Now(), true)
	v.mu.Lock()
	ring, hour := append([]reading(nil), v.ring...), append([]reading(nil), v.hour...)
	v.mu.Unlock()
	h := v.cache.Health()
	o := dashboard.CacheOverview{
		Instance: v.name, Redis: h.Remote, Address: addressOf(v.redis), Namespace: v.config.Namespace, Since: v.since, Mode: h.Mode,
		CoherentMS: h.CoherentFor.Milliseconds(), MaxStalenessMS: v.staleness().Milliseconds(),
		MemoryEntries: stats.MemoryEntries, MemoryBytes: stats.MemoryBytes, MemoryLimit: v.config.MemoryBytes,
		MemoryEvictions: stats.MemoryEvictions, Pending: h.Pending,
	}
	if h.CoherentFor < 0 {
		o.CoherentMS = -1
	}
	recent := before(ring, now.at.Add(-5*time.Minute))
	o.Recent, o.Hour = span(recent, now), span(hour[0], now)
	o.Keyspaces = keyspaces(recent, before(hour, now.at.Add(-5*time.Minute)), now, stats)
	for i := 1; i < len(ring); i++ {
		s := dashboard.CacheSample{At: ring[i].at, CacheSpan: span(ring[i-1], ring[i]), Pending: ring[i].pending, Connected: ring[i].remote == "connected"}
		o.Samples = append(o.Samples, s)
		if ring[i].remote == "failing" {
			o.BreakerOpened = ring[i].at
		}
	}
	o.Notes = notes(o)
	return o
}

func (v *cacheView) staleness() time.Duration {
	if v.config.MaxStaleness > 0 {
		return v.config.MaxStaleness
	}
	return time.Second // the library's default
}

// before is the oldest reading that is not older than at, or the oldest of all.
func before(ring []reading, at time.Time) reading {
	i := sort.Search(len(ring), func(i int) bool { return !ring[i].at.Before(at) })
	return ring[min(i, len(ring)-1)]
}

// span is what happened between two readings.
func span(a, b reading) dashboard.CacheSpan {
	var s dashboard.CacheSpan
	for name, k := range b.spaces {
		s.Add(between(a.spaces[name], k))
	}
	s.Seconds = b.at.Sub(a.at).Seconds()
	s.Invalidations = b.total.Invalidations - a.total.Invalidations
	s.Pushes = b.total.Pushes - a.total.Pushes
	s.Calls = b.total.Calls - a.total.Calls
	calls := b.calls.Since(&a.calls)
	s.RedisP50, s.RedisP99 = milliseconds(calls.Quantile(0.5)), milliseconds(calls.Quantile(0.99))
	return s
}

func milliseconds(ns uint64) float64 { return float64(ns) / 1e6 }

func between(a, b dashboard.CacheSpan) dashboard.CacheSpan {
	return dashboard.CacheSpan{Memory: b.Memory - a.Memory, Redis: b.Redis - a.Redis, Loaded: b.Loaded - a.Loaded, Errors: b.Errors - a.Errors,
		Loads: b.Loads - a.Loads, LoadSeconds: b.LoadSeconds - a.LoadSeconds, Waits: b.Waits - a.Waits, Stale: b.Stale - a.Stale}
}

func keyspaces(a, minute, b reading, stats larder.Stats) []dashboard.CacheKeyspace {
	var out []dashboard.CacheKeyspace
	for name, k := range b.spaces {
		one := dashboard.CacheKeyspace{Name: name, CacheSpan: between(a.spaces[name], k)}
		one.Seconds = b.at.Sub(a.at).Seconds()
		all, old := b.loads[name], minute.loads[name]
		times := all.Since(&old)
		one.LoadP99 = milliseconds(times.Quantile(0.99))
		sizes := stats.Keyspaces[name].ValueBytes
		if n := sizes.Count(); n > 0 {
			one.MeanBytes = int64(sizes.Sum / n)
		}
		out = append(out, one)
	}
	sort.Slice(out, func(i, j int) bool {
		if x, y := out[i].Reads(), out[j].Reads(); x != y {
			return x > y
		}
		return out[i].Name < out[j].Name
	})
	return out
}

// notes judges the state.
func notes(o dashboard.CacheOverview) []dashboard.CacheNote {
	var out []dashboard.CacheNote
	note := func(bad bool, level, title, text string) {
		if !bad {
			level = "passed"
		}
		out = append(out, dashboard.CacheNote{Level: level, Title: title, Text: text})
	}
	switch o.Redis {
	case "connected":
		note(false, "", "Redis at "+o.Address, "connected")
	case "failing":
		note(true, "failed", "Redis at "+o.Address, "calls failed in a row and are held back; reads are loaded from the database")
	default:
		note(true, "failed", "Redis at "+o.Address, "not reachable; memory answers for at most the staleness bound, else the database")
	}
	note(o.Pending > 0, "warn", "Invalidations", map[bool]string{true: "some wait for Redis; what they concern is read from the database meanwhile", false: "none is waiting"}[o.Pending > 0])
	note(o.MemoryEvictions > 0, "warn", "Memory tier", map[bool]string{true: "entries left for room; CACHE_MEMORY_BYTES may be too small", false: "no entry had to leave for room"}[o.MemoryEvictions > 0])
	note(o.Recent.Errors > 0, "warn", "Reads", map[bool]string{true: "some failed in the last 5 minutes, see the log", false: "none failed in the last 5 minutes"}[o.Recent.Errors > 0])
	sort.SliceStable(out, func(i, j int) bool { return rank(out[i]) < rank(out[j]) })
	return out
}

func rank(n dashboard.CacheNote) int {
	return map[string]int{"failed": 0, "warn": 1, "skipped": 2, "passed": 3}[n.Level]
}

// Forget implements dashboard.CacheView.
func (v *cacheView) Forget(ctx context.Context, order dashboard.CacheOrder) error {
	if err := order.Check(); err != nil {
		return err
	}
	switch order.By {
	case "key":
		targets, err := redistier.Targets(order.Name)
		if err != nil {
			return err
		}
		return v.cache.Invalidate(ctx, targets...)
	case "tag":
		return v.cache.Invalidate(ctx, larder.Tag(order.Name))
	case "all":
		return v.cache.Clear(ctx)
	}
	_, err := v.cache.DeletePattern(ctx, patternOf(order))
	return err
}

// patternOf is the glob pattern of an order by prefix or pattern.
func patternOf(o dashboard.CacheOrder) string {
	switch o.By {
	case "prefix":
		return literal.Replace(o.Name) + "*"
	case "key":
		return literal.Replace(o.Name)
	case "pattern":
		return o.Name
	}
	return "*"
}

// literal escapes what means something in a pattern.
var literal = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`)
