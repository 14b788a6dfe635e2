// Package flight lets one caller work for all who want the same key, and
// remembers who may use the result.
//
// A flight is led by the caller that found none. Its result carries proof of
// when it was true; a joiner that demands the newest value may use it only if
// it joined before the proving request was sent. Clock readings cannot decide
// that, two of them may be equal, so each proof takes the next number of its
// flight and each joiner remembers the last number given out when it came.
package flight

import (
	"context"
	"sync"
	"sync/atomic"
)

// Guard tells whether a flight may still be joined.
type Guard interface{ Live() bool }

// shardBits and with them the hash's lowest bits choose one of the shards, the
// bits above a bucket in it.
const (
	shardBits = 4
	shards    = 1 << shardBits
	buckets   = 16 // of a shard, at first
)

// Group holds the flights of one keyspace. The zero value is ready; all
// methods may be called concurrently.
type Group[K comparable, G Guard, R any] struct {
	shards [shards]shard[K, G, R]
}

// shard is a hash table whose chains run through the flights themselves: to
// add and to remove one, which each read that memory does not answer does,
// allocates nothing and hashes nothing.
type shard[K comparable, G Guard, R any] struct {
	mu     sync.Mutex
	chains []*Flight[K, G, R] // a power of two, by hash
	n      int                // flights in them
	_      [24]byte
}

// Flight is the work of one leader.
type Flight[K comparable, G Guard, R any] struct {
	key   K
	hash  uint64
	next  *Flight[K, G, R] // guarded by the shard's lock, like membership in it
	guard G

	proofs atomic.Int64            // proving requests sent so far
	crew   atomic.Pointer[crew[R]] // nil while there is nobody but a leader who needs none
}

// crew is what the members of a flight share.
type crew[R any] struct {
	mu        sync.Mutex
	members   int // leader and joiners still waiting
	ended     bool
	abandoned bool
	cancel    context.CancelFunc // ends the load; nil while none runs
	done      chan struct{}      // made by the first who waits
	result    R
}

// New returns a flight with one member, its leader, that nobody can find.
func New[K comparable, G Guard, R any](guard G) *Flight[K, G, R] {
	return new(Flight[K, G, R]).Begin(guard)
}

// Begin makes the zero flight f what [New] returns.
func (f *Flight[K, G, R]) Begin(guard G) *Flight[K, G, R] {
	f.guard = guard
	return f
}

// Join returns the flight of key that is under way and live, as a member with
// its place in the order of proofs; otherwise it takes the one that begin
// returns, and reports that the caller leads it. hash spreads the keys, and is
// the same for equal ones.
func (g *Group[K, G, R]) Join(key K, hash uint64, begin func() *Flight[K, G, R]) (f *Flight[K, G, R], place int, leads bool) {
	s := &g.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, place = s.enter(key, hash); f != nil {
		return f, place, false
	}
	f = begin()
	f.key, f.hash = key, hash
	s.add(f)
	return f, 0, true
}

// enter makes the caller a member of the flight of key that is under way and
// live. One that is not gives up its place to the flight that will be added.
func (s *shard[K, G, R]) enter(key K, hash uint64) (f *Flight[K, G, R], place int) {
	if s.n == 0 {
		return nil, 0
	}
	for f = *s.chain(hash); f != nil; f = f.next {
		if f.hash != hash || f.key != key {
			continue
		}
		if place, ok := f.enter(); ok {
			return f, place
		}
		s.remove(f)
		return nil, 0
	}
	return nil, 0
}

func (s *shard[K, G, R]) add(f *Flight[K, G, R]) {
	if s.n >= 2*len(s.chains) {
		s.grow()
	}
	chain := s.chain(f.hash)
	f.next, *chain = *chain, f
	s.n++
}

func (s *shard[K, G, R]) remove(f *Flight[K, G, R]) {
	if s.n == 0 {
		return
	}
	for at := s.chain(f.hash); *at != nil; at = &(*at).next {
		if *at == f {
			*at, f.next = f.next, nil
			s.n--
			return
		}
	}
}

// chain returns where the flights of hash begin.
func (s *shard[K, G, R]) chain(hash uint64) **Flight[K, G, R] {
	return &s.chains[hash>>shardBits&uint64(len(s.chains)-1)]
}

// grow makes room for twice as many flights.
func (s *shard[K, G, R]) grow() {
	old := s.chains
	s.chains = make([]*Flight[K, G, R], max(buckets, 2*len(old)))
	for _, f := range old {
		for f != nil {
			next, chain := f.next, s.chain(f.hash)
			f.next, *chain = *chain, f
			f = next
		}
	}
}

// Remove makes f unfindable; its members stay. It reports whether there may be
// any: if not, nobody waits for a result, and none need be published.
func (g *Group[K, G, R]) Remove(f *Flight[K, G, R]) (shared bool) {
	s := &g.shards[f.hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(f)
	return f.crew.Load() != nil
}

// Len returns how many flights can be found.
func (g *Group[K, G, R]) Len() (n int) {
	for i := range g.shards {
		g.shards[i].mu.Lock()
		n += g.shards[i].n
		g.shards[i].mu.Unlock()
	}
	return n
}

// enter makes the caller, who holds the shard's lock, a member. Whoever reads
// the number of proofs before the next is given out has joined before the
// request of that one is sent.
func (f *Flight[K, G, R]) enter() (place int, ok bool) {
	if !f.guard.Live() {
		return 0, false
	}
	c := f.shared()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.members == 0 {
		return 0, false
	}
	c.members++
	return int(f.proofs.Load()), true
}

// shared returns what the members share, and makes it for the first of them.
func (f *Flight[K, G, R]) shared() *crew[R] {
	if c := f.crew.Load(); c != nil {
		return c
	}
	f.crew.CompareAndSwap(nil, &crew[R]{members: 1})
	return f.crew.Load()
}

// Prove numbers the request that is about to be sent. A joiner whose place is
// below the number came before it.
func (f *Flight[K, G, R]) Prove() int { return int(f.proofs.Add(1)) }

// Loading gives the flight the way to end its load early, and reports false if
// every member has left already.
func (f *Flight[K, G, R]) Loading(cancel context.CancelFunc) bool {
	c := f.shared()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	return c.members > 0
}

// Leave takes one member away. When the last one leaves, the load is
// cancelled.
func (f *Flight[K, G, R]) Leave() {
	c := f.shared()
	c.mu.Lock()
	c.members--
	cancel := c.cancel
	last := c.members == 0
	c.mu.Unlock()
	if last && cancel != nil {
		cancel()
	}
}

// End publishes the result to all members. Only the first End or Abandon
// counts; it returns whether this was the one.
func (f *Flight[K, G, R]) End(result R) bool { return f.end(result, false) }

// Abandon tells the members that the leader gave up without a result: they
// start over.
func (f *Flight[K, G, R]) Abandon() bool {
	var none R
	return f.end(none, true)
}

func (f *Flight[K, G, R]) end(result R, abandoned bool) bool {
	c := f.shared()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.ended, c.abandoned, c.result = true, abandoned, result
	if c.done != nil {
		close(c.done)
	}
	return true
}

// Wait waits for the result until ctx ends. ok is false when the leader
// abandoned the flight.
func (f *Flight[K, G, R]) Wait(ctx context.Context) (result R, ok bool, err error) {
	c := f.shared()
	c.mu.Lock()
	if !c.ended {
		if c.done == nil {
			c.done = make(chan struct{})
		}
		done := c.done
		c.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return result, false, ctx.Err()
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	return c.result, !c.abandoned, nil
}
