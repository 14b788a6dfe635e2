package dashboard

import (
	"context"
	"slices"
	"time"
)

// CacheView lets the pages watch the cache and tell it to forget. It is
// implemented where the cache is wired.
type CacheView interface {
	// Overview returns the figures of this instance; it asks nobody.
	Overview() CacheOverview
	// Forget invalidates what the order names. An order that was given but not
	// confirmed by Redis returns an error and is retried by the cache.
	Forget(ctx context.Context, order CacheOrder) error
}

// CacheOverview says how the cache of one instance does.
type CacheOverview struct {
	Instance string `json:"instance"`
	// Redis is "connected", "failing" (calls are held back), "disconnected" or "none".
	Redis     string    `json:"redis"`
	Address   string    `json:"address"`
	Namespace string    `json:"namespace"`
	Since     time.Time `json:"since"`
	// CoherentMS is the age in milliseconds of the last heartbeat that Redis
	// acknowledged, by which memory is proved current; negative: none.
	CoherentMS int64 `json:"coherent_as_of"`
	// MaxStalenessMS is how old that may become before memory stops answering.
	MaxStalenessMS  int64  `json:"max_staleness"`
	MemoryEntries   int    `json:"memory_entries"`
	MemoryBytes     uint64 `json:"memory_bytes"`
	MemoryLimit     int64  `json:"memory_limit"`
	MemoryEvictions uint64 `json:"memory_evictions"`
	Pending         int    `json:"invalidations_pending"`
	// Mode is how memory is kept coherent: "tracking", "ttl", "validated" or empty.
	Mode string `json:"coherence_mode"`
	// BreakerOpened is when calls to Redis were last held back, as far as the
	// samples tell; zero: not in the last 15 minutes.
	BreakerOpened time.Time `json:"breaker_opened"`
	// Recent covers the last 5 minutes, Hour the last hour, or what there is.
	Recent    CacheSpan       `json:"recent"`
	Hour      CacheSpan       `json:"hour"`
	Keyspaces []CacheKeyspace `json:"keyspaces"`
	// Samples are the last 15 minutes, the oldest first.
	Samples []CacheSample `json:"samples"`
	// Notes are what an operator should know, the worst first.
	Notes []CacheNote `json:"notes"`
}

// CacheSpan counts what happened in a span of time.
type CacheSpan struct {
	Seconds       float64 `json:"seconds"`
	Memory        uint64  `json:"memory"`
	Redis         uint64  `json:"redis"`
	Loaded        uint64  `json:"loaded"`
	Errors        uint64  `json:"errors"`
	Loads         uint64  `json:"loads"`
	LoadSeconds   float64 `json:"load_seconds"`
	Waits         uint64  `json:"waits"`
	Invalidations uint64  `json:"invalidations"`
	Pushes        uint64  `json:"pushes"`
	// Stale is the number of answers past their TTL; Memory contains them.
	Stale uint64 `json:"stale"`
	// Calls are operations on Redis; half took at most RedisP50, nearly all at
	// most RedisP99, in milliseconds.
	Calls    uint64  `json:"redis_calls"`
	RedisP50 float64 `json:"redis_p50_ms"`
	RedisP99 float64 `json:"redis_p99_ms"`
}

// Reads is the number of reads that were answered.
func (s CacheSpan) Reads() uint64 { return s.Memory + s.Redis + s.Loaded }

// Avoided is the number of reads that no load was needed for.
func (s CacheSpan) Avoided() uint64 { return s.Reads() - min(s.Reads(), s.Loads) }

// CacheKeyspace is one kind of read in the last 5 minutes.
type CacheKeyspace struct {
	Name string `json:"name"`
	CacheSpan
	// LoadP99 is the time in milliseconds that nearly all loads stayed below.
	LoadP99 float64 `json:"load_p99_ms"`
	// MeanBytes is the mean size of the values encoded since the start.
	MeanBytes int64 `json:"mean_bytes"`
}

// CacheSample is what happened within one step of the charts.
type CacheSample struct {
	At time.Time `json:"at"`
	CacheSpan
	Pending   int  `json:"invalidations_pending"`
	Connected bool `json:"connected"`
}

// CacheNote is a finding: "passed", "warn" or "failed".
type CacheNote struct {
	Level string `json:"level"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// CacheOrder says what to forget.
type CacheOrder struct {
	// By is key, tag, prefix, pattern or all.
	By string `json:"by"`
	// Name is the key, tag, prefix or pattern.
	Name string `json:"name"`
}

// Check returns an [InvalidError] for an order that cannot be. Patterns begin
// with literal text, so that nobody forgets everything by a star.
func (o CacheOrder) Check() error {
	var c checker
	c.check(slices.Contains([]string{"key", "tag", "prefix", "pattern", "all"}, o.By), "by", "must be one of key, tag, prefix, pattern, all")
	if o.By != "all" {
		c.name("name", o.Name, MaxLabel)
		c.check(o.By != "pattern" || o.Name == "" || o.Name[0] != '*' && o.Name[0] != '?' && o.Name[0] != '[', "name", "must begin with literal text")
	}
	return c.err()
}

// String is what a person types to confirm.
func (o CacheOrder) String() string {
	if o.By == "all" {
		return "everything"
	}
	return o.Name
}
