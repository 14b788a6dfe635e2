package dashboard

import (
	"context"
	"time"
)

// CacheInspector looks into the Redis of a cache and at its other instances, for
// administrators. A [CacheView] may be one. Every method asks Redis and fails
// when it does not answer.
type CacheInspector interface {
	// Server returns what Redis says of itself.
	Server(ctx context.Context) (CacheServer, error)
	// Keys lists entries whose names begin with a literal prefix, page by page.
	Keys(ctx context.Context, prefix, cursor string) (CacheKeys, error)
	// Hot lists the entries that all instances together read most in this minute
	// and the one before, the hottest first.
	Hot(ctx context.Context) ([]CacheHotKey, error)
	// Entry tells what there is of one entry. Its value is left out unless
	// reveal is set; whoever sets it writes to the audit log.
	Entry(ctx context.Context, name string, reveal bool) (CacheEntry, error)
	// Preview says what an order would invalidate.
	Preview(ctx context.Context, order CacheOrder) (CachePreview, error)
	// Doctor examines Redis; it takes some dozens of round trips.
	Doctor(ctx context.Context) ([]CacheNote, error)
	// Instances returns the overview of every living instance, this one first.
	Instances(ctx context.Context) ([]CacheOverview, error)
	// Watch delivers events of this instance until ctx ends, one in ten of hits
	// and loads. A slow receiver loses some.
	Watch(ctx context.Context) <-chan CacheEvent
}

// CacheServer is what the Redis of a cache says of itself.
type CacheServer struct {
	Version     string `json:"version"`
	UptimeS     int64  `json:"uptime"`
	UsedBytes   int64  `json:"used_bytes"`
	MaxBytes    int64  `json:"max_bytes"` // 0: no limit
	Policy      string `json:"policy"`
	Keys        int64  `json:"keys"`
	Evicted     int64  `json:"evicted"`
	RoundTripUS int64  `json:"round_trip_us"`
	Masters     int    `json:"masters"`
}

// CacheKeys is a page of the entries that begin with Prefix.
type CacheKeys struct {
	Prefix string `json:"prefix"`
	// Groups are the next longer prefixes among those scanned, with how many
	// entries of this page they hold.
	Groups []CacheGroup `json:"groups"`
	Names  []string     `json:"names"`
	// Next is the cursor of the next page; empty: this is the last.
	Next string `json:"next"`
}

// CacheGroup is a prefix with its number of entries.
type CacheGroup struct {
	Prefix  string `json:"prefix"`
	Entries int    `json:"entries"`
}

// CacheHotKey is an entry that is read often. It never carries a value.
type CacheHotKey struct {
	Name string `json:"name"`
	// Reads is an estimate: hits in memory are sampled and multiplied.
	Reads uint64 `json:"reads"`
}

// CacheEntry is what is known of one entry.
type CacheEntry struct {
	Name  string   `json:"name"`
	State string   `json:"state"`
	Why   []string `json:"why"`
	// FreshForMS and LeftMS are the milliseconds until the entry is past its
	// soft and its hard deadline; negative: past it or without one.
	FreshForMS  int64    `json:"fresh_for"`
	LeftMS      int64    `json:"left"`
	Bytes       int      `json:"bytes"`
	Compression string   `json:"compression"`
	Sealed      bool     `json:"sealed"`
	Negative    bool     `json:"negative"`
	ID          string   `json:"id"`
	Tags        []string `json:"tags"`
	Memory      []string `json:"memory"` // copies in this process, and whether a read would get them
	// Value is the stored text, decrypted and inflated, if it was asked for; or
	// why there is none to read.
	Value    string `json:"value,omitempty"`
	Revealed bool   `json:"revealed"`
}

// CachePreview says what an order would do. Counts come from a bounded scan.
type CachePreview struct {
	Order   CacheOrder `json:"order"`
	Entries int        `json:"entries"`
	// Complete says that the scan has seen the whole key space; otherwise
	// Entries is what was found in part of it.
	Complete  bool         `json:"complete"`
	Scanned   int          `json:"scanned"`
	TookMS    int64        `json:"took"`
	Keyspaces []CacheGroup `json:"keyspaces"`
	// Note is a sentence about what the numbers do not say; may be empty.
	Note string `json:"note"`
}

// CacheEvent is something that happened in the cache of this instance. It never
// carries a value.
type CacheEvent struct {
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Keyspace string    `json:"keyspace"`
	Name     string    `json:"name"`
	Detail   string    `json:"detail"`
	TookMS   float64   `json:"took"`
	Dropped  uint64    `json:"dropped"` // events lost so far because this receiver is slow
}

// MergeCaches returns the sum of what instances tell. Percentiles are those of
// the worst instance; states are those of the worst.
func MergeCaches(all []CacheOverview) CacheOverview {
	if len(all) == 0 {
		return CacheOverview{}
	}
	sum := all[0]
	sum.Keyspaces, sum.Samples = append([]CacheKeyspace(nil), sum.Keyspaces...), append([]CacheSample(nil), sum.Samples...)
	for _, o := range all[1:] {
		sum.add(o)
	}
	return sum
}

func (o *CacheOverview) add(p CacheOverview) {
	if worse(p.Redis, o.Redis) {
		o.Redis = p.Redis
	}
	if p.CoherentMS < 0 || o.CoherentMS >= 0 && p.CoherentMS > o.CoherentMS {
		o.CoherentMS = p.CoherentMS
	}
	if p.Since.Before(o.Since) {
		o.Since = p.Since
	}
	if p.BreakerOpened.After(o.BreakerOpened) {
		o.BreakerOpened = p.BreakerOpened
	}
	o.MaxStalenessMS = max(o.MaxStalenessMS, p.MaxStalenessMS)
	o.MemoryEntries += p.MemoryEntries
	o.MemoryBytes += p.MemoryBytes
	o.MemoryLimit += p.MemoryLimit
	o.MemoryEvictions += p.MemoryEvictions
	o.Pending += p.Pending
	o.Recent.Add(p.Recent)
	o.Hour.Add(p.Hour)
	o.Keyspaces = mergeKeyspaces(o.Keyspaces, p.Keyspaces)
	for i := 1; i <= min(len(o.Samples), len(p.Samples)); i++ { // the newest are aligned
		a, b := &o.Samples[len(o.Samples)-i], p.Samples[len(p.Samples)-i]
		a.CacheSpan.Add(b.CacheSpan)
		a.Pending += b.Pending
		a.Connected = a.Connected && b.Connected
	}
}

func mergeKeyspaces(into, from []CacheKeyspace) []CacheKeyspace {
	for _, k := range from {
		found := false
		for i := range into {
			if into[i].Name == k.Name {
				into[i].Add(k.CacheSpan)
				into[i].LoadP99 = max(into[i].LoadP99, k.LoadP99)
				found = true
			}
		}
		if !found {
			into = append(into, k)
		}
	}
	return into
}

func worse(a, b string) bool {
	rank := map[string]int{"connected": 0, "failing": 1, "disconnected": 2}
	return rank[a] > rank[b]
}

// Add adds what another instance counted in about the same time.
func (s *CacheSpan) Add(t CacheSpan) {
	s.Seconds = max(s.Seconds, t.Seconds)
	s.Memory += t.Memory
	s.Redis += t.Redis
	s.Loaded += t.Loaded
	s.Errors += t.Errors
	s.Loads += t.Loads
	s.LoadSeconds += t.LoadSeconds
	s.Waits += t.Waits
	s.Invalidations += t.Invalidations
	s.Pushes += t.Pushes
	s.Stale += t.Stale
	s.Calls += t.Calls
	s.RedisP50 = max(s.RedisP50, t.RedisP50)
	s.RedisP99 = max(s.RedisP99, t.RedisP99)
}
