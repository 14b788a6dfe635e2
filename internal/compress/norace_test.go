//go:build !race

package compress

import "testing"

// TestNoAllocations holds that with room given neither direction allocates. The
// race detector empties pools at random.
func TestNoAllocations(t *testing.T) {
	text := texts()[3][:10_000]
	for _, m := range methods {
		packed, room := Deflate(nil, text, m), make([]byte, 0, 64<<10)
		if n := testing.AllocsPerRun(100, func() { Deflate(room, text, m) }); n > 0 {
			t.Errorf("method %d: %v allocations to deflate", m, n)
		}
		inflate := func() {
			if _, err := Inflate(room, packed, m, len(text)); err != nil {
				t.Error(err)
			}
		}
		if n := testing.AllocsPerRun(100, inflate); n > 0 {
			t.Errorf("method %d: %v allocations to inflate", m, n)
		}
	}
}
