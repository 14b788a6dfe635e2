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
	wait  time.Duration // longest extra time of a load

	reads, failed, stale, invented atomic.Uint64
	writes, unconfirmed            atomic.Uint64
	loads, repeated                atomic.Uint64
	ages                           histogram

	mu      sync.Mutex
	samples []StaleRead
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

// NewChecker returns a checker of keys 0 to keys-1, each at version 1. slowest
// is the longest time that a load spends between reading its version and
// returning it: the window in which careless caches store what is outdated.
func NewChecker(keys int, slowest time.Duration) *Checker {
	c := &Checker{began: time.Now(), keys: make([]register, keys), wait: slowest}
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
// test must call on a miss. Three of four loads are fast, every fourth takes a
// random part of the slowest time after it has read.
func (c *Checker) Load(ctx context.Context, key int) (uint64, error) {
	c.loads.Add(1)
	k := &c.keys[key]
	if k.repeats() {
		c.repeated.Add(1)
	}
	version := k.committed.Load()
	if c.wait > 0 && rand.IntN(4) == 0 {
		t := time.NewTimer(rand.N(c.wait))
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
	err := invalidate(ctx, key)
	if err != nil {
		c.unconfirmed.Add(1)
	}
	k.finish(version, c.now(), err == nil)
	return err
}

func (k *register) commit() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writing++
	k.moves++
	k.confirmed = append(k.confirmed, 0)
	return k.committed.Add(1)
}

func (k *register) finish(version uint64, now time.Duration, confirmed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writing--
	k.moves++
	if confirmed {
		k.confirmed[version] = max(now, 1)
		k.floor.Store(max(k.floor.Load(), version))
	}
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
	case version < floor:
		c.recordStale(StaleRead{Key: key, Version: version, Floor: floor, At: start})
	case version > k.committed.Load():
		c.invented.Add(1)
	}
	return err
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

// Subject is a cache under test, or one node of it. Get loads with
// [Checker.Load] what it does not have. Invalidate returns nil only when the
// entry's old value can no longer be returned, by the rules of the cache.
type Subject interface {
	Get(ctx context.Context, key int) (version uint64, err error)
	Invalidate(ctx context.Context, key int) error
}

// Workload says how [Checker.Run] uses a cache.
type Workload struct {
	// Reads is the number of reads in all.
	Reads int
	// Workers is the number of goroutines that read and write. Default: 16.
	Workers int
	// ReadsPerWrite is how many reads go to one change, on average.
	// Default: 100.
	ReadsPerWrite int
	// Chaos is called once in a goroutine of its own and may disturb the
	// system until its context ends, which is when the reads are done. Run
	// waits for it. Default: nothing.
	Chaos func(ctx context.Context)
}

// Run reads and changes random keys through the nodes until the workload is
// done or ctx ends, and reports. Worker i uses node i modulo their number, so
// that at least as many workers as nodes are needed. Small keys are used more
// often than large ones. It may be called again, the report being of
// everything so far.
func (c *Checker) Run(ctx context.Context, w Workload, nodes ...Subject) Report {
	if len(nodes) == 0 {
		panic("lardertest: Run needs a Subject")
	}
	w.Workers, w.ReadsPerWrite = cmp.Or(w.Workers, 16), cmp.Or(w.ReadsPerWrite, 100)
	var left atomic.Int64
	left.Store(int64(w.Reads))
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var workers, chaos sync.WaitGroup
	for i := range w.Workers {
		workers.Go(func() { c.work(ctx, &left, w.ReadsPerWrite, nodes[i%len(nodes)]) })
	}
	if w.Chaos != nil {
		chaos.Go(func() { w.Chaos(reading) })
	}
	workers.Wait()
	stop()
	chaos.Wait()
	return c.Report()
}

func (c *Checker) work(ctx context.Context, left *atomic.Int64, readsPerWrite int, node Subject) {
	for left.Add(-1) >= 0 && ctx.Err() == nil {
		if rand.IntN(readsPerWrite) == 0 {
			// A change that was begun is finished: the source does not roll back.
			_ = c.Write(context.WithoutCancel(ctx), c.pick(), node.Invalidate)
		}
		_ = c.Read(ctx, c.pick(), node.Get)
	}
}

// pick returns a random key; half of the picks fall on a quarter of the keys.
func (c *Checker) pick() int {
	u := rand.Float64()
	return int(u * u * float64(len(c.keys)))
}

// String describes a stale read in a line.
func (r StaleRead) String() string {
	return fmt.Sprintf("key %d: version %d, at least %d was due, at %v, invalid for %v",
		r.Key, r.Version, r.Floor, r.At.Round(time.Microsecond), r.Age.Round(time.Microsecond))
}
