package redistier

import (
	"context"
	"sync"

	"github.com/larder-go/larder"
)

// layout says which server has which slots at a time. It is immutable; the
// servers in it are not.
type layout struct {
	servers []*server
	owner   []*server // by slot; one for all on a standalone server
	began   int64     // monotonic time at which it was asked for
}

// single is the layout of a standalone server.
func single(s *server) *layout { return &layout{servers: []*server{s}, owner: []*server{s}} }

// of returns the server of a key, nil if no one is known.
func (l *layout) of(key string) *server {
	if len(l.owner) == 1 {
		return l.owner[0]
	}
	return l.owner[slotOf(key)]
}

// owned returns the stripes whose control keys s has.
func (l *layout) owned(k *keys, s *server) []*stripe {
	var list []*stripe
	for i := range k.stripes {
		if l.of(k.stripes[i].namespace) == s {
			list = append(list, &k.stripes[i])
		}
	}
	return list
}

// conn returns the connection that serves key, nil without one.
func (t *Tier) conn(key string) *conn { return t.layout.Load().of(key).conn() }

// conns returns all connections that can be used, and whether none is missing.
func (t *Tier) conns() (list []*conn, complete bool) {
	l := t.layout.Load()
	for _, s := range l.servers {
		if c := s.conn(); c != nil {
			list = append(list, c)
		}
	}
	return list, len(list) == len(l.servers) && len(list) > 0
}

// each runs f for every connection at once and returns the first error;
// ErrUnavailable if a server has no connection.
func (t *Tier) each(f func(*conn) error) error {
	list, complete := t.conns()
	var first error
	if !complete {
		first = larder.ErrUnavailable
	}
	if len(list) == 1 {
		if err := f(list[0]); err != nil {
			return err
		}
		return first
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, c := range list {
		all.Go(func() {
			if err := f(c); err != nil {
				mu.Lock()
				defer mu.Unlock()
				first = err
			}
		})
	}
	all.Wait()
	return first
}

// barrier makes a round trip on every connection but one: what was pushed on
// them before has been processed when it returns. Who has no connection has
// nothing in memory.
func (t *Tier) barrier(ctx context.Context, but *conn) error {
	list, _ := t.conns()
	for _, c := range list {
		if c == but {
			continue
		}
		err := c.sendOne(ctx, c.client.B().Ping().Build()).Error()
		if err != nil && c.epoch.Load() != nil {
			return err
		}
	}
	return nil
}

// part is what one connection gets of a call of Do.
type part struct {
	conn    *conn
	index   []int
	ops     []larder.Op
	replies []larder.Reply
}

// split carries out ops on several servers at once.
func (t *Tier) split(ctx context.Context, ops []larder.Op, replies []larder.Reply) {
	var parts []*part
	of := map[*conn]*part{}
	for i := range ops {
		c := t.conn(ops[i].Key)
		if c == nil {
			replies[i] = larder.Reply{Err: larder.ErrUnavailable}
			continue
		}
		p := of[c]
		if p == nil {
			p = &part{conn: c}
			of[c], parts = p, append(parts, p)
		}
		p.index, p.ops = append(p.index, i), append(p.ops, ops[i])
	}
	var all sync.WaitGroup
	for _, p := range parts {
		all.Go(func() {
			p.replies = make([]larder.Reply, len(p.ops))
			p.conn.do(ctx, p.ops, p.replies)
		})
	}
	all.Wait()
	for _, p := range parts {
		for n, i := range p.index {
			replies[i] = p.replies[n]
		}
	}
}

// together returns the connection that serves all of ops, nil if there are
// several or none.
func (t *Tier) together(ops []larder.Op) *conn {
	c := t.conn(ops[0].Key)
	if !t.self.keys.clustered() {
		return c
	}
	for i := range ops[1:] {
		if t.conn(ops[i+1].Key) != c {
			return nil
		}
	}
	return c
}
