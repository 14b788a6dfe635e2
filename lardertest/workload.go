package lardertest

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Subject is a cache under test, or one node of it. Get loads with
// [Checker.Load] what it does not have. Invalidate returns nil only when the
// entry's old value can no longer be returned, by the rules of the cache.
type Subject interface {
	Get(ctx context.Context, key int) (version uint64, err error)
	Invalidate(ctx context.Context, key int) error
}

// Workload says how [Checker.Run] uses a cache.
type Workload struct {
	// Reads is the least number of reads in all.
	Reads int
	// Lasts is the least time. Default: 0, none.
	Lasts time.Duration
	// Workers is the number of goroutines that read and write. Default: 16.
	Workers int
	// ReadsPerWrite is how many reads go to one change, on average.
	// Default: 100.
	ReadsPerWrite int
	// Pause is the longest pause of a worker before each read, half of it on
	// average. Default: none, which in virtual time would stop the clock.
	Pause time.Duration
	// Chaos is called once in a goroutine of its own and may disturb the
	// system until its context ends, which is when the reads are done. Run
	// waits for it. Default: nothing.
	Chaos func(ctx context.Context)
}

// Run reads and changes random keys through the nodes until the workload is
// done or ctx ends, and reports. Worker i uses node i modulo their number, so
// that at least as many workers as nodes are needed. Small keys are used more
// often than large ones. It may be called again, the report being of
// everything so far.
func (c *Checker) Run(ctx context.Context, w Workload, nodes ...Subject) Report {
	if len(nodes) == 0 {
		panic("lardertest: Run needs a Subject")
	}
	w.Workers, w.ReadsPerWrite = cmp.Or(w.Workers, 16), cmp.Or(w.ReadsPerWrite, 100)
	left := newBudget(w)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var workers, chaos sync.WaitGroup
	for i := range w.Workers {
		workers.Go(func() { c.work(ctx, left, w, nodes[i%len(nodes)]) })
	}
	if w.Chaos != nil {
		chaos.Go(func() { w.Chaos(reading) })
	}
	workers.Wait()
	stop()
	chaos.Wait()
	return c.Report()
}

func (c *Checker) work(ctx context.Context, left *budget, w Workload, node Subject) {
	for left.take() && ctx.Err() == nil {
		if w.Pause > 0 {
			time.Sleep(rand.N(w.Pause))
		}
		if rand.IntN(w.ReadsPerWrite) == 0 {
			// A change that was begun is finished: the source does not roll back.
			_ = c.Write(context.WithoutCancel(ctx), c.pick(), node.Invalidate)
		}
		_ = c.Read(ctx, c.pick(), node.Get)
	}
}

// budget is what of a workload is left.
type budget struct {
	reads atomic.Int64
	until time.Time
}

func newBudget(w Workload) *budget {
	b := &budget{until: time.Now().Add(w.Lasts)}
	b.reads.Store(int64(w.Reads))
	return b
}

func (b *budget) take() bool {
	return b.reads.Add(-1) >= 0 || time.Now().Before(b.until)
}

// pick returns a random key; half of the picks fall on a quarter of the keys.
func (c *Checker) pick() int {
	u := rand.Float64()
	return int(u * u * float64(len(c.keys)))
}
