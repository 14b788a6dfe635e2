package main

import (
	"context"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/dashboard/config"
)

// The charts: 15 minutes in steps of 5 seconds, kept in a ring in this process.
const (
	sampleStep = 5 * time.Second
	samples    = 180
)

// cacheView watches the cache for the pages. Its goroutine takes a sample per
// step, from watch to close.
type cacheView struct {
	cache   *larder.Cache
	address string
	config  config.Cache
	since   time.Time
	done    chan struct{}
	running sync.WaitGroup

	mu   sync.Mutex
	ring []reading // the newest last, at most samples+1
}

// reading is the state of all counters at one instant.
type reading struct {
	at      time.Time
	stats   larder.Stats
	pending int
	remote  string
}

func newCacheView(cache *larder.Cache, address string, c config.Cache) *cacheView {
	v := &cacheView{cache: cache, address: address, config: c, since: time.Now(), done: make(chan struct{})}
	v.take(time.Now())
	v.running.Go(v.watch)
	return v
}

func (v *cacheView) close() error {
	close(v.done)
	v.running.Wait()
	return nil
}

func (v *cacheView) watch() {
	ticker := time.NewTicker(sampleStep)
	defer ticker.Stop()
	for {
		select {
		case <-v.done:
			return
		case now := <-ticker.C:
			v.take(now)
		}
	}
}

func (v *cacheView) read(at time.Time) reading {
	h := v.cache.Health()
	return reading{at: at, stats: v.cache.Stats(), pending: h.Pending, remote: h.Remote}
}

func (v *cacheView) take(at time.Time) {
	r := v.read(at)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ring = append(v.ring, r); len(v.ring) > samples+1 {
		v.ring = append(v.ring[:0:0], v.ring[1:]...)
	}
}

// Overview implements dashboard.CacheView.
func (v *cacheView) Overview() dashboard.CacheOverview {
	now := v.read(time.Now())
	v.mu.Lock()
	ring := append([]reading(nil), v.ring...)
	v.mu.Unlock()
	h := v.cache.Health()
	name, _ := os.Hostname()
	o := dashboard.CacheOverview{
		Instance: name, Redis: h.Remote, Address: v.address, Namespace: v.config.Namespace, Since: v.since,
		CoherentMS: h.CoherentFor.Milliseconds(), MaxStalenessMS: v.staleness().Milliseconds(),
		MemoryEntries: now.stats.MemoryEntries, MemoryBytes: now.stats.MemoryBytes, MemoryLimit: v.config.MemoryBytes,
		MemoryEvictions: now.stats.MemoryEvictions, Pending: h.Pending,
	}
	if h.CoherentFor < 0 {
		o.CoherentMS = -1
	}
	recent := before(ring, now.at.Add(-5*time.Minute))
	o.Recent, o.Long = span(recent, now), span(ring[0], now)
	o.Keyspaces = keyspaces(recent, now)
	for i := 1; i < len(ring); i++ {
		o.Samples = append(o.Samples, dashboard.CacheSample{At: ring[i].at, CacheSpan: span(ring[i-1], ring[i]), Pending: ring[i].pending, Connected: ring[i].remote == "connected"})
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

func span(a, b reading) dashboard.CacheSpan {
	var s dashboard.CacheSpan
	for name, k := range b.stats.Keyspaces {
		add(&s, a.stats.Keyspaces[name], k)
	}
	s.Seconds = b.at.Sub(a.at).Seconds()
	s.Invalidations = b.stats.Invalidations - a.stats.Invalidations
	s.Pushes = b.stats.Pushes - a.stats.Pushes
	return s
}

func add(s *dashboard.CacheSpan, a, b larder.KeyspaceStats) {
	s.Memory += b.MemoryHits - a.MemoryHits
	s.Redis += b.RemoteHits + b.NegativeHits - a.RemoteHits - a.NegativeHits
	s.Loaded += b.Loaded + b.Misses - a.Loaded - a.Misses
	s.Errors += b.Errors - a.Errors
	s.Loads += b.Loads - a.Loads
	s.LoadSeconds += (b.LoadTime - a.LoadTime).Seconds()
	s.Waits += b.LocalWaits + b.ClusterWaits - a.LocalWaits - a.ClusterWaits
}

func keyspaces(a, b reading) []dashboard.CacheKeyspace {
	var out []dashboard.CacheKeyspace
	for name, k := range b.stats.Keyspaces {
		one := dashboard.CacheKeyspace{Name: name}
		add(&one.CacheSpan, a.stats.Keyspaces[name], k)
		one.Seconds = b.at.Sub(a.at).Seconds()
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
	return map[string]int{"failed": 0, "warn": 1, "passed": 2}[n.Level]
}

// Forget implements dashboard.CacheView.
func (v *cacheView) Forget(ctx context.Context, order dashboard.CacheOrder) error {
	if err := order.Check(); err != nil {
		return err
	}
	switch order.By {
	case "tag":
		return v.cache.Invalidate(ctx, larder.Tag(order.Name))
	case "all":
		return v.cache.Clear(ctx)
	}
	_, err := v.cache.DeletePattern(ctx, order.Name)
	return err
}
