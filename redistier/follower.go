package redistier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder/internal/clock"
)

const (
	// lookEvery is how often the layout is asked for without a reason.
	lookEvery = time.Second
	// lookPause is the least time between two questions.
	lookPause = 20 * time.Millisecond
)

// follower follows the layout of a cluster. Its goroutine asks for it every
// second, and at once when a server was lost or spoke of moved slots; it starts
// a goroutine for each new master and ends those of former ones.
type follower struct {
	tier    *Tier
	first   func() // called when every master of the first layout was tried
	wanted  chan struct{}
	byName  map[string]*master
	workers sync.WaitGroup
}

// master is one that is followed.
type master struct {
	server *server
	stop   context.CancelFunc
}

func newFollower(t *Tier, first func()) *follower {
	return &follower{tier: t, first: first, wanted: make(chan struct{}, 1), byName: map[string]*master{}}
}

// look makes the goroutine ask soon.
func (f *follower) look() {
	select {
	case f.wanted <- struct{}{}:
	default:
	}
}

// run follows until ctx ends, and then waits for all servers.
func (f *follower) run(ctx context.Context) {
	defer f.first()
	defer f.workers.Wait()
	for {
		if err := f.follow(ctx); err != nil && ctx.Err() == nil {
			f.tier.self.events.Disconnected(err)
			f.first()
		}
		if !f.rest(ctx) {
			return
		}
	}
}

// rest waits for the next time to ask; false once ctx has ended.
func (f *follower) rest(ctx context.Context) bool {
	for _, wait := range []struct {
		time.Duration
		or <-chan struct{}
	}{{lookPause, nil}, {lookEvery - rand.N(lookEvery/4), f.wanted}} {
		timer := time.NewTimer(wait.Duration)
		select {
		case <-timer.C:
		case <-wait.or:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
		timer.Stop()
	}
	return true
}

// follow asks for the layout and applies it.
func (f *follower) follow(ctx context.Context) error {
	began := clock.Now()
	spans, err := f.ask(ctx)
	if err != nil {
		return err
	}
	f.apply(ctx, f.arrange(ctx, spans, began))
	return nil
}

// span is a run of slots and the address of their master.
type span struct {
	first, last int
	address     string
}

// ask asks one server after the other, in random order, connected ones first.
func (f *follower) ask(ctx context.Context) ([]span, error) {
	conns, _ := f.tier.conns()
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	for _, c := range conns {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
		result := c.sendOne(ctx, c.client.B().ClusterSlots().Build())
		cancel()
		if spans, err := parseSpans(result, c.cfg.Address); err == nil {
			return spans, nil
		}
	}
	addresses := slices.Clone(f.tier.self.cfg.Addresses)
	for address := range f.byName {
		addresses = append(addresses, address)
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	var errs []error
	for _, address := range addresses {
		result, err := f.tier.self.cfg.inquire(ctx, address, "CLUSTER", "SLOTS")
		if err == nil {
			var spans []span
			if spans, err = parseSpans(result, address); err == nil {
				return spans, nil
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
	}
	return nil, fmt.Errorf("redistier: no server of the cluster tells the layout: %w", errors.Join(errs...))
}

// parseSpans reads the reply to CLUSTER SLOTS of the server at address.
func parseSpans(result rueidis.RedisResult, address string) ([]span, error) {
	rows, err := result.ToArray()
	if err != nil {
		return nil, err
	}
	asked, _, _ := net.SplitHostPort(address)
	var spans []span
	for i := range rows {
		s, err := parseSpan(&rows[i], asked)
		if err != nil {
			return nil, fmt.Errorf("CLUSTER SLOTS: %w", err)
		}
		spans = append(spans, s)
	}
	if len(spans) == 0 {
		return nil, errors.New("CLUSTER SLOTS names no slots")
	}
	return spans, nil
}

func parseSpan(row *rueidis.RedisMessage, asked string) (s span, err error) {
	parts, err := row.ToArray()
	if err != nil || len(parts) < 3 {
		return s, fmt.Errorf("a row of %d parts: %w", len(parts), err)
	}
	first, err1 := parts[0].ToInt64()
	last, err2 := parts[1].ToInt64()
	master, err3 := parts[2].ToArray()
	if err := errors.Join(err1, err2, err3); err != nil || len(master) < 2 || first < 0 || last >= slots || first > last {
		return s, fmt.Errorf("slots %d to %d at %d parts: %w", first, last, len(master), err)
	}
	host, _ := master[0].ToString()
	port, err := master[1].ToInt64()
	if host == "" || host == "?" {
		host = asked // the server does not know its own address
	}
	return span{int(first), int(last), net.JoinHostPort(host, strconv.FormatInt(port, 10))}, err
}

// arrange makes the layout of spans, with a goroutine for each new master.
func (f *follower) arrange(ctx context.Context, spans []span, began int64) *layout {
	next := &layout{owner: make([]*server, slots), began: began}
	var tried sync.WaitGroup
	for _, s := range spans {
		m := f.byName[s.address]
		if m == nil {
			m = f.start(ctx, s.address, &tried)
		}
		if !slices.Contains(next.servers, m.server) {
			next.servers = append(next.servers, m.server)
		}
		for slot := s.first; slot <= s.last; slot++ {
			next.owner[slot] = m.server
		}
	}
	f.workers.Go(func() { tried.Wait(); f.first() })
	return next
}

// start follows a new master. Its goroutine begins when the layout that names
// it is in force.
func (f *follower) start(ctx context.Context, address string, tried *sync.WaitGroup) *master {
	t := f.tier
	ctx, stop := context.WithCancel(ctx)
	s := &server{self: &t.self, lost: f.look, ready: make(chan struct{})}
	s.locate = func(context.Context) (string, error) { return address, nil }
	s.owned = func() []*stripe { return t.layout.Load().owned(&t.self.keys, s) }
	m := &master{server: s, stop: stop}
	f.byName[address] = m
	tried.Add(1)
	once := sync.OnceFunc(tried.Done)
	f.workers.Go(func() {
		defer once()
		<-s.ready
		s.run(ctx, once)
	})
	return m
}

// apply puts a layout into force. The order is what counts:
//
//  1. masters that gained slots enroll in the registries among them, so that
//     nothing of these slots is credited without a membership
//  2. what was read from masters whose slots changed dies with their epochs
//  3. requests follow the new layout
func (f *follower) apply(ctx context.Context, next *layout) {
	old := f.tier.layout.Load()
	changed := changes(old, next)
	for s := range changed {
		if c := s.conn(); c != nil {
			f.settle(ctx, c, next, old)
		}
	}
	f.tier.layout.Store(next)
	for address, m := range f.byName {
		select {
		case <-m.server.ready:
		default:
			close(m.server.ready)
		}
		if !slices.Contains(next.servers, m.server) {
			m.stop()
			delete(f.byName, address)
		}
	}
}

// changes returns the servers of both layouts whose slots differ.
func changes(old, next *layout) map[*server]bool {
	changed := map[*server]bool{}
	for slot := range slots {
		if a, b := old.owner[slot], next.owner[slot]; a != b {
			for _, s := range []*server{a, b} {
				if s != nil {
					changed[s] = true
				}
			}
		}
	}
	return changed
}

// settle prepares a connection for the slots it has in another layout. What
// fails ends the connection: the next one begins with the new layout.
func (f *follower) settle(ctx context.Context, c *conn, next, old *layout) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	owned := next.owned(&c.keys, c.server)
	var gained []*stripe
	for _, s := range owned {
		if old.of(s.namespace) != c.server {
			gained = append(gained, s)
		}
	}
	if err := c.adopt(ctx, gained, registries(owned), f.came(c, old)); err != nil {
		c.fail(fmt.Errorf("taking over slots: %w", err))
		return
	}
	if c.succeed() {
		c.flushed()
	}
}

// came returns which marks of stripes that c gained are as good as its own: the
// life of their former owner, if neither it nor c can have lost writes since
// the old layout was asked for.
func (f *follower) came(c *conn, old *layout) func(mark string) bool {
	lives := map[string]bool{}
	if old.began > c.opened {
		for _, s := range old.servers {
			if from := s.conn(); from != nil {
				lives[from.runID] = true
			}
		}
	}
	return func(mark string) bool { return lives[mark] }
}

// inquire sends one command over a connection of its own.
func (c Config) inquire(ctx context.Context, address string, args ...string) (rueidis.RedisResult, error) {
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
	defer cancel()
	at := c.at(address)
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{address}, Username: c.Username, Password: c.Password,
		DialCtxFn: func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) { return at.socket(ctx) },
		Dialer:    net.Dialer{Timeout: c.DialTimeout}, ConnWriteTimeout: c.DialTimeout, ClientSetInfo: rueidis.DisableClientSetInfo,
		ForceSingleClient: true, DisableRetry: true, DisableCache: true, AlwaysRESP2: true, PipelineMultiplex: -1,
	})
	if err != nil {
		if client != nil {
			client.Close()
		}
		return rueidis.RedisResult{}, err
	}
	defer client.Close()
	result := client.Do(ctx, client.B().Arbitrary(args...).Build())
	return result, result.Error()
}
