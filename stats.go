package larder

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/counter"
	"github.com/larder-go/larder/internal/histogram"
)

// source says where the answer of a read came from.
type source uint8

const (
	sourceError source = iota
	sourceRemote
	sourceNegative
	sourceLoad
	sourceMiss
	sourceBypass      // a load past the remote tier
	sourceStale       // past its TTL, while it is refreshed
	sourceStaleSlow   // its refresh took longer than the soft time-out
	sourceStaleFailed // its loader fails
	sourceStaleOutage // beyond MaxStaleness, while Redis is away
	sources
)

// refusal says why a fill was not kept.
type refusal uint8

const (
	fillAccepted      refusal = iota
	refusedLease              // the lease was lost: invalidated, expired or evicted
	refusedGeneration         // a tag was invalidated during the load
	refusedEncoding           // too large, or the codec failed
	refusedError              // the outcome is unknown or nothing was sent
	refusals
)

// String is the reason in events and metrics.
func (r refusal) String() string {
	return [refusals]string{refusedLease: "lease", refusedGeneration: "generation", refusedEncoding: "encoding", refusedError: "error"}[r]
}

// spaceStats are the counters of a keyspace.
type spaceStats struct {
	memoryHits   counter.Counter
	bySource     [sources]atomic.Uint64
	refusedBy    [refusals]atomic.Uint64
	localWaits   eventCount
	clusterWaits eventCount
	loads        eventCount
	loadErrors   eventCount
	notFound     eventCount
	bypassed     eventCount
	shed         eventCount
	refreshes    eventCount
	early        eventCount
	refreshErrs  eventCount
	backedOff    eventCount
	deferred     eventCount
	expired      eventCount
	outdated     eventCount
	corrupt      eventCount
	codecErrors  eventCount
	otherSchema  eventCount
	sealErrors   eventCount
	foreign      eventCount
	tooLarge     eventCount
	tooHeavy     eventCount
	longNames    eventCount

	inFlight   atomic.Int64        // loaders that run
	slowReads  histogram.Histogram // ns, of reads that memory did not answer
	loadTimes  histogram.Histogram // ns
	valueBytes histogram.Histogram // of encoded values

	audited, auditUnsettled, auditMemory, auditRemote eventCount
	loadNanos                                         atomic.Uint64
	compressionSaved                                  atomic.Uint64
}

type eventCount struct{ atomic.Uint64 }

// Add counts one event.
func (e *eventCount) Add() { e.Uint64.Add(1) }

func (s *spaceStats) count(from source)   { s.bySource[from].Add(1) }
func (s *spaceStats) refused(why refusal) { s.refusedBy[why].Add(1) }

func (s *spaceStats) loaded(err error, took time.Duration) {
	s.loads.Add()
	s.loadTimes.Observe(uint64(max(took, 0)))
	s.loadNanos.Add(uint64(took))
	switch {
	case errors.Is(err, ErrNotFound):
		s.notFound.Add()
	case err != nil:
		s.loadErrors.Add()
	}
}

// KeyspaceStats counts what happened in a keyspace since it was declared.
//
// Reads = MemoryHits + RemoteHits + StaleHits + NegativeHits + Loaded + Misses + Errors.
// StaleHits = StaleRefreshing + StaleSlow + StaleFailed + StaleOutage.
// Loads = (loads that brought a value) + LoadNotFound + LoadErrors.
type KeyspaceStats struct {
	Reads        uint64 // keys asked for
	MemoryHits   uint64 // answered by the memory tier at once
	RemoteHits   uint64 // answered by Redis, or from memory after Redis said that it is current
	StaleHits    uint64 // answered by a value past its TTL or beyond MaxStaleness
	NegativeHits uint64 // answered "not found" by Redis
	Loaded       uint64 // answered by a load, one's own or a shared one
	LoadedPast   uint64 // of these: by a load past Redis, which could not be asked or trusted
	Misses       uint64 // Lookups that found nothing
	Errors       uint64 // reads that returned another error than ErrNotFound and ErrMiss

	Loads        uint64        // calls of a loader, one for each key of a batch
	LoadNotFound uint64        // that returned ErrNotFound
	LoadErrors   uint64        // that failed
	LoadTime     time.Duration // spent in loaders
	LocalWaits   uint64        // reads that joined a flight of this process
	ClusterWaits uint64        // waits for a lease of another holder
	Bypassed     uint64        // loads while Redis could not be asked or trusted
	Shed         uint64        // loads refused by the bulkhead

	LoadsInFlight int // loaders that run at the moment
	LoadsWaiting  int // that wait for the bulkhead
	LoadsAllowed  int // by the bulkhead at the moment; negative: any number
	// SlowReads is the time of each read that was not answered by memory at
	// once, LoadTimes that of each load, in nanoseconds.
	SlowReads, LoadTimes Distribution
	ValueBytes           Distribution // sizes of the values that were encoded
	StaleRefreshing      uint64       // stale hits while the value was refreshed
	StaleSlow            uint64       // stale hits because the refresh took longer than SoftTimeout
	StaleFailed          uint64       // stale hits because the loader fails
	StaleOutage          uint64       // stale hits by ServeStaleOnOutage

	Refreshes      uint64 // loads that replace a value which is served meanwhile; among Loads
	EarlyRefreshes uint64 // of these, of values that were still fresh
	RefreshErrors  uint64 // of these, that failed
	// RefreshesDeferred counts refreshes that were due and left to a later read,
	// as RefreshLimit of them ran.
	RefreshesDeferred uint64
	BackedOff         uint64 // reads that got the error of an earlier load, see Backoff
	Expired           uint64 // calls of Expire

	RefusedLease      uint64 // fills refused: the lease was gone
	RefusedGeneration uint64 // fills refused: a tag changed during the load
	RefusedEncoding   uint64 // values not stored: too large or not encodable
	RefusedError      uint64 // fills whose outcome is unknown

	Outdated    uint64 // entries found whose tags had been invalidated
	Corrupt     uint64 // entries found that are damaged
	CodecErrors uint64 // values that could not be encoded or decoded
	OtherSchema uint64 // entries found of another type than V is now
	SealErrors  uint64 // entries found that no key opens, or that are not encrypted as they should be
	Foreign     uint64 // hits on values written by other programs
	TooLarge    uint64 // values above MaxValueBytes, written or found
	TooHeavy    uint64 // values above what one memory entry may weigh
	LongNames   uint64 // keys looked up outside of memory whose name is above 512 bytes and so ends in a hash

	CompressionSaved uint64 // bytes that compression kept out of Redis

	Audited        uint64 // answers compared with the source
	AuditUnsettled uint64 // differences while the source was changing
	AuditMemory    uint64 // findings: memory differs from the source for too long
	AuditRemote    uint64 // findings: Redis does
}

func (s *spaceStats) snapshot() KeyspaceStats {
	k := KeyspaceStats{
		MemoryHits:        s.memoryHits.Load(),
		RemoteHits:        s.bySource[sourceRemote].Load(),
		NegativeHits:      s.bySource[sourceNegative].Load(),
		Loaded:            s.bySource[sourceLoad].Load(),
		LoadedPast:        s.bySource[sourceBypass].Load(),
		LoadsInFlight:     int(s.inFlight.Load()),
		SlowReads:         readHistogram(&s.slowReads),
		LoadTimes:         readHistogram(&s.loadTimes),
		ValueBytes:        readHistogram(&s.valueBytes),
		Misses:            s.bySource[sourceMiss].Load(),
		StaleRefreshing:   s.bySource[sourceStale].Load(),
		StaleSlow:         s.bySource[sourceStaleSlow].Load(),
		StaleFailed:       s.bySource[sourceStaleFailed].Load(),
		StaleOutage:       s.bySource[sourceStaleOutage].Load(),
		Refreshes:         s.refreshes.Load(),
		EarlyRefreshes:    s.early.Load(),
		RefreshErrors:     s.refreshErrs.Load(),
		RefreshesDeferred: s.deferred.Load(),
		BackedOff:         s.backedOff.Load(),
		Expired:           s.expired.Load(),
		Errors:            s.bySource[sourceError].Load(),
		Loads:             s.loads.Load(),
		LoadNotFound:      s.notFound.Load(),
		LoadErrors:        s.loadErrors.Load(),
		LoadTime:          time.Duration(s.loadNanos.Load()),
		LocalWaits:        s.localWaits.Load(),
		ClusterWaits:      s.clusterWaits.Load(),
		Bypassed:          s.bypassed.Load(),
		Shed:              s.shed.Load(),
		RefusedLease:      s.refusedBy[refusedLease].Load(),
		RefusedGeneration: s.refusedBy[refusedGeneration].Load(),
		RefusedEncoding:   s.refusedBy[refusedEncoding].Load(),
		RefusedError:      s.refusedBy[refusedError].Load(),
		Outdated:          s.outdated.Load(),
		Corrupt:           s.corrupt.Load(),
		CodecErrors:       s.codecErrors.Load(),
		OtherSchema:       s.otherSchema.Load(),
		SealErrors:        s.sealErrors.Load(),
		CompressionSaved:  s.compressionSaved.Load(),
		Foreign:           s.foreign.Load(),
		TooLarge:          s.tooLarge.Load(),
		TooHeavy:          s.tooHeavy.Load(),
		LongNames:         s.longNames.Load(),
		Audited:           s.audited.Load(),
		AuditUnsettled:    s.auditUnsettled.Load(),
		AuditMemory:       s.auditMemory.Load(),
		AuditRemote:       s.auditRemote.Load(),
	}
	k.Loaded += k.LoadedPast
	k.StaleHits = k.StaleRefreshing + k.StaleSlow + k.StaleFailed + k.StaleOutage
	k.Reads = k.MemoryHits + k.RemoteHits + k.StaleHits + k.NegativeHits + k.Loaded + k.Misses + k.Errors
	return k
}

// Stats counts what happened in a cache since it was made.
type Stats struct {
	Keyspaces map[string]KeyspaceStats

	MemoryEntries   int    // about
	MemoryBytes     uint64 // about, by the weights of entries
	MemoryEvictions uint64 // entries that left for room

	Invalidations        uint64 // calls of Invalidate, Delete and Clear
	InvalidationsBy      InvalidationStats
	InvalidationsPending int    // keys that Redis has not confirmed
	Pushes               uint64 // keys that other processes changed

	// Remote counts the operations on the remote tier by their names: "get",
	// "fill", "beat" and so on; those that never occurred are missing.
	Remote map[string]RemoteStats
}

// Stats returns the counters. They are read one after the other, so sums may
// differ by what happens meanwhile.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{
		Keyspaces:            make(map[string]KeyspaceStats, len(c.spaces)),
		Invalidations:        c.invalidations.Load(),
		InvalidationsPending: int(c.pending.count.Load()),
		Pushes:               c.pushes.Load(),
		InvalidationsBy:      c.named.snapshot(),
		Remote:               c.meter.snapshot(),
	}
	for name, space := range c.spaces {
		k := space.stats.snapshot()
		state := space.loads.State()
		k.LoadsWaiting, k.LoadsAllowed = state.Waiting, state.Limit
		s.Keyspaces[name] = k
	}
	if c.memory != nil {
		s.MemoryEntries, s.MemoryBytes, s.MemoryEvictions = c.memory.Entries(), c.memory.Bytes(), c.memory.Evictions()
	}
	return s
}

// Health says what a cache can do at the moment.
type Health struct {
	// Remote is "none" (a cache in memory alone), "connected", "failing" (the
	// breaker is open) or "disconnected".
	Remote string
	// CoherentFor is the age of the last heartbeat that Redis acknowledged;
	// memory serves reads that tolerate it. Negative: none yet.
	CoherentFor time.Duration
	// Mode is how memory is kept coherent: "tracking" by pushes of Redis; where
	// the server does not push, "ttl" by a short life or "validated" by keeping
	// nothing and asking Redis for every read; empty without a connection or in
	// a cache in memory alone.
	Mode string
	// Breaker is "closed", "open", "forced open" or "forced closed"; empty in a
	// cache in memory alone.
	Breaker string
	// Pending is how many keys wait for their invalidation to be confirmed.
	Pending int
}

// Health reports the state of the remote tier. It asks nobody.
func (c *Cache) Health() Health {
	h := Health{Remote: "none", CoherentFor: -1, Pending: int(c.pending.count.Load())}
	if c.remote == nil {
		return h
	}
	h.Remote, h.Mode = "disconnected", c.mode()
	if e := c.remote.Epoch(c.remote.NamespaceKeys()[0]); e != nil && e.Alive() {
		h.Remote = "connected"
		if asOf := e.AsOf(); asOf != clock.Never {
			h.CoherentFor = time.Duration(clock.Now() - asOf)
		}
	}
	h.Breaker = c.breaker.word()
	if c.breaker.shut.Load() {
		h.Remote = "failing"
	}
	return h
}
