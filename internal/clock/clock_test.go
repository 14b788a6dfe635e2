package clock

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// TestAdd holds that deadlines never wrap around: one far in the future must
// not become one in the past.
func TestAdd(t *testing.T) {
	for _, c := range []struct {
		t    int64
		d    time.Duration
		want int64
	}{
		{5, 3, 8}, {5, -8, -3}, {5, 0, 5}, {Never, time.Hour, Never}, {Never, -time.Hour, Never},
		{math.MaxInt64, 1, math.MaxInt64}, {1, math.MaxInt64, math.MaxInt64},
		{math.MinInt64 + 5, -10, Never}, {-10, math.MinInt64, Never},
	} {
		if got := Add(c.t, c.d); got != c.want {
			t.Errorf("Add(%d, %d) = %d, want %d", c.t, c.d, got, c.want)
		}
	}
}

// TestNow holds that readings grow, in real time and in virtual time, and are
// later than Never.
func TestNow(t *testing.T) {
	check := func(t *testing.T) {
		a := Now()
		time.Sleep(time.Millisecond)
		if b := Now(); b-a < int64(time.Millisecond) || a <= Never {
			t.Errorf("%d, then %d", a, b)
		}
	}
	check(t)
	synctest.Test(t, check)
}
