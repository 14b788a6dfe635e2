package redistier

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// Confirm asks all members of the namespace whether they have processed the
// deletions of keys, and waits for all of them; it costs about two round trips.
// In a cluster, a key whose registry lies on another master than the key itself
// is not confirmed: the part of the key space at the border of two masters.
//
// Within MaxStaleness after this process has connected it waits for the rest of
// that time first. A member that has shown no sign of life for twice MaxStaleness is removed and
// not waited for: its memory is unusable by then, and stays so until it has
// enrolled again. Until that time Confirm waits, so where a process died without
// closing its cache, the first confirmations end with ctx.
func (t *Tier) Confirm(ctx context.Context, keys []string) error {
	asked := map[*stripe]*conn{}
	for _, key := range keys {
		s := t.self.keys.registryOf(key)
		c := t.conn(s.members)
		if c == nil || c != t.conn(key) {
			return larder.ErrUnavailable
		}
		asked[s] = c
	}
	var wait sync.WaitGroup
	var mu sync.Mutex
	var first error
	for s, c := range asked {
		wait.Go(func() {
			if err := c.confirm(ctx, s); err != nil {
				mu.Lock()
				defer mu.Unlock()
				first = err
			}
		})
	}
	wait.Wait()
	return first
}

// absent is a member that has not acknowledged yet.
type absent struct {
	id     string
	number string // of its last heartbeat
}

// confirm asks the members of one registry. The order carries it: the keys were
// deleted, then the request is written, then the members are read. Who enrolls
// later reads what was there after the deletion; see reenroll for who was
// removed.
func (c *conn) confirm(ctx context.Context, s *stripe) error {
	seat, err := c.settleIn(ctx, s)
	if err != nil {
		return err
	}
	ended := c.answers.wait()
	result := c.eval(ctx, confirmScript, []string{s.requests, s.members, s.acks}, []string{c.member, newMemberID()})
	reply, err := result.AsStrSlice()
	if err == nil && len(reply)%2 != 0 || len(reply) < 2 {
		err = fmt.Errorf("%d parts", len(reply))
	}
	if err != nil {
		return c.unconfirmed(err)
	}
	if n, err := strconv.ParseInt(reply[1], 10, 64); err != nil || !seat.continues(n) {
		c.lost.Store(true)
		c.ask()
		return fmt.Errorf("redistier: confirm: %w", errForgotten)
	}
	request, waiting := reply[0], absents(reply[2:])
	for len(waiting) > 0 {
		if err := c.awaitAnswer(ctx, ended, len(waiting)); err != nil {
			return err
		}
		ended = c.answers.wait()
		if waiting, err = c.laggards(ctx, s, request); err != nil {
			return c.unconfirmed(err)
		}
	}
	return ctx.Err()
}

// settleIn waits until this process has been a member for long enough.
func (c *conn) settleIn(ctx context.Context, s *stripe) (*seat, error) {
	for {
		seat := c.seatIn(s)
		if seat == nil {
			return nil, larder.ErrUnavailable
		}
		left := c.longest() - time.Duration(clock.Now()-seat.enrolled)
		if left < 0 {
			return seat, ctx.Err()
		}
		timer := time.NewTimer(left + time.Millisecond)
		select {
		case <-timer.C:
		case <-c.dead:
			timer.Stop()
			return nil, larder.ErrUnavailable
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

func absents(flat []string) []absent {
	list := make([]absent, 0, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		list = append(list, absent{id: flat[i], number: flat[i+1]})
	}
	return list
}

// awaitAnswer waits until a member has answered, or until it is time to see
// whether the silent ones are alive. It gives the answers of many some time to
// arrive together.
func (c *conn) awaitAnswer(ctx context.Context, ended <-chan struct{}, n int) error {
	look := time.NewTimer(c.patience() / 16)
	defer look.Stop()
	select {
	case <-ended:
	case <-look.C:
		return nil
	case <-c.dead:
		return larder.ErrUnavailable
	case <-ctx.Done():
		return ctx.Err()
	}
	if n > 8 {
		time.Sleep(min(time.Duration(n)*5*time.Microsecond, 2*time.Millisecond))
	}
	return nil
}

// laggards reads who has not seen the request, and removes the silent ones.
func (c *conn) laggards(ctx context.Context, s *stripe, request string) ([]absent, error) {
	flat, err := c.eval(ctx, laggardsScript, []string{s.members, s.acks}, []string{c.member, request}).AsStrSlice()
	if err != nil {
		return nil, err
	}
	waiting := absents(flat)
	for _, a := range waiting {
		if c.sightings.silence(s.members+" "+a.id, a.number, clock.Now()) <= c.patience() {
			continue
		}
		if err := c.eval(ctx, removeScript, []string{s.members, s.acks}, []string{a.id, a.number}).Error(); err != nil {
			return nil, err
		}
		c.answers.ring() // look again at once
	}
	return waiting, nil
}

func (c *conn) unconfirmed(err error) error {
	if e, ok := rueidis.IsRedisErr(err); ok {
		return fmt.Errorf("redistier: confirm: %w", c.refused(e))
	}
	return fmt.Errorf("redistier: confirm: %w", lost(err))
}

// sightings remembers since when the heartbeat numbers of members have not
// moved, by this process's monotonic clock: server time may jump.
type sightings struct {
	mu   sync.Mutex
	seen map[string]sighting
}

type sighting struct {
	number string
	since  int64
}

// maxSightings bounds what is remembered of members that are gone.
const maxSightings = 4096

// silence returns for how long member has been at number.
func (s *sightings) silence(member, number string, now int64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil || len(s.seen) > maxSightings {
		s.seen = map[string]sighting{}
	}
	old, ok := s.seen[member]
	if !ok || old.number != number {
		old = sighting{number: number, since: now}
	}
	s.seen[member] = old
	return time.Duration(now - old.since)
}
