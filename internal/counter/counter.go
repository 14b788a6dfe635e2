// Package counter counts events that many cores report at once.
package counter

import (
	"sync/atomic"
	"unsafe"
)

const (
	stripeBits = 7
	stripes    = 1 << stripeBits
)

// Counter is a sum spread over several cache lines. The zero value is ready;
// a Counter must not be copied after first use.
type Counter struct {
	cells [stripes]cell
}

type cell struct {
	n atomic.Uint64
	_ [56]byte
}

// Add adds one. The caller's stack decides which line it writes to, so that a
// goroutine which counts again and again, on one core most of the time, has a
// line of its own: those of events that are spread at random would be fetched
// from another core for every second of them.
func (c *Counter) Add() { c.AddN(1) }

// AddN adds n.
func (c *Counter) AddN(n uint64) {
	var here byte
	stack := uint64(uintptr(unsafe.Pointer(&here))) >> 11 // the least that lies between two stacks
	c.cells[stack*0x9E3779B97F4A7C15>>(64-stripeBits)].n.Add(n)
}

// Load returns the sum. Additions that run at the same time may be missing.
func (c *Counter) Load() (sum uint64) {
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}
