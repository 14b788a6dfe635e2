package redistier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// outliveLoss makes sure that nothing is used which an earlier life of the
// server has left: a restart from a snapshot or a failover may have brought
// deleted values back. Unless the server's data are marked with its present
// life, the generations of the namespace are deleted, and then the marks set.
//
// The order matters: the other way round, one who finds the mark could use the
// data before the deletion. Two who do this at a time delete once too often.
//
// In a cluster, all stripes are cleared, not only those of the server: it may
// have brought back generations of tags, and any entry may carry them.
func (c *conn) outliveLoss(ctx context.Context) error {
	return c.mark(ctx, c.stripes, func(string) bool { return false })
}

// mark marks stripes with the server's life, after clearing the namespace
// unless all of them bear it or a mark that is as good.
func (c *conn) mark(ctx context.Context, list []*stripe, good func(mark string) bool) error {
	intact, unmarked := len(list) > 0, []*stripe(nil)
	for i, result := range c.client.DoMulti(ctx, c.lifeReads(list)...) {
		mark, err := result.ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			return fmt.Errorf("reading the mark of the server's life: %w", err)
		}
		if err != nil || mark != c.runID {
			unmarked = append(unmarked, list[i])
			intact = intact && err == nil && good(mark)
		}
	}
	if !intact && c.cfg.OnFailover == Clear {
		if err := c.clear(ctx); err != nil {
			return fmt.Errorf("clearing the namespace after a loss of data: %w", err)
		}
	}
	for _, s := range unmarked {
		err := c.client.Do(ctx, c.client.B().Set().Key(s.life).Value(c.runID).Build()).Error()
		if err != nil && !isFull(err) { // without the mark the next one clears again
			return fmt.Errorf("marking the server's life: %w", err)
		}
	}
	return nil
}

func (c *conn) lifeReads(list []*stripe) []rueidis.Completed {
	commands := make([]rueidis.Completed, len(list))
	for i, s := range list {
		commands[i] = c.client.B().Get().Key(s.life).Build()
	}
	return commands
}

// clear deletes the generations of all stripes, over connections that may serve
// nobody yet: those of a new namespace wait for one another here.
func (t *Tier) clear(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make([]error, len(t.self.keys.stripes))
	for i := range errs {
		all.Go(func() { errs[i] = t.clearStripe(ctx, t.self.keys.stripes[i].namespace) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (t *Tier) clearStripe(ctx context.Context, key string) error {
	for {
		if c := t.layout.Load().of(key).control(); c != nil {
			return c.client.Do(ctx, c.client.B().Del().Key(key).Build()).Error()
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return larder.ErrUnavailable
		}
	}
}

// isFull reports whether a server has no memory for a write.
func isFull(err error) bool {
	e, ok := rueidis.IsRedisErr(err)
	return ok && strings.Contains(e.Error(), "OOM ")
}
