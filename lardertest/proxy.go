package lardertest

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy forwards TCP connections to a server and can slow them down, hold them
// or cut them: what a network does to a client whose server is well. Methods
// may be called concurrently.
//
// It runs one goroutine that accepts and four per connection.
type Proxy struct {
	target   string
	listener net.Listener
	workers  sync.WaitGroup

	mu     sync.Mutex
	state  proxyState
	delay  time.Duration
	change chan struct{} // closed at every change of state
	conns  map[*proxyConn]struct{}
}

type proxyState uint8

const (
	forwarding proxyState = iota
	holding               // accepts, takes bytes, passes none on
	cutting               // accepts and closes at once
	closed
)

// StartProxy returns a proxy of target for the test tb, closed at its end.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	p, err := NewProxy(target)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	return p
}

// NewProxy listens on a free loopback port and forwards to target, a host and
// port. The caller owes it a [Proxy.Close].
func NewProxy(target string) (*Proxy, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: l, change: make(chan struct{}), conns: map[*proxyConn]struct{}{}}
	p.workers.Go(p.accept)
	return p, nil
}

// Addr returns host:port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Delay holds every chunk of bytes back for d, in both directions, without
// limiting how much is under way. Chunks keep their order.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Hold keeps connections open, accepts new ones and forwards nothing, like a
// firewall that drops packets. Bytes sent meanwhile arrive after Resume.
func (p *Proxy) Hold() { p.set(holding) }

// Cut closes all connections and every new one at once.
func (p *Proxy) Cut() { p.set(cutting) }

// Resume forwards again.
func (p *Proxy) Resume() { p.set(forwarding) }

// Drop closes the present connections once; new ones work.
func (p *Proxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dropAll()
}

// Close stops listening, closes all connections and waits for the goroutines.
// It may be called twice.
func (p *Proxy) Close() {
	p.set(closed)
	_ = p.listener.Close()
	p.workers.Wait()
}

func (p *Proxy) set(s proxyState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == closed {
		return
	}
	p.state = s
	close(p.change)
	p.change = make(chan struct{})
	if s == cutting || s == closed {
		p.dropAll()
	}
}

// dropAll closes every connection. The caller holds p.mu.
func (p *Proxy) dropAll() {
	for c := range p.conns {
		c.close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		c := &proxyConn{proxy: p, client: client, closed: make(chan struct{})}
		if !p.admit(c) {
			_ = client.Close()
			continue
		}
		p.workers.Go(c.serve)
	}
}

func (p *Proxy) admit(c *proxyConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == cutting || p.state == closed {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c *proxyConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// now returns the state and a channel that is closed when it changes.
func (p *Proxy) now() (proxyState, time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.delay, p.change
}
