package lardertest

import (
	"errors"
	"sync"
	"time"

	"github.com/larder-go/larder"
)

// Server is a fake Redis for tests in the virtual time of testing/synctest: a
// map with times to live, and client-side caching as Redis does it in its
// default mode with NOLOOP. The caches of a simulated cluster reach it through
// a [Remote] each. Methods may be called concurrently.
//
// It plays the faults of a real server: [Server.Stop], [Server.Kill],
// [Server.Failover], [Server.FlushAll], [Server.Evict] and, for single
// operations, [Server.Script]. Faults of the network are those of Remote.
//
// Keys expire at their instant: timers delete them and push, as reads do.
type Server struct {
	mu       sync.Mutex
	state    serverState
	readOnly bool
	life     int64         // what the run id is to Redis
	births   int           // ever listed
	skew     time.Duration // server clock minus ours
	data     map[string]*item
	saved    map[string]item
	watchers map[string]map[*conn]struct{}
	conns    map[*conn]struct{}
	members  map[*Remote]struct{} // who ever connected
	script   func(Request) Fault
	deaf     bool // sends no pushes, which no server may
	careless bool // fills without a lease, which no server may
	counts   map[larder.OpKind]int
}

type serverState uint8

const (
	running serverState = iota
	paused
	killed
)

// item is what a key holds.
type item struct {
	data    string
	other   bool              // holds no string
	ranks   map[string]uint64 // of a ranking, which is no string either
	expires time.Time         // zero: never
	timer   *time.Timer
}

// Request is one operation about to be carried out.
type Request struct {
	Remote *Remote
	Op     larder.Op
}

// Fault is what happens to an operation instead of going well.
type Fault uint8

// The faults of single operations.
const (
	// NoFault carries the operation out.
	NoFault Fault = iota
	// ReplyError answers with an error and changes nothing.
	ReplyError
	// LoseRequest breaks the connection before the operation is carried out.
	LoseRequest
	// LoseReply carries the operation out and breaks the connection before
	// its reply.
	LoseReply
)

// Errors of the fake.
var (
	// ErrScripted is the answer that [ReplyError] makes.
	ErrScripted = errors.New("lardertest: error by script")
	// ErrReadOnly is the answer of a read-only server to a write.
	ErrReadOnly = errors.New("lardertest: server is read-only")
	// ErrLost is the outcome of what was under way on a broken connection.
	ErrLost = errors.New("lardertest: connection lost")
	// ErrRefused is why no connection can be made.
	ErrRefused = errors.New("lardertest: connection refused")
)

// NewServer returns an empty, running server. Its clock is that of the caller
// or, where that is before 2025 as in virtual time, one that began in 2026.
func NewServer() *Server {
	s := &Server{
		data:     map[string]*item{},
		watchers: map[string]map[*conn]struct{}{},
		conns:    map[*conn]struct{}{},
		members:  map[*Remote]struct{}{},
		counts:   map[larder.OpKind]int{},
	}
	if now := time.Now(); now.Year() < 2025 {
		s.skew = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Sub(now)
	}
	return s
}

// Node returns a new cache's access to the server, in the namespace "".
func (s *Server) Node() *Remote { return NewRemote(RemoteOptions{}, s) }

// Now returns the time of the server's clock.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Server) now() time.Time { return time.Now().Add(s.skew) }

// Step moves the server's clock, which neither changes times to live nor
// pushes anything.
func (s *Server) Step(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew += d
}

// Script calls f before each operation and does what it says; nil ends that. f
// may call the methods of the server, and may block, which delays what follows
// on the same connection.
func (s *Server) Script(f func(Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = f
}

// Count returns how many operations of this kind were carried out.
func (s *Server) Count(kind larder.OpKind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[kind]
}

// Peek returns what key holds and its time to live, negative if it has none,
// without being a client: nothing is tracked.
func (s *Server) Peek(key string) (data string, ttl time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.lookup(key, nil)
	if it == nil {
		return "", 0, false
	}
	return it.data, it.ttl(), true
}

// Keys returns how many keys there are.
func (s *Server) Keys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.data)
}

// Set writes key as a foreign program does; ttl 0: without expiry.
func (s *Server) Set(key, data string, ttl time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, data, ttl, nil)
}

// SetList makes key hold something that is no string.
func (s *Server) SetList(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, "", 0, nil)
	s.data[key].other = true
}

// Delete deletes key as a foreign program does and reports whether it was
// there.
func (s *Server) Delete(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(key, nil)
}

// Evict deletes key for lack of memory, which pushes like a deletion.
func (s *Server) Evict(key string) bool { return s.Delete(key) }

// EvictAny evicts a random key of any kind and reports whether there was one.
func (s *Server) EvictAny() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.data {
		return s.remove(key, nil)
	}
	return false
}

// Forget drops key from the tracking table, as Redis does when that is full:
// its readers get a push although nothing changed.
func (s *Server) Forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notify(key, nil)
}

// FlushAll deletes everything; every connection gets a flush push.
func (s *Server) FlushAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	for c := range s.conns {
		c.emit(frameOut{flush: true})
	}
}

// Drop breaks all connections; new ones work.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.breakOff(ErrLost)
	}
}

// drop forgets data and registrations. The caller holds s.mu.
func (s *Server) drop() {
	for _, it := range s.data {
		it.stop()
	}
	clear(s.data)
	clear(s.watchers)
}
