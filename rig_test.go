package larder_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tolerance is the MaxStaleness of every rig.
const tolerance = time.Second

// rig is a cluster of caches over one fake server in virtual time, and the
// source they load from.
type rig struct {
	*testing.T
	server *lardertest.Server
	nodes  []*node
	src    *source
	ctx    context.Context
}

// node is one cache with a keyspace of each kind.
type node struct {
	rig    *rig
	remote *lardertest.Remote
	cache  *larder.Cache
	plain  *larder.Keyspace[string, int] // no tags
	tagged *larder.Keyspace[string, int] // tag "group"
	logs   *logs
}

// setup changes what a rig is built of.
type setup struct {
	nodes  int
	cache  larder.Options
	spaces larder.KeyspaceOptions[string, int]
	delay  time.Duration
	remote lardertest.RemoteOptions
}

// inRig runs a test in a bubble with n caches.
func inRig(t *testing.T, n int, run func(r *rig)) { inSetup(t, setup{nodes: n}, run) }

func inSetup(t *testing.T, s setup, run func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, server: lardertest.NewServer(), src: newSource(), ctx: t.Context()}
		for range s.nodes {
			r.join(s)
		}
		run(r)
	})
}

// join adds a cache to the cluster.
func (r *rig) join(s setup) *node {
	r.Helper()
	n := &node{rig: r, remote: lardertest.NewRemote(s.remote, r.server), logs: new(logs)}
	n.remote.Delay(s.delay)
	if s.cache.MaxStaleness == 0 {
		s.cache.MaxStaleness = tolerance
	}
	s.cache.Logger = slog.New(n.logs)
	var err error
	if n.cache, err = larder.NewWithRemote(r.ctx, n.remote, s.cache); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := n.cache.Close(); err != nil {
			r.Logf("close: %v", err)
		}
	})
	n.plain = space(r.T, n.cache, "plain", s.spaces)
	s.spaces.Tags = func(string) []string { return []string{"group"} }
	n.tagged = space(r.T, n.cache, "tagged", s.spaces)
	r.nodes = append(r.nodes, n)
	return n
}

func space[K comparable, V any](t testing.TB, c *larder.Cache, name string, o larder.KeyspaceOptions[K, V]) *larder.Keyspace[K, V] {
	t.Helper()
	k, err := larder.NewKeyspace(c, name, o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// two returns the caches of a rig of two.
func (r *rig) two() (a, b *node) { return r.nodes[0], r.nodes[1] }

// get is Get on the plain keyspace that must succeed.
func (n *node) get(key string, opts ...larder.ReadOption) int {
	n.rig.Helper()
	return n.getFrom(n.plain, key, opts...)
}

func (n *node) getFrom(k *larder.Keyspace[string, int], key string, opts ...larder.ReadOption) int {
	n.rig.Helper()
	v, err := k.Get(n.rig.ctx, key, n.rig.src.load, opts...)
	if err != nil {
		n.rig.Errorf("Get(%q): %v", key, err)
	}
	return v
}

// expect is get with the value wanted.
func (n *node) expect(key string, want int, opts ...larder.ReadOption) {
	n.rig.Helper()
	if got := n.get(key, opts...); got != want {
		n.rig.Errorf("Get(%q) = version %d, want %d", key, got, want)
	}
}

// lookup is Lookup on the plain keyspace.
func (n *node) lookup(key string) (int, error) { return n.plain.Lookup(n.rig.ctx, key) }

// invalidate must be confirmed.
func (n *node) invalidate(targets ...larder.Target) {
	n.rig.Helper()
	if err := n.cache.Invalidate(n.rig.ctx, targets...); err != nil {
		n.rig.Fatalf("Invalidate: %v", err)
	}
}

// stats are those of the plain keyspace.
func (n *node) stats() larder.KeyspaceStats { return n.cache.Stats().Keyspaces["plain"] }

// loads expects how often key was loaded since the last call.
func (r *rig) loads(key string, want int) {
	r.Helper()
	if got := r.src.takeLoads(key); got != want {
		r.Errorf("%d loads of %q, want %d", got, key, want)
	}
}

// pass lets virtual time pass.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// began is a Get under way.
type began struct {
	value int
	err   error
	done  chan struct{}
}

// begin starts a Get on the plain keyspace and returns once everything waits.
func (n *node) begin(key string, opts ...larder.ReadOption) *began {
	return n.beginIn(n.rig.ctx, n.plain, key, opts...)
}

func (n *node) beginIn(ctx context.Context, k *larder.Keyspace[string, int], key string, opts ...larder.ReadOption) *began {
	b := &began{done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.value, b.err = k.Get(ctx, key, n.rig.src.load, opts...)
	}()
	synctest.Wait()
	return b
}

func (b *began) ended() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// brings waits for the Get and compares its value.
func (b *began) brings(t testing.TB, want int) {
	t.Helper()
	<-b.done
	if b.err != nil || b.value != want {
		t.Errorf("Get = version %d, %v; want %d", b.value, b.err, want)
	}
}

// source holds a version per key. A load reads the version first and then may
// be made slow: it brings home what was true when it began.
type source struct {
	mu      sync.Mutex
	version map[string]int
	count   map[string]int
	running map[string]int
	most    map[string]int // loads of a key at once
	gates   map[string][]*gate
	hook    func(ctx context.Context, key string) error
}

func newSource() *source {
	return &source{version: map[string]int{}, count: map[string]int{}, running: map[string]int{},
		most: map[string]int{}, gates: map[string][]*gate{}}
}

// gate keeps a load back.
type gate struct {
	entered chan struct{}
	open    chan struct{}
}

func (g *gate) pass() { close(g.open) }

// slow makes the next load of key wait until the gate is opened.
func (s *source) slow(key string) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &gate{entered: make(chan struct{}), open: make(chan struct{})}
	s.gates[key] = append(s.gates[key], g)
	return g
}

// change commits a new version of key.
func (s *source) change(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version[key]++
	return s.version[key]
}

func (s *source) takeLoads(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.count[key]
	s.count[key] = 0
	return n
}

func (s *source) load(ctx context.Context, key string) (int, error) {
	s.mu.Lock()
	v := s.version[key]
	s.count[key]++
	s.running[key]++
	s.most[key] = max(s.most[key], s.running[key])
	var g *gate
	if waiting := s.gates[key]; len(waiting) > 0 {
		g, s.gates[key] = waiting[0], waiting[1:]
	}
	hook := s.hook
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running[key]--
		s.mu.Unlock()
	}()
	if g != nil {
		close(g.entered)
		select {
		case <-g.open:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if hook != nil {
		if err := hook(ctx, key); err != nil {
			return 0, err
		}
	}
	return v, nil
}

// loadMany is load for a batch.
func (s *source) loadMany(ctx context.Context, keys []string) (map[string]int, error) {
	values := make(map[string]int, len(keys))
	for _, key := range keys {
		v, err := s.load(ctx, key)
		if err != nil {
			return nil, err
		}
		values[key] = v
	}
	return values, nil
}

// logs is a slog.Handler that keeps messages.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }

func (l *logs) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r.Message)
	return nil
}

// containing counts the messages with part in them.
func (l *logs) containing(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// failing makes operations of a kind on node n (nil: on all) go wrong.
func (r *rig) failing(n *node, kind larder.OpKind, f lardertest.Fault) {
	r.server.Script(func(q lardertest.Request) lardertest.Fault {
		if q.Op.Kind == kind && (n == nil || q.Remote == n.remote) {
			return f
		}
		return lardertest.NoFault
	})
}

func (r *rig) healthy() { r.server.Script(nil) }
