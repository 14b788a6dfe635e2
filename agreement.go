package larder

import "time"

// The optional methods of a [Remote] that keeps MaxStaleness one constant for
// all processes of a namespace, and that knows several ways to keep memory
// coherent.
type (
	boundRemote interface {
		// MaxStaleness returns what the processes have agreed on; zero while
		// it is not known.
		MaxStaleness() time.Duration
	}
	modeRemote interface {
		// Mode names the way memory is kept coherent.
		Mode() string
	}
)

// agree follows the MaxStaleness of the namespace. A process that was given
// more accepts no more than the others, whose strict invalidations wait no
// longer than theirs; one that was given less waits for the others.
func (c *Cache) agree() {
	r, ok := c.remote.(boundRemote)
	if !ok {
		return
	}
	agreed, own := r.MaxStaleness(), c.opts.MaxStaleness
	if agreed <= 0 {
		return
	}
	if old := c.tolerance.Swap(int64(min(agreed, own))); old > int64(agreed) {
		c.opts.Logger.Warn("larder: MaxStaleness of the namespace is lower and holds", "agreed", agreed, "configured", own)
	}
	c.longest.Store(int64(max(agreed, own)))
}

// mode returns how the remote keeps memory coherent, empty when it does not say.
func (c *Cache) mode() string {
	if r, ok := c.remote.(modeRemote); ok {
		return r.Mode()
	}
	return ""
}
