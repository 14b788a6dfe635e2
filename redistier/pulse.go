package redistier

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// maxBeats is how many heartbeats may be unanswered at a time without being
// spaced out.
const maxBeats = 32

// maxDrift is by how much the clocks that do and do not count suspensions may
// move apart during the life of a connection.
const maxDrift = time.Second

var errBeats = errors.New("heartbeat: too many are unanswered")

// pulse knows which heartbeats were answered. An answer that nobody waits for
// any more goes unnoticed, so one more heartbeat must always be possible some
// time later; spacing keeps their number below twice maxBeats until BeatTimeout
// ends the connection.
type pulse struct {
	spacing        time.Duration
	sent, answered atomic.Int64 // numbers of the last ones
	last           atomic.Int64 // monotonic time of the last one sent
	waitingSince   atomic.Int64 // monotonic time, 0: nothing unanswered
}

func (p *pulse) init(timeout time.Duration) { p.spacing = timeout / 16 }

// begin numbers a heartbeat sent now.
func (p *pulse) begin(now int64) (number int64, ok bool) {
	last := p.last.Load()
	if p.sent.Load()-p.answered.Load() >= maxBeats {
		if time.Duration(now-last) < p.spacing || !p.last.CompareAndSwap(last, now) {
			return 0, false
		}
	} else {
		p.last.Store(now)
	}
	p.waitingSince.CompareAndSwap(0, max(now, 1))
	return p.sent.Add(1), true
}

// end records an answer; it answers all earlier heartbeats too.
func (p *pulse) end(number int64) {
	for {
		old := p.answered.Load()
		if old >= number || p.answered.CompareAndSwap(old, number) {
			break
		}
	}
	p.waitingSince.Store(0)
}

// silence is for how long a heartbeat has been waiting for its answer.
func (p *pulse) silence(now int64) time.Duration {
	if since := p.waitingSince.Load(); since != 0 {
		return time.Duration(now - since)
	}
	return 0
}

// beat proves that the server still is the master which tracks us and counts
// us among the members, and credits the epoch with the time the proof was sent.
//
// The proof is a write, which Redis refuses wherever it would refuse any
// (replica, too few replicas, cluster down). It raises our heartbeat number.
func (c *conn) beat(ctx context.Context) error {
	if c.cfg.observer {
		return c.observe(ctx)
	}
	for enrolled := 0; ; enrolled++ {
		seats := c.seats.Load() // before the epoch: a new one is credited by its own seats alone
		err := c.beatOnce(ctx, *seats)
		if !errors.Is(err, errForgotten) || enrolled == maxEnrollments {
			return err
		}
		if err := c.reenroll(ctx, seats); err != nil {
			return err
		}
	}
}

// maxEnrollments is how often a heartbeat enrolls, or finds that another
// heartbeat or the end of a flush did, before it fails.
const maxEnrollments = 3

func (c *conn) beatOnce(ctx context.Context, seats []seat) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	epoch := c.current() // before the number is raised, see forsake
	if epoch == nil {
		return larder.ErrUnavailable
	}
	if slept := c.asleep() - c.slept; slept > maxDrift {
		err := fmt.Errorf("heartbeat: the machine was suspended for %v", slept)
		c.fail(err)
		return err
	}
	sent := clock.Now()
	number, ok := c.pulse.begin(sent)
	if !ok {
		return errBeats
	}
	mark := c.flow.abandoned.Load()
	results := c.client.DoMulti(ctx, c.beatCommands(seats)...)
	if err := results[0].NonRedisError(); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	c.flow.settle(mark)
	c.flow.wake()
	server, err := c.beatReplies(ctx, seats, results)
	if err != nil {
		err = fmt.Errorf("heartbeat: %w", err)
		if !errors.Is(err, errForgotten) && ctx.Err() == nil {
			c.fail(err)
		}
		return err
	}
	c.pulse.end(number)
	if epoch, err = c.outliveLosses(epoch, results[2:c.seatsAt()]); err != nil || epoch == nil {
		return err
	}
	epoch.Credit(sent, server)
	if !c.tracked {
		c.turn(sent, server)
	}
	return nil
}

// seatsAt is where the writes begin in the commands of a heartbeat.
func (c *conn) seatsAt() int {
	if c.asksLimit() {
		return 4
	}
	return 3
}

func (c *conn) beatCommands(seats []seat) []rueidis.Completed {
	b := c.client.B()
	commands := append(make([]rueidis.Completed, 0, 5), b.ClientId().Build(), b.Time().Build())
	commands = append(commands, c.lossCommands()...)
	for _, s := range seats {
		commands = append(commands, b.Hincrby().Key(s.members).Field(c.member).Increment(1).Build())
	}
	if len(seats) == 0 && len(c.stripes) > 0 {
		commands = append(commands, b.Del().Key(c.stripes[0].beat).Build())
	}
	return commands
}

// beatReplies returns the server's time if every command succeeded.
func (c *conn) beatReplies(ctx context.Context, seats []seat, results []rueidis.RedisResult) (time.Time, error) {
	id, err := results[0].ToInt64()
	if err != nil {
		return time.Time{}, err
	}
	if id != c.id {
		return time.Time{}, fmt.Errorf("the connection has become client %d, it was %d (is there a proxy?)", id, c.id)
	}
	for i, s := range seats {
		result := results[c.seatsAt()+i]
		if isFull(result.Error()) {
			result = c.eval(ctx, beatScript, []string{s.beat, s.members}, []string{c.member})
		}
		number, err := result.ToInt64()
		switch {
		case err != nil:
			return time.Time{}, err
		case !s.continues(number):
			return time.Time{}, errForgotten
		}
	}
	if len(seats) == 0 && len(results) > c.seatsAt() {
		if err := results[c.seatsAt()].Error(); err != nil {
			return time.Time{}, err
		}
	}
	return serverTime(results[1])
}

func serverTime(result rueidis.RedisResult) (time.Time, error) {
	parts, err := result.AsStrSlice()
	if err != nil {
		return time.Time{}, err
	}
	if len(parts) != 2 {
		return time.Time{}, fmt.Errorf("TIME answered %d parts", len(parts))
	}
	seconds, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("TIME answered %q", parts[0])
	}
	micros, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("TIME answered %q", parts[1])
	}
	return time.UnixMicro(seconds*1e6 + micros), nil
}
