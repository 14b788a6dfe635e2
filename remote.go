package larder

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
)

// Remote is the shared tier as the protocol sees it: leases, fills and
// generations, not commands. Package redistier implements it on Redis, package
// lardertest on a map; one conformance suite binds both.
//
// Keys passed to a Remote are those it returned from EntryKey, RefreshKey,
// TagKey, NamespaceKey or LogKey. Keys of entries never begin with '#', all
// others do.
// All methods may be called concurrently. No method waits longer than its
// context allows.
type Remote interface {
	// EntryKey returns the key that holds the entry called name: the same
	// beginning for all of them, then the name.
	EntryKey(name string) string
	// RefreshKey returns the key beside entryKey, on its server, that is
	// acquired by who refreshes the entry.
	RefreshKey(entryKey string) string
	// TagKey returns the key that holds the generation of tag.
	TagKey(tag string) string
	// NamespaceKey returns the key that holds the generation of the part of
	// the namespace that covers entryKey.
	NamespaceKey(entryKey string) string
	// NamespaceKeys returns every key NamespaceKey can return.
	NamespaceKeys() []string

	// LogKey returns the key of the log of births that lists generations
	// created under tagKey and others of its server.
	LogKey(tagKey string) string
	// LogKeys returns every key LogKey can return.
	LogKeys() []string

	// Start connects and keeps reconnecting until Close, reporting to events.
	// It returns when the first attempt has ended, at the latest when ctx
	// ends, whatever its outcome: an absent server is no error. Called once,
	// before every method below.
	Start(ctx context.Context, events RemoteEvents)
	// Close ends all connections and waits for the goroutines Start began.
	Close() error

	// Epoch returns the present life of the connection that serves key, nil
	// while there is none.
	Epoch(key string) *Epoch
	// Beat writes to every connected server and, where that succeeded,
	// credits the connection's epoch with the time the write was sent. It
	// returns an error when a server is not connected or did not answer.
	Beat(ctx context.Context) error

	// RunID names the life of the server that serves key, so that data loss
	// by a restart or a failover can be told. Empty while there is no
	// connection.
	RunID(key string) string
	// Confirm returns nil once every process of the namespace that may serve
	// from memory has processed the pushes of all deletions of keys that were
	// acknowledged before the call. An error means that this could not be
	// established within ctx; waiting longer than MaxStaleness establishes it
	// too.
	Confirm(ctx context.Context, keys []string) error

	// Get reads one key. It is Do with a single OpGet, without allocating.
	Get(ctx context.Context, key string) Reply
	// Do carries out ops as one pipeline per server, in order on each server,
	// and sets replies[i] for ops[i]; len(replies) must equal len(ops). Ops
	// are independent: each reply has its own error. An error that may have
	// come after execution (a time-out, a lost connection) leaves the outcome
	// unknown. Neither slice is kept after Do returns.
	Do(ctx context.Context, ops []Op, replies []Reply)

	// DeleteMatching removes the keys of entries that match a glob pattern of
	// entry names, leases included, reading the key space in pages. removed
	// is called with each batch after it was removed. It runs again when the
	// topology changed meanwhile, and returns how many keys it removed.
	DeleteMatching(ctx context.Context, pattern string, removed func(keys []string)) (int, error)
}

// RemoteEvents is what a Remote reports while it is connected. Calls about one
// connection arrive in the order of its wire, and before any later reply of
// that connection is returned to a caller. They must not block.
type RemoteEvents interface {
	// Invalidated says that these keys changed or vanished on the server.
	// Own writes are not reported.
	Invalidated(keys []string)
	// Flushed says that an epoch ended: everything read under it may be
	// outdated. The epoch was ended before the call. Where nothing is pushed it
	// comes with every heartbeat, so that who waits for a lease looks again; a
	// validated epoch lives on then, as nothing is kept under it.
	Flushed()
	// Connected says that a connection is ready and its epoch was credited.
	Connected()
	// Confirming says that this process is about to acknowledge, to one that
	// confirms, all pushes so far. What was loaded without the remote tier, and
	// is therefore told of no push, ends here.
	Confirming()
	// Disconnected says why a server cannot be used. Repeated failures to
	// reconnect repeat it; the receiver logs changes only.
	Disconnected(err error)
}

// OpKind is what an [Op] asks for.
type OpKind uint8

// The operations of the protocol. K is Op.Key; each is atomic.
const (
	// OpGet reads K. Replies Absent or Present with Data.
	OpGet OpKind = iota
	// OpAcquire makes an absent K a lease of Token for TTL. Replies Acquired
	// (also when K already is the lease of this very Token), Busy with the
	// TTL left of another lease, Held if it is a hold-off, or Present with
	// Data.
	OpAcquire
	// OpTakeover makes K, present and beginning with Expect, a lease of Token
	// for TTL. Replies Acquired or, changing nothing, Refused.
	OpTakeover
	// OpFill replaces K by Value for TTL if K is exactly the lease of Token.
	// Replies Done or, changing nothing, Refused.
	OpFill
	// OpRefill replaces K by Value for TTL if K begins with Expect. Replies
	// Done or, changing nothing, Refused.
	OpRefill
	// OpRelease deletes K if it is exactly the lease of Token. Replies Done or
	// Refused.
	OpRelease
	// OpRenew sets the time to live of K to TTL if it is exactly the lease of
	// Token. Replies Done or Refused.
	OpRenew
	// OpSet replaces K by Value for TTL, whatever K was. Replies Done, or Held
	// if KeepHold is set and K is a hold-off, which stays.
	OpSet
	// OpSetNewer replaces K by Value for TTL if K is a value of a lower source
	// version than Version, keeping the generations K has, whatever Value has.
	// It deletes everything of which nobody knows whether it is older: a lease,
	// a value without a source version, a corrupt or a foreign one. A value
	// that is not older and a hold-off stay. Replies Done if K changed,
	// otherwise Refused.
	OpSetNewer
	// OpDelete deletes K. Replies Done, Absent if there was nothing, or Held
	// if KeepHold is set and K is a hold-off, which stays.
	OpDelete
	// OpHold makes K a hold-off by Token for TTL, replacing a lease or a value
	// and joining other holders; K lives as long as the longest. Replies Done.
	OpHold
	// OpUnhold ends the part of Token in the hold-off K; the last one deletes
	// K, and anything else than a hold-off is deleted. Replies Done.
	OpUnhold
	// OpGeneration makes an absent K the generation in Value and, unless it is
	// Unlisted, lists its birth in the log of K's server, keeps K alive for at
	// least half of TTL, and replies Present with the generation K has now in
	// Data.
	OpGeneration
	// OpBirths reads the newest birth of the log K. Replies Absent, or Present
	// with its id in Data.
	OpBirths
	// OpTagsSince reads the generations of Keys, all tags of the log K, unless
	// one of them may have been born after the birth Expect was the newest
	// (empty: the log had none). Replies Present with their eight bytes each
	// in Data, or Refused when Expect is empty or has left the log, the birth
	// of one of Keys is newer, or a generation is missing. Without a log one
	// is begun, so that the next OpBirths finds an id.
	OpTagsSince
	// OpExpire makes a value in K stale from now on, under the id
	// of Token ([frame.Token.ID]), so that a refresh under way does not make it
	// fresh again; its hard deadline stays. It deletes a lease, whose load may have begun before, and a
	// damaged value, and leaves everything else. Replies Done if K changed,
	// otherwise Refused.
	OpExpire
	// OpInspect reads K with its time to live. Replies Absent, or Present
	// with Data and TTL (negative: none).
	OpInspect
	// OpLock makes an absent K a lease of Token for TTL, as OpAcquire does, and
	// numbers it. Replies Acquired with the number in decimal in Data, also
	// when K already is the lease of this very Token, or Busy with the TTL left
	// of whatever else K holds. A number is greater than all before it for K,
	// also after the store lost its data, unless its clock went back meanwhile.
	// OpRenew and OpRelease prolong and end the lease.
	OpLock
	// OpRank adds the counts in Value ([frame.AppendRanks]) to the ranking K,
	// which lives for TTL from then on. Of many names it keeps those with the
	// highest counts, at least [frame.RankLimit]. Replies Done.
	OpRank
	// OpRanks reads the ranking K. Replies Absent, or Present with its names
	// and counts ([frame.ParseRanks]) in Data, in no order.
	OpRanks
)

// Op is one operation of the protocol.
type Op struct {
	Kind     OpKind
	Key      string
	Keys     []string // of OpTagsSince
	Token    frame.Token
	Expect   string // leading bytes that K must have
	Value    []byte // not kept after Do returns
	Version  uint64
	TTL      time.Duration
	KeepHold bool // leave a hold-off in place
	Unlisted bool // of OpGeneration: no load learns of K, so no log lists its birth
}

// ReplyState is the outcome of an [Op].
type ReplyState uint8

// The outcomes of operations; each [OpKind] says which it has.
const (
	Absent ReplyState = iota
	Present
	Acquired
	Busy
	Done
	Refused
	Held
)

// Reply is what came back for an [Op]. State and Data mean nothing when Err is
// set.
type Reply struct {
	State ReplyState
	Data  string
	TTL   time.Duration
	Err   error
}

// Errors of a Remote that callers branch on.
var (
	// ErrUnavailable reports that no usable connection serves a key: none was
	// made yet, it is lost, its heartbeat is overdue or the breaker is open.
	// Nothing was sent.
	ErrUnavailable = errors.New("larder: remote tier unavailable")
	// ErrWrongType reports that a key holds something that is no string. The
	// server is healthy.
	ErrWrongType = errors.New("larder: key holds a value of another type")
)

// Epoch is one life of one tracked connection. Whatever was read under it may
// be used only while it lives: a lost connection, a flush or a doubt about the
// server ends it, and nothing ends twice or lives again.
type Epoch struct {
	asOf   atomic.Int64 // send time of the last acknowledged write; clock.Never: none
	offset atomic.Int64 // server's Unix ms minus our monotonic ms
	ended  atomic.Bool
	silent bool // nothing is kept that was read under it
}

// NewEpoch returns a living epoch that nothing was proven under yet.
func NewEpoch() *Epoch {
	e := new(Epoch)
	e.asOf.Store(clock.Never)
	return e
}

// NewValidatedEpoch returns an epoch of a connection on which the server pushes
// nothing and whose cache asks it for every read: what was read under it is
// handed out and never kept in memory, neither entries nor generations.
func NewValidatedEpoch() *Epoch {
	e := NewEpoch()
	e.silent = true
	return e
}

// Succeed ends e and returns a living epoch of the same connection with the
// credit of e: what follows a flush that left the connection intact.
func (e *Epoch) Succeed() *Epoch {
	next := NewEpoch()
	next.silent = e.silent
	next.asOf.Store(e.asOf.Load())
	next.offset.Store(e.offset.Load())
	e.End()
	return next
}

// Credit records that a write sent at the monotonic time sent was acknowledged
// and that every push before its reply has been delivered; server is the
// server's clock as that reply gave it. Older times than the recorded one, and
// any after the end of e, change nothing.
func (e *Epoch) Credit(sent int64, server time.Time) {
	if e.ended.Load() {
		return // by a push before that reply
	}
	// The server read its clock after sent, so the offset errs towards a
	// later server time and entries expire early, never late.
	e.offset.Store(server.UnixMilli() - sent/int64(time.Millisecond))
	for {
		old := e.asOf.Load()
		if sent <= old || e.asOf.CompareAndSwap(old, sent) {
			return
		}
	}
}

// End makes everything that was read under e unusable.
func (e *Epoch) End() { e.ended.Store(true) }

// Alive reports whether e has not ended.
func (e *Epoch) Alive() bool { return !e.ended.Load() }

// AsOf returns the monotonic time up to which the connection is proven to have
// delivered every push; [clock.Never] before the first proof.
func (e *Epoch) AsOf() int64 { return e.asOf.Load() }

// serverTime converts a monotonic time to the server's clock in Unix ms.
func (e *Epoch) serverTime(now int64) int64 {
	return now/int64(time.Millisecond) + e.offset.Load()
}
