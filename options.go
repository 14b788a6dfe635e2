package larder

import (
	"log/slog"
	"time"
)

// TTL classes: how long an entry stays fresh.
const (
	ShortTTL    = time.Minute      // what changes all the time
	DefaultTTL  = 5 * time.Minute  // what says nothing
	MediumTTL   = 10 * time.Minute // lists and rows
	LongTTL     = time.Hour        // reference data
	ExtendedTTL = 24 * time.Hour   // what hardly ever changes
)

// maxTTL bounds every time to live; generations live four times as long.
const maxTTL = 365 * 24 * time.Hour

// Options configure a [Cache]. The zero value works.
type Options struct {
	// Namespace separates caches that share a Redis. It is a prefix of every
	// key, "shop" giving "shop:suite:42". Default: none. It must be printable
	// ASCII without '*', '?', '[', ']', '\', '{', '}' and not begin with '#'.
	Namespace string
	// MemoryBytes is the budget of the memory tier in bytes, by estimate.
	// Default 64 MiB; negative: no memory tier.
	MemoryBytes int64
	// MemoryEntries is the most entries in memory. Each counts at least its share
	// of MemoryBytes then, so that both limits hold. At least 8. Default: as many
	// as there is room for.
	MemoryEntries int
	// MaxStaleness is T, the longest a read may return a value that has been
	// invalidated, however badly the network behaves. Heartbeats go out every
	// T/4. Default 1 s, at least 20 ms; it suits up to 250 nodes, add 4 ms for
	// each node more. All nodes of a namespace should have the same.
	MaxStaleness time.Duration
	// AcknowledgedStrict makes [Strict] return when all processes have
	// acknowledged the invalidation, in about two round trips, instead of
	// waiting for MaxStaleness. The price: a process that has lost Redis keeps
	// nothing that it loads meanwhile, as nobody can ask it. All processes of
	// a namespace must say the same. Default: Strict waits.
	AcknowledgedStrict bool
	// ReadTimeout bounds each remote read. Default 50 ms. A Get whose context
	// ends during one returns at the latest when it has passed.
	ReadTimeout time.Duration
	// WriteTimeout bounds each remote write. Default 250 ms.
	WriteTimeout time.Duration
	// LeaseTime is how long the right to fill outlives a process that died
	// while it loaded. It is renewed while a load runs. Default 3 s, at least
	// 30 ms.
	LeaseTime time.Duration
	// BreakerFailures is how many remote calls in a row must fail before none
	// is tried until a heartbeat succeeds. Default 5; negative: the breaker
	// never opens, whatever BreakerRatio says.
	BreakerFailures int
	// BreakerRatio is the share of remote calls of the last 10 s, at least 20,
	// that must fail or be slow for the same to happen. Default 0.5; negative:
	// the share does not matter.
	BreakerRatio float64
	// BreakerSlow is from when on a call counts as slow, and a heartbeat as too
	// slow to end that. Default four fifths of ReadTimeout; negative: slowness
	// does not matter.
	BreakerSlow time.Duration
	// MaxValueBytes is the largest encoded value that is cached. Default 1 MiB.
	MaxValueBytes int
	// CompressMin is the least encoded value in bytes that is compressed, as
	// [KeyspaceOptions.Compression] says. Default 1024; negative: none is.
	CompressMin int
	// Keys encrypts what is stored in Redis, names of keys and tags apart; see
	// [ReadKeyFile]. Entries that no key of the ring opens, and entries that
	// are not encrypted, are counted misses. Default: nothing is encrypted.
	Keys *KeyRing
	// DefaultTTL is the TTL of keyspaces that name none. Default [DefaultTTL].
	DefaultTTL time.Duration
	// AsyncLimit is how many asynchronous operations may be unfinished before
	// the next one waits. Default 1024.
	AsyncLimit int
	// Logger receives changes of state and what an operator should look at.
	// Default [slog.Default].
	Logger *slog.Logger
	// Tracer shows reads that memory does not answer, loads, fills, sets,
	// invalidations and locks as spans, without keys or values. Default: none;
	// that costs nothing.
	Tracer Tracer
}

// Tiers says where the entries of a keyspace are kept.
type Tiers uint8

const (
	// BothTiers keeps decoded values in memory and their bytes in Redis.
	BothTiers Tiers = iota
	// MemoryOnly keeps values in memory. Redis holds eight bytes for each key,
	// so that invalidations reach every process; a value is loaded once in
	// each process. For sources that answer faster than Redis.
	MemoryOnly
	// RemoteOnly keeps values in Redis: every read costs one round trip.
	RemoteOnly
)

// Compression is how encoded values are made smaller for Redis.
type Compression uint8

const (
	// CompressS2 compresses with S2: a few microseconds for 10 KiB. Values that
	// it does not make smaller by a tenth are stored as they are.
	CompressS2 Compression = iota
	// CompressZstd compresses with Zstandard, smaller and several times slower.
	CompressZstd
	// CompressNone stores values as they are encoded.
	CompressNone
)

// Encryption says whether the values of a keyspace are encrypted.
type Encryption uint8

const (
	// EncryptIfKeyed encrypts when the cache has [Options.Keys].
	EncryptIfKeyed Encryption = iota
	// EncryptAlways is EncryptIfKeyed and an error without keys.
	EncryptAlways
	// EncryptNever stores values in the clear.
	EncryptNever
)

// KeyspaceOptions configure a [Keyspace]. The zero value works for keys that
// are strings or integers.
type KeyspaceOptions[K comparable, V any] struct {
	// TTL is how long an entry is fresh. Default [Options.DefaultTTL].
	TTL time.Duration
	// NegativeTTL is how long the answer "not found" is fresh. Default 10 s;
	// negative: not cached.
	NegativeTTL time.Duration
	// Grace is for how long after its TTL a value may be served while one
	// process refreshes it, and while its loader fails. An invalidated value is
	// never served, and an answer "not found" has no grace. Default: none.
	Grace time.Duration
	// SoftTimeout is how long a Get that finds a stale value waits for its
	// refresh before it takes the stale value; the load goes on. Needs Grace,
	// and must be shorter than HardTimeout and LoadTimeout. Default: it does not
	// wait. GetMany never does.
	SoftTimeout time.Duration
	// HardTimeout is how long a read waits for a load before it returns
	// [ErrLoadTimeout], while the load goes on and stores its value for the next.
	// At most LoadTimeout. Default: until LoadTimeout, which ends the load.
	HardTimeout time.Duration
	// Backoff is for how long an entry is not loaded again after its loader
	// failed: meanwhile reads get the stale value or, where there is none, the
	// error. Default 1 s with Grace, otherwise none; negative: none.
	Backoff time.Duration
	// EarlyRefresh is the β of XFetch: a read refreshes a value that is still
	// fresh with a probability that grows towards the end of its TTL, earlier
	// the longer its load took; above 1 earlier still. Default 1 with Grace,
	// otherwise none; negative: none.
	EarlyRefresh float64
	// Jitter is the part of its TTL, below 1, by which an entry's is shortened at
	// random at most, so that what was loaded together does not expire
	// together. Default: none.
	Jitter float64
	// RefreshBatch loads what is to be refreshed instead of the loaders of the
	// reads: what falls due within RefreshWindow becomes one call. Needs Grace
	// or EarlyRefresh. Default: each refresh calls the loader of its read.
	RefreshBatch BatchLoader[K, V]
	// RefreshWindow is for how long refreshes are gathered for RefreshBatch.
	// Default 10 ms.
	RefreshWindow time.Duration
	// ServeStaleOnOutage is [ServeStaleOnOutage] for all reads of the keyspace
	// that say nothing about freshness. Default: none.
	ServeStaleOnOutage time.Duration
	// Tiers says where entries are kept. Default [BothTiers].
	Tiers Tiers
	// Tags returns what an entry depends on besides its own key. It must
	// return the same for the same key in every process that declares this
	// keyspace. Default: nothing.
	Tags func(K) []string
	// Prefixes are beginnings of entry names, such as "suites:list:", that
	// [Prefix] can invalidate in one step. Every process that fills entries of
	// this keyspace must declare them. Default: none.
	Prefixes []string
	// DynamicTags lets loaders add tags ([Load.Tag]) that they learn from what
	// they read. A load that adds tags costs one more round trip, a hit on its
	// entry in Redis too. Default: off, [Load.Tag] panics.
	DynamicTags bool
	// HoldOff is for how long after an invalidation reads go to the source and
	// fills are refused, because the source answers from replicas that lag
	// behind. With one, invalidations of tags hold off as well, for the longest
	// of any keyspace. Default: none.
	HoldOff time.Duration
	// AppendKey appends the form of a key behind "name:". User text goes
	// through [AppendSegment]. Default: strings as one segment, integers in
	// decimal; required for other types.
	AppendKey func(dst []byte, key K) []byte
	// ParseKey reads the form that AppendKey gives a key: what stands behind
	// "name:". [Keyspace.WarmNames] needs it. Default: for strings and integers
	// without AppendKey the reverse of their form, for others none.
	ParseKey func(form string) (K, error)
	// Audit compares some answers with the source. Default: none are.
	Audit *AuditOptions[K, V]
	// Codec turns values into bytes and back. Default [JSON].
	Codec Codec[V]
	// Compression is how encoded values of [Options.CompressMin] bytes and more
	// are compressed. Values are read however they are compressed. Default
	// [CompressS2].
	Compression Compression
	// Encryption says whether values are encrypted. Default [EncryptIfKeyed].
	Encryption Encryption
	// Schema tells versions of V apart: entries of another schema are counted
	// misses, not decoding errors, and two versions of a program may use one
	// Redis. Default: with codecs that go by the names of fields, [JSON] and
	// msgpack, a fingerprint of V's structure ([SchemaOf]), otherwise none.
	// Positive: this number, up to 2^32-1, which you change when the meaning of
	// a value changes. Negative: none, the codec copes with every version.
	Schema int64
	// Interop stores the JSON document alone, for readers in other languages:
	// such values carry neither id, deadlines nor generations. They live by
	// their TTL in Redis, only their own key invalidates them (tags and
	// prefixes are refused, [Cache.Clear] leaves them in Redis), they are not
	// refreshed early, and "not found" is not cached. A reader in another
	// language takes whatever begins with a byte from 0xF5 on as absent: it is
	// a lease, a hold-off or a value with a header. Refused with Tags, Prefixes, DynamicTags, MemoryOnly,
	// another codec than JSON, Compression, Schema, NegativeTTL, Grace,
	// EarlyRefresh, and, unless Encryption is [EncryptNever], with keys.
	// Default: off.
	Interop bool
	// Clone copies a value before it is returned. Default: values are shared
	// with every other reader and must not be changed.
	Clone func(V) V
	// Size estimates the bytes of a value in memory. Default: the encoded
	// length, or the size by reflection when nothing is encoded.
	Size func(V) int
	// LoadTimeout bounds a load, whose context ends then; waiters receive
	// [ErrLoadTimeout]. Default 30 s; negative: none.
	LoadTimeout time.Duration
	// LoadLimit is the most loads that run at once while the remote tier cannot
	// spread them, or always with LimitAlways; a batch counts as one. Below it
	// the limit follows the time that loads take: it falls when they take
	// longer because they are too many. After [Cache.Clear], at the beginning
	// and at the end of an outage, all loads begin with LoadMinimum and twice as
	// many after each round. Default 64; negative: any number.
	LoadLimit int
	// LoadMinimum is what that limit does not fall below. Default 4, or
	// LoadLimit if that is less.
	LoadMinimum int
	// LimitAlways guards all loads by the limit, also while leases of Redis see
	// to it that each entry is loaded once. Loads that a loader makes wait for
	// no limit in any case.
	LimitAlways bool
	// RefreshLimit is the most refreshes that run at once in the background, a
	// batch counting as one. Beyond it reads are served the stale value, and a
	// later one refreshes it (RefreshesDeferred). Default 64; negative: any number.
	RefreshLimit int
	// LoadQueue is how many more may wait for that; beyond it reads fail with
	// [ErrBusy]. Default 1024.
	LoadQueue int
}

func (o Options) withDefaults() Options {
	setDefault(&o.MemoryBytes, 64<<20)
	setDefault(&o.MaxStaleness, time.Second)
	setDefault(&o.ReadTimeout, 50*time.Millisecond)
	setDefault(&o.WriteTimeout, 250*time.Millisecond)
	setDefault(&o.LeaseTime, 3*time.Second)
	setDefault(&o.BreakerFailures, 5)
	if o.BreakerRatio == 0 {
		o.BreakerRatio = 0.5
	}
	setDefault(&o.BreakerSlow, o.ReadTimeout*4/5)
	setDefault(&o.MaxValueBytes, 1<<20)
	setDefault(&o.CompressMin, 1<<10)
	setDefault(&o.DefaultTTL, DefaultTTL)
	setDefault(&o.AsyncLimit, 1024)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func (o KeyspaceOptions[K, V]) withDefaults(cache Options) KeyspaceOptions[K, V] {
	setDefault(&o.TTL, cache.DefaultTTL)
	if o.Interop { // there is no form for "not found"
		setDefault(&o.NegativeTTL, -1)
	}
	setDefault(&o.NegativeTTL, 10*time.Second)
	setDefault(&o.LoadTimeout, 30*time.Second)
	if o.Grace > 0 {
		setDefault(&o.Backoff, time.Second)
		setDefault(&o.EarlyRefresh, 1)
	}
	if o.RefreshBatch != nil {
		setDefault(&o.RefreshWindow, 10*time.Millisecond)
	}
	setDefault(&o.LoadLimit, 64)
	if o.LoadLimit > 0 {
		setDefault(&o.LoadMinimum, min(4, o.LoadLimit))
	}
	setDefault(&o.LoadQueue, 1024)
	setDefault(&o.RefreshLimit, 64)
	if o.Codec == nil {
		o.Codec = JSON[V]()
	}
	if o.AppendKey == nil {
		o.AppendKey = defaultAppendKey[K]()
		if o.ParseKey == nil {
			o.ParseKey = defaultParseKey[K]()
		}
	}
	return o
}
