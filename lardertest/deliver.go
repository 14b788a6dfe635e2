package lardertest

import (
	"time"

	"github.com/larder-go/larder"
)

// deliver is the client's side of a connection: it processes messages in wire
// order and, in the end, reports the loss.
func (c *conn) deliver() {
	for {
		var f frameOut
		if !c.await(func() (bool, time.Time) { return c.nextOut(&f) }) {
			c.lost()
			return
		}
		c.process(f)
	}
}

// nextOut takes the next message that may be delivered.
func (c *conn) nextOut(f *frameOut) (ok bool, again time.Time) {
	if len(c.out) == 0 || c.link.held {
		return false, time.Time{}
	}
	due := c.out[0].due
	if !c.out[0].answers() && c.link.holdPushes {
		if due = c.firstReply(); due.IsZero() {
			return false, time.Time{}
		}
	}
	if ok, again = isDue(due); ok {
		*f, c.out = c.out[0], c.out[1:]
	}
	return ok, again
}

// firstReply returns when the first reply of the queue is due: held pushes
// must not come behind it.
func (c *conn) firstReply() time.Time {
	for i := range c.out {
		if c.out[i].answers() {
			return c.out[i].due
		}
	}
	return time.Time{}
}

// answers tells replies, and marks which stand for the reply to a request of
// the client, from pushes.
func (f *frameOut) answers() bool { return f.reply != nil || f.mark != nil }

func (c *conn) process(f frameOut) {
	events := c.link.remote.events
	switch {
	case f.flush:
		c.epoch.Store(c.epoch.Load().Succeed())
		events.Flushed()
	case f.mark != nil:
		events.Confirming()
		close(f.mark)
	case f.reply == nil:
		events.Invalidated(f.keys)
	default:
		c.credit(f.reply)
		c.finish(f.reply)
	}
}

// credit gives the epoch what a beat proved. A beat that was refused ends the
// connection: this server is no master any more.
func (c *conn) credit(r *request) {
	switch {
	case !r.beat:
	case r.err != nil:
		c.server.mu.Lock()
		c.breakOff(r.err)
		c.server.mu.Unlock()
	default:
		c.epoch.Load().Credit(r.sent, r.server)
		if c.link.remote.opts.Validated {
			c.link.remote.events.Flushed() // who waits for a push looks again
		}
		if r.hello {
			c.link.conn.Store(c)
			c.link.remote.events.Connected()
		}
	}
}

func (c *conn) finish(r *request) {
	c.server.mu.Lock()
	delete(c.pending, r)
	c.server.mu.Unlock()
	close(r.done)
}

// lost ends the epoch, reports that, and only then fails what was under way.
func (c *conn) lost() {
	c.epoch.Load().End()
	if c.link.conn.CompareAndSwap(c, nil) && !c.link.remote.isClosing() {
		c.link.remote.events.Flushed()
		c.link.remote.events.Disconnected(c.why())
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	for r := range c.pending {
		r.err = c.cause
		for i := range r.replies {
			r.replies[i] = larder.Reply{Err: c.cause}
		}
		close(r.done)
	}
	c.pending = nil
}

func (c *conn) why() error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.cause
}
