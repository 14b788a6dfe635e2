package larder

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/deadline"
	"github.com/larder-go/larder/internal/memory"
	"github.com/larder-go/larder/internal/ticket"
)

// Cache is a memory tier over a remote tier that all processes of a namespace
// share. Make one with [New] or redistier.Open and close it with
// [Cache.Close]. All methods may be called concurrently.
//
// A Cache with a remote tier runs one goroutine for heartbeats and retries, and
// one for each load; Close waits for all of them.
type Cache struct {
	opts   Options
	remote Remote // nil: memory alone

	board  *ticket.Board
	memory *memoryTier // nil: none
	front  *memory.Front[head]
	gens   *generations
	reads  *deadline.Source

	breaker breaker
	pending pending
	journal journal
	state   connectionState
	heat    *heat
	locks   locks
	wholes  map[string]struct{} // keys whose end outdates all entries of a part of the namespace

	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	async      chan struct{} // one token for each unfinished asynchronous operation
	longestTTL atomic.Int64
	tolerance  atomic.Int64  // of reads that say nothing, in ns; see agree
	longest    atomic.Int64  // how stale any process may be by default, in ns
	lastRuns   atomic.Uint64 // fingerprint of the servers; noRuns: none seen yet

	invalidations atomic.Uint64
	pushes        atomic.Uint64
	named         invalidationCounts
	meter         remoteMeter
	watches       atomic.Pointer[[]*Watch] // nil while nobody watches

	mu     sync.Mutex // guards what follows
	closed bool
	spaces map[string]*space
	wg     sync.WaitGroup
}

// New returns a cache that lives in this process's memory alone: nothing is
// shared, every invalidation is complete when it returns. It fails for invalid
// options, naming each.
func New(opts Options) (*Cache, error) { return newCache(nil, opts) }

// NewWithRemote returns a cache over remote, which it starts and will close.
// It fails for invalid options only: while remote is not reachable the cache
// serves from memory and from loads. The first attempt to connect is waited
// for as long as ctx allows.
func NewWithRemote(ctx context.Context, remote Remote, opts Options) (*Cache, error) {
	c, err := newCache(remote, opts)
	if err != nil {
		return nil, err
	}
	remote.Start(ctx, (*events)(c))
	c.goRun(c.heartbeats)
	return c, nil
}

func newCache(remote Remote, opts Options) (*Cache, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("larder: options: %w", err)
	}
	c := &Cache{
		opts:   opts,
		remote: remote,
		board:  ticket.NewBoard(stripes(opts.MemoryBytes, remote != nil)),
		reads:  deadline.NewSource(opts.ReadTimeout),
		async:  make(chan struct{}, opts.AsyncLimit),
		spaces: make(map[string]*space),
		wholes: make(map[string]struct{}),
	}
	c.heat = newHeat()
	c.breaker.limit, c.breaker.ratio, c.breaker.slow = opts.BreakerFailures, opts.BreakerRatio, opts.BreakerSlow
	for _, key := range c.namespaceKeys() {
		c.wholes[key] = struct{}{}
	}
	c.tolerance.Store(int64(opts.MaxStaleness))
	c.longest.Store(int64(opts.MaxStaleness))
	c.ctx, c.cancel = context.WithCancel(context.Background())
	var err error
	if opts.MemoryBytes > 0 {
		c.front = memory.NewFront[head](frontSlots(opts.MemoryBytes))
		if c.memory, err = memory.New(uint64(opts.MemoryBytes), opts.MemoryEntries, weighHead, c.front.Drop); err != nil {
			return nil, err
		}
	}
	if c.gens, err = newGenerations(c); err != nil {
		return nil, err
	}
	return c, nil
}

// stripes returns how many stripes the board of tickets has for entries: one
// for each 2 KiB of memory, so that those in use fit the processor's cache; a
// change elsewhere then kills a few entries beside its own. Without a memory
// tier tickets still guard generations and flights, and wake who waits for a
// lease; too few would wake all the others.
func stripes(memoryBytes int64, shared bool) int {
	n := int(min(max(memoryBytes, 0)/2048, 1<<23))
	if shared {
		return max(n, 1<<14)
	}
	return n
}

// Close ends heartbeats, loads and the connection, and waits for them. Loads
// that ignore their context delay it. Invalidations that are still pending are
// tried once more; those that fail are returned. Later calls return nil.
func (c *Cache) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	var err error
	if c.remote != nil {
		ctx, cancel := context.WithTimeout(context.Background(), c.opts.WriteTimeout)
		err = c.retryPending(ctx)
		c.publishHeat(ctx, 0)
		cancel()
	}
	c.cancel()
	c.endWatches()
	c.board.WakeAll()
	c.wg.Wait()
	if c.remote != nil {
		if closeErr := c.remote.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("larder: close: %w", closeErr)
		}
	}
	c.gens.copies.Close()
	if c.memory != nil {
		c.memory.Close()
	}
	return err
}

// goRun runs f in a goroutine that Close waits for; after Close it does
// nothing and reports false.
func (c *Cache) goRun(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

// usableEpoch returns the epoch of the connection that serves key, nil while
// nothing read there would be evidence: no connection, an overdue heartbeat or
// an open breaker.
func (c *Cache) usableEpoch(key string, now int64) *Epoch {
	if c.breaker.shut.Load() {
		return nil
	}
	e := c.remote.Epoch(key)
	if e == nil || !c.covered(e, now) {
		return nil
	}
	return e
}

// covered reports whether e lives and its heartbeat is not overdue at now.
func (c *Cache) covered(e *Epoch, now int64) bool {
	return e.AsOf() >= clock.Add(now, -c.opts.MaxStaleness) && e.Alive()
}

// observe tells the breaker how a remote call that began at sent ended. A
// caller whose own deadline came before a server could have answered says
// nothing about it.
func (c *Cache) observe(err error, sent int64) { c.observed(err, sent, clock.Now()) }

// observed is observe for a call that ended at ended.
func (c *Cache) observed(err error, sent, ended int64) {
	if err != nil && ended-sent < int64(c.opts.ReadTimeout)/10 && errors.Is(err, context.DeadlineExceeded) {
		return
	}
	if c.breaker.record(err, ended, time.Duration(ended-sent)) {
		if c.state.change(c.opts.Logger, stateBreakerOpen, err) {
			c.tell(Event{Kind: EventState, Detail: "failing"})
		}
		c.board.WakeAll() // as in beat
		c.slowStart()
	}
}

// heartbeats beats every quarter of MaxStaleness until Close, and after each
// success closes the breaker and retries pending invalidations.
func (c *Cache) heartbeats() {
	for {
		timer := time.NewTimer(jitter(c.opts.MaxStaleness / 4))
		select {
		case <-c.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
			c.beat()
		}
	}
}

func (c *Cache) beat() {
	ctx, cancel := context.WithTimeout(c.ctx, max(c.opts.ReadTimeout, c.opts.MaxStaleness/4))
	defer cancel()
	sent := clock.Now()
	err := c.remote.Beat(ctx)
	c.meter.call(opBeat, err, elapsed(sent))
	if err != nil {
		c.breaker.beatFailed()
		c.board.WakeAll() // who waits for a push would wait in vain
		return
	}
	c.agree()
	if c.breaker.close(sent, time.Duration(clock.Now()-sent)) {
		c.slowStart()
	}
	if c.breaker.settled(clock.Now()) && c.state.recovered(c.opts.Logger) {
		c.tell(Event{Kind: EventState, Detail: "connected"})
	}
	if c.pending.count.Load() > 0 {
		_ = c.retryPending(ctx) // what fails stays and is tried after the next beat
	}
	c.publishHeat(ctx, publishEvery)
}
