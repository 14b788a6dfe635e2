package lardertest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// conn is one connection between a Remote and a Server: two queues in wire
// order. One goroutine carries out what arrives at the server, another
// delivers pushes and replies to the client, so that a push is always
// processed before any reply behind it.
type conn struct {
	server *Server
	link   *link
	epoch  atomic.Pointer[larder.Epoch]
	ended  chan struct{} // closed when broken off
	gone   chan struct{} // closed when both goroutines have returned

	// Guarded by server.mu.
	in         []*request
	out        []frameOut
	afterReply []string // own expirations, pushed behind the present reply
	pending    map[*request]struct{}
	change     chan struct{} // closed at every change of what it waits for
	cause      error         // why it broke off
}

// request is one pipeline under way.
type request struct {
	ops     []larder.Op
	replies []larder.Reply
	beat    bool
	hello   bool // the beat that makes the connection usable
	list    *listing
	marks   *marks
	sent    int64
	due     time.Time
	server  time.Time
	err     error
	done    chan struct{} // closed when replies and err are final
}

// frameOut is a message of the server: a push of keys, a flush, a mark or a
// reply.
type frameOut struct {
	keys  []string
	flush bool
	mark  chan struct{}
	reply *request
	due   time.Time
}

func newConn(l *link) *conn {
	c := &conn{
		server: l.server, link: l,
		ended: make(chan struct{}), gone: make(chan struct{}), change: make(chan struct{}),
		pending: map[*request]struct{}{},
	}
	if l.remote.opts.Validated {
		c.epoch.Store(larder.NewValidatedEpoch())
	} else {
		c.epoch.Store(larder.NewEpoch())
	}
	return c
}

// run serves both directions until the connection ends.
func (c *conn) run() {
	var serve sync.WaitGroup
	serve.Go(c.serve)
	c.deliver()
	serve.Wait()
	close(c.gone)
}

// wake makes both goroutines look again. The caller holds server.mu.
func (c *conn) wake() {
	close(c.change)
	c.change = make(chan struct{})
}

// breakOff ends the connection; what is under way is lost. The caller holds
// server.mu.
func (c *conn) breakOff(cause error) {
	if c.cause != nil {
		return
	}
	c.cause = cause
	c.in, c.out = nil, nil
	delete(c.server.conns, c)
	c.server.unwatch(c)
	close(c.ended)
}

// emit sends a message to the client. The caller holds server.mu.
//
// A client without pushes cannot answer a mark either: who confirms waits in
// vain for it, and then until what it may hold is too old.
func (c *conn) emit(f frameOut) {
	if c.cause != nil || c.link.remote.opts.Validated && f.reply == nil {
		return
	}
	f.due = time.Now().Add(c.link.delay)
	c.out = append(c.out, f)
	c.wake()
}

// send queues r and reports whether the connection took it.
func (c *conn) send(r *request) bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.cause != nil {
		return false
	}
	r.sent = clock.Now()
	r.due = time.Now().Add(c.link.delay)
	c.in = append(c.in, r)
	c.pending[r] = struct{}{}
	c.wake()
	return true
}

// wait waits for the reply to r for as long as ctx allows.
func (r *request) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	default:
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits until ready, called with server.mu held, says go or the
// connection ends. ready returns when to ask again; zero: at the next change.
func (c *conn) await(ready func() (ok bool, again time.Time)) bool {
	for {
		c.server.mu.Lock()
		if c.cause != nil {
			c.server.mu.Unlock()
			return false
		}
		ok, again := ready()
		change := c.change
		c.server.mu.Unlock()
		if ok {
			return true
		}
		var timer *time.Timer
		var due <-chan time.Time
		if !again.IsZero() {
			timer = time.NewTimer(time.Until(again))
			due = timer.C
		}
		select {
		case <-change:
		case <-due:
		case <-c.ended:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

func isDue(due time.Time) (bool, time.Time) { return !time.Now().Before(due), due }

// serve is the server's side: it carries out requests in order.
func (c *conn) serve() {
	for {
		var r *request
		ok := c.await(func() (bool, time.Time) {
			if len(c.in) == 0 || c.link.held || c.server.state != running {
				return false, time.Time{}
			}
			ok, again := isDue(c.in[0].due)
			if ok {
				r, c.in = c.in[0], c.in[1:]
			}
			return ok, again
		})
		if !ok || !c.handle(r) {
			return
		}
	}
}

// handle carries out one request and sends its reply, unless a fault broke the
// connection.
func (c *conn) handle(r *request) bool {
	for i := range r.ops {
		fault := c.fault(&r.ops[i])
		if !c.handleOp(r, i, fault) {
			return false
		}
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.cause != nil {
		return false
	}
	if r.list != nil {
		c.server.list(r.list)
	}
	if r.marks != nil {
		c.server.mark(r.marks, c.link.remote.opts.Namespace)
	}
	if r.hello {
		c.server.outliveLoss(c)
	}
	if r.beat {
		r.server, r.err = c.server.beat(c, c.link.remote.beatKey())
	}
	c.emit(frameOut{reply: r})
	for _, key := range c.afterReply {
		c.emit(frameOut{keys: []string{key}})
	}
	c.afterReply = nil
	return true
}

func (c *conn) fault(op *larder.Op) Fault {
	c.server.mu.Lock()
	script := c.server.script
	c.server.mu.Unlock()
	if script == nil {
		return NoFault
	}
	return script(Request{Remote: c.link.remote, Op: *op})
}

func (c *conn) handleOp(r *request, i int, fault Fault) bool {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	switch {
	case c.cause != nil:
		return false
	case fault == LoseRequest:
		c.breakOff(ErrLost)
		return false
	case fault == ReplyError:
		r.replies[i] = larder.Reply{Err: ErrScripted}
		return true
	}
	r.replies[i] = c.server.execute(c, &r.ops[i])
	if fault == LoseReply {
		c.breakOff(ErrLost)
		return false
	}
	return true
}
