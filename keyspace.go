package larder

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/larder-go/larder/internal/bulkhead"
	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/flight"
	"github.com/larder-go/larder/internal/ticket"
)

// Loader reads the value of key from its source. It returns [ErrNotFound] when
// the source has none. Its context ends when nobody waits any more, at
// [KeyspaceOptions.LoadTimeout] and with the cache, not with the caller that
// happened to come first.
type Loader[K comparable, V any] func(ctx context.Context, key K) (V, error)

// Keyspace is a typed part of a [Cache]: one kind of entry with its name, key
// form, TTL, tags and codec. Make one with [NewKeyspace], once for each name
// and cache. All methods may be called concurrently.
type Keyspace[K comparable, V any] struct {
	space
	opts      KeyspaceOptions[K, V]
	flights   flight.Group[K, guard, outcome[V]]
	refreshes flight.Group[K, guard, outcome[V]] // of values that are served meanwhile
	gathered  gathering[K, V]
	auditor   *auditor[K, V] // nil: no audits
	share     sharer[V]      // the codec, if it is one
	batches   sync.Pool      // of *batch[K, V], for their room
	attempts  sync.Pool      // of *attempt[K, V], zero ones
}

// space is the part of a keyspace that does not depend on its types.
type space struct {
	cache    *Cache
	board    *ticket.Board // of cache
	name     string
	seed     maphash.Seed
	mixer    uint64      // random
	word     bool        // keys are integers of 64 bits
	memory   *memoryTier // nil: values are not kept in memory
	tiers    Tiers
	packing  packing
	grace    time.Duration
	jitter   float64 // of TTLs
	early    float64 // β of XFetch; 0: none
	pauses   pauses
	loads    *bulkhead.Bulkhead
	always   bool // the bulkhead guards all loads
	stats    spaceStats
	holdOff  time.Duration
	prefixes []string
	dynamic  bool // loaders may add tags

	// alike says that entries depend on nothing but their part of the
	// namespace; entryStart is what their remote keys begin with.
	alike      bool
	entryStart string

	background atomic.Int64 // refreshes that run, of RefreshLimit

	nameOf func(*head) string // the name of an entry of this keyspace
	lateOf func(*head) *late  // of an aged one
	bonds  [bonds]atomic.Pointer[bond]
}

// NewKeyspace declares the keyspace called name in cache. It fails for an
// invalid name or option, naming it, and for a name that is declared already.
func NewKeyspace[K comparable, V any](cache *Cache, name string, opts KeyspaceOptions[K, V]) (*Keyspace[K, V], error) {
	k, err := newKeyspace(cache, name, opts)
	if err != nil {
		return nil, err
	}
	return k, cache.declare(name, &k.space, max(k.opts.TTL+k.opts.Grace, k.opts.NegativeTTL))
}

func newKeyspace[K comparable, V any](cache *Cache, name string, opts KeyspaceOptions[K, V]) (*Keyspace[K, V], error) {
	if cache == nil {
		return nil, fmt.Errorf("larder: keyspace %q: cache is nil", name)
	}
	opts = opts.withDefaults(cache.opts)
	packing, err := packingOf(opts, cache.opts)
	if err := errors.Join(validName(name), opts.validate(), err); err != nil {
		return nil, fmt.Errorf("larder: keyspace %q: %w", name, err)
	}
	k := &Keyspace[K, V]{opts: opts, auditor: newAuditor(opts.Audit), space: space{
		cache:    cache,
		board:    cache.board,
		name:     name,
		seed:     maphash.MakeSeed(),
		mixer:    rand.Uint64(),
		word:     isWord(reflect.TypeFor[K]().Kind()),
		memory:   cache.memory,
		tiers:    opts.Tiers,
		packing:  packing,
		grace:    opts.Grace,
		jitter:   opts.Jitter,
		early:    max(opts.EarlyRefresh, 0),
		loads:    bulkhead.New(bulkhead.Options{Least: opts.LoadMinimum, Most: opts.LoadLimit, Queue: opts.LoadQueue}),
		always:   opts.LimitAlways,
		holdOff:  opts.HoldOff,
		prefixes: slices.Clone(opts.Prefixes),
		dynamic:  opts.DynamicTags,
	}}
	if opts.Tiers == RemoteOnly && cache.remote != nil {
		k.memory = nil
	}
	k.share, _ = opts.Codec.(sharer[V])
	k.alike = opts.Tags == nil && len(opts.Prefixes) == 0 && (opts.Tiers != MemoryOnly || cache.remote == nil)
	k.entryStart = cache.entryKey(name + ":")
	k.nameOf = func(h *head) string {
		name, _ := k.entryName((*entry[K, V])(unsafe.Pointer(h)).key) // sound as in remembered
		return name
	}
	k.lateOf = func(h *head) *late { return (*entry[K, V])(unsafe.Pointer(h)).late() }
	return k, nil
}

// isWord tells integers that take 64 bits.
func isWord(kind reflect.Kind) bool {
	switch kind {
	case reflect.Int64, reflect.Uint64:
		return true
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return bits.UintSize == 64
	}
	return false
}

// declare registers s under a label of its own.
func (c *Cache) declare(label string, s *space, ttl time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.spaces[label] != nil {
		return fmt.Errorf("larder: keyspace %q: declared twice", label)
	}
	c.spaces[label] = s
	if int64(ttl) > c.longestTTL.Load() {
		c.longestTTL.Store(int64(ttl))
	}
	return nil
}

// Name returns the name of the keyspace.
func (k *Keyspace[K, V]) Name() string { return k.name }

// Key returns the entry of key as a target of [Cache.Invalidate]. An invalid
// key gives a target that Invalidate refuses.
func (k *Keyspace[K, V]) Key(key K) Target {
	name, err := k.entryName(key)
	if err != nil {
		return Target{err: err}
	}
	if k.tiers == MemoryOnly && k.cache.remote != nil {
		return Target{kind: targetMemory, name: name}
	}
	return Target{kind: targetKey, name: name}
}

// entryName returns the name of key's entry in the namespace.
func (k *Keyspace[K, V]) entryName(key K) (string, error) {
	room := nameRooms.Get().(*[]byte) // AppendKey is somebody's: a local one would escape
	defer nameRooms.Put(room)
	start := append(append((*room)[:0], k.name...), ':')
	name := k.opts.AppendKey(start, key)
	*room = name[:0]
	if len(name) <= len(start) {
		return "", fmt.Errorf("%w: empty key in keyspace %q", ErrInvalidKey, k.name)
	}
	return boundedName(name), nil
}

var nameRooms = sync.Pool{New: func() any { room := make([]byte, 0, 96); return &room }}

// request is what one read of a key needs to know. It must not be copied once
// it is made.
type request[K comparable, V any] struct {
	key      K
	hash     uint64
	load     Loader[K, V]
	entry    string   // remote key
	deps     []string // remote keys of the generations: namespace, own one of MemoryOnly, tags
	tags     []string // the last of deps, by name: declared ones, then learned ones
	declared int      // how many of tags are declared
	spent    bool     // nobody else has come to hold the request, its look or its flight
	readConfig

	room    [3]string     // of deps
	tickets [4]liveTicket // of a guard
}

// request makes r, which is zero, a read or write of key.
func (k *Keyspace[K, V]) request(r *request[K, V], key K, hash uint64, opts readConfig) error {
	r.key, r.hash, r.readConfig = key, hash, opts
	name, err := k.entryName(key)
	if err != nil {
		return err
	}
	if isHashed(name) {
		k.stats.longNames.Add()
	}
	c := k.cache
	if k.tiers == MemoryOnly && c.remote != nil {
		r.entry = c.tagKey(entryMark + name)
		r.deps = append(r.room[:0], c.namespaceKey(r.entry), r.entry)
	} else {
		r.entry = c.entryKey(name)
		r.deps = append(r.room[:0], c.namespaceKey(r.entry))
	}
	for _, p := range k.prefixes {
		if strings.HasPrefix(name, p) {
			r.addTag(c, prefixMark+p)
		}
	}
	if k.opts.Tags != nil {
		for _, tag := range k.opts.Tags(key) {
			if err := checkTag(tag); err != nil {
				return fmt.Errorf("larder: keyspace %q: %w", k.name, err)
			}
			r.addTag(c, tag)
		}
	}
	r.declared = len(r.tags)
	return nil
}

// addTag makes r depend on tag, an internal one included. It reports false if
// it does already.
func (r *request[K, V]) addTag(c *Cache, tag string) bool {
	if indexOf(r.tags, tag) >= 0 {
		return false
	}
	r.tags = append(r.tags, tag)
	r.deps = append(r.deps, c.tagKey(tag))
	return true
}

// lacks reports whether one of tags is not among those the request knows.
func (r *request[K, V]) lacks(tags []string) bool {
	return slices.ContainsFunc(tags, func(tag string) bool { return indexOf(r.tags, tag) < 0 })
}

// tagAt returns where in deps the first of tags stands.
func (r *request[K, V]) tagAt() int { return len(r.deps) - len(r.tags) }

// guard ends a flight's joinability when its key or a tag changes.
type guard struct {
	entry liveTicket
	deps  []liveTicket
}

func (g guard) Live() bool {
	if !g.entry.Live() {
		return false
	}
	for _, t := range g.deps {
		if !t.Live() {
			return false
		}
	}
	return true
}

// guard issues tickets for all that outdates the result of r. Called once.
func (r *request[K, V]) guard(c *Cache) guard {
	g := guard{entry: c.board.Issue(r.entry)}
	g.deps = c.guardTickets(r.tickets[:0], r.deps)
	return g
}

// guardTickets appends tickets for all that outdates what depends on deps.
func (c *Cache) guardTickets(tickets []liveTicket, deps []string) []liveTicket {
	for _, dep := range deps {
		tickets = append(tickets, c.board.Issue(dep))
	}
	if c.remote == nil {
		return append(tickets, c.board.Issue(sweepKey))
	}
	return append(tickets, c.board.Issue(untrackedKey))
}

// sweepKey is killed by pattern deletions in a cache without remote tier.
const sweepKey = "#sweep"

// A ReadOption changes what one read accepts.
type ReadOption struct {
	set       bool
	tolerance time.Duration
	token     Token
	outageSet bool
	outage    time.Duration
}

// Exact makes a read return a value that was loaded after every invalidation
// of it that had returned when the read began. It costs one round trip: memory
// proves nothing about other processes.
var Exact = ReadOption{set: true}

// MaxStaleness makes a read accept a value that has been invalid for at most
// d; zero and less mean [Exact]. A d above [Options.MaxStaleness] accepts more
// than the cache promises.
func MaxStaleness(d time.Duration) ReadOption {
	return ReadOption{set: true, tolerance: max(d, 0)}
}

// readConfig is what the options of one read say.
type readConfig struct {
	began int64 // monotonic time
	floor int64 // least evidence accepted
	exact bool  // evidence is decided by order alone
	token Token // a change that must be seen

	outage time.Duration // how old evidence may be while Redis cannot be asked
}

// readConfig applies opts to a read that began at now. The last tolerance and
// the last token win; a token makes the read exact.
func (k *Keyspace[K, V]) readConfig(now int64, opts []ReadOption) readConfig {
	tolerance, outage := time.Duration(k.cache.tolerance.Load()), k.opts.ServeStaleOnOutage
	var token Token
	for _, o := range opts {
		switch {
		case o.outageSet:
			outage = o.outage
		case o.set:
			tolerance, outage = o.tolerance, 0
		}
		if o.token.demands {
			token = o.token
		}
	}
	if tolerance == 0 || token.demands {
		// Evidence of this very instant is none: the clock may stand still
		// between an invalidation and this read.
		return readConfig{began: now, floor: now + 1, exact: true, token: token}
	}
	return readConfig{began: now, floor: clock.Add(now, -tolerance), outage: outage}
}
