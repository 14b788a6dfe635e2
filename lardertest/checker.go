package lardertest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Checker finds stale reads in any cache. It is the source of truth that the
// cache under test loads from: a version per key that only grows. It knows
// which version a read must not fall below, because an invalidation that
// covers it had been confirmed before the read began.
//
// The cache's loader calls [Checker.Load], every change goes through
// [Checker.Write], every read through [Checker.Read]; [Checker.Run] does all
// of it as a load test. Methods may be called concurrently. Recording a read
// costs two readings of the clock and two atomic additions, and no lock unless
// it is stale.
type Checker struct {
	began time.Time
	keys  []register
	opts  CheckerOptions

	reads, failed, stale, invented atomic.Uint64
	writes, unconfirmed            atomic.Uint64
	loads, repeated                atomic.Uint64
	ages                           histogram

	mu      sync.Mutex
	samples []StaleRead
	errors  map[string]int // messages of failed reads and invalidations
}

// CheckerOptions configure a [Checker].
type CheckerOptions struct {
	// Keys is the number of keys: 0 to Keys-1, each at version 1 first.
	// Default: 256.
	Keys int
	// SlowLoad is the longest time that a load spends between reading its
	// version and returning it: the window in which careless caches store
	// what is outdated. Three of four loads are fast, every fourth takes a
	// random part of it. Default: 0, none.
	SlowLoad time.Duration
	// Covers returns the keys that the invalidation of one takes with it, as
	// a tag does, so that their loads count as having a reason. Default: the
	// key alone.
	Covers func(key int) []int
}

// register is the history of one key.
type register struct {
	committed atomic.Uint64
	floor     atomic.Uint64 // newest version whose invalidation was confirmed

	mu        sync.Mutex
	confirmed []time.Duration // by version: when its invalidation was confirmed; 0: not yet
	writing   int             // writes between their commit and the end of their invalidation
	moves     uint64          // commits and ends so far
	loadMoves uint64          // moves when the last load began
	loaded    bool
}

// StaleRead is one read that returned a version older than it may.
type StaleRead struct {
	Key            int
	Version, Floor uint64
	At             time.Duration // start of the read, since the checker was made
	Age            time.Duration // how long the version had been invalid by then
}

// maxSamples is how many stale reads a report shows.
const maxSamples = 10

// NewChecker returns a checker on which nothing was recorded yet.
func NewChecker(o CheckerOptions) *Checker {
	o.Keys = cmp.Or(o.Keys, 256)
	if o.Covers == nil {
		o.Covers = func(key int) []int { return []int{key} }
	}
	c := &Checker{began: time.Now(), keys: make([]register, o.Keys), opts: o, errors: map[string]int{}}
	for i := range c.keys {
		c.keys[i].committed.Store(1)
		c.keys[i].confirmed = make([]time.Duration, 2)
	}
	return c
}

// Keys returns the number of keys.
func (c *Checker) Keys() int { return len(c.keys) }

func (c *Checker) now() time.Duration { return time.Since(c.began) }

// Load reads the version of a key from the source. It is what the cache under
// test must call on a miss.
func (c *Checker) Load(ctx context.Context, key int) (uint64, error) {
	c.loads.Add(1)
	k := &c.keys[key]
	if k.repeats() {
		c.repeated.Add(1)
	}
	version := k.committed.Load()
	if c.opts.SlowLoad > 0 && rand.IntN(4) == 0 {
		t := time.NewTimer(rand.N(c.opts.SlowLoad))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return version, nil
}

// repeats reports whether a load that begins now has no reason: no write of
// the key was under way since the last one.
func (k *register) repeats() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	again := k.loaded && k.writing == 0 && k.moves == k.loadMoves
	k.loaded, k.loadMoves = true, k.moves
	return again
}

// Write commits a new version of a key and then invalidates it. It returns the
// error of invalidate; without one, reads that start from now on must not
// return an older version.
func (c *Checker) Write(ctx context.Context, key int, invalidate func(ctx context.Context, key int) error) error {
	c.writes.Add(1)
	k := &c.keys[key]
	version := k.commit()
	c.move(key, 1)
	err := invalidate(ctx, key)
	if err == nil {
		k.confirm(version, c.now())
	} else {
		c.unconfirmed.Add(1)
		c.recordError("invalidate", err)
	}
	c.move(key, -1)
	return err
}

// move notes that a write of key begins or ends.
func (c *Checker) move(key, writing int) {
	for _, covered := range c.opts.Covers(key) {
		k := &c.keys[covered]
		k.mu.Lock()
		k.writing += writing
		k.moves++
		k.mu.Unlock()
	}
}

func (k *register) commit() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.confirmed = append(k.confirmed, 0)
	return k.committed.Add(1)
}

func (k *register) confirm(version uint64, now time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.confirmed[version] = max(now, 1)
	k.floor.Store(max(k.floor.Load(), version))
}

// Read gets a key from the cache under test and judges what it returned. It
// returns the error of get.
func (c *Checker) Read(ctx context.Context, key int, get func(ctx context.Context, key int) (uint64, error)) error {
	k := &c.keys[key]
	floor := k.floor.Load() // before the start: what is confirmed later does not bind
	start := c.now()
	version, err := get(ctx, key)
	c.reads.Add(1)
	switch {
	case err != nil:
		c.failed.Add(1)
		c.recordError("read", err)
	case version < floor:
		c.recordStale(StaleRead{Key: key, Version: version, Floor: floor, At: start})
	case version > k.committed.Load():
		c.invented.Add(1)
	}
	return err
}

// maxErrors is how many different messages a report shows.
const maxErrors = 10

func (c *Checker) recordError(what string, err error) {
	message := what + ": " + err.Error()
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.errors[message]; known || len(c.errors) < maxErrors {
		c.errors[message]++
	}
}

// recordStale finds out since when the version was invalid: since the first
// confirmation of any newer one.
func (c *Checker) recordStale(r StaleRead) {
	k := &c.keys[r.Key]
	k.mu.Lock()
	first := time.Duration(0)
	for _, at := range k.confirmed[r.Version+1 : r.Floor+1] {
		if at > 0 && (first == 0 || at < first) {
			first = at
		}
	}
	k.mu.Unlock()
	r.Age = max(r.At-first, 0)
	c.stale.Add(1)
	c.ages.add(r.Age)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.samples) < maxSamples {
		c.samples = append(c.samples, r)
	}
}

// String describes a stale read in a line.
func (r StaleRead) String() string {
	return fmt.Sprintf("key %d: version %d, at least %d was due, at %v, invalid for %v",
		r.Key, r.Version, r.Floor, r.At.Round(time.Microsecond), r.Age.Round(time.Microsecond))
}
