// Package flight lets one caller work for all who want the same key, and
// remembers who may use the result.
//
// A flight is led by the caller that found none. Its result carries proof of
// when it was true; a joiner that demands the newest value may use it only if
// it joined before the proving request was sent. Clock readings cannot decide
// that, two of them may be equal, so each proof takes a number under the
// flight's lock and each joiner remembers the last number given out when it
// came.
package flight

import (
	"context"
	"sync"
)

// Guard tells whether a flight may still be joined.
type Guard interface{ Live() bool }

const shards = 16

// Group holds the flights of one keyspace. The zero value is ready; all
// methods may be called concurrently.
type Group[K comparable, G Guard, R any] struct {
	shards [shards]shard[K, G, R]
}

type shard[K comparable, G Guard, R any] struct {
	mu sync.Mutex
	m  map[K]*Flight[G, R]
	_  [48]byte
}

// Flight is the work of one leader.
type Flight[G Guard, R any] struct {
	guard G

	mu        sync.Mutex
	proofs    int // proving requests sent so far
	members   int // leader and joiners still waiting
	ended     bool
	abandoned bool
	cancel    context.CancelFunc // ends the load; nil while none runs
	done      chan struct{}      // made by the first who waits
	result    R
}

// New returns a flight with one member, its leader, that nobody can find.
func New[G Guard, R any](guard G) *Flight[G, R] { return new(Flight[G, R]).Begin(guard) }

// Begin makes the zero flight f what [New] returns.
func (f *Flight[G, R]) Begin(guard G) *Flight[G, R] {
	f.guard, f.members = guard, 1
	return f
}

// Join returns the flight of key that is under way and live, as a member with
// its place in the order of proofs; otherwise it takes the one that begin
// returns, and reports that the caller leads it. hash spreads the keys.
func (g *Group[K, G, R]) Join(key K, hash uint64, begin func() *Flight[G, R]) (f *Flight[G, R], place int, leads bool) {
	s := &g.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if f = s.m[key]; f != nil {
		if place, ok := f.enter(); ok {
			return f, place, false
		}
	}
	if s.m == nil {
		s.m = make(map[K]*Flight[G, R])
	}
	f = begin()
	s.m[key] = f
	return f, 0, true
}

// Remove makes f unfindable; its members stay.
func (g *Group[K, G, R]) Remove(key K, hash uint64, f *Flight[G, R]) {
	s := &g.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[key] == f {
		delete(s.m, key)
	}
}

// Len returns how many flights can be found.
func (g *Group[K, G, R]) Len() (n int) {
	for i := range g.shards {
		g.shards[i].mu.Lock()
		n += len(g.shards[i].m)
		g.shards[i].mu.Unlock()
	}
	return n
}

func (f *Flight[G, R]) enter() (place int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.members == 0 || !f.guard.Live() {
		return 0, false
	}
	f.members++
	return f.proofs, true
}

// Prove numbers the request that is about to be sent. A joiner whose place is
// below the number came before it.
func (f *Flight[G, R]) Prove() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proofs++
	return f.proofs
}

// Loading gives the flight the way to end its load early, and reports false if
// every member has left already.
func (f *Flight[G, R]) Loading(cancel context.CancelFunc) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel = cancel
	return f.members > 0
}

// Leave takes one member away. When the last one leaves, the load is
// cancelled.
func (f *Flight[G, R]) Leave() {
	f.mu.Lock()
	f.members--
	cancel := f.cancel
	last := f.members == 0
	f.mu.Unlock()
	if last && cancel != nil {
		cancel()
	}
}

// End publishes the result to all members. Only the first End or Abandon
// counts; it returns whether this was the one.
func (f *Flight[G, R]) End(result R) bool { return f.end(result, false) }

// Abandon tells the members that the leader gave up without a result: they
// start over.
func (f *Flight[G, R]) Abandon() bool {
	var none R
	return f.end(none, true)
}

func (f *Flight[G, R]) end(result R, abandoned bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return false
	}
	f.ended, f.abandoned, f.result = true, abandoned, result
	if f.done != nil {
		close(f.done)
	}
	return true
}

// Wait waits for the result until ctx ends. ok is false when the leader
// abandoned the flight.
func (f *Flight[G, R]) Wait(ctx context.Context) (result R, ok bool, err error) {
	f.mu.Lock()
	if !f.ended {
		if f.done == nil {
			f.done = make(chan struct{})
		}
		done := f.done
		f.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return result, false, ctx.Err()
		}
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	return f.result, !f.abandoned, nil
}
