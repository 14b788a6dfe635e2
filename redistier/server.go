package redistier

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
)

// errClosed is why a connection ends when the tier is closed or its server is
// no master any more.
var errClosed = errors.New("redistier: closed")

const (
	firstDelay = 50 * time.Millisecond
	lastDelay  = 500 * time.Millisecond
	// steady is for how long a connection must have lived for its successor to
	// be dialed without delay.
	steady = time.Second
)

// server keeps one connection to one master. run is its only goroutine.
type server struct {
	*self
	// locate returns the master's address.
	locate func(context.Context) (string, error)
	// owned returns the stripes whose control keys the master holds.
	owned func() []*stripe
	// lost is told when a connection ended or could not be made; may be nil.
	lost func()
	// ready is closed when the layout that names this server is in force; nil
	// outside of clusters.
	ready chan struct{}

	opening atomic.Pointer[conn] // greets its server, serves nobody yet
	live    atomic.Pointer[conn] // nil while there is none
}

// run dials until ctx ends and calls attempted after the first attempt.
func (s *server) run(ctx context.Context, attempted func()) {
	delay := time.Duration(0)
	for s.sleep(ctx, delay) {
		c, err := s.connect(ctx)
		if err != nil {
			delay = nextDelay(delay)
			s.report(ctx, err)
			attempted()
			continue
		}
		attempted()
		began := clock.Now()
		if err = s.watch(ctx, c); errors.Is(err, errClosed) {
			c.leave()
		}
		s.live.CompareAndSwap(c, nil)
		c.close(err) // Flushed is reported in here
		s.report(ctx, fmt.Errorf("redistier: connection to %s lost: %w", c.cfg.Address, err))
		if time.Duration(clock.Now()-began) >= steady {
			delay = 0
		} else {
			delay = nextDelay(delay)
		}
	}
}

// report tells why there is no connection, unless that was intended.
func (s *server) report(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.events.Disconnected(err)
	if s.lost != nil {
		s.lost()
	}
}

// conn returns the connection if it can be used.
func (s *server) conn() *conn {
	if s == nil {
		return nil
	}
	if c := s.live.Load(); c != nil && c.epoch.Load() != nil {
		return c
	}
	return nil
}

// control returns the connection for what must be done before it is used.
func (s *server) control() *conn {
	if c := s.conn(); c != nil {
		return c
	}
	if s == nil {
		return nil
	}
	return s.opening.Load()
}

// connect opens a connection and lets callers use it.
func (s *server) connect(ctx context.Context) (*conn, error) {
	address, err := s.locate(ctx)
	if err != nil {
		return nil, err
	}
	c, err := open(ctx, s, address)
	if err != nil {
		return nil, err
	}
	if err := c.publish(); err != nil {
		c.close(err)
		return nil, unreachable(&c.cfg, err)
	}
	s.live.Store(c)
	s.opening.Store(nil)
	s.events.Connected()
	return c, nil
}

// watch waits until c has failed, ctx ends or c is silent for too long, and
// returns which.
func (s *server) watch(ctx context.Context, c *conn) error {
	tick := time.NewTicker(s.cfg.BeatTimeout / 8)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return errClosed
		case <-c.dead:
			return c.cause(net.ErrClosed)
		case <-tick.C:
			if c.pulse.silence(clock.Now()) > s.cfg.BeatTimeout {
				return errors.New("no heartbeat was answered for " + s.cfg.BeatTimeout.String())
			}
		}
	}
}

// sleep waits for d; false once ctx has ended.
func (s *server) sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	// Up to a quarter less, so that many clients do not come at once.
	timer := time.NewTimer(d - rand.N(d/4))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func nextDelay(delay time.Duration) time.Duration {
	if delay == 0 {
		return firstDelay
	}
	return min(2*delay, lastDelay)
}
