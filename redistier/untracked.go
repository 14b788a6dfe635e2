package redistier

import (
	"time"

	"github.com/larder-go/larder"
)

// Without pushes, which RESP2 servers, some proxies and some managed services
// do not deliver, nothing proves what was read for longer than its own reading
// does. So each heartbeat ends the epoch: what memory holds lives for a quarter
// of MaxStaleness. The promises stay as they are, except that strict
// invalidations wait for MaxStaleness instead of being acknowledged.

// turn begins another epoch with the credit of the heartbeat sent at sent,
// which is before everything that will be read under it.
func (c *conn) turn(sent int64, server time.Time) {
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

// Mode says how memory is kept coherent: "tracking", by pushes of the server;
// "ttl", by a short life as some server does not push; or nothing while there
// is no connection.
func (t *Tier) Mode() string {
	list, _ := t.conns()
	mode := ""
	for _, c := range list {
		if !c.tracked {
			return "ttl"
		}
		mode = "tracking"
	}
	return mode
}
