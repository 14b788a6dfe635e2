package lardertest

import "time"

// The methods of this file are the key space of a Server; their callers hold
// s.mu. by is the connection that executes a command, nil for what comes from
// elsewhere.

func (it *item) ttl() time.Duration {
	if it.expires.IsZero() {
		return -1
	}
	return time.Until(it.expires)
}

func (it *item) stop() {
	if it.timer != nil {
		it.timer.Stop()
	}
}

// lookup returns the living item of key and deletes an expired one. Redis
// counts that deletion as nobody's, so even the reader that caused it is
// pushed to, after its reply.
func (s *Server) lookup(key string, by *conn) *item {
	it := s.data[key]
	if it == nil {
		return nil
	}
	if it.expires.IsZero() || time.Now().Before(it.expires) {
		return it
	}
	it.stop()
	delete(s.data, key)
	if by != nil && s.watches(key, by) {
		by.afterReply = append(by.afterReply, key)
		delete(s.watchers[key], by)
	}
	s.notify(key, nil)
	return nil
}

// put makes key hold data; ttl 0: without expiry.
func (s *Server) put(key, data string, ttl time.Duration, by *conn) {
	s.lookup(key, by)
	if old := s.data[key]; old != nil {
		old.stop()
	}
	it := &item{data: data}
	s.data[key] = it
	s.expireIn(key, it, ttl)
	s.notify(key, by)
}

func (s *Server) expireIn(key string, it *item, ttl time.Duration) {
	it.stop()
	if ttl <= 0 {
		return
	}
	it.expires = time.Now().Add(ttl)
	it.timer = time.AfterFunc(ttl, func() { s.expired(key, it) })
}

func (s *Server) expired(key string, it *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == running && s.data[key] == it {
		s.lookup(key, nil)
	}
}

func (s *Server) remove(key string, by *conn) bool {
	it := s.lookup(key, by)
	if it == nil {
		return false
	}
	it.stop()
	delete(s.data, key)
	s.notify(key, by)
	return true
}

// watch registers a connection for the next change of key.
func (s *Server) watch(key string, c *conn) {
	if s.watchers[key] == nil {
		s.watchers[key] = map[*conn]struct{}{}
	}
	s.watchers[key][c] = struct{}{}
}

func (s *Server) watches(key string, c *conn) bool {
	_, ok := s.watchers[key][c]
	return ok
}

// notify pushes key to every connection registered for it except by (NOLOOP),
// and ends all registrations, also that of by.
func (s *Server) notify(key string, by *conn) {
	for c := range s.watchers[key] {
		if c != by && !s.deaf {
			c.emit(frameOut{keys: []string{key}})
		}
	}
	delete(s.watchers, key)
}

// unwatch ends all registrations of a connection.
func (s *Server) unwatch(c *conn) {
	for key, set := range s.watchers {
		delete(set, c)
		if len(set) == 0 {
			delete(s.watchers, key)
		}
	}
}
