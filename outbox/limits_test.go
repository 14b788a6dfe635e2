package outbox_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/outbox"
)

// A relay whose cache fails for long, or is closed, asks ever less often, and
// at once when an invalidation of this process has succeeded. In virtual time.
func TestRelayBacksOff(t *testing.T) {
	p := sqlitePlace(t)
	p.create(t)
	synctest.Test(t, func(t *testing.T) {
		db := p.open(t)
		r := &recorder{fail: func([]string) error { return larder.ErrClosed }}
		b := p.box(t, db, r, outbox.Options{PollInterval: 100 * time.Millisecond})
		add(t, db, b, larder.Tag("a"))
		stop := start(t, b)
		time.Sleep(10 * time.Minute)
		// 0.1 to 6.4 s by doubling, then every 10 s, give or take a tenth.
		if n := r.numCalls(); n < 50 || n > 75 {
			t.Fatalf("%d calls in ten minutes", n)
		}
		r.setFail(nil)
		must(t, add(t, db, b, larder.Tag("b")).Done(t.Context()))
		synctest.Wait()
		begun := time.Now()
		for r.confirmed("tag:a") == 0 {
			if time.Since(begun) > 100*time.Millisecond {
				t.Fatal("not retried when the cache was seen to work")
			}
			time.Sleep(time.Millisecond)
		}
		stop()
		must(t, db.Close())
	})
}

// Thousands of targets are one statement for Add, and few for the relay.
func TestThousandsOfTargets(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		r := new(recorder)
		b := p.box(t, db, r, outbox.Options{})
		targets := make([]larder.Target, 20_000)
		for i := range targets {
			targets[i] = larder.Tag(fmt.Sprint("tag ", i))
		}
		begun := time.Now()
		pending := add(t, db, b, targets...)
		written := time.Now()
		must(t, b.Flush(t.Context()))
		t.Logf("written in %v, relayed in %v by %d calls", written.Sub(begun), time.Since(written), r.numCalls())
		for _, target := range targets {
			if r.confirmed(target.String()) != 1 {
				t.Fatalf("%v was invalidated %d times", target, r.confirmed(target.String()))
			}
		}
		if r.numCalls() != 20_000/500 || len(stored(t, db)) > 0 {
			t.Fatalf("%d calls, %d rows left", r.numCalls(), len(stored(t, db)))
		}
		must(t, pending.Done(t.Context())) // late: the rows are gone already
	})
}
