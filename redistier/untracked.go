package redistier

import (
	"time"

	"github.com/larder-go/larder"
)

// Without pushes, which RESP2 servers, some proxies and some managed services
// do not deliver, nothing proves what was read for longer than its own reading
// does. So each heartbeat ends the epoch: what memory holds lives for a quarter
// of MaxStaleness. The promises stay as they are, except that strict
// invalidations wait for MaxStaleness instead of being acknowledged. With
// Validated nothing is kept that a heartbeat would have to end.

// newEpoch returns the first epoch of a connection, or one without credit.
func (c *conn) newEpoch() *larder.Epoch {
	if !c.tracked && c.cfg.Untracked == Validated {
		return larder.NewValidatedEpoch()
	}
	return larder.NewEpoch()
}

// turn begins another epoch with the credit of the heartbeat sent at sent,
// which is before everything that will be read under it. Who waits for a push
// looks again.
func (c *conn) turn(sent int64, server time.Time) {
	if c.cfg.Untracked == Validated {
		c.flushed()
		return
	}
	next := larder.NewEpoch()
	next.Credit(sent, server)
	c.mu.Lock()
	if c.failure != nil {
		c.mu.Unlock()
		return
	}
	c.fresh.End()
	c.fresh = next
	if c.published.Load() {
		c.epoch.Store(next)
	}
	c.mu.Unlock()
	c.flushed()
}

// Mode says how memory is kept coherent: "tracking", by pushes of the server; as
// some server does not push, "ttl" by a short life or "validated" by asking it
// for every read; or nothing while there is no connection.
func (t *Tier) Mode() string {
	list, _ := t.conns()
	mode := ""
	for _, c := range list {
		if !c.tracked {
			if t.self.cfg.Untracked == Validated {
				return "validated"
			}
			return "ttl"
		}
		mode = "tracking"
	}
	return mode
}
