package redistier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// conn is one life of the connection to one master, from the dial to the
// failure. One goroutine answers requests to confirm; the client's reader calls
// onPush in the order of the wire.
type conn struct {
	*self
	cfg     Config // with the address of this server
	server  *server
	stripes []*stripe     // of this master when the connection was opened
	opened  int64         // monotonic time
	slept   time.Duration // what asleep returned then
	tracked bool          // the server pushes what changes

	client  rueidis.Client // set by open
	id      int64          // CLIENT ID; set by open
	runID   string         // of the server process; set by open
	dialed  atomic.Bool
	probing atomic.Pointer[probe]

	flow   flow
	reads  coalescer
	pulse  pulse
	losses losses

	seats    atomic.Pointer[[]seat] // in the registries of this master
	seating  chan struct{}          // held while seats are taken
	unseated atomic.Pointer[[]seat] // seats that a flush took; nil: none did
	lost     atomic.Bool            // a seat was found to be gone

	asked    chan struct{} // wakes answer
	unagreed atomic.Bool   // MaxStaleness of the namespace may have changed
	answers  bell          // rings when another member has acknowledged
	workers  sync.WaitGroup

	// epoch is nil until the connection is published and after it failed.
	epoch atomic.Pointer[larder.Epoch]
	dead  chan struct{} // closed by fail
	// drained is closed once the reader has delivered its last push.
	drained   chan struct{}
	drainOnce sync.Once

	published atomic.Bool // changes once, under mu

	mu      sync.Mutex // guards what follows, and every change of epoch
	wire    *wire
	fresh   *larder.Epoch // the present epoch, also while it is not published
	failure error         // not nil: the connection is dead
}

// open dials the server, checks it and credits the first heartbeat. The
// connection serves nobody before publish. On an error everything it opened
// is closed.
func open(ctx context.Context, s *server, address string) (*conn, error) {
	if !s.cfg.NoTracking {
		c, err := openAs(ctx, s, address, true)
		if !errors.Is(err, errNoPushes) && !errors.Is(err, rueidis.ErrNoCache) {
			return c, err
		}
	}
	return openAs(ctx, s, address, false)
}

func openAs(ctx context.Context, s *server, address string, tracked bool) (*conn, error) {
	c := &conn{
		tracked: tracked,
		self:    s.self, cfg: s.self.cfg.at(address), server: s, stripes: s.owned(), opened: clock.Now(), slept: s.asleep(),
		dead: make(chan struct{}), drained: make(chan struct{}), asked: make(chan struct{}, 1), seating: make(chan struct{}, 1),
	}
	c.fresh = c.newEpoch()
	c.seats.Store(new([]seat))
	c.flow.init()
	c.pulse.init(c.cfg.BeatTimeout)
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	defer stop()
	client, err := rueidis.NewClient(c.options(ctx))
	if err != nil {
		if client != nil {
			client.Close()
		}
		c.fail(err)
		return nil, unreachable(&c.cfg, c.cause(err))
	}
	c.client = client
	if err := c.greet(ctx); err != nil {
		s.opening.Store(nil)
		c.close(err)
		return nil, unreachable(&c.cfg, c.cause(err))
	}
	return c, nil
}

func (c *conn) options(ctx context.Context) rueidis.ClientOption {
	o := rueidis.ClientOption{
		InitAddress: []string{c.cfg.Address},
		DialCtxFn: func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
			return c.dial(ctx)
		},
		Dialer:            net.Dialer{Timeout: c.cfg.DialTimeout, KeepAlive: -1}, // heartbeats replace the client's PINGs
		Username:          c.cfg.Username,
		Password:          c.cfg.Password,
		SelectDB:          c.cfg.DB,
		ClientName:        "larder",
		ClientSetInfo:     rueidis.DisableClientSetInfo,
		ForceSingleClient: true,
		PipelineMultiplex: -1, // 2^0 sockets
		BlockingPipeline:  -1, // no second socket for long pipelines
		DisableRetry:      true,
		AlwaysPipelining:  true,
		RingScaleEachConn: flowScale,
		// Beside what a reply of many values fills, more only takes memory: the
		// client's defaults are 512 KiB each.
		ReadBufferEachConn:  128 << 10,
		WriteBufferEachConn: 64 << 10,
		MaxFlushDelay:       c.cfg.FlushDelay,
	}
	if c.tracked {
		o.ClientTrackingOptions, o.OnInvalidations, o.NewCacheStoreFn = []string{"NOLOOP"}, c.onPush, newNoStore
	} else {
		o.AlwaysRESP2, o.DisableCache = true, true
		c.drainOnce.Do(func() { close(c.drained) })
	}
	return o
}

// dial connects once and never again.
func (c *conn) dial(ctx context.Context) (net.Conn, error) {
	if !c.dialed.CompareAndSwap(false, true) {
		return nil, errRedial
	}
	w, err := dial(ctx, &c.cfg, &c.flow, c.fail)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.wire = w
	failed := c.failure
	c.mu.Unlock()
	if failed != nil { // closed while it dialed
		w.Close()
		return nil, failed
	}
	return w, nil
}

// publish lets callers use the connection; it fails if it broke meanwhile.
func (c *conn) publish() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return c.failure
	}
	c.published.Store(true)
	c.epoch.Store(c.fresh)
	if c.tracked { // others hear nothing in time and cannot answer
		c.workers.Go(c.answer)
		c.ask()
	}
	return nil
}

// current returns the living epoch, published or not; nil after the failure.
func (c *conn) current() *larder.Epoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return nil
	}
	return c.fresh
}

// fail ends the epoch, then the socket. Only the first cause counts.
func (c *conn) fail(cause error) {
	c.mu.Lock()
	if c.failure != nil {
		c.mu.Unlock()
		return
	}
	c.failure = cause
	c.fresh.End()
	c.epoch.Store(nil)
	w := c.wire
	close(c.dead)
	c.mu.Unlock()
	if w != nil {
		w.raw.Close()
	}
}

// cause returns why the connection failed, err if that is not known better: the
// client closes the socket for reasons of its own.
func (c *conn) cause(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil && !errors.Is(c.failure, net.ErrClosed) {
		return c.failure
	}
	return err
}

// close ends the connection and waits until its last push was delivered.
func (c *conn) close(cause error) {
	c.fail(cause)
	c.client.Close()
	<-c.drained
	c.workers.Wait()
	if !c.tracked {
		c.flushed()
	}
}

// onPush receives what the server invalidates. nil means a flush or, when the
// client gives the socket up, the end of all pushes.
func (c *conn) onPush(messages []rueidis.RedisMessage) {
	switch {
	case messages != nil:
		names := make([]string, 0, len(messages))
		for i := range messages {
			if name, err := messages[i].ToString(); err == nil {
				names = append(names, name)
			}
		}
		c.invalidated(names)
	case c.succeed():
		c.unseated.Store(c.seats.Load())
		c.flushed()
	default:
		c.drainOnce.Do(func() {
			c.flushed()
			close(c.drained)
		})
	}
}

func (c *conn) invalidated(names []string) {
	if p := c.probing.Load(); p != nil {
		p.pushed(names)
	}
	c.notice(names)
	if c.published.Load() {
		c.events.Invalidated(names)
	}
}

// succeed replaces the epoch after a flush; false if the connection is dead.
func (c *conn) succeed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return false
	}
	c.fresh = c.fresh.Succeed()
	if c.published.Load() {
		c.epoch.Store(c.fresh)
	}
	return true
}

func (c *conn) flushed() {
	c.unagreed.Store(true)
	c.ask()
	c.answers.ring()
	if c.published.Load() {
		c.events.Flushed()
	}
}

// refused ends the connection when the server's error says that it is no
// master that serves us. It returns the error a caller gets.
func (c *conn) refused(err error) error {
	text := err.Error()
	for _, code := range roleErrors {
		if strings.HasPrefix(text, code) {
			c.fail(err)
			break
		}
	}
	for _, code := range slotErrors {
		if strings.HasPrefix(text, code) {
			c.misled(err)
			break
		}
	}
	if strings.Contains(text, "WRONGTYPE") { // scripts of Redis 6 put other words before it
		return larder.ErrWrongType
	}
	return fmt.Errorf("redistier: %w", err)
}

// roleErrors begin the errors after which nothing that was read on the
// connection may be trusted.
var roleErrors = []string{
	"READONLY", "CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "LOADING", "NOAUTH", "REDIRECT",
}

// slotErrors begin the errors that speak of one slot, which moves or has moved.
var slotErrors = []string{"MOVED", "ASK", "TRYAGAIN"}

// misled follows an error about a slot: in a cluster the layout is asked for
// again; anywhere else the server is not what it was taken for.
func (c *conn) misled(err error) {
	if c.server.lost == nil || !c.keys.clustered() {
		c.fail(err)
		return
	}
	c.server.lost()
}

// unreachable describes why no connection could be made.
func unreachable(cfg *Config, err error) error {
	if errors.Is(err, rueidis.ErrNoCache) {
		return fmt.Errorf("redistier: connect to %s: the server offers no client tracking over RESP3 (it takes Redis 6 or newer and no RESP2 proxy): %w", cfg.Address, err)
	}
	return fmt.Errorf("redistier: connect to %s: %w", cfg.Address, err)
}

// noStore is the client-side cache of rueidis, which is not used.
type noStore struct{}

func newNoStore(rueidis.CacheStoreOption) rueidis.CacheStore { return noStore{} }

func (noStore) Flight(string, string, time.Duration, time.Time) (rueidis.RedisMessage, rueidis.CacheEntry) {
	return rueidis.RedisMessage{}, nil
}
func (noStore) Update(string, string, rueidis.RedisMessage) int64 { return 0 }
func (noStore) Cancel(string, string, error)                      {}
func (noStore) Delete([]rueidis.RedisMessage)                     {}
func (noStore) Close(error)                                       {}
