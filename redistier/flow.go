package redistier

import (
	"context"
	"sync/atomic"

	"github.com/larder-go/larder"
)

const (
	// flowScale is the binary logarithm of the client's queue of requests
	// without a reply.
	flowScale = 11
	// flowLimit leaves room in the queue for heartbeats.
	flowLimit = 1<<flowScale - 2*maxBeats
)

// flow keeps the client's queue from filling up: the client blocks on a full
// queue whatever the context says, and a request that its caller abandoned
// stays in it until the server answers. Replies come in order, so the answer
// to one request settles everything that was abandoned before it was sent. When
// all places are taken by abandoned requests, the next heartbeat settles them.
type flow struct {
	queued    atomic.Int64 // requests in the queue, as far as known
	abandoned atomic.Int64 // requests ever given up by their callers
	settled   atomic.Int64 // of these, how many left the queue for certain
	waiters   atomic.Int64
	room      chan struct{} // wakes one waiter
}

func (f *flow) init() { f.room = make(chan struct{}, 1) }

// enter takes a place in the queue, waiting for one within ctx. The mark is
// for leave.
func (f *flow) enter(ctx context.Context, dead <-chan struct{}) (mark int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if !f.take() {
		if err := f.wait(ctx, dead); err != nil {
			return 0, err
		}
	}
	return f.abandoned.Load(), nil
}

func (f *flow) take() bool {
	if f.queued.Add(1) <= flowLimit {
		return true
	}
	f.queued.Add(-1)
	return false
}

func (f *flow) wait(ctx context.Context, dead <-chan struct{}) error {
	f.waiters.Add(1)
	defer f.waiters.Add(-1)
	for !f.take() {
		select {
		case <-f.room:
		case <-ctx.Done():
			return ctx.Err()
		case <-dead:
			return larder.ErrUnavailable
		}
	}
	f.wake() // a settlement frees many places with one call
	return nil
}

// wake lets a waiter look whether there is room.
func (f *flow) wake() {
	if f.waiters.Load() > 0 && f.queued.Load() < flowLimit {
		select {
		case f.room <- struct{}{}:
		default:
		}
	}
}

// leave gives the place back: at once when the reply or an error of the
// connection came, later when the caller's context ended before.
func (f *flow) leave(ctx context.Context, mark int64, err error) {
	if err != nil && ctx.Err() != nil {
		f.abandoned.Add(1)
		return
	}
	f.queued.Add(-1)
	if err == nil {
		f.settle(mark)
	}
	f.wake()
}

// settle frees the places of the first mark abandoned requests, which were
// answered.
func (f *flow) settle(mark int64) {
	for {
		settled := f.settled.Load()
		if settled >= mark {
			return
		}
		if f.settled.CompareAndSwap(settled, mark) {
			f.queued.Add(settled - mark)
			return
		}
	}
}
