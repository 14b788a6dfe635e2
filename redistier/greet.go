package redistier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/redis/rueidis"
)

// greet learns who the server is, loads the scripts, proves that pushes arrive
// and credits the first heartbeat, within DialTimeout.
func (c *conn) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	if err := c.identify(ctx); err != nil {
		return err
	}
	if c.tracked {
		if err := c.testPushes(ctx); err != nil {
			return err
		}
	}
	if c.cfg.observer {
		return c.observe(ctx)
	}
	c.server.opening.Store(c)
	for _, step := range []func(context.Context) error{c.outliveLoss, c.agree, c.enrollFirst} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return c.beat(ctx)
}

func (c *conn) identify(ctx context.Context) error {
	b := c.client.B()
	commands := []rueidis.Completed{
		b.ClientId().Build(), b.Info().Section("server").Build(), b.Info().Section("replication").Build(),
	}
	for _, s := range scripts {
		commands = append(commands, b.ScriptLoad().Script(s.text).Build())
	}
	results := c.client.DoMulti(ctx, commands...)
	id, err := results[0].ToInt64()
	if err != nil {
		return fmt.Errorf("CLIENT ID: %w", err)
	}
	info, err := results[1].ToString()
	if err != nil {
		return fmt.Errorf("INFO server: %w", err)
	}
	replication, err := results[2].ToString()
	if err != nil {
		return fmt.Errorf("INFO replication: %w", err)
	}
	// A user who may not SCRIPT LOAD gets the scripts by EVAL.
	c.id, c.runID = id, infoField(info, "run_id")
	if c.runID == "" {
		return errors.New("INFO server names no run_id")
	}
	c.runID += "-" + infoField(replication, "master_replid")
	return nil
}

// probeKey returns a key of this master for the self-test.
func (c *conn) probeKey() string {
	if len(c.stripes) > 0 {
		return c.stripes[0].probe
	}
	return c.keys.stripes[0].probe
}

// infoField returns the value of a field in the text of INFO, "" without it.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// errNoPushes reports a server, or a proxy before it, that does not push.
var errNoPushes = errors.New("self-test of pushes")

// probe notices a push about its key.
type probe struct {
	key     string
	arrived atomic.Bool
}

func (p *probe) pushed(names []string) {
	if slices.Contains(names, p.key) {
		p.arrived.Store(true)
	}
}

// testPushes proves that pushes arrive on this very connection. Tracking is
// switched to report own writes too while we write a key that we have read;
// the push comes behind the reply to the write, hence before that to the PING.
func (c *conn) testPushes(ctx context.Context) error {
	p := &probe{key: c.probeKey() + "#" + strconv.FormatInt(c.id, 10)}
	c.probing.Store(p)
	defer c.probing.Store(nil)
	b := c.client.B()
	results := c.client.DoMulti(ctx,
		b.Arbitrary("CLIENT", "TRACKING", "ON").Build(),
		b.Get().Key(p.key).Build(),
		b.Set().Key(p.key).Value("1").PxMilliseconds(1000).Build(),
		b.Del().Key(p.key).Build(),
		b.Ping().Build(),
		b.Arbitrary("CLIENT", "TRACKING", "ON", "NOLOOP").Build(),
	)
	for i, name := range []string{"CLIENT TRACKING", "GET", "SET", "DEL", "PING", "CLIENT TRACKING"} {
		if err := results[i].Error(); err != nil && !rueidis.IsRedisNil(err) {
			return fmt.Errorf("self-test of pushes: %s: %w", name, err)
		}
	}
	if !p.arrived.Load() {
		return fmt.Errorf("%w: a key we read was changed and none told us (is there a proxy?)", errNoPushes)
	}
	return nil
}
