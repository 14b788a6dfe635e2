package counter

import (
	"sync"
	"testing"
)

// TestSum holds that no event is lost, however they are spread.
func TestSum(t *testing.T) {
	var c Counter
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range uint64(1000) {
				c.Add(n * uint64(i))
			}
		})
	}
	wg.Wait()
	if got := c.Load(); got != 16_000 {
		t.Errorf("%d events of 16000", got)
	}
}
