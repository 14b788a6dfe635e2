// Package counter counts events that many cores report at once.
package counter

import "sync/atomic"

const stripes = 8 // a power of two

// Counter is a sum spread over several cache lines. The zero value is ready;
// a Counter must not be copied after first use.
type Counter struct {
	cells [stripes]cell
}

type cell struct {
	n atomic.Uint64
	_ [56]byte
}

// Add adds one. spread is any number that differs between most events, such as
// the hash of a key: cores that pass different ones do not disturb each other.
func (c *Counter) Add(spread uint64) { c.AddN(spread, 1) }

// AddN adds n.
func (c *Counter) AddN(spread, n uint64) { c.cells[spread&(stripes-1)].n.Add(n) }

// Load returns the sum. Additions that run at the same time may be missing.
func (c *Counter) Load() (sum uint64) {
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}
