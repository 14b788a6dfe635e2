package lardertest

import (
	"slices"
	"strconv"
	"time"
)

// Stop pauses the server as SIGSTOP does: connections stay, requests queue up
// and are carried out after Cont, also those whose caller gave up.
func (s *Server) Stop() { s.become(paused) }

// Cont resumes a paused server.
func (s *Server) Cont() { s.become(running) }

func (s *Server) become(state serverState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == killed {
		return
	}
	s.state = state
	if state == running {
		s.sweep()
	}
	for c := range s.conns {
		c.wake()
	}
}

// SetReadOnly makes the server refuse writes and answer reads, as an isolated
// old master does.
func (s *Server) SetReadOnly(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readOnly = on
}

// Save makes the present data what a later Restart or Failover finds, like a
// snapshot or the last write that reached a replica.
func (s *Server) Save() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved = make(map[string]item, len(s.data))
	for key, it := range s.data {
		s.saved[key] = item{data: it.data, other: it.other, expires: it.expires}
	}
}

// Kill ends the server: connections break, new ones are refused, and what was
// not saved is lost.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = killed
	s.drop()
	for c := range s.conns {
		c.breakOff(ErrLost)
	}
}

// Restart starts a killed server in a new life with the data of the last Save,
// or none.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != killed {
		return
	}
	s.state = running
	s.life++
	for key, it := range s.saved {
		s.load(key, it)
	}
	s.sweep()
}

// Failover is Kill and Restart at one instant: the replica takes over with
// what the last Save had reached.
func (s *Server) Failover() {
	s.Kill()
	s.Restart()
}

// outliveLoss clears the namespace of a new connection unless the data are
// marked with the present life of the server: otherwise deleted entries may
// have come back. The caller holds s.mu.
func (s *Server) outliveLoss(c *conn) {
	r := c.link.remote
	if !s.lostData(r) {
		return
	}
	if !r.opts.Replay {
		s.remove(r.namespaceKey(slices.Index(r.links, c.link)), nil)
	}
	s.put(r.lifeKey(), strconv.FormatInt(s.life, 10), 0, nil)
}

// lostData reports whether the data of r's namespace are from another life than
// the present. The caller holds s.mu.
func (s *Server) lostData(r *Remote) bool {
	it := s.lookup(r.lifeKey(), nil)
	return !s.readOnly && (it == nil || it.data != strconv.FormatInt(s.life, 10))
}

// clearOthers clears the parts of the namespace on the other servers before a
// connection to a server that lost data is used: it may have brought back
// generations of tags, and entries anywhere may carry them.
func (l *link) clearOthers() {
	r := l.remote
	l.server.mu.Lock()
	lost := l.server.lostData(r)
	l.server.mu.Unlock()
	for i, other := range r.links {
		if lost && other != l && !r.opts.Replay {
			other.server.Delete(r.namespaceKey(i))
		}
	}
}

func (s *Server) load(key string, it item) {
	ttl := time.Duration(0)
	if !it.expires.IsZero() {
		ttl = max(time.Until(it.expires), 1)
	}
	s.put(key, it.data, ttl, nil)
	s.data[key].other = it.other
}

// sweep deletes what expired while no timer could. The caller holds s.mu.
func (s *Server) sweep() {
	for key := range s.data {
		s.lookup(key, nil)
	}
}
