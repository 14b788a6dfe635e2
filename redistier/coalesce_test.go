package redistier

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/lardertest"
)

// fillNumbered sets n entries to their own names and returns these.
func fillNumbered(t *testing.T, tier *Tier, srv *lardertest.RedisServer, n int) []string {
	t.Helper()
	keys := make([]string, n)
	for i := range keys {
		keys[i] = tier.EntryKey("k" + strconv.Itoa(i))
		command(t, srv, "SET", keys[i], keys[i])
	}
	return keys
}

// readsUnderWay pauses the server and returns once freeReads reads have been
// sent to it, one of them with the context first; their replies come by the
// channel.
func readsUnderWay(t *testing.T, first context.Context, tier *Tier, srv *lardertest.RedisServer) <-chan larder.Reply {
	t.Helper()
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	replies := make(chan larder.Reply, freeReads)
	ctx := first
	for range freeReads {
		go func(ctx context.Context) { replies <- tier.Get(ctx, tier.EntryKey("k0")) }(ctx)
		ctx = testContext(t)
	}
	q := readsOf(tier)
	eventually(t, "reads under way", func() bool { return q.underWayNow() == freeReads })
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last = math.MaxInt64 // no other command until one of these has ended
	return replies
}

func readsOf(tier *Tier) *coalescer { return &tier.conn(tier.EntryKey("k")).reads }

func (q *coalescer) underWayNow() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.reads
}

func (q *coalescer) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue)
}

var mgetCalls = regexp.MustCompile(`cmdstat_mget:calls=(\d+)`)

// TestReadsCoalesce: reads that come while others are under way share commands,
// each gets what its key holds, and the last leaves nothing behind.
func TestReadsCoalesce(t *testing.T) {
	tier, _, srv := connected(t)
	keys := fillNumbered(t, tier, srv, 100)
	ctx := testContext(t)
	first := readsUnderWay(t, ctx, tier, srv)
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() {
			want := larder.Reply{State: larder.Present, Data: key}
			if i%10 == 9 {
				key, want = tier.EntryKey("absent"+strconv.Itoa(i)), larder.Reply{State: larder.Absent}
			}
			if got := tier.Get(ctx, key); got != want {
				t.Errorf("%s: %+v", key, got)
			}
		})
	}
	eventually(t, "queue of 100", func() bool { return readsOf(tier).waiting() == len(keys) })
	if err := srv.Cont(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for range freeReads {
		if r := <-first; r.Data != keys[0] {
			t.Errorf("%+v", r)
		}
	}
	calls := mgetCalls.FindStringSubmatch(command(t, srv, "INFO", "commandstats"))
	if calls == nil || len(calls[1]) != 1 {
		t.Errorf("MGET calls %q for %d reads at once, want at most 9", calls, len(keys))
	}
	eventually(t, "end", func() bool { return readsOf(tier).underWayNow() == 0 && readsOf(tier).waiting() == 0 })
}

// TestWhenCommandsAreSent: reads go at once while few are under way; others wait
// until the last command is old enough, few are under way again, or none, and in
// no case for ever.
func TestWhenCommandsAreSent(t *testing.T) {
	young, old := clock.Now()+int64(time.Hour), clock.Now()-int64(time.Hour)
	read := func() *queuedRead {
		r := newRead(testContext(t))
		r.add("k")
		return r
	}
	for _, c := range []struct {
		name        string
		q           *coalescer
		pass, leads bool
	}{
		{"nobody else", &coalescer{last: young}, true, false},
		{"few others", &coalescer{commands: 2, reads: freeReads - 1, last: young}, true, false},
		{"many others, a moment ago", &coalescer{commands: 2, reads: freeReads, last: young}, false, false},
		{"many others, some time ago", &coalescer{commands: 2, reads: freeReads, last: old}, false, true},
		{"no answers", &coalescer{commands: maxCommands, reads: 99, last: old}, false, false},
	} {
		r := read()
		if pass := c.q.join(r); pass != c.pass || r.leads != c.leads {
			t.Errorf("%s: passes %v, leads %v", c.name, pass, r.leads)
		}
	}
	for _, c := range []struct {
		name  string
		q     *coalescer
		ended int
		leads bool
	}{
		{"many others, a moment ago", &coalescer{commands: 3, reads: freeReads + 9, last: young}, 9, false},
		{"many others, some time ago", &coalescer{commands: 3, reads: freeReads + 9, last: old}, 9, true},
		{"many others, by many commands", &coalescer{commands: maxCommands + 1, reads: freeReads + 9, last: old}, 9, false},
		{"few others", &coalescer{commands: 3, reads: freeReads + 8, last: young}, 9, true},
		{"no others", &coalescer{commands: 1, reads: 500, last: young}, 500, true},
	} {
		r := read()
		c.q.queue = append(c.q.queue, r)
		commands := c.q.commands
		if c.q.passOn(c.ended); r.leads != c.leads {
			t.Errorf("after the end of a command, %s: leads %v", c.name, r.leads)
		}
		if want := commands - 1 + map[bool]int{true: 1}[c.leads]; c.q.commands != want {
			t.Errorf("after the end of a command, %s: %d commands, want %d", c.name, c.q.commands, want)
		}
	}
}

// TestTheFirstReadsAreReadFirst: of more reads than one command takes, those go
// with the next that have waited longest. Numbered, with the last ones first:
//
//  1. more reads wait than one command takes
//  2. a command takes the newest of them; as many new ones come meanwhile
//  3. so does the next: the oldest are not read before their contexts end
func TestTheFirstReadsAreReadFirst(t *testing.T) {
	const waiting = maxRun + 100
	ctx, q := testContext(t), coalescer{commands: 1, reads: freeReads, last: math.MaxInt64}
	all := make([]*queuedRead, waiting)
	for i := range all {
		all[i] = newRead(ctx)
		if all[i].add(strconv.Itoa(i)); q.join(all[i]) {
			t.Fatalf("read %d is let through", i)
		}
	}
	if !q.giveUp(all[50]) {
		t.Fatal("a read that waits leads")
	}
	q.passOn(1)
	at := slices.IndexFunc(all, func(r *queuedRead) bool { return r.leads })
	if at < 0 {
		t.Fatal("nobody leads")
	}
	took := map[*queuedRead]bool{}
	for _, r := range q.take(all[at]) {
		took[r] = true
	}
	if len(took) != maxRun {
		t.Fatalf("a command for %d reads", len(took))
	}
	for i, r := range all[:maxRun] {
		if took[r] == (i == 50) {
			t.Errorf("read %d of %d: taken %v", i, waiting, took[r])
		}
	}
	if left := q.waiting(); left != waiting-1-maxRun {
		t.Errorf("%d reads are left", left)
	}
}

// TestQueuedReadsEndWithTheirContexts: a read that waits for others ends with
// its own context, and one whose command ended with its sender's context asks
// again:
//
//  1. all commands that may be under way are, and get no answer
//  2. A, which may wait longest, and B queue up; C, with little time, too
//  3. C's time is up: it returns
//  4. one of the commands of 1 ends; A sends one for itself and B
//  5. A's caller cancels: A returns
//  6. the server answers again: B gets its value
func TestQueuedReadsEndWithTheirContexts(t *testing.T) {
	tier, _, srv := connected(t)
	keys := fillNumbered(t, tier, srv, 3)
	firstContext, endFirst := context.WithCancel(testContext(t))
	first := readsUnderWay(t, firstContext, tier, srv)

	get := func(ctx context.Context, key string) <-chan larder.Reply {
		reply := make(chan larder.Reply, 1)
		before := readsOf(tier).waiting()
		go func() { reply <- tier.Get(ctx, key) }()
		eventually(t, "read in the queue", func() bool { return readsOf(tier).waiting() > before })
		return reply
	}
	contextA, cancelA := context.WithTimeout(context.Background(), 2*patience)
	defer cancelA()
	a, b := get(contextA, keys[1]), get(testContext(t), keys[2])
	contextC, cancelC := context.WithCancel(testContext(t))
	c := get(contextC, keys[0])
	cancelC()
	if r := <-c; !errors.Is(r.Err, context.Canceled) {
		t.Errorf("C: %+v", r)
	}
	endFirst()
	if r := <-first; !errors.Is(r.Err, context.Canceled) {
		t.Errorf("first: %+v", r)
	}
	eventually(t, "command of A", func() bool { return readsOf(tier).waiting() == 0 })
	cancelA()
	if r := <-a; !errors.Is(r.Err, context.Canceled) {
		t.Errorf("A: %+v", r)
	}
	if err := srv.Cont(); err != nil {
		t.Fatal(err)
	}
	if r := <-b; r.Data != keys[2] {
		t.Errorf("B: %+v", r)
	}
	for range freeReads - 1 {
		if r := <-first; r.Data != keys[0] {
			t.Errorf("first: %+v", r)
		}
	}
}

// TestQueuedReadsTellTheirOwnEnd: a read whose time is up when the command comes back
// that its sender canceled was not canceled.
func TestQueuedReadsTellTheirOwnEnd(t *testing.T) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	for range 100 { // whether it is woken or wakes by itself is left to chance
		r := newRead(ctx)
		r.add("k")
		r.replies[0].Err, r.again = context.Canceled, true
		r.woken <- struct{}{}
		if err := new(conn).await(r); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a read ended with %v, %v", err, r.replies[0].Err)
		}
	}
}

// TestReadsUnderTorment: whatever contexts end and connections break, a read
// returns the value of its own key or an error, and when all is over nothing is
// under way.
func TestReadsUnderTorment(t *testing.T) {
	tier, events, srv := connected(t)
	keys := fillNumbered(t, tier, srv, 50)
	tags := []string{tier.TagKey("a"), tier.TagKey("b"), tier.TagKey("c")}
	for _, tag := range tags {
		command(t, srv, "SET", tag, tag)
	}
	var values atomic.Int64
	var wg sync.WaitGroup
	over := make(chan struct{})
	for range 60 {
		wg.Go(func() {
			for !closed(over) {
				ctx, cancel := context.WithTimeout(context.Background(), rand.N(3*time.Millisecond))
				if rand.N(4) == 0 {
					cancel()
				}
				wanted := append([]string{keys[rand.N(len(keys))]}, tags[:rand.N(len(tags)+1)]...)
				for i, r := range readKeys(ctx, tier, wanted) {
					if r.Err == nil && r.Data != wanted[i] {
						t.Errorf("%s: %+v", wanted[i], r)
					}
					if r.Err == nil {
						values.Add(1)
					}
				}
				cancel()
			}
		})
	}
	for range 5 {
		before := values.Load()
		eventually(t, "reads between two kills", func() bool { return values.Load() > before })
		mark := events.mark()
		command(t, srv, "CLIENT", "KILL", "TYPE", "normal")
		events.await(t, mark, "connected")
	}
	close(over)
	wg.Wait()
	q := readsOf(tier)
	eventually(t, "end", func() bool { return q.underWayNow() == 0 && q.waiting() == 0 })
	if r := tier.Get(testContext(t), keys[7]); r.Data != keys[7] {
		t.Errorf("afterwards: %+v", r)
	}
}

// readKeys reads keys together.
func readKeys(ctx context.Context, tier *Tier, keys []string) []larder.Reply {
	if len(keys) == 1 {
		return []larder.Reply{tier.Get(ctx, keys[0])}
	}
	ops, replies := make([]larder.Op, len(keys)), make([]larder.Reply, len(keys))
	for i, key := range keys {
		ops[i] = larder.Op{Kind: larder.OpGet, Key: key}
	}
	tier.Do(ctx, ops, replies)
	return replies
}

// TestSharedGenerationsAreReadOnce: reads that share a command name a generation
// once that they all depend on, and each gets its own replies.
func TestSharedGenerationsAreReadOnce(t *testing.T) {
	tier, _, _ := connected(t)
	n := borrowNames()
	defer n.giveBack()
	var reads []*queuedRead
	for i := range 3 * (sharedMost - 1) {
		r := newRead(testContext(t))
		r.add(tier.EntryKey("k" + strconv.Itoa(i)))
		r.add(tier.NamespaceKey(r.keys[0]))
		r.add(tier.TagKey("t" + strconv.Itoa(i/3)))
		reads = append(reads, r)
		n.add(r)
	}
	for _, key := range n.list {
		n.replies = append(n.replies, larder.Reply{State: larder.Present, Data: key})
	}
	if want := len(reads) + 1 + len(reads)/3; len(n.list) != want {
		t.Errorf("%d names of %d reads, want %d", len(n.list), len(reads), want)
	}
	for _, r := range reads {
		n.answer(r)
		for i, reply := range r.replies[:r.n] {
			if reply.Data != r.keys[i] {
				t.Errorf("%q for %q", reply.Data, r.keys[i])
			}
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
