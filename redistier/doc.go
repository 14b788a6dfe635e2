// Package redistier keeps Larder's shared tier on Redis.
//
// [Open] makes a cache over a server, over Sentinels or over a Cluster; [New]
// makes the tier alone. A [Tier] speaks to each master over one pipelined RESP3
// connection with tracking in default mode and NOLOOP, or without tracking where
// there is none (see [Tier.Mode]). One goroutine per master, started by Start and
// awaited by Close, dials it, watches it and dials again after it broke.
//
// # Connections and epochs
//
// A connection lives once: its client may dial a single time, so everything
// that client ever answered came over one socket and belongs to one chain of
// [larder.Epoch]s. The epoch ends in the very read or write that finds the
// socket broken, before a caller can see the error. After that the tier
// reports Flushed, then Disconnected, and only then dials again; nothing of an
// old connection arrives after the new one was reported.
//
// A connection is replaced when the socket fails, when the server says that it
// is not (any more) a master that serves us (READONLY, MOVED, CLUSTERDOWN,
// LOADING and their like), when CLIENT ID changes, and when no heartbeat was
// acknowledged for [Config.BeatTimeout]: a black-holed socket never fails by
// itself.
//
// # Keys
//
// With the namespace shop, the entry suite:42 lives under
//
//	shop:suite:42
//
// and with an empty namespace under its bare name. Everything else lives under
// the reserved prefix #larder:, with which no entry begins, as neither entry
// names nor namespaces may begin with #:
//
//	#larder:g:shop#suites   generation of the tag suites
//	#larder:n:shop          generation of the namespace
//	#larder:l:shop          log of the last 128 births of generations
//	#larder:i:shop          which life of the server the data belong to
//	#larder:m:shop          processes that may serve from memory, a hash
//	#larder:c:shop          number of the last request to confirm
//	#larder:a:shop          who has seen which request, a hash
//	#larder:t:shop          MaxStaleness of the namespace in ms
//	#larder:r:shop#shop:…   who refreshes that entry
//	#larder:g:shop#=#lock:x the lock x, and with :fence behind it its last number
//	#larder:g:shop#=#hot:n  reads of the minute n, a hash of the 1024 to 2048 hottest names
//	#larder:g:shop#=#loads:n  the same of the loads of a day
//	#larder:b:shop          named by scripts, never present
//	#larder:p:shop#…        self-test of pushes, deleted at once
//
// In a cluster a hash tag follows, as in #larder:n:shop#{4f} and
// #larder:g:shop#{4f}suites: control keys exist once for each 256 slots and lie
// among them, and tags are spread over these places.
//
// A namespace holds no #, so the layout is unambiguous. Deleting entries and
// generations from anywhere is a correct invalidation of what they stand for,
// and deleting any of the other keys makes nothing stale.
//
// # Topologies
//
// Behind Sentinels the tier leaves a master that they have replaced. In a
// Cluster it keeps one connection per master, follows the layout, and ends the
// epochs of masters whose slots changed before requests go elsewhere. Replicas
// are never read. While two masters take writes, which Sentinels and clusters
// allow for as long as they need to agree, an invalidation at the old one may be
// lost to the new one.
//
// A server whose life has changed, by a restart or a failover, may have brought
// deleted values back: see [OnFailover].
//
// # Rights
//
// An ACL user for the namespace shop needs no more than
//
//	ACL SETUSER app on >password resetkeys ~shop:* ~#larder:?:shop ~#larder:?:shop#*
//	    -@all +hello +client|id +client|tracking +client|setname +info +time +ping +select
//	    +get +mget +set +del +unlink +exists +getrange +pttl +pexpire +scan
//	    +lindex +lrange +lpush +ltrim +hset +hget +hgetall +hdel +hincrby
//	    +eval +evalsha +script|load +cluster|slots +cluster|nodes
//
// KEYS, FLUSHDB, FLUSHALL and MONITOR are never sent.
package redistier
