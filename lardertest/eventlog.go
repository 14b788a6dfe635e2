package lardertest

import (
	"sync"
	"time"

	"github.com/larder-go/larder"
)

// eventLog records what a Remote reports.
type eventLog struct {
	mu           sync.Mutex
	pushed       map[string]int // pushes per key
	flushed      int
	connected    int
	disconnected int
	lastErr      error
	change       chan struct{} // closed at each event

	watched     *larder.Epoch // an epoch that a flush must find ended
	watchedDead bool
}

var _ larder.RemoteEvents = (*eventLog)(nil)

func newEventLog() *eventLog {
	return &eventLog{pushed: map[string]int{}, change: make(chan struct{})}
}

func (l *eventLog) note(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.change)
	l.change = make(chan struct{})
}

// Invalidated implements larder.RemoteEvents.
func (l *eventLog) Invalidated(keys []string) {
	l.note(func() {
		for _, k := range keys {
			l.pushed[k]++
		}
	})
}

// Flushed implements larder.RemoteEvents.
func (l *eventLog) Flushed() {
	l.note(func() {
		l.flushed++
		l.watchedDead = l.watched != nil && !l.watched.Alive()
	})
}

// Connected implements larder.RemoteEvents.
func (l *eventLog) Connected() { l.note(func() { l.connected++ }) }

// Confirming implements larder.RemoteEvents.
func (l *eventLog) Confirming() {}

// Disconnected implements larder.RemoteEvents.
func (l *eventLog) Disconnected(err error) {
	l.note(func() { l.disconnected++; l.lastErr = err })
}

// wait waits until cond holds.
func (l *eventLog) wait(cond func() bool) bool {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		l.mu.Lock()
		ok, change := cond(), l.change
		l.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-change:
		case <-timeout.C:
			return false
		}
	}
}

// pushes returns how often key was pushed.
func (l *eventLog) pushes(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pushed[key]
}

// watch says which epoch the next flush must find ended.
func (l *eventLog) watch(e *larder.Epoch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watched, l.watchedDead = e, false
}
