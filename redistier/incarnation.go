package redistier

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/rueidis"
)

// outliveLoss makes sure that nothing is used which an earlier life of the
// server has left: a restart from a snapshot or a failover may have brought
// deleted values back. Unless the server's data are marked with its present
// life, the generation of the namespace is deleted, and then the mark set.
//
// The order matters: the other way round, one who finds the mark could use the
// data before the deletion. Two who do this at a time delete once too often.
func (c *conn) outliveLoss(ctx context.Context) error {
	for _, s := range c.registries {
		if err := c.outlive(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) outlive(ctx context.Context, s *stripe) error {
	b := c.client.B()
	marked, err := c.client.Do(ctx, b.Get().Key(s.life).Build()).ToString()
	switch {
	case err == nil && marked == c.runID:
		return nil
	case err != nil && !rueidis.IsRedisNil(err):
		return fmt.Errorf("reading the mark of the server's life: %w", err)
	}
	if c.cfg.OnFailover == Clear {
		if err := c.client.Do(ctx, b.Del().Key(s.namespace).Build()).Error(); err != nil {
			return fmt.Errorf("clearing the namespace after a loss of data: %w", err)
		}
	}
	err = c.client.Do(ctx, b.Set().Key(s.life).Value(c.runID).Build()).Error()
	if err != nil && !isFull(err) { // without the mark the next one clears again
		return fmt.Errorf("marking the server's life: %w", err)
	}
	return nil
}

// isFull reports whether a server has no memory for a write.
func isFull(err error) bool {
	e, ok := rueidis.IsRedisErr(err)
	return ok && strings.Contains(e.Error(), "OOM ")
}
