package api

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// snapshot is the state of an execution at one instant. Streams send what
// differs between two of them, so that a client can resume at any instance of
// the server: nothing depends on what one process has seen.
type snapshot struct {
	execution dashboard.Execution
	failures  []dashboard.Result // at most MaxLimit of each kind
	err       error              // ends the stream
}

// version names the counts and the state, equal in every process.
func (s snapshot) version() string {
	e := s.execution
	return fmt.Sprintf("%s-%d-%d-%d-%d-%d", e.Status, e.Total, e.Passed, e.Failed, e.Errors, e.Skipped)
}

// watchers look after the executions that somebody follows. However many
// clients follow one, it is read once per tick, through the cache, whose
// invalidations carry progress from one instance of the server to the others.
// There is one goroutine per execution, from its first client to its last.
type watchers struct {
	store dashboard.Store
	tick  time.Duration

	mu      sync.Mutex
	topics  map[int64]*topic
	running sync.WaitGroup
}

type topic struct {
	clients int // under the lock of the watchers
	cancel  context.CancelFunc

	begun chan struct{} // closed after the first look
	err   error         // of the first look; set before begun is closed

	mu      sync.Mutex
	latest  snapshot
	changed chan struct{} // closed and replaced with every change
}

func newWatchers(store dashboard.Store, tick time.Duration) *watchers {
	return &watchers{store: store, tick: tick, topics: map[int64]*topic{}}
}

// follow returns the topic of an execution; leave must be called once. The lock is
// not held while the first look is under way: a database that is slow to answer for
// one execution holds up nobody who follows another.
func (w *watchers) follow(ctx context.Context, id int64) (t *topic, leave func(), err error) {
	t = w.join(ctx, id)
	select {
	case <-t.begun:
		err = t.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		w.leave(id, t)
		return nil, nil, err
	}
	return t, func() { w.leave(id, t) }, nil
}

func (w *watchers) join(ctx context.Context, id int64) *topic {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.topics[id]
	if t == nil {
		running, cancel := context.WithCancel(context.WithoutCancel(ctx))
		t = &topic{cancel: cancel, begun: make(chan struct{}), changed: make(chan struct{})}
		w.topics[id] = t
		w.running.Go(func() { w.begin(running, id, t) })
	}
	t.clients++
	return t
}

// begin looks for the first time, and on if there is something to see.
func (w *watchers) begin(ctx context.Context, id int64, t *topic) {
	t.latest, t.err = w.look(ctx, id, snapshot{})
	if t.err != nil {
		w.forget(id, t) // the next client has another try
	}
	close(t.begun)
	if t.err == nil {
		w.watch(ctx, id, t)
	}
}

func (w *watchers) forget(id int64, t *topic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.topics[id] == t {
		delete(w.topics, id)
	}
}

func (w *watchers) leave(id int64, t *topic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.clients--; t.clients == 0 {
		t.cancel()
		if w.topics[id] == t {
			delete(w.topics, id)
		}
	}
}

func (w *watchers) watch(ctx context.Context, id int64, t *topic) {
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	last := t.latest
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		next, err := w.look(ctx, id, last)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures++; failures < maxFailures {
				continue // a hiccup is no reason to send everybody away
			}
			next = snapshot{execution: last.execution, err: err}
		case next.version() == last.version():
			failures = 0
			continue
		}
		failures = 0
		t.publish(next)
		last = next
	}
}

// maxFailures is how many ticks in a row may fail before streams end.
const maxFailures = 10

// look reads an execution, and its failures when their number has changed.
func (w *watchers) look(ctx context.Context, id int64, last snapshot) (s snapshot, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if s.execution, err = w.store.Execution(ctx, id); err != nil {
		return s, err
	}
	s.failures = last.failures
	if s.execution.Failed == last.execution.Failed && s.execution.Errors == last.execution.Errors {
		return s, nil
	}
	s.failures = nil
	for _, status := range []dashboard.Status{dashboard.StatusFailed, dashboard.StatusError} {
		list, err := w.store.Results(ctx, id, dashboard.ResultFilter{Status: status}, dashboard.Page{Limit: dashboard.MaxLimit})
		if err != nil {
			return s, err
		}
		s.failures = append(s.failures, list.Items...)
	}
	return s, nil
}

func (t *topic) publish(s snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = s
	close(t.changed)
	t.changed = make(chan struct{})
}

// now returns the newest snapshot and a channel that is closed by the next.
func (t *topic) now() (snapshot, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest, t.changed
}
