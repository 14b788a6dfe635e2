package redistier

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// Reads that few others are under way with are sent at once, each by a command
// of its own. Beyond, a command is sent when the last is old enough and not too
// many are under way, or when few reads are: whoever came meanwhile shares it. By
// measurement: with fewer free reads, eight readers wait for each other; with
// commands that follow each other faster, those of 64 readers are small, with
// more commands those of 256.
const (
	freeReads   = 12
	spacing     = int64(30 * time.Microsecond)
	maxCommands = 6
)

// coalescer makes one command of the reads that come while others are under way.
// With few readers each sends its own at once; with many, the server
// reads one command where it would read a hundred, and the client's writer and
// reader are woken once for all. Every read is sent after it was asked for.
//
// No goroutine serves it: who comes or finishes a command wakes one of those who
// wait, and that one sends what all of them want.
type coalescer struct {
	mu       sync.Mutex
	commands int           // under way
	reads    int           // of these commands
	last     int64         // when the last was sent that reads share
	queue    []*queuedRead // first come, first read
}

// readTogether is how many keys a read may have that shares a command with
// others: an entry and the generations it depends on.
const readTogether = 4

// queuedRead is a read that waits for another's command.
type queuedRead struct {
	ctx     context.Context
	n       int // of keys and replies
	keys    [readTogether]string
	replies [readTogether]larder.Reply
	leads   bool          // it is to send the next command; under coalescer.mu
	woken   chan struct{} // has room for one: the replies are there, or it leads
	again   bool          // the sender's context ended before the replies
}

var queuedReads = sync.Pool{New: func() any { return &queuedRead{woken: make(chan struct{}, 1)} }}

// newRead returns a read of no key yet.
func newRead(ctx context.Context) *queuedRead {
	r := queuedReads.Get().(*queuedRead)
	r.ctx = ctx
	return r
}

func (r *queuedRead) add(key string) {
	r.keys[r.n] = key
	r.n++
}

// giveBack is for who made r and was not given up: nobody else has it.
func (r *queuedRead) giveBack() {
	*r = queuedRead{woken: r.woken}
	queuedReads.Put(r)
}

// failed reports whether a key could not be read.
func (r *queuedRead) failed() bool {
	for i := range r.n {
		if r.replies[i].Err != nil {
			return true
		}
	}
	return false
}

// join lets a read pass, or puts it among those who wait.
func (q *coalescer) join(r *queuedRead) (pass bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.reads < freeReads {
		q.commands++
		q.reads++
		return true
	}
	q.queue = append(q.queue, r)
	q.leadIfDue()
	return false
}

// passOn follows the end of a command of n reads.
func (q *coalescer) passOn(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.commands--
	q.reads -= n
	if len(q.queue) > 0 {
		q.leadIfDue()
	}
}

// leadIfDue lets one of those who wait send the next command, if it is time for
// one: the one whose context ends last, as no other may wait so long.
func (q *coalescer) leadIfDue() {
	now := clock.Now()
	if q.reads >= freeReads && (q.commands >= maxCommands || now-q.last < spacing) {
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
	q.commands++
	q.reads++
	q.last = now
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
	batch := append(make([]*queuedRead, 0, 1+len(q.queue)), r)
	n := 0
	for keys := r.n; n < len(q.queue) && keys+q.queue[n].n <= maxRun; n++ {
		keys += q.queue[n].n
	}
	batch = append(batch, q.queue[:n]...)
	q.queue = slices.Delete(q.queue, 0, n)
	q.reads += n
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
	r := newRead(ctx)
	r.add(key)
	if c.reads.join(r) {
		r.giveBack()
		reply := c.getAlone(ctx, key)
		c.reads.passOn(1)
		return reply
	}
	if err := c.await(r); err != nil {
		return larder.Reply{Err: err}
	}
	reply, again := r.replies[0], r.again
	r.giveBack()
	if again {
		return c.getAlone(ctx, key)
	}
	return reply
}

// getFew carries out ops, which are OpGets of readTogether keys at most, as get
// does.
func (c *conn) getFew(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	r := newRead(ctx)
	for i := range ops {
		r.add(ops[i].Key)
	}
	if c.reads.join(r) {
		r.giveBack()
		c.doTogether(ctx, ops, replies)
		c.reads.passOn(1)
		return
	}
	if err := c.await(r); err != nil {
		fillError(replies, err)
		return
	}
	copy(replies, r.replies[:r.n])
	again := r.again
	r.giveBack()
	if again {
		c.doTogether(ctx, ops, replies)
	}
}

// await returns when the replies to r are there, or when its context has ended:
// then whoever has r in a batch may still write to it.
func (c *conn) await(r *queuedRead) error {
	select {
	case <-r.woken:
	case <-r.ctx.Done():
		if c.reads.giveUp(r) {
			return r.ctx.Err()
		}
		<-r.woken
	}
	if r.leads {
		batch := c.reads.take(r)
		c.getAll(r.ctx, batch)
		c.reads.passOn(len(batch))
		for _, other := range batch[1:] {
			other.woken <- struct{}{}
		}
	}
	if r.again {
		return r.ctx.Err() // the sender's would tell of another context
	}
	return nil
}

// getAll reads the keys of batch within ctx, which is that of the first: the
// others ask again if it ends too early for them.
func (c *conn) getAll(ctx context.Context, batch []*queuedRead) {
	names := borrowNames()
	for _, r := range batch {
		names.add(r)
	}
	c.getNames(ctx, names)
	for _, r := range batch {
		names.answer(r)
	}
	names.giveBack()
	if ctx.Err() != nil {
		for _, r := range batch[1:] {
			r.again = r.failed()
		}
	}
}

// getNames reads all names by one command, or by one each in a cluster, where a
// command has one slot.
func (c *conn) getNames(ctx context.Context, names *names) {
	if c.keys.clustered() {
		commands := make([]rueidis.Completed, len(names.list))
		for i, name := range names.list {
			commands[i] = c.client.B().Get().Key(name).Build()
		}
		results := c.send(ctx, commands)
		for i := range results {
			names.replies = append(names.replies, c.got(&results[i]))
		}
		return
	}
	result := c.sendOne(ctx, c.client.B().Mget().Key(names.list...).Build())
	values, err := c.gotAll(&result, len(names.list))
	for i := range names.list {
		reply := larder.Reply{Err: err}
		if err == nil {
			reply = c.present(&values[i], values[i].Error())
		}
		names.replies = append(names.replies, reply)
	}
}

// names are the keys of several reads, each once: most of them depend on the same
// generations.
type names struct {
	list    []string
	replies []larder.Reply
	shared  []int // of list: those that are looked for before they are added
	places  []int // in list, of the keys of the reads in turn
	next    int   // of places
}

// sharedMost bounds how many names are looked for one by one.
const sharedMost = 16

var namesRooms = sync.Pool{New: func() any { return new(names) }}

func borrowNames() *names { return namesRooms.Get().(*names) }

func (n *names) giveBack() {
	clear(n.list)
	clear(n.replies)
	*n = names{list: n.list[:0], replies: n.replies[:0], shared: n.shared[:0], places: n.places[:0]}
	namesRooms.Put(n)
}

func (n *names) add(r *queuedRead) {
	for _, key := range r.keys[:r.n] {
		n.places = append(n.places, n.place(key))
	}
}

func (n *names) place(key string) int {
	if strings.HasPrefix(key, reserved) {
		for _, i := range n.shared {
			if n.list[i] == key {
				return i
			}
		}
		if len(n.shared) < sharedMost {
			n.shared = append(n.shared, len(n.list))
		}
	}
	n.list = append(n.list, key)
	return len(n.list) - 1
}

// answer gives the replies to the next read that was added.
func (n *names) answer(r *queuedRead) {
	for i := range r.n {
		r.replies[i] = n.replies[n.places[n.next]]
		n.next++
	}
}
