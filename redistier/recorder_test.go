package redistier

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// patience is for how long a test waits for what must happen, on a machine with
// much else to do.
const patience = time.Minute

// dialsSlowly is for a busy machine as well: the time to connect of tests in
// which nothing hangs.
const dialsSlowly = 10 * time.Second

// recorder notes the events of a tier in their order, as words.
type recorder struct {
	mu      sync.Mutex
	log     []string
	changed chan struct{} // closed and replaced at every event
	onEvent func(string)  // may be nil
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

func (r *recorder) note(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.onEvent != nil {
		r.onEvent(event)
	}
	r.log = append(r.log, event)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Invalidated(keys []string) {
	for _, key := range keys {
		r.note("invalidated " + key)
	}
}
func (r *recorder) Flushed()               { r.note("flushed") }
func (r *recorder) Confirming()            {}
func (r *recorder) Connected()             { r.note("connected") }
func (r *recorder) Disconnected(err error) { r.note("disconnected " + err.Error()) }

// events returns what was noted from the mark on.
func (r *recorder) events(mark int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log[mark:])
}

func (r *recorder) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.log)
}

// await waits for an event that begins with prefix, from the mark on, and
// returns the mark behind it.
func (r *recorder) await(t testing.TB, mark int, prefix string) int {
	t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		changed := r.changed
		found := slices.IndexFunc(r.log[mark:], func(e string) bool { return strings.HasPrefix(e, prefix) })
		r.mu.Unlock()
		if found >= 0 {
			return mark + found + 1
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no event %q within %v; events: %q", prefix, patience, r.events(mark))
		}
	}
}

// countOf counts the events from the mark on that begin with prefix.
func (r *recorder) countOf(mark int, prefix string) int {
	n := 0
	for _, e := range r.events(mark) {
		if strings.HasPrefix(e, prefix) {
			n++
		}
	}
	return n
}

// open starts a tier over cfg and closes it with the test.
func openTier(t testing.TB, cfg Config, namespace string) (*Tier, *recorder) {
	t.Helper()
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, dialsSlowly)
	tier, err := New(cfg, namespace)
	if err != nil {
		t.Fatal(err)
	}
	events := newRecorder()
	t.Cleanup(func() { tier.Close() })
	tier.Start(testContext(t), events)
	return tier, events
}

// connected starts a tier and a server for it, and waits until they meet.
func connected(t testing.TB) (*Tier, *recorder, *lardertest.RedisServer) {
	t.Helper()
	srv := lardertest.StartRedis(t)
	tier, events := openTier(t, Config{Address: srv.Addr()}, "shop")
	events.await(t, 0, "connected")
	return tier, events, srv
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// command sends a command as another client.
func command(t testing.TB, srv *lardertest.RedisServer, args ...string) string {
	t.Helper()
	reply, err := srv.Command(args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return reply
}

// one carries out a single op.
func one(t testing.TB, tier *Tier, op larder.Op) larder.Reply {
	t.Helper()
	replies := make([]larder.Reply, 1)
	tier.Do(testContext(t), []larder.Op{op}, replies)
	return replies[0]
}

// eventually waits for what no event tells of.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline, tick := testContext(t), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatalf("no %s within %v", what, patience)
		}
	}
}
