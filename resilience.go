package larder

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
)

// breaker stops remote calls after a number of failures in a row. No request
// of a user probes whether the server is back: heartbeats do, and the first
// one sent after the opening that succeeds closes the breaker.
type breaker struct {
	limit    int
	failures atomic.Int64
	open     atomic.Bool
	opened   atomic.Int64 // monotonic time of the last opening
}

// record counts err and reports whether it opened the breaker.
func (b *breaker) record(err error) bool {
	if !isFailure(err) {
		if b.failures.Load() != 0 {
			b.failures.Store(0)
		}
		return false
	}
	if b.limit < 0 || b.failures.Add(1) < int64(b.limit) {
		return false
	}
	b.opened.Store(clock.Now())
	return b.open.CompareAndSwap(false, true)
}

// close closes the breaker if a heartbeat that succeeded was sent after it
// opened, and reports whether it was open.
func (b *breaker) close(sent int64) bool {
	if !b.open.Load() || sent < b.opened.Load() {
		return false
	}
	b.failures.Store(0)
	return b.open.CompareAndSwap(true, false)
}

// isFailure tells errors that speak against the server from answers and from
// what the caller caused.
func isFailure(err error) bool {
	return err != nil && !errors.Is(err, ErrWrongType) && !errors.Is(err, ErrUnavailable) &&
		!errors.Is(err, frame.ErrCorrupt) && !errors.Is(err, context.Canceled)
}

// remoteState is what the operator is told about the remote tier.
type remoteState int32

const (
	stateUnknown remoteState = iota
	stateConnected
	stateDisconnected
	stateBreakerOpen
)

// connectionState logs each change of the remote tier's state once; change
// reports whether it was one.
type connectionState struct {
	mu  sync.Mutex
	now remoteState
}

func (s *connectionState) change(log *slog.Logger, to remoteState, err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == to || s.now == stateDisconnected && to == stateBreakerOpen {
		return false
	}
	s.now = to
	switch to {
	case stateConnected:
		log.Info("larder: remote tier connected")
	case stateDisconnected:
		log.Warn("larder: remote tier unavailable, serving from memory and loads", "error", err)
	case stateBreakerOpen:
		log.Warn("larder: remote tier failing, not asked until a heartbeat succeeds", "error", err)
	}
	return true
}

func (s *connectionState) get() remoteState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// events receives what the remote tier reports.
type events Cache

// Invalidated kills every ticket of keys, and with them entries, generation
// copies and flights.
func (e *events) Invalidated(keys []string) {
	e.pushes.Add(uint64(len(keys)))
	for _, key := range keys {
		e.board.Kill(key)
	}
	(*Cache)(e).notePush(keys)
}

// Flushed wakes who waits for a push of a connection that is gone. Entries and
// tickets died with its epoch.
func (e *events) Flushed() { e.board.WakeAll() }

func (e *events) Connected() {
	c := (*Cache)(e)
	c.agree()
	logger := e.opts.Logger
	if mode := c.mode(); mode != "" {
		logger = logger.With("mode", mode)
	}
	if e.state.change(logger, stateConnected, nil) {
		c.tell(Event{Kind: EventState, Detail: "connected"})
	}
	c.goRun(c.checkRuns)
}

// Confirming ends what no push can end: see untrackedKey.
func (e *events) Confirming() { e.board.Kill(untrackedKey) }

func (e *events) Disconnected(err error) {
	if e.state.change(e.opts.Logger, stateDisconnected, err) {
		(*Cache)(e).tell(Event{Kind: EventState, Detail: "disconnected"})
	}
}

// jitter returns d, shortened by up to a tenth.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}
