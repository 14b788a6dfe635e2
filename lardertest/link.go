package lardertest

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder"
)

// dialTimeout is how long a handshake may take.
const dialTimeout = 500 * time.Millisecond

// link is the path between a Remote and one Server. Its goroutine keeps
// connecting.
type link struct {
	remote *Remote
	server *Server
	conn   atomic.Pointer[conn] // nil while there is no usable one

	// Guarded by server.mu.
	delay      time.Duration // one way
	held       bool          // nothing passes
	cut        bool          // connections are refused
	holdPushes bool
}

// supervise connects again and again until the Remote closes. first is closed
// when the first attempt has ended.
func (l *link) supervise(first chan<- struct{}) {
	for attempt := 0; ; attempt++ {
		c, err := l.connect()
		if attempt == 0 {
			close(first)
		}
		switch {
		case err == nil:
			<-c.gone
		case !l.remote.isClosing():
			l.remote.events.Disconnected(err)
		}
		if !l.pause() {
			return
		}
	}
}

// pause waits before the next attempt and reports whether there is one.
func (l *link) pause() bool {
	t := time.NewTimer(l.remote.opts.Redial)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.remote.closing:
		return false
	}
}

// connect makes a connection and proves it by a first heartbeat.
func (l *link) connect() (*conn, error) {
	c := newConn(l)
	if err := l.open(c); err != nil {
		return nil, err
	}
	l.clearOthers()
	go c.run() // ends with the connection; whoever breaks it waits for gone
	hello := &request{beat: true, hello: true, done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(l.remote.life, dialTimeout)
	defer cancel()
	err := ErrLost
	if c.send(hello) {
		err = hello.wait(ctx)
	}
	if err != nil {
		l.server.mu.Lock()
		c.breakOff(err)
		l.server.mu.Unlock()
		<-c.gone
		return nil, err
	}
	return c, nil
}

// open registers a connection at the server, if that takes any.
func (l *link) open(c *conn) error {
	s := l.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == killed || l.cut || l.remote.isClosing() {
		return ErrRefused
	}
	s.conns[c] = struct{}{}
	s.members[l.remote] = struct{}{}
	return nil
}

// change applies a change of the path's faults.
func (l *link) change(f func()) {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	f()
	for c := range l.server.conns {
		if c.link == l {
			c.wake()
		}
	}
}

// drop breaks the present connections.
func (l *link) drop(cause error) {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	for c := range l.server.conns {
		if c.link == l {
			c.breakOff(cause)
		}
	}
}

// start sends r; it returns ErrUnavailable if nothing was sent.
func (l *link) start(r *request) error {
	if c := l.conn.Load(); c != nil && c.send(r) {
		return nil
	}
	return larder.ErrUnavailable
}
