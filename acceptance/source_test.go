package acceptance

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// source is the truth that nodes load from: a version for each key. It runs in
// the test's process, so no node can miscount its loads.
type source struct {
	url   string
	delay time.Duration // of each load
	began chan load     // told of each load when it begins; nil: nobody listens

	mu       sync.Mutex
	versions map[int64]int64
	loads    []load
	running  int
	most     int // loads at once, since takeMost
}

// load is one call of a loader.
type load struct {
	key   int64
	pid   int // of the node that asked
	began time.Time
}

func startSource(t *testing.T, delay time.Duration) *source {
	s := &source{delay: delay, versions: map[int64]int64{}}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	s.url = server.URL
	t.Cleanup(server.Close)
	return s
}

func (s *source) serve(w http.ResponseWriter, r *http.Request) {
	key, err := strconv.ParseInt(r.URL.Path[1:], 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pid, _ := strconv.Atoi(r.Header.Get("Node"))
	l := load{key: key, pid: pid, began: time.Now()}
	s.mu.Lock()
	s.loads = append(s.loads, l)
	version := s.versions[key] // read first, as a slow query does
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	defer s.ended()
	if s.began != nil {
		s.began <- l
	}
	select {
	case <-time.After(s.delay):
		_ = json.NewEncoder(w).Encode(Doc{Key: key, Version: version})
	case <-r.Context().Done():
	}
}

// write commits a new version of key and returns it.
func (s *source) write(key int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[key]++
	return s.versions[key]
}

// loadsOf returns the loads of key so far.
func (s *source) loadsOf(key int64) (of []load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.loads {
		if l.key == key {
			of = append(of, l)
		}
	}
	return of
}

// count returns how many loads began, without those of the control, whose keys
// are negative.
func (s *source) count() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.loads {
		if l.key >= 0 {
			n++
		}
	}
	return n
}

func (s *source) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
}

// takeMost returns how many loads ran at once since the last call.
func (s *source) takeMost() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most
	s.most = s.running
	return most
}
