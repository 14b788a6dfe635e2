package lardertest

import (
	"context"
	"strconv"
)

// RunID implements larder.Remote: the number of the server's life.
func (r *Remote) RunID(key string) string {
	l := r.links[r.route(key)]
	if l.conn.Load() == nil {
		return ""
	}
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	return strconv.FormatInt(l.server.life, 10)
}

// Confirm implements larder.Remote. A remote that is not connected, or whose
// connection is silent, is waited for until ctx ends, unless it was closed.
func (r *Remote) Confirm(ctx context.Context, keys []string) error {
	asked := map[int]*request{}
	for _, key := range keys {
		i := r.route(key)
		if asked[i] != nil {
			continue
		}
		asked[i] = &request{marks: &marks{}, done: make(chan struct{})}
		if err := r.links[i].start(asked[i]); err != nil {
			return err
		}
	}
	for _, q := range asked {
		if err := q.wait(ctx); err != nil {
			return err
		}
		if err := q.marks.wait(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// marks are messages to every connection of a namespace, behind the pushes
// sent so far.
type marks struct {
	conns  []*conn
	seen   []chan struct{} // closed when a connection has processed its mark
	absent bool            // somebody is not connected
}

// mark sends marks to all members of a namespace. The caller holds s.mu.
func (s *Server) mark(m *marks, namespace string) {
	connected := map[*Remote]bool{}
	for c := range s.conns {
		if c.link.remote.opts.Namespace == namespace {
			seen := make(chan struct{})
			m.conns, m.seen = append(m.conns, c), append(m.seen, seen)
			c.emit(frameOut{mark: seen})
			connected[c.link.remote] = true
		}
	}
	for r := range s.members {
		m.absent = m.absent || r.opts.Namespace == namespace && !connected[r] && !r.isClosing()
	}
}

func (m *marks) wait(ctx context.Context) error {
	if m.absent {
		<-ctx.Done()
		return ctx.Err()
	}
	for i, c := range m.conns {
		select {
		case <-m.seen[i]:
		case <-c.gone:
			return ErrLost
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
