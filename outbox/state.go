package outbox

import (
	"context"
	"log/slog"
	"sync"
)

// condition is something that can fail for a while.
type condition uint8

const (
	database condition = iota
	cache
	content
	listener
)

// failing and working are what the log says when a condition changes.
var (
	failing = [...]string{
		database: "the outbox cannot use its database; invalidations of processes that ended wait there",
		cache:    "invalidations of the outbox are not confirmed; they stay there and are retried",
		content:  "rows of the outbox name nothing that this process can invalidate; they stay there",
		listener: "the outbox hears of rows only by polling",
	}
	working = [...]string{
		database: "the outbox can use its database again",
		cache:    "invalidations of the outbox are confirmed again",
		content:  "the outbox has no rows any more that cannot be carried out",
		listener: "the outbox is told of rows again",
	}
)

// conditions remembers what fails, so that each change is logged once.
type conditions struct {
	log *slog.Logger

	mu     sync.Mutex
	failed [len(failing)]bool
}

// note records how an attempt ended. One that ctx ended says nothing.
func (c *conditions) note(ctx context.Context, what condition, err error) {
	if err != nil && ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	changed := c.failed[what] != (err != nil)
	c.failed[what] = err != nil
	c.mu.Unlock()
	switch {
	case changed && err != nil:
		c.log.WarnContext(ctx, failing[what], "error", err)
	case changed:
		c.log.InfoContext(ctx, working[what])
	}
}

// is reports whether a condition fails.
func (c *conditions) is(what condition) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[what]
}
