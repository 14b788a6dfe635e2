package bulkhead

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// source is one that runs so many loads at once; more than that wait for each
// other, so that each takes longer.
type source struct {
	slots chan struct{}
	takes time.Duration

	mu   sync.Mutex
	busy int // loads it was given
	most int
}

func newSource(capacity int) *source {
	return &source{slots: make(chan struct{}, capacity), takes: 10 * time.Millisecond}
}

func (s *source) load() {
	s.mu.Lock()
	s.busy++
	s.most = max(s.most, s.busy)
	s.mu.Unlock()
	s.slots <- struct{}{}
	time.Sleep(s.takes)
	<-s.slots
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
}

func (s *source) peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most
	s.most = s.busy
	return most
}

var clockZero = time.Now()

func now() int64 { return int64(time.Since(clockZero)) }

// run keeps so many callers loading through b for d of virtual time.
func run(t *testing.T, b *Bulkhead, s *source, callers int, d time.Duration) (loads int) {
	t.Helper()
	end := time.Now().Add(d)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for time.Now().Before(end) {
				if err := b.Enter(t.Context(), Guarded); err != nil {
					t.Error(err)
					return
				}
				begun := time.Now()
				s.load()
				b.Leave(now(), time.Since(begun), Good)
				mu.Lock()
				loads++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return loads
}

// While the source keeps up the limit rises to the most it may be. When the
// source then can do much less, loads take longer and the limit falls to about
// what it can do, while its throughput stays; and it rises again afterwards.
// Time is virtual, so this comes out the same every time.
func TestLimitFollowsLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{Least: 2, Most: 64, Queue: 1000})
		able := newSource(100)
		run(t, b, able, 200, 5*time.Second)
		if s := b.State(); s.Limit != 64 || able.peak() != 64 {
			t.Errorf("with a source that keeps up: %+v", s)
		}
		weak := newSource(8) // 800 loads a second
		run(t, b, weak, 200, 3*time.Second)
		weak.peak()
		loads := run(t, b, weak, 200, 5*time.Second)
		if most := weak.peak(); most > 24 {
			t.Errorf("a source that does 8 at once is given up to %d", most)
		}
		if loads < 5*800*9/10 {
			t.Errorf("%d loads in 5 s, the source can do %d", loads, 5*800)
		}
		run(t, b, able, 200, 10*time.Second)
		if s := b.State(); s.Limit < 60 {
			t.Errorf("after the source has recovered: %+v", s)
		}
	})
}

// A limit that few loads come near says nothing and stays.
func TestIdleLimitStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{Least: 2, Most: 64, Queue: 10})
		s := newSource(1)
		run(t, b, s, 1, time.Second)
		s.takes *= 20
		run(t, b, s, 2, 10*time.Second)
		if got := b.State().Limit; got != 64 {
			t.Errorf("limit %d", got)
		}
	})
}

// Loads that time out lower the limit, down to the least.
func TestTimeOutsLowerTheLimit(t *testing.T) {
	b := New(Options{Least: 3, Most: 50, Queue: 0})
	for range 100 {
		if err := b.Enter(t.Context(), Normal); err != nil {
			t.Fatal(err)
		}
		b.Leave(0, time.Second, TimedOut)
	}
	if got := b.State().Limit; got != 3 {
		t.Errorf("limit %d", got)
	}
}

// A slow start admits the least at first and twice as many after each round,
// also of loads that nothing guards otherwise, until the limit is reached.
func TestSlowStart(t *testing.T) {
	b := New(Options{Least: 2, Most: 16, Queue: 1000})
	b.SlowStart()
	var rounds []int
	for range 5 {
		admitted := 0
		for ctx, cancel := context.WithCancel(t.Context()); ; {
			cancel() // who would wait gives up
			if b.Enter(ctx, Normal) != nil {
				break
			}
			if admitted++; admitted == 100 {
				break
			}
		}
		rounds = append(rounds, admitted)
		for range admitted {
			b.Leave(0, 0, Good)
		}
	}
	if want := [5]int{2, 4, 8, 100, 100}; [5]int(rounds) != want {
		t.Errorf("rounds of %v, want %v", rounds, want)
	}
	if s := b.State(); s.SlowStart || s.Limit != 16 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
	b.SlowStart()
	for range 10 {
		if err := b.Enter(t.Context(), Free); err != nil {
			t.Error(err) // what an admitted load loads never waits for it
		}
	}
}

// The queue is first come, first served; it refuses who finds it full, and who
// leaves it passes a turn on that came meanwhile.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Options{Least: 1, Most: 1, Queue: 3})
		enter := func(ctx context.Context, to chan<- int, n int) {
			go func() {
				if b.Enter(ctx, Guarded) == nil {
					to <- n
				}
			}()
			synctest.Wait()
		}
		order := make(chan int, 10)
		leaving, leave := context.WithCancelCause(t.Context())
		enter(t.Context(), order, 0)
		enter(t.Context(), order, 1)
		enter(leaving, order, 2)
		enter(t.Context(), order, 3)
		if err := b.Enter(t.Context(), Guarded); err != ErrFull {
			t.Errorf("a full queue: %v", err)
		}
		if s := b.State(); s.Running != 1 || s.Waiting != 3 {
			t.Errorf("%+v", s)
		}
		leave(errors.New("gone"))
		synctest.Wait()
		for range 3 {
			b.Leave(0, 0, Good)
			synctest.Wait()
		}
		close(order)
		var got []int
		for n := range order {
			got = append(got, n)
		}
		if len(got) != 3 || got[0] != 0 || got[1] != 1 || got[2] != 3 {
			t.Errorf("order %v", got)
		}
		if s := b.State(); s.Running != 0 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Without a limit nobody waits, whatever happens.
func TestNoLimit(t *testing.T) {
	b := New(Options{Least: 4, Most: -1})
	b.SlowStart()
	for range 1000 {
		if err := b.Enter(t.Context(), Guarded); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		b.Leave(0, time.Hour, TimedOut)
	}
	if s := b.State(); s.Limit != -1 || s.Running != 0 {
		t.Errorf("%+v", s)
	}
}
