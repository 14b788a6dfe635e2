package redistier

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// ask wakes the goroutine that answers requests to confirm.
func (c *conn) ask() {
	select {
	case c.asked <- struct{}{}:
	default:
	}
}

// notice looks for the keys of requests and answers among those that changed.
func (c *conn) notice(names []string) {
	for _, name := range names {
		switch {
		case !strings.HasPrefix(name, reserved):
		case strings.HasPrefix(name, c.keys.requests):
			c.ask()
		case strings.HasPrefix(name, c.keys.staleness):
			c.unagreed.Store(true)
			c.ask()
		case strings.HasPrefix(name, c.keys.acks):
			c.answers.ring()
		}
	}
}

// answer acknowledges requests to confirm until the connection ends.
//
// A request is a key that this connection has read; its change is pushed. To
// read it again is a round trip: what was pushed before the request was
// written has been processed when the reply is here. Only then it is
// acknowledged. A push alone proves as much about its own connection; the round
// trip also renews the registration.
func (c *conn) answer() {
	for {
		select {
		case <-c.dead:
			return
		case <-c.asked:
		}
		if err := c.acknowledge(); err != nil {
			select {
			case <-c.dead:
				return
			case <-time.After(firstDelay):
				c.ask()
			}
		}
	}
}

func (c *conn) acknowledge() error {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.DialTimeout)
	defer cancel()
	if err := c.restore(ctx); err != nil {
		return err
	}
	for _, s := range *c.seats.Load() {
		request, err := c.sendOne(ctx, c.client.B().Get().Key(s.requests).Build()).ToString()
		switch {
		case rueidis.IsRedisNil(err):
			continue
		case err != nil:
			return fmt.Errorf("reading the last request to confirm: %w", err)
		}
		if err := c.barrier(ctx, c); err != nil {
			return err
		}
		epoch := c.current()
		if epoch == nil {
			return larder.ErrUnavailable
		}
		if _, err := c.outliveLosses(epoch, c.send(ctx, c.lossCommands())); err != nil {
			return fmt.Errorf("looking for losses: %w", err)
		}
		c.events.Confirming()
		args := []string{c.member, request}
		if err := c.eval(ctx, acknowledgeScript, []string{s.beat, s.acks}, args).Error(); err != nil {
			return fmt.Errorf("acknowledging: %w", err)
		}
	}
	return nil
}

// restore agrees again where MaxStaleness may have changed, and enrolls again
// where a seat is gone. After a flush, which has ended an epoch already, the
// present one keeps its credit: see settleIn for who confirms meanwhile.
func (c *conn) restore(ctx context.Context) error {
	if c.unagreed.Swap(false) {
		if err := c.agree(ctx); err != nil {
			c.unagreed.Store(true)
			return err
		}
	}
	if c.lost.Swap(false) {
		if err := c.reenroll(ctx, c.seats.Load()); err != nil {
			c.lost.Store(true)
			return err
		}
	}
	if known := c.unseated.Swap(nil); known != nil {
		if err := c.enroll(ctx, known, func() error { return nil }); err != nil {
			c.unseated.CompareAndSwap(nil, known)
			return err
		}
	}
	return nil
}

// bell wakes everybody who waits for the next ring.
type bell struct {
	mu   sync.Mutex
	next chan struct{} // closed by ring
}

// wait returns what the next ring closes.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
