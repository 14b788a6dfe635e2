package redistier

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// Change is one event of a namespace, as the server pushed it.
type Change struct {
	At   time.Time
	Kind ChangeKind
	Name string // of the entry, tag or prefix; empty for a namespace and a flush
	// Now says what is under the entry's key by the time the push was looked
	// at, some moments later: absent, loading, held off, stored, foreign.
	Now    string
	Server string
	Missed int // changes that were not told, as they came too fast
}

// ChangeKind says what has changed.
type ChangeKind string

// The kinds of changes.
const (
	ChangeEntry     ChangeKind = "entry"
	ChangeTag       ChangeKind = "tag"
	ChangePrefix    ChangeKind = "prefix"
	ChangeNamespace ChangeKind = "namespace"
	ChangeFlush     ChangeKind = "flush" // of the whole server
)

// watchQueue is how many pushes may wait for the receiver of a Watch.
const watchQueue = 1024

var errWatchEnded = errors.New("redistier: the connection that watched was lost")

// Watch calls changed for every change of the namespace until ctx ends, then it
// returns nil. It fails when it cannot begin or loses a connection. Calls come
// one at a time; what comes faster than they return is counted in Missed, and
// the server never waits.
//
// Every master gets a further connection, to which it pushes the names of all
// keys of the namespace that change (tracking in BCAST mode), so a busy cache
// pays for each watcher with a message per write. What became of entries is
// asked with one GETRANGE each.
func (i *Inspector) Watch(ctx context.Context, changed func(Change)) error {
	conns, err := i.masters()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &watch{inspector: i, queue: make(chan pushed, watchQueue), lost: cancel}
	for _, c := range conns {
		end, err := w.open(ctx, c)
		if err != nil {
			return whyNotOpen(ctx, err)
		}
		defer end()
	}
	return w.run(ctx, changed)
}

// whyNotOpen returns what Watch fails with when a connection could not be made:
// nothing if nobody waits any more, and the failure of a connection, which ends
// ctx, rather than the end of ctx.
func whyNotOpen(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil:
		return err
	case !errors.Is(cause, errWatchEnded):
		return nil
	case errors.Is(err, context.Canceled):
		return cause
	}
	return err
}

// watch is one call of Watch. The client's readers queue what is pushed.
type watch struct {
	inspector *Inspector
	queue     chan pushed
	missed    atomic.Int64
	lost      context.CancelCauseFunc
}

// pushed is what one message told; names is nil for a flush.
type pushed struct {
	at    time.Time
	conn  *conn // of the inspector, to the same server
	names []string
}

// open connects to the server of c in BCAST mode.
func (w *watch) open(ctx context.Context, c *conn) (end func(), err error) {
	var dialed atomic.Bool
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{c.cfg.Address}, Username: c.cfg.Username, Password: c.cfg.Password, SelectDB: c.cfg.DB,
		DialCtxFn: func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
			if !dialed.CompareAndSwap(false, true) {
				return nil, errRedial
			}
			flow := new(flow)
			flow.init()
			return dial(ctx, &c.cfg, flow, func(err error) { w.lost(fmt.Errorf("%w: %w", errWatchEnded, err)) })
		},
		ClientName: "larder-watch", ClientSetInfo: rueidis.DisableClientSetInfo, ForceSingleClient: true, DisableRetry: true,
		PipelineMultiplex: -1, AlwaysPipelining: true, NewCacheStoreFn: newNoStore, ClientTrackingOptions: c.keys.broadcasts(),
		OnInvalidations: func(messages []rueidis.RedisMessage) { w.push(c, messages) },
	})
	if err == nil {
		if err = client.Do(ctx, client.B().Ping().Build()).Error(); err == nil {
			return client.Close, nil
		}
	}
	if client != nil {
		client.Close()
	}
	return nil, unreachable(&c.cfg, err)
}

// broadcasts returns the options that ask for every key of the namespace.
func (k *keys) broadcasts() []string {
	if k.entry == "" {
		return []string{"BCAST"}
	}
	return []string{"BCAST", "PREFIX", k.entry, "PREFIX", k.tag, "PREFIX", k.stripes[0].namespacePrefix()}
}

// namespacePrefix returns the key of the namespace's generation without the
// slot of the stripe.
func (s *stripe) namespacePrefix() string {
	prefix, _, _ := strings.Cut(s.namespace, "#{")
	return prefix
}

// push queues a message; it must not block.
func (w *watch) push(c *conn, messages []rueidis.RedisMessage) {
	p := pushed{at: time.Now(), conn: c}
	for i := range messages {
		if name, err := messages[i].ToString(); err == nil {
			p.names = append(p.names, name)
		}
	}
	select {
	case w.queue <- p:
	default:
		w.missed.Add(int64(max(1, len(p.names))))
	}
}

func (w *watch) run(ctx context.Context, changed func(Change)) error {
	for {
		select {
		case <-ctx.Done():
			if err := context.Cause(ctx); errors.Is(err, errWatchEnded) {
				return err
			}
			return nil
		case p := <-w.queue:
			w.tell(ctx, p, changed)
		}
	}
}

// tell reports the changes of one push. The end of a connection looks like a
// flush and is reported by its dialer.
func (w *watch) tell(ctx context.Context, p pushed, changed func(Change)) {
	if p.names == nil {
		if ctx.Err() == nil {
			changed(Change{At: p.at, Kind: ChangeFlush, Server: p.conn.cfg.Address, Missed: int(w.missed.Swap(0))})
		}
		return
	}
	var list []Change
	var commands []rueidis.Completed
	for _, key := range p.names {
		change, ok := w.inspector.change(key)
		if !ok {
			continue
		}
		change.At, change.Server = p.at, p.conn.cfg.Address
		list = append(list, change)
		commands = append(commands, p.conn.client.B().Getrange().Key(key).Start(0).End(0).Build())
	}
	if len(list) == 0 {
		return
	}
	list[0].Missed = int(w.missed.Swap(0))
	for n, result := range p.conn.send(ctx, commands) {
		first, err := result.ToString()
		list[n].Now = standing(first, err)
		changed(list[n])
	}
}

// change names what a key of the namespace stands for.
func (i *Inspector) change(key string) (c Change, ok bool) {
	k := &i.tier.self.keys
	if !strings.HasPrefix(key, reserved) {
		return Change{Kind: ChangeEntry, Name: strings.TrimPrefix(key, k.entry)}, true
	}
	if tag := k.tagOf(key); tag != "" {
		if prefix, is := strings.CutPrefix(tag, "^"); is {
			return Change{Kind: ChangePrefix, Name: prefix}, true
		}
		if entry, is := strings.CutPrefix(tag, "="); is {
			return Change{Kind: ChangeEntry, Name: entry}, true
		}
		return Change{Kind: ChangeTag, Name: tag}, true
	}
	for n := range k.stripes {
		if k.stripes[n].namespace == key {
			return Change{Kind: ChangeNamespace}, true
		}
	}
	return c, false
}

// standing says what the first byte of a key's string stands for.
func standing(first string, err error) string {
	switch {
	case err != nil:
		return string(larder.StateWrong)
	case first == "":
		return string(larder.StateAbsent)
	}
	switch frame.KindOf(first) {
	case frame.Lease:
		return string(larder.StateLoading)
	case frame.Hold:
		return string(larder.StateHeld)
	case frame.Value:
		return "stored"
	}
	return string(larder.StateForeign)
}
