package server

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// Wrong tokens from one address per minute before it is refused unread.
const (
	maxFailures   = 20
	failureWindow = time.Minute
	maxAddresses  = 10_000
)

// failures counts wrong tokens by the address they came from. What it forgets
// when there are too many addresses makes guessing cheaper, never dearer for
// those who know a token.
type failures struct {
	mu     sync.Mutex
	byHost map[string]*failureCount
}

type failureCount struct {
	n     int
	since time.Time
}

func host(r *http.Request) string {
	h, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return h
}

func (f *failures) add(r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byHost == nil || len(f.byHost) > maxAddresses {
		f.byHost = map[string]*failureCount{}
	}
	c := f.byHost[host(r)]
	if c == nil || time.Since(c.since) > failureWindow {
		c = &failureCount{since: time.Now()}
		f.byHost[host(r)] = c
	}
	c.n++
}

func (f *failures) blocked(r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.byHost[host(r)]
	return c != nil && c.n >= maxFailures && time.Since(c.since) <= failureWindow
}
