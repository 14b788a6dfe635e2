package larder

import (
	"context"
	"sync/atomic"
)

// limiter admits so many at a time and lets so many more wait.
type limiter struct {
	slots   chan struct{} // nil: no limit
	queue   int64
	waiting atomic.Int64
}

func newLimiter(limit, queue int) limiter {
	if limit < 0 {
		return limiter{}
	}
	return limiter{slots: make(chan struct{}, limit), queue: int64(queue)}
}

// enter waits for a slot. It fails with [ErrBusy] when the queue is full and
// with the error of ctx when that ends first.
func (l *limiter) enter(ctx context.Context) error {
	if l.slots == nil {
		return nil
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	default:
	}
	defer l.waiting.Add(-1)
	if l.waiting.Add(1) > l.queue {
		return ErrBusy
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *limiter) leave() {
	if l.slots != nil {
		<-l.slots
	}
}
