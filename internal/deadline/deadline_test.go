package deadline

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// reading stands in for the monotonic clock.
func reading() func() int64 {
	start := time.Now()
	return func() int64 { return int64(time.Since(start)) }
}

// TestEndsInTime holds that a context lives between the time-out and a tenth
// more, whoever shares it.
func TestEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := reading()
		s := NewSource(50 * time.Millisecond)
		for i := range 200 {
			time.Sleep(time.Duration(i) * 100 * time.Microsecond)
			began := time.Now()
			ctx := s.At(now())
			d, ok := ctx.Deadline()
			if left := time.Until(d); !ok || left < s.Timeout() || left > s.Timeout()*11/10 {
				t.Fatalf("a deadline in %v", left)
			}
			if ctx.Err() != nil {
				t.Fatal("ended already")
			}
			if i%20 == 0 {
				<-ctx.Done()
				if took := time.Since(began); took < s.Timeout() || took > s.Timeout()*11/10 || ctx.Err() != context.DeadlineExceeded {
					t.Fatalf("ended after %v with %v", took, ctx.Err())
				}
			}
		}
	})
}

// TestShared holds that calls of one moment share a context, and that a later
// one gets another.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := reading()
		s := NewSource(50 * time.Millisecond)
		first := s.At(now())
		time.Sleep(5 * time.Millisecond)
		if s.At(now()) != first {
			t.Error("within the window, but not shared")
		}
		time.Sleep(time.Millisecond)
		if s.At(now()) == first {
			t.Error("shared beyond the window")
		}
		if n := testing.AllocsPerRun(100, func() { s.At(now()) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(s.At(now())) // as a parent
				cancel()
				<-ctx.Done()
			})
		}
		wg.Wait()
	})
}
