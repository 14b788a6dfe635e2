package counter

import (
	"sync"
	"testing"
)

// TestLines holds that a goroutine which counts again and again stays in a line, but
// for the few times that its stack is moved, and that goroutines together write to
// several.
func TestLines(t *testing.T) {
	lines := func(c *Counter) (n int) {
		for i := range c.cells {
			if c.cells[i].n.Load() > 0 {
				n++
			}
		}
		return n
	}
	var alone, together Counter
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range 1000 {
				together.Add()
				if i == 0 {
					alone.Add()
				}
			}
		})
	}
	wg.Wait()
	if n := lines(&alone); n > 4 {
		t.Errorf("one goroutine counted in %d lines", n)
	}
	if n := lines(&together); n < 2 {
		t.Errorf("64 goroutines counted in %d lines", n)
	}
}

// TestSum holds that no event is lost, however they are spread.
func TestSum(t *testing.T) {
	var c Counter
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 500 {
				c.Add()
				c.AddN(1)
			}
		})
	}
	wg.Wait()
	if got := c.Load(); got != 16_000 {
		t.Errorf("%d events of 16000", got)
	}
}
