// Package redistier keeps Larder's shared tier on Redis.
//
// [Open] makes a cache over a server; [New] makes the tier alone. A [Tier]
// speaks to each server over one pipelined RESP3 connection with tracking in
// default mode and NOLOOP. One goroutine per server, started by Start and
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
//	#larder:b:shop          named by scripts, never present
//	#larder:p:shop#…        self-test of pushes, deleted at once
//
// A namespace holds no #, so the layout is unambiguous. Deleting any of these
// keys from anywhere is a correct invalidation of what it stands for.
//
// # Rights
//
// An ACL user for the namespace shop needs no more than
//
//	ACL SETUSER app on >password resetkeys ~shop:* ~#larder:?:shop ~#larder:?:shop#*
//	    -@all +hello +client|id +client|tracking +client|setname +info +time +ping +select
//	    +get +mget +set +del +unlink +exists +getrange +pttl +pexpire +scan
//	    +lindex +lrange +lpush +ltrim +hset +hget +hgetall +hdel +hincrby
//	    +eval +evalsha +script|load
//
// KEYS, FLUSHDB, FLUSHALL and MONITOR are never sent.
package redistier
