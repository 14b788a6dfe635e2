package lardertest

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder"
)

// RemoteOptions configure a [Remote].
type RemoteOptions struct {
	// Namespace separates the keys of caches that share a server.
	Namespace string
	// Replay keeps the entries of a server that lost its latest writes.
	// Default: their namespace is cleared when the first connection is made.
	Replay bool
	// Validated takes away all pushes, as behind a proxy that speaks RESP2, and
	// lets the cache ask for every read. Default: false.
	Validated bool
	// Redial is the pause between attempts to connect. Default: 50 ms.
	Redial time.Duration
}

// Remote is the access of one cache to one or several fake servers: a
// larder.Remote with a network that can be slow, hold or break. Several remotes
// over one [Server] are a cluster of caches.
//
// It runs three goroutines per server, which end at Close. They block only on
// channels and timers, so they suit a bubble of testing/synctest.
type Remote struct {
	opts      RemoteOptions
	links     []*link
	events    larder.RemoteEvents
	life      context.Context // ends at Close
	end       context.CancelFunc
	closing   chan struct{}
	closeOnce sync.Once
	workers   sync.WaitGroup
	trips     atomic.Int64
}

var _ larder.Remote = (*Remote)(nil)

// NewRemote returns the access of a new cache to servers, the masters of a
// cluster that share the keys by their hash.
func NewRemote(o RemoteOptions, servers ...*Server) *Remote {
	if len(servers) == 0 {
		panic("lardertest: a Remote needs a Server")
	}
	if o.Redial <= 0 {
		o.Redial = 50 * time.Millisecond
	}
	r := &Remote{opts: o, closing: make(chan struct{})}
	r.life, r.end = context.WithCancel(context.Background())
	for _, s := range servers {
		r.links = append(r.links, &link{remote: r, server: s})
	}
	return r
}

// controlPrefix begins the keys that are no entries.
const controlPrefix = "#larder:"

func (r *Remote) namespaceKey(i int) string {
	return controlPrefix + "ns:" + r.opts.Namespace + ":" + strconv.Itoa(i)
}

func (r *Remote) logKey(i int) string {
	return controlPrefix + "log:" + r.opts.Namespace + ":" + strconv.Itoa(i)
}

func (r *Remote) lifeKey() string { return controlPrefix + "life:" + r.opts.Namespace }

func (r *Remote) beatKey() string { return controlPrefix + "beat:" + r.opts.Namespace }

func (r *Remote) entryPrefix() string {
	if r.opts.Namespace == "" {
		return ""
	}
	return r.opts.Namespace + ":"
}

// EntryKey implements larder.Remote.
func (r *Remote) EntryKey(name string) string { return r.entryPrefix() + name }

// RefreshKey implements larder.Remote.
func (r *Remote) RefreshKey(entryKey string) string { return r.refreshPrefix() + entryKey }

func (r *Remote) refreshPrefix() string { return controlPrefix + "refresh:" + r.opts.Namespace + ":" }

// TagKey implements larder.Remote.
func (r *Remote) TagKey(tag string) string {
	return controlPrefix + "tag:" + r.opts.Namespace + ":" + tag
}

// NamespaceKey implements larder.Remote.
func (r *Remote) NamespaceKey(entryKey string) string { return r.namespaceKey(r.route(entryKey)) }

// NamespaceKeys implements larder.Remote: a key per server.
func (r *Remote) NamespaceKeys() []string {
	keys := make([]string, len(r.links))
	for i := range keys {
		keys[i] = r.namespaceKey(i)
	}
	return keys
}

// LogKey implements larder.Remote. The generation of a namespace is in no log.
func (r *Remote) LogKey(tagKey string) string {
	if !strings.HasPrefix(tagKey, r.TagKey("")) {
		return ""
	}
	return r.logKey(r.route(tagKey))
}

// LogKeys implements larder.Remote: a key per server.
func (r *Remote) LogKeys() []string {
	keys := make([]string, len(r.links))
	for i := range keys {
		keys[i] = r.logKey(i)
	}
	return keys
}

// route returns the index of the server that holds key.
func (r *Remote) route(key string) int {
	if len(r.links) == 1 {
		return 0
	}
	for _, kind := range []string{"ns:", "log:"} {
		rest, ok := strings.CutPrefix(key, controlPrefix+kind+r.opts.Namespace+":")
		if i, err := strconv.Atoi(rest); ok && err == nil && i < len(r.links) {
			return i
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return int(h.Sum32() % uint32(len(r.links)))
}

// Start implements larder.Remote.
func (r *Remote) Start(ctx context.Context, events larder.RemoteEvents) {
	r.events = events
	for _, l := range r.links {
		first := make(chan struct{})
		r.workers.Go(func() { l.supervise(first) })
		select {
		case <-first:
		case <-ctx.Done():
		}
	}
}

// Close implements larder.Remote.
func (r *Remote) Close() error {
	r.closeOnce.Do(func() {
		close(r.closing)
		r.end()
		for _, l := range r.links {
			l.drop(larder.ErrUnavailable)
		}
	})
	r.workers.Wait()
	return nil
}

func (r *Remote) isClosing() bool {
	select {
	case <-r.closing:
		return true
	default:
		return false
	}
}

// Epoch implements larder.Remote.
func (r *Remote) Epoch(key string) *larder.Epoch {
	if c := r.links[r.route(key)].conn.Load(); c != nil {
		return c.epoch.Load()
	}
	return nil
}

// Mode returns "tracking" or "validated", for larder.Health.
func (r *Remote) Mode() string {
	if r.opts.Validated {
		return "validated"
	}
	return "tracking"
}

// Beat implements larder.Remote.
func (r *Remote) Beat(ctx context.Context) error {
	reqs := make([]*request, len(r.links))
	errs := make([]error, len(r.links))
	for i, l := range r.links {
		reqs[i] = &request{beat: true, done: make(chan struct{})}
		errs[i] = l.start(reqs[i])
	}
	for i := range reqs {
		if errs[i] == nil {
			errs[i] = reqs[i].wait(ctx)
		}
	}
	return errors.Join(errs...)
}

// Trips returns how many calls of Get and Do have sent something: the round
// trips, since the servers of one call are asked in parallel.
func (r *Remote) Trips() int64 { return r.trips.Load() }

// Get implements larder.Remote.
func (r *Remote) Get(ctx context.Context, key string) larder.Reply {
	var reply [1]larder.Reply
	r.Do(ctx, []larder.Op{{Kind: larder.OpGet, Key: key}}, reply[:])
	return reply[0]
}

// Do implements larder.Remote.
func (r *Remote) Do(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	if len(ops) != len(replies) {
		panic("lardertest: Do needs a reply for each operation")
	}
	if err := ctx.Err(); err != nil {
		fail(replies, err)
		return
	}
	var parts []part
	for i := range r.links {
		if p := r.part(i, ops); len(p.index) > 0 {
			parts = append(parts, p)
		}
	}
	sent := false
	for i := range parts {
		parts[i].err = r.links[parts[i].link].start(parts[i].req)
		sent = sent || parts[i].err == nil
	}
	if sent {
		r.trips.Add(1)
	}
	for i := range parts {
		parts[i].collect(ctx, replies)
	}
}

// part is what one server gets of a call of Do.
type part struct {
	link  int
	index []int // of its operations in the call
	req   *request
	err   error
}

func (r *Remote) part(link int, ops []larder.Op) part {
	p := part{link: link, req: &request{done: make(chan struct{})}}
	for i := range ops {
		if r.route(ops[i].Key) == link {
			p.index = append(p.index, i)
			op := ops[i]
			op.Value = slices.Clone(op.Value)
			p.req.ops = append(p.req.ops, op)
		}
	}
	p.req.replies = make([]larder.Reply, len(p.req.ops))
	return p
}

func (p *part) collect(ctx context.Context, replies []larder.Reply) {
	err := p.err
	if err == nil {
		err = p.req.wait(ctx)
	}
	for n, i := range p.index {
		if err != nil {
			replies[i] = larder.Reply{Err: err}
			continue
		}
		replies[i] = p.req.replies[n]
	}
}

func fail(replies []larder.Reply, err error) {
	for i := range replies {
		replies[i] = larder.Reply{Err: err}
	}
}
