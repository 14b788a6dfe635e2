// Package bench measures Larder against the caches its users could pick
// instead, each through its own public interface and at its best settings: a
// file for each peer, a file for each workload.
//
// Run it with make bench, which interleaves rounds, and never compare times of
// different runs or machines: only ratios within one run mean anything.
package bench

import (
	"context"
	"time"
)

// ttl is how long every cache keeps its entries: longer than any run.
const ttl = time.Hour

// Load reads the value of a key from the source.
type Load func(ctx context.Context, key string) (string, error)

// Config says how a [Store] is opened.
type Config struct {
	Addr  string        // of the Redis server
	Load  Load          // called on a miss
	Lease time.Duration // after which the load of a dead process is done again, where the peer has that
	// Patient is set where a busy machine must not look like a Redis that
	// hangs: peers that wait for seconds anyway ignore it.
	Patient bool
}

// Store is a cache of strings in Redis, as a service would use it. Get loads
// what is missing and stores it. Delete is what a service calls after a
// change. Methods may be called concurrently.
type Store interface {
	Get(ctx context.Context, key string) (string, error)
	Delete(ctx context.Context, key string) error
	Close()
}

// A batcher is a store that reads many keys at once. It returns how many of
// them have a value.
type batcher interface {
	GetMany(ctx context.Context, keys []string) (int, error)
}

// Opener opens a store of one peer.
type Opener struct {
	Name string
	Open func(Config) (Store, error)
}

// Clients are bare clients of Redis, without a cache around them: what a cache
// cannot beat by much. They load nothing.
var Clients = []Opener{
	{"rueidis", openRueidis},
	{"rueidis-tuned", openRueidisTuned},
	{"go-redis", openGoRedis},
	{"go-redis-autopipeline", openGoRedisAutopipeline},
}

// RemoteStores keep their entries in Redis alone, so that every hit is one in
// Redis.
var RemoteStores = []Opener{
	{"larder", openLarderRemote},
	{"larder-exact", openLarderExact},
	{"go-redis-cache", openGoRedisCache},
	{"jetcache", openJetcache},
	{"gocache", openGocache},
	{"rockscache", openRockscache},
	{"rockscache-strong", openRockscacheStrong},
	{"naive", openNaive},
}

// FleetStores are what several processes would share: a memory tier as well,
// where the peer keeps it coherent by itself.
var FleetStores = []Opener{
	{"larder", openLarder},
	{"go-redis-cache", openGoRedisCache},
	{"jetcache", openJetcache},
	{"gocache", openGocache},
	{"rockscache", openRockscache},
	{"rueidisaside", openRueidisaside},
	{"sturdyc", openSturdyc},
	{"naive", openNaive},
}

// FreshStores are all that is looked at for stale reads, each in its strongest
// mode.
var FreshStores = []Opener{
	{"larder-default", openLarder},
	{"larder-exact", openLarderBothExact},
	{"larder-strict", openLarderStrict},
	{"naive", openNaive},
	{"go-redis-cache", openGoRedisCache},
	{"go-redis-csc", openGoRedisTracking},
	{"jetcache", openJetcache},
	{"gocache", openGocache},
	{"rockscache", openRockscache},
	{"rockscache-strong", openRockscacheStrong},
	{"rueidis-csc", openRueidisTracking},
	{"rueidisaside", openRueidisaside},
	{"sturdyc", openSturdyc},
}
