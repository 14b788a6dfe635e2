package redistier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
)

// An observer is a tier that takes part in nothing: it is in no registry, marks
// no server's life, clears nothing after a failover and does not decide
// MaxStaleness. What it reads is no evidence, so no cache may serve it; what it
// deletes is deleted for all, as a DEL from anywhere is.

// observer remembers why servers could not be reached.
type observer struct {
	*Tier
	larder.RemoteEvents

	mu   sync.Mutex
	last error
}

// Start implements larder.Remote.
func (o *observer) Start(ctx context.Context, events larder.RemoteEvents) {
	o.RemoteEvents = events
	o.Tier.Start(ctx, o)
}

// Disconnected implements larder.RemoteEvents.
func (o *observer) Disconnected(err error) {
	o.mu.Lock()
	o.last = err
	o.mu.Unlock()
	o.RemoteEvents.Disconnected(err)
}

// reached returns nil if every server has a connection, else why not.
func (o *observer) reached() error {
	if _, complete := o.conns(); complete {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last != nil {
		return unreachedError{o.last}
	}
	return larder.ErrUnavailable
}

// unreachedError is why a server was not reached; it is [larder.ErrUnavailable].
type unreachedError struct{ error }

// Is implements what errors.Is looks for.
func (unreachedError) Is(target error) bool { return target == larder.ErrUnavailable }

// Unwrap returns the cause.
func (u unreachedError) Unwrap() error { return u.error }

// observe does for an observer what a heartbeat does for others: it proves that
// the server answers, tells its time and learns MaxStaleness. It writes nothing.
func (c *conn) observe(ctx context.Context) error {
	epoch := c.current()
	if epoch == nil {
		return larder.ErrUnavailable
	}
	sent := clock.Now()
	number, ok := c.pulse.begin(sent)
	if !ok {
		return errBeats
	}
	mark := c.flow.abandoned.Load()
	commands := []rueidis.Completed{c.client.B().Time().Build()}
	for _, s := range registries(c.server.owned()) {
		commands = append(commands, c.client.B().Get().Key(s.staleness).Build())
	}
	results := c.client.DoMulti(ctx, commands...)
	if err := results[0].NonRedisError(); err != nil {
		return err
	}
	c.flow.settle(mark)
	c.flow.wake()
	server, err := serverTime(results[0])
	if err != nil {
		c.fail(err)
		return fmt.Errorf("TIME: %w", err)
	}
	c.pulse.end(number)
	epoch.Credit(sent, server)
	for _, result := range results[1:] {
		if stored, err := result.AsInt64(); err == nil && stored > 0 {
			c.bound.learn(time.Duration(stored) * time.Millisecond)
		}
	}
	return nil
}

// Denied reports whether Redis refused the user, the password or a command for
// want of a right: nothing that waiting would mend.
func Denied(err error) bool {
	return begins(answered(err), "NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH", "ERR invalid password")
}

// answered returns the text of the error that Redis answered, the first of
// several servers' if err joins some, empty if err is none.
func answered(err error) string {
	if e, ok := errors.AsType[*rueidis.RedisError](err); ok && !rueidis.IsRedisNil(e) {
		return e.Error()
	}
	return ""
}

func begins(text string, codes ...string) bool {
	return slices.ContainsFunc(codes, func(code string) bool { return strings.HasPrefix(text, code) })
}
