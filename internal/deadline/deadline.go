// Package deadline shares one context among all remote calls that begin within
// a few milliseconds of each other.
//
// A context with a timer of its own costs three allocations and a timer for
// every call. Calls that begin in the same window may end together: the
// deadline is at least the time-out and at most a tenth more.
package deadline

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Source hands out contexts that end a fixed time after they were asked for.
// Its methods may be called concurrently.
type Source struct {
	timeout time.Duration
	window  int64 // ns
	current atomic.Pointer[shared]
	mu      sync.Mutex // making a new shared context
}

// NewSource returns a Source of contexts that live between timeout and
// 1.1 × timeout.
func NewSource(timeout time.Duration) *Source {
	return &Source{timeout: timeout, window: int64(timeout) / 10}
}

// Timeout returns the shortest life of a context.
func (s *Source) Timeout() time.Duration { return s.timeout }

// At returns a context for a call that begins at the monotonic time now in
// nanoseconds. It needs no cancelling.
func (s *Source) At(now int64) context.Context {
	if c := s.current.Load(); c != nil && now-c.from <= s.window && now >= c.from {
		return c
	}
	return s.renew(now)
}

func (s *Source) renew(now int64) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.current.Load(); c != nil && now-c.from <= s.window && now >= c.from {
		return c
	}
	life := s.timeout + time.Duration(s.window)
	c := &shared{from: now, deadline: time.Now().Add(life), done: make(chan struct{})}
	time.AfterFunc(life, c.end)
	s.current.Store(c)
	return c
}

// shared is a context that ends at its deadline and not before.
type shared struct {
	from     int64
	deadline time.Time
	done     chan struct{}
	ended    atomic.Bool
}

func (c *shared) end() {
	c.ended.Store(true)
	close(c.done)
}

func (c *shared) Deadline() (time.Time, bool) { return c.deadline, true }
func (c *shared) Done() <-chan struct{}       { return c.done }
func (c *shared) Value(any) any               { return nil }

func (c *shared) Err() error {
	if c.ended.Load() {
		return context.DeadlineExceeded
	}
	return nil
}
