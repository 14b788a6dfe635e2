package redistier

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder"
)

// Tier is Larder's shared tier on Redis. It implements [larder.Remote]; all
// methods may be called concurrently.
//
// Start begins a goroutine per master and, over Sentinels or a Cluster, one
// that follows the topology; each connection has another one that answers
// requests to confirm. Close ends and awaits them; the client library keeps two
// more per connection.
type Tier struct {
	self   self
	layout atomic.Pointer[layout]

	mu      sync.Mutex
	stop    context.CancelFunc // nil before Start
	closed  bool
	running sync.WaitGroup
}

var _ larder.Remote = (*Tier)(nil)

// New returns the tier for one namespace. It connects nowhere before Start.
// The error joins all faults of the configuration.
func New(cfg Config, namespace string) (*Tier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := checkNamespace(namespace); err != nil {
		return nil, err
	}
	t := &Tier{self: self{cfg: cfg.withDefaults(), keys: newKeys(namespace), member: newMemberID(), asleep: asleep}}
	t.self.barrier, t.self.clear = t.barrier, t.clear
	if cfg.Topology == Cluster {
		t.self.keys = newClusterKeys(namespace)
		t.layout.Store(&layout{owner: make([]*server, slots)})
		return t, nil
	}
	s := &server{self: &t.self, owned: func() []*stripe { return []*stripe{&t.self.keys.stripes[0]} }}
	s.locate = func(context.Context) (string, error) { return t.self.cfg.Address, nil }
	t.layout.Store(single(s))
	return t, nil
}

// EntryKey returns namespace:name, or name alone without a namespace.
func (t *Tier) EntryKey(name string) string { return t.self.keys.entry + name }

// RefreshKey returns the key of who refreshes an entry, in the entry's slot.
func (t *Tier) RefreshKey(entryKey string) string { return t.self.keys.refreshKey(entryKey) }

// TagKey returns the key of the generation of tag.
func (t *Tier) TagKey(tag string) string { return t.self.keys.tagKey(tag) }

// NamespaceKey returns the key of the generation of the namespace: there is one
// on a standalone server and one for each 256 slots of a cluster.
func (t *Tier) NamespaceKey(entryKey string) string { return t.self.keys.stripeOf(entryKey).namespace }

// NamespaceKeys returns all namespace keys.
func (t *Tier) NamespaceKeys() []string {
	return t.self.keys.all(func(s *stripe) string { return s.namespace })
}

// LogKey returns the key of the log of births for a tag: there is one on a
// standalone server and one for each 256 slots of a cluster.
func (t *Tier) LogKey(tagKey string) string { return t.self.keys.stripeOf(tagKey).log }

// LogKeys returns all log keys.
func (t *Tier) LogKeys() []string { return t.self.keys.all(func(s *stripe) string { return s.log }) }

// RunID names the life of the server of key: its run id and replication id. The
// second changes when a demoted server is promoted again without a restart.
func (t *Tier) RunID(key string) string {
	if c := t.conn(key); c != nil {
		return c.runID
	}
	return ""
}

// MaxStaleness returns that of the namespace, which the first process that
// connected has set for all; zero while it is not known. Who may be more stale
// must not serve from memory.
func (t *Tier) MaxStaleness() time.Duration { return t.self.bound.known() }

// Start connects and keeps reconnecting until Close. It returns when the first
// attempt has ended, at the latest when ctx ends. An absent server is no error.
func (t *Tier) Start(ctx context.Context, events larder.RemoteEvents) {
	attempted := t.begin(events)
	select {
	case <-attempted:
	case <-ctx.Done():
	}
}

// begin starts the goroutines unless the tier was closed before.
func (t *Tier) begin(events larder.RemoteEvents) <-chan struct{} {
	attempted := make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.stop != nil {
		close(attempted)
		return attempted
	}
	life, stop := context.WithCancel(context.Background())
	t.stop = stop
	t.self.events = events
	once := sync.OnceFunc(func() { close(attempted) })
	switch t.self.cfg.Topology {
	case Cluster:
		f := newFollower(t, once)
		t.running.Go(func() { f.run(life) })
	case Sentinel:
		s := newSentinels(t)
		t.running.Go(func() { s.run(life, once) })
	default:
		server := t.layout.Load().servers[0]
		t.running.Go(func() {
			defer once()
			server.run(life, once)
		})
	}
	return attempted
}

// Close ends all connections and waits for the goroutines of Start. It may be
// called twice and always returns nil.
func (t *Tier) Close() error {
	t.mu.Lock()
	t.closed = true
	if t.stop != nil {
		t.stop()
	}
	t.mu.Unlock()
	t.running.Wait()
	return nil
}

// Epoch returns the present epoch of the connection that serves key, nil while
// there is none.
func (t *Tier) Epoch(key string) *larder.Epoch {
	s := t.layout.Load().of(key)
	if s == nil {
		return nil
	}
	if c := s.live.Load(); c != nil {
		return c.epoch.Load()
	}
	return nil
}

// Beat sends a heartbeat to every master and credits the epochs of those who
// answered well.
func (t *Tier) Beat(ctx context.Context) error {
	return t.each(func(c *conn) error {
		if err := c.beat(ctx); err != nil {
			return fmt.Errorf("redistier: %w", err)
		}
		return nil
	})
}

// Get reads one key. Beside the bytes of the value it allocates nothing, unless
// it shares a command: reads that come while many are under way do, an MGET except
// in a cluster. In there a key of another type than string reads as absent.
func (t *Tier) Get(ctx context.Context, key string) larder.Reply {
	c := t.conn(key)
	if c == nil {
		return larder.Reply{Err: larder.ErrUnavailable}
	}
	return c.get(ctx, key)
}

// Do carries out ops as one pipeline per server. Except in a cluster, several
// OpGets in a row become one MGET, in which a key of another type than string
// reads as absent. Up to four OpGets alone share a command with others, as in Get.
//
// After a SCRIPT FLUSH the operations that found their script missing are
// carried out again, together with the reads and deletions behind them. What is
// left in Redis is what the order of ops leaves; only an operation before a
// deletion of the same key may be refused, as the deletion came first once.
func (t *Tier) Do(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	if len(ops) == 0 {
		return
	}
	if c := t.together(ops); c != nil {
		c.do(ctx, ops, replies[:len(ops)])
		return
	}
	t.split(ctx, ops, replies[:len(ops)])
}

func fillError(replies []larder.Reply, err error) {
	for i := range replies {
		replies[i] = larder.Reply{Err: err}
	}
}
