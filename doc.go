// Package larder is a cache for services that share a Redis: decoded values in
// memory over encoded ones in Redis, with a promise about what a reader may be
// given after an invalidation.
//
// A [Cache] is opened by package redistier, or by [New] for one process alone.
// A [Keyspace] is a typed part of it, with [Keyspace.Get] to read or load and
// [Cache.Invalidate] to say that the source has changed. docs/consistency.md
// explains the protocol; get.go is where to begin reading the code.
//
// # What it promises
//
// Let an invalidation of an entry be executed by Redis at i and return nil at r,
// let a read begin at s, on any node, and T be [Options.MaxStaleness].
//
//   - Exact reads ([Exact]) with s > r return a value that was loaded after i.
//   - Other reads return a value that has been invalid for at most T.
//   - After a strict invalidation ([Strict]) other reads are like exact ones.
//   - What was loaded before i is never valid in Redis after i.
//   - Between two invalidations a key is loaded once by all processes together.
//   - An invalidation that Redis did not confirm never returns nil.
//
// # Concurrency
//
// Everything may be used by many goroutines at once. Values that a cache returns
// are shared: who changes them sets [KeyspaceOptions.Clone]. A loader runs in a
// goroutine of its own, with a context that no single caller ends.
//
// # Words
//
//   - entry: what is cached under a key; tier: where, in memory or in Redis
//   - hit, miss: an entry was usable, or not; not found: the source has none
//   - load: one call of a [Loader]; fill: what a miss does with its result
//   - lease: the right to fill, held by one process; hold-off: nobody may
//   - generation: the random state of a tag; a new one outdates older entries
//   - ticket: the right to put something into memory
//   - evidence: when the request was sent that proved a value current
//   - epoch: one life of the connection that delivers the pushes of Redis
//   - eviction: for room; expiration: for age; invalidation: the source changed
package larder
