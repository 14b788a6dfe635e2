package redistier

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// maxUnderWay is how many commands of single reads are under way at most; who
// comes meanwhile shares the next one. By measurement: with fewer, eight readers
// wait for each other; with more, the commands of 64 readers are small.
const maxUnderWay = 6

// coalescer makes one command of the single reads that come while others are
// under way. With few readers each sends its own at once; with many, the server
// reads one command where it would read a hundred, and the client's writer and
// reader are woken once for all. Every read is sent after it was asked for.
//
// No goroutine serves it: who finishes a command wakes one of those who wait,
// and that one sends what all of them want.
type coalescer struct {
	mu       sync.Mutex
	underWay int
	queue    []*queuedRead // first come, first read
}

// queuedRead is a read that waits for another's command.
type queuedRead struct {
	ctx   context.Context
	key   string
	leads bool          // it is to send the next command; under coalescer.mu
	woken chan struct{} // has room for one: the reply is there, or it leads
	reply larder.Reply
	again bool // the sender's context ended before the reply
}

var queuedReads = sync.Pool{New: func() any { return &queuedRead{woken: make(chan struct{}, 1)} }}

// join lets a read pass, or returns its place among those who wait.
func (q *coalescer) join(ctx context.Context, key string) *queuedRead {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.underWay < maxUnderWay {
		q.underWay++
		return nil
	}
	r := queuedReads.Get().(*queuedRead)
	r.ctx, r.key, r.leads, r.again = ctx, key, false, false
	q.queue = append(q.queue, r)
	return r
}

// passOn follows the end of a command: of those who wait, the one whose context
// ends last sends the next, as no other may wait so long.
func (q *coalescer) passOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		q.underWay--
		return
	}
	last := 0
	for i := range q.queue {
		if endsLater(q.queue[i].ctx, q.queue[last].ctx) {
			last = i
		}
	}
	r := q.queue[last]
	q.queue = slices.Delete(q.queue, last, last+1)
	r.leads = true
	r.woken <- struct{}{}
}

// endsLater reports whether a ends after b.
func endsLater(a, b context.Context) bool {
	end, ends := a.Deadline()
	other, otherEnds := b.Deadline()
	return otherEnds && (!ends || end.After(other))
}

// take returns r and those who have waited longest, as many as one command may
// read.
func (q *coalescer) take(r *queuedRead) []*queuedRead {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := append(make([]*queuedRead, 0, min(1+len(q.queue), maxRun)), r)
	n := min(len(q.queue), maxRun-1)
	batch = append(batch, q.queue[:n]...)
	q.queue = slices.Delete(q.queue, 0, n)
	return batch
}

// giveUp ends the wait of r, unless it leads.
func (q *coalescer) giveUp(r *queuedRead) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.leads {
		return false
	}
	if i := slices.Index(q.queue, r); i >= 0 {
		q.queue = slices.Delete(q.queue, i, i+1)
	}
	return true
}

// get reads one key, together with others when many are read at once.
func (c *conn) get(ctx context.Context, key string) larder.Reply {
	r := c.reads.join(ctx, key)
	if r == nil {
		reply := c.getAlone(ctx, key)
		c.reads.passOn()
		return reply
	}
	select {
	case <-r.woken:
	case <-ctx.Done():
		if c.reads.giveUp(r) { // whoever has r in a batch may still write to it
			return larder.Reply{Err: ctx.Err()}
		}
		<-r.woken
	}
	if r.leads {
		batch := c.reads.take(r)
		c.getAll(ctx, batch)
		c.reads.passOn()
		for _, other := range batch[1:] {
			other.woken <- struct{}{}
		}
	}
	reply, again := r.reply, r.again && ctx.Err() == nil
	r.ctx, r.reply = nil, larder.Reply{}
	queuedReads.Put(r)
	if again {
		return c.getAlone(ctx, key)
	}
	return reply
}

// getAll reads the keys of batch within ctx, which is that of the first: the
// others ask again if it ends too early for them.
func (c *conn) getAll(ctx context.Context, batch []*queuedRead) {
	if c.keys.clustered() {
		c.getPipelined(ctx, batch)
	} else {
		c.getTogether(ctx, batch)
	}
	if ctx.Err() != nil {
		for _, r := range batch[1:] {
			r.again = r.reply.Err != nil
		}
	}
}

// getPipelined is for clusters, where a command has one slot.
func (c *conn) getPipelined(ctx context.Context, batch []*queuedRead) {
	commands := make([]rueidis.Completed, len(batch))
	for i, r := range batch {
		commands[i] = c.client.B().Get().Key(r.key).Build()
	}
	results := c.send(ctx, commands)
	for i, r := range batch {
		r.reply = c.got(&results[i])
	}
}

func (c *conn) getTogether(ctx context.Context, batch []*queuedRead) {
	names := namesPool.Get().(*[]string)
	defer namesPool.Put(names)
	*names = (*names)[:0]
	for _, r := range batch {
		*names = append(*names, r.key)
	}
	result := c.sendOne(ctx, c.client.B().Mget().Key(*names...).Build())
	values, err := c.gotAll(&result, len(batch))
	for i, r := range batch {
		if r.reply.Err = err; err == nil {
			r.reply = c.present(&values[i], values[i].Error())
		}
	}
}
