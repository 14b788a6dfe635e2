package redistier

import (
	"cmp"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// Redis tells a connection with NOLOOP nothing of the keys that it forgets while
// it executes a command of that very connection: keys evicted to make room for
// it, and registrations dropped from a full tracking table (measured with
// 7.0.15). Numbered, with nothing done about it:
//
//  1. we read a key and keep it
//  2. a write of ours evicts it; nobody tells us
//  3. another process fills and deletes the key; we are not registered
//  4. our heartbeats go on crediting what we keep
//
// So heartbeats and acknowledgements look whether the server has evicted
// anything since the last look, and whether its table is near its limit. Then
// the epoch ends before anything is credited or acknowledged: while a server
// evicts, memory holds entries for no longer than from one heartbeat to the
// next.
type losses struct {
	mu      sync.Mutex // also held while the epoch is replaced
	evicted int64
	known   bool
	crowded bool // the table was, at the last look
}

const (
	// defaultTable is Redis's default limit of the tracking table.
	defaultTable = 1_000_000
	// leastTable is the smallest limit that a look can judge: a smaller table
	// may overflow and recover from one look to the next.
	leastTable = 10_000
)

// lossCommands ask for what [conn.outliveLosses] reads.
func (c *conn) lossCommands() []rueidis.Completed {
	b := c.client.B()
	commands := []rueidis.Completed{b.Info().Section("stats").Build()}
	if c.asksLimit() {
		commands = append(commands, b.ConfigGet().Parameter("tracking-table-max-keys").Build())
	}
	return commands
}

// asksLimit reports whether to ask for the limit of the tracking table. A user
// made for us is not asked for a permission that shows passwords as well.
func (c *conn) asksLimit() bool { return c.cfg.Username == "" }

// outliveLosses ends epoch if the replies to lossCommands say that the server
// may have forgotten keys of ours. It returns the epoch that may be credited:
// its successor then, nil if something else has replaced it meanwhile.
func (c *conn) outliveLosses(epoch *larder.Epoch, replies []rueidis.RedisResult) (*larder.Epoch, error) {
	info, err := replies[0].ToString()
	if err != nil {
		return nil, err
	}
	evicted, err := strconv.ParseInt(infoField(info, "evicted_keys"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("INFO stats tells no evicted_keys: %w", err)
	}
	c.losses.mu.Lock()
	defer c.losses.mu.Unlock()
	now := crowded(info, cmp.Or(c.cfg.TrackingTableKeys, defaultTable), replies[1:])
	lost := c.losses.known && evicted > c.losses.evicted || now || c.losses.crowded
	c.losses.evicted, c.losses.known, c.losses.crowded = max(evicted, c.losses.evicted), true, now
	if !lost {
		return epoch, nil
	}
	next := c.replace(epoch)
	if next != nil && c.published.Load() {
		c.events.Flushed()
	}
	return next, nil
}

// crowded reports whether the tracking table may have overflowed lately. Its
// limit is the given one unless the server tells it.
func crowded(info string, limit int64, config []rueidis.RedisResult) bool {
	for i := range config {
		pairs, err := config[i].AsStrMap()
		if n, e := strconv.ParseInt(pairs["tracking-table-max-keys"], 10, 64); err == nil && e == nil {
			limit = n
		}
	}
	tracked, err := strconv.ParseInt(infoField(info, "tracking_total_keys"), 10, 64)
	return limit != 0 && (limit < leastTable || err != nil || tracked >= limit/10*9)
}

// replace ends epoch and returns its successor, nil if it is not the present
// one any more.
func (c *conn) replace(epoch *larder.Epoch) *larder.Epoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure != nil || c.fresh != epoch {
		return nil
	}
	c.fresh = epoch.Succeed()
	if c.published.Load() {
		c.epoch.Store(c.fresh)
	}
	return c.fresh
}
