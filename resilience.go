package larder

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// remoteState is what the operator is told about the remote tier.
type remoteState int32

const (
	stateUnknown remoteState = iota
	stateConnected
	stateDisconnected
	stateBreakerOpen
)

// connectionState logs each change of the remote tier's state once; change
// reports whether it was one. Of an absence it logs every new reason as well, up to
// maxReasons: what lost the connection is seldom what keeps it from coming back.
type connectionState struct {
	mu      sync.Mutex
	now     remoteState
	reasons []string // of the present absence
}

const maxReasons = 4

func (s *connectionState) change(log *slog.Logger, to remoteState, err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.now == stateDisconnected && to == stateDisconnected:
		s.another(log, err)
		return false
	case s.now == to, s.now == stateDisconnected && to == stateBreakerOpen:
		return false
	}
	s.now, s.reasons = to, s.reasons[:0]
	switch to {
	case stateConnected:
		log.Info("larder: remote tier connected")
	case stateDisconnected:
		s.reasons = append(s.reasons, reason(err))
		log.Warn("larder: remote tier unavailable, serving from memory and loads", "error", err)
	case stateBreakerOpen:
		log.Warn("larder: remote tier failing, not asked until a heartbeat succeeds", "error", err)
	}
	return true
}

func (s *connectionState) another(log *slog.Logger, err error) {
	why := reason(err)
	if len(s.reasons) == maxReasons || slices.Contains(s.reasons, why) {
		return
	}
	s.reasons = append(s.reasons, why)
	log.Warn("larder: remote tier still unavailable, for another reason", "error", err)
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// recovered logs the end of a failing; it reports whether there was one.
func (s *connectionState) recovered(log *slog.Logger) bool {
	s.mu.Lock()
	failing := s.now == stateBreakerOpen
	s.mu.Unlock()
	return failing && s.change(log, stateConnected, nil)
}

// events receives what the remote tier reports.
type events Cache

// Invalidated kills every ticket of keys, and with them entries, generation
// copies and flights.
func (e *events) Invalidated(keys []string) {
	e.pushes.Add(uint64(len(keys)))
	c := (*Cache)(e)
	for _, key := range keys {
		e.board.Kill(key)
		if c.outdatesAll(key) {
			c.slowStart()
		}
	}
	c.notePush(keys)
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
	c.slowStart()
	c.goRun(c.checkRuns)
}

// Confirming ends what no push can end: see untrackedKey.
func (e *events) Confirming() { e.board.Kill(untrackedKey) }

func (e *events) Disconnected(err error) {
	if e.state.change(e.opts.Logger, stateDisconnected, err) {
		(*Cache)(e).tell(Event{Kind: EventState, Detail: "disconnected"})
		(*Cache)(e).slowStart()
	}
}

// outdatesAll reports whether the end of key outdates every entry of a part of
// the namespace.
func (c *Cache) outdatesAll(key string) bool {
	_, ok := c.wholes[key]
	return ok
}

// slowStart lets loads begin a few at a time, twice as many after each round:
// all of a sudden the source is asked for everything.
func (c *Cache) slowStart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spaces {
		s.loads.SlowStart()
	}
}

// jitter returns d, shortened by up to a tenth.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}
