package redistier

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"sync/atomic"
	"time"
)

// errRedial is what a client gets that tries to connect a second time: its
// replies would no longer belong to one epoch.
var errRedial = errors.New("redistier: the connection is gone")

// wire is the socket of one connection. The first failure of any kind, closing
// included, is reported to down before the caller sees it; down is called at
// least once and must not block.
type wire struct {
	net.Conn          // what is read and written; TLS where configured
	raw      net.Conn // the socket underneath
	down     func(error)
	flow     *flow // how many requests are under way
}

// yields is how often a write gives way. By measurement of reads that were not
// coalesced, at 64 goroutines (min of six rounds): 0 2.6 µs each, 1 1.74, 2 1.63,
// 4 1.64, 8 1.64; the client's flush delay of 20 µs 1.8, which however at 8
// goroutines made 25 µs of 5, as a sleep takes at least a turn of the poller.
const yields = 2

// dial connects and, where configured, shakes hands for TLS, all within
// DialTimeout.
func dial(ctx context.Context, cfg *Config, flow *flow, down func(error)) (*wire, error) {
	raw, err := cfg.socket(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: raw, raw: raw, down: down, flow: flow}
	if s, ok := raw.(*secured); ok {
		w.raw = s.raw
	}
	return w, nil
}

// socket connects and, where configured, shakes hands for TLS, all within
// DialTimeout.
func (c *Config) socket(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, c.Network, c.Address)
	if err != nil || c.TLS == nil {
		return raw, err
	}
	conn := tls.Client(raw, c.TLS)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return &secured{Conn: conn, raw: raw}, nil
}

// secured is a connection of TLS whose writes fail with the server's words where
// it said why. In TLS 1.3 a server looks at the client's certificate when the
// client takes the handshake for done: if it refuses, the first write may find
// the connection reset, with the reason unread.
type secured struct {
	*tls.Conn
	raw    net.Conn
	broken atomic.Bool // a write failed, and bytes may be missing among those to read
}

// lastWords bounds the wait for the reason. It has come before the reset.
const lastWords = 50 * time.Millisecond

func (s *secured) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if err != nil {
		s.broken.Store(true)
		err = s.reason(err)
	}
	return n, err
}

// reason returns the alert of TLS that ended the connection, err without one.
func (s *secured) reason(err error) error {
	if s.raw.SetReadDeadline(time.Now().Add(lastWords)) != nil {
		return err
	}
	_, reading := s.Conn.Read(make([]byte, 1))
	if e, ok := errors.AsType[*net.OpError](reading); ok && e.Op == "remote error" {
		return reading
	}
	return err
}

// Read returns nothing once a write has failed.
func (s *secured) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if err == nil && s.broken.Load() {
		return 0, net.ErrClosed
	}
	return n, err
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.down(err)
	}
	return n, err
}

// Write lets goroutines that are about to send go first while more requests are
// under way than coalesced reads make: what they queue meanwhile leaves with the next write. Unlike a
// timed delay this costs next to nothing when nobody else runs.
func (w *wire) Write(p []byte) (int, error) {
	if w.flow.queued.Load() > freeReads {
		for range yields {
			runtime.Gosched()
		}
	}
	n, err := w.Conn.Write(p)
	if err != nil {
		w.down(err)
	}
	return n, err
}

// Close closes the socket without a parting word of TLS, which could block.
func (w *wire) Close() error {
	w.down(net.ErrClosed)
	return w.raw.Close()
}
