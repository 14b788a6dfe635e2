package clock

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// count lets Soon use the counter for a test, and logs where it may not.
func count(t *testing.T) {
	if !UseCounter(true) {
		t.Log("the system does not trust the processor's counter: Soon is Now")
	}
	t.Cleanup(func() { UseCounter(false) })
}

// TestSoon holds that Soon is neither before the time nor too far after it, on
// whatever processor the time was read before, and after pauses.
func TestSoon(t *testing.T) {
	count(t)
	var latest atomic.Int64 // that any goroutine has read
	var wg sync.WaitGroup
	for i := range 2 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			pauses := time.NewTicker(time.Duration(i+1) * time.Millisecond)
			defer pauses.Stop()
			for n := range 200_000 {
				before := max(latest.Load(), Now())
				soon := Soon()
				if after := Now(); soon < before || soon > after+Slack {
					t.Errorf("Soon is %d after %d and before %d", soon, before, after)
					return
				}
				for old := latest.Load(); old < before && !latest.CompareAndSwap(old, before); {
					old = latest.Load()
				}
				if n%20_000 == 0 {
					<-pauses.C
				}
			}
		})
	}
	wg.Wait()
}

// TestSoonAfterPauses holds that the time since a reading is not forgotten,
// however long nobody asked.
func TestSoonAfterPauses(t *testing.T) {
	count(t)
	for pause := 50 * time.Microsecond; pause < 100*time.Millisecond; pause += pause / 2 {
		for range 5 {
			before := Soon()
			<-time.After(pause) // real time: the counter knows no other
			if passed := Soon() - before; passed < int64(pause)-Slack {
				t.Errorf("%v passed, Soon went on by %v", pause, time.Duration(passed))
			}
		}
	}
}

// TestSoonNeedsATrustedCounter holds that a counter whose cycles take longer than
// a nanosecond is not used any more, that one which went back is, and that without
// it Soon is Now, in virtual time too.
func TestSoonNeedsATrustedCounter(t *testing.T) {
	for _, c := range []struct {
		ns     int64
		cycles uint64
		slower bool
	}{
		{1000, 2600, false}, {1000, 1000, false}, {1000, 999, true}, {int64(time.Hour), 0, true}, {0, 0, false},
		{-5, 0, false},           // readings of two processors may cross
		{1000, 1<<64 - 5, false}, // a counter that began again
	} {
		if got := slower(c.ns, c.cycles); got != c.slower {
			t.Errorf("%d ns in %d cycles: slower is %v", c.ns, c.cycles, got)
		}
	}

	if count(t); counting.Load() {
		mark.cycles.Store(counter() + 1<<40) // the next reading finds that it went back, and makes a mark
		if Soon(); !counting.Load() {
			t.Error("a counter that went back is not used again")
		}
		mark.now.Add(-int64(time.Hour))
		if remark(); counting.Load() {
			t.Error("the clock went on by an hour and the counter did not, and it is still used")
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			if soon, now := Soon(), Now(); soon != now {
				t.Errorf("without the counter Soon is %d, Now %d", soon, now)
			}
			<-time.After(time.Hour)
		}
	})
}

func BenchmarkNow(b *testing.B) {
	for b.Loop() {
		Now()
	}
}

func BenchmarkSoon(b *testing.B) {
	if !UseCounter(true) {
		b.Log("the system does not trust the processor's counter: Soon is Now")
	}
	defer UseCounter(false)
	for b.Loop() {
		Soon()
	}
}
