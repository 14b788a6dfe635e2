package redistier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// Every process that may serve from memory is a member of the registry of each
// server, before the first heartbeat credits anything. A member has a heartbeat
// number, which each heartbeat raises: the write that proves the server and
// renews the membership are one.
//
// Whoever confirms has been a member itself, without a gap, for longer than
// anybody serves from memory without a heartbeat. So if the whole registry was
// lost, to a flush or an eviction, all who have not enrolled since are silent.
//
// Who was silent for too long is removed by those who wait for it (see
// Confirm), and learns of that from its next heartbeat: the high bits of a number
// name the membership, so a number of other ones was counted by a registry which
// had forgotten it, or belongs to a later membership.

// newMemberID returns the name of this process in registries.
func newMemberID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// countBits is how many low bits of a heartbeat number count; the others name
// the membership.
const countBits = 32

// firstNumber returns where the numbers of a membership begin.
func firstNumber() int64 { return (1 + mathrand.Int64N(1<<30)) << countBits }

// continues reports whether number was counted in the membership of s.
func (s *seat) continues(number int64) bool { return number>>countBits == s.number>>countBits }

// seat is a membership in one registry.
type seat struct {
	*stripe
	number   int64 // with which it began
	enrolled int64 // monotonic time at which it had begun
}

// registries returns the stripes of list that keep registries.
func registries(list []*stripe) []*stripe {
	var keep []*stripe
	for _, s := range list {
		if s.index%perRegistry == 0 {
			keep = append(keep, s)
		}
	}
	return keep
}

// enrollFirst makes this process a member before the connection is used.
func (c *conn) enrollFirst(ctx context.Context) error {
	return c.enroll(ctx, c.seats.Load(), func() error { return nil })
}

// enroll makes this process a member of the registries of the master and gives
// it new numbers, after first has succeeded. It does nothing if somebody else
// did since the memberships were known: who counts on with the numbers of an
// older enrollment than the last is forgotten.
func (c *conn) enroll(ctx context.Context, known *[]seat, first func() error) error {
	if err := c.holdSeats(ctx); err != nil {
		return err
	}
	defer c.releaseSeats()
	if c.seats.Load() != known {
		return nil
	}
	if err := first(); err != nil {
		return err
	}
	seats, err := c.take(ctx, registries(c.server.owned()))
	if err == nil {
		c.seats.Store(&seats)
	}
	return err
}

// holdSeats waits until nobody else takes seats.
func (c *conn) holdSeats(ctx context.Context) error {
	select {
	case c.seating <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.dead:
		return larder.ErrUnavailable
	}
}

func (c *conn) releaseSeats() { <-c.seating }

// take enrolls in registries.
func (c *conn) take(ctx context.Context, list []*stripe) ([]seat, error) {
	seats := make([]seat, 0, len(list))
	for _, s := range list {
		number := firstNumber()
		args := []string{c.member, strconv.FormatInt(number, 10)}
		if err := c.eval(ctx, enrollScript, []string{s.beat, s.members}, args).Error(); err != nil {
			return nil, fmt.Errorf("enrolling: %w", err)
		}
		seats = append(seats, seat{stripe: s, number: number, enrolled: clock.Now()})
	}
	return seats, nil
}

// adopt takes over stripes that moved here from other masters and becomes a
// member of their registries; those that left are given up.
func (c *conn) adopt(ctx context.Context, gained, wanted []*stripe, good func(string) bool) error {
	if c.cfg.observer {
		return nil
	}
	if len(gained) > 0 {
		if err := c.mark(ctx, gained, good); err != nil {
			return err
		}
	}
	if err := c.holdSeats(ctx); err != nil {
		return err
	}
	defer c.releaseSeats()
	var seats []seat
	var missing []*stripe
	for _, s := range wanted {
		if have := c.seatIn(s); have != nil {
			seats = append(seats, *have)
		} else {
			missing = append(missing, s)
		}
	}
	taken, err := c.take(ctx, missing)
	if err != nil {
		return err
	}
	seats = append(seats, taken...)
	c.seats.Store(&seats)
	return nil
}

// seatIn returns the membership in the registry of s, nil without one.
func (c *conn) seatIn(s *stripe) *seat {
	seats := *c.seats.Load()
	for i := range seats {
		if seats[i].stripe == s {
			return &seats[i]
		}
	}
	return nil
}

// leaveTimeout bounds the parting from a server that may hang.
const leaveTimeout = 100 * time.Millisecond

// leave ends the membership, so that nobody waits for a process that ended in
// good order.
func (c *conn) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	b := c.client.B()
	var commands []rueidis.Completed
	for _, s := range *c.seats.Load() {
		commands = append(commands,
			b.Hdel().Key(s.members).Field(c.member).Build(), b.Hdel().Key(s.acks).Field(c.member).Build())
	}
	if len(commands) > 0 {
		c.client.DoMulti(ctx, commands...)
	}
}

// reenroll follows the loss of the membership: what was read while nobody
// waited for this process is given up before it is a member again, and nothing
// read later is credited before that. Numbered, with memory used on the old
// epoch's credit:
//
//  1. we are removed, as we were silent
//  2. another process deletes a key we keep, and asks the members, not us
//  3. our heartbeat is answered and credits the epoch
//  4. its Invalidate returns as confirmed, and we serve the old value
func (c *conn) reenroll(ctx context.Context, known *[]seat) error {
	err := c.enroll(ctx, known, func() error {
		if !c.forsake() {
			return larder.ErrUnavailable
		}
		c.flushed()
		return nil
	})
	if err == nil {
		c.ask() // somebody may have asked the new member already
	}
	return err
}

// forsake replaces the epoch by one without credit; false if the connection is
// dead.
func (c *conn) forsake() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil {
		return false
	}
	c.fresh.End()
	c.fresh = c.newEpoch()
	if c.published.Load() {
		c.epoch.Store(c.fresh)
	}
	return true
}

var errForgotten = errors.New("the server has forgotten that we are a member")

// agree makes MaxStaleness known to the namespace: the first process decides.
func (c *conn) agree(ctx context.Context) error {
	b := c.client.B()
	own := strconv.FormatInt(c.cfg.MaxStaleness.Milliseconds(), 10)
	for _, s := range registries(c.server.owned()) {
		results := c.client.DoMulti(ctx,
			b.Set().Key(s.staleness).Value(own).Nx().Build(),
			b.Get().Key(s.staleness).Build(),
		)
		if err := results[0].Error(); err != nil && !rueidis.IsRedisNil(err) && !isFull(err) {
			return fmt.Errorf("agreeing on MaxStaleness: %w", err)
		}
		stored, err := results[1].AsInt64()
		switch {
		case rueidis.IsRedisNil(err):
			continue // the server is full
		case err != nil:
			return fmt.Errorf("agreeing on MaxStaleness: %w", err)
		case stored > 0:
			c.bound.learn(time.Duration(stored) * time.Millisecond)
		}
	}
	return nil
}
