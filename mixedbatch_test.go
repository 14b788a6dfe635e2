package larder_test

import (
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// Keys of a batch are judged one after the other in the same room. Whatever the
// order, none is given what belongs to another: neither a value, nor that it is
// in Redis, nor that it may not be asked for.
func TestGetManyOfAllKinds(t *testing.T) {
	const stored, lost, nowhere = 20, 10, 10
	inSetup(t, setup{nodes: 2, cache: larder.Options{BreakerFailures: -1}}, func(r *rig) {
		a, b := r.two()
		l := &batches{src: r.src}
		keys, want := names(0, stored+lost+nowhere), make(map[string]int)
		random := rand.New(rand.NewPCG(3, 3))
		for range 20 {
			random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			for i, key := range keys {
				for range i + 1 { // so that most differ
					want[key] = r.src.change(key)
				}
				b.invalidate(b.plain.Key(key))
			}
			b.plain.GetMany(r.ctx, keys[:stored+lost], l.load)
			r.pass(2 * tolerance) // nothing is in the memory of a
			r.failing(a, larder.OpDelete, lardertest.ReplyError)
			for _, key := range keys[stored : stored+lost] {
				a.mustBePending(r.ctx, a.plain.Key(key))
			}
			l.took()
			random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			values, err := a.plain.GetMany(r.ctx, keys, l.load)
			if err != nil || !maps.Equal(values, want) {
				t.Errorf("%v, %v, want %v", values, err, want)
			}
			if calls := l.took(); len(calls) != 1 || len(calls[0]) != lost+nowhere {
				t.Errorf("loads %v", calls)
			}
			r.healthy()
			r.pass(2 * tolerance)
		}
	})
}

// Batches of the same keys look at the same time: each takes one round trip, and none
// waits for another or loads.
func TestBatchesOfTheSameKeys(t *testing.T) {
	remoteOnly := larder.KeyspaceOptions[string, int]{Tiers: larder.RemoteOnly}
	inSetup(t, setup{nodes: 1, delay: time.Millisecond, spaces: remoteOnly}, func(r *rig) {
		a := r.nodes[0]
		l := &batches{src: r.src}
		keys := names(0, 50)
		r.src.change("k7")
		a.plain.GetMany(r.ctx, keys, l.load)
		l.took()
		for range 3 { // the second uses the room of the first
			trips, start := a.remote.Trips(), time.Now()
			done := make(chan map[string]int)
			for range 4 {
				go func() {
					values, _ := a.plain.GetMany(r.ctx, keys, l.load)
					done <- values
				}()
			}
			seven := a.begin("k7")
			for range 4 {
				if values := <-done; len(values) != len(keys) || values["k7"] != 1 {
					t.Errorf("%v", values)
				}
			}
			seven.brings(t, 1)
			if n, took := a.remote.Trips()-trips, time.Since(start); n != 5 || took != 2*time.Millisecond {
				t.Errorf("took %d round trips, %v", n, took)
			}
		}
		if calls, s := l.took(), a.stats(); len(calls) != 0 || s.LocalWaits != 0 {
			t.Errorf("loads %v, counted %+v", calls, s)
		}
	})
}

// doing is a codec of numbers that does something before it decodes the first.
type doing struct {
	larder.Codec[int]
	once func()
}

func (d *doing) Decode(data []byte) (int, error) {
	if do := d.once; do != nil {
		d.once = nil
		do()
	}
	return d.Codec.Decode(data)
}

// What comes to Redis between the look of a batch and its flights is not loaded
// again:
//
//  1. a batch looks: k0 is there, k1 is not
//  2. a Get loads and stores k1, and its flight ends
//  3. the batch leads a flight of k1 and asks for a lease
func TestBatchLedTooLate(t *testing.T) {
	meanwhile := &doing{Codec: larder.JSON[int]()}
	spaces := larder.KeyspaceOptions[string, int]{Tiers: larder.RemoteOnly, Codec: meanwhile}
	inSetup(t, setup{nodes: 1, spaces: spaces}, func(r *rig) {
		a := r.nodes[0]
		l := &batches{src: r.src}
		r.src.change("k1")
		a.get("k0")
		meanwhile.once = func() { a.expect("k1", 1) }
		values, err := a.plain.GetMany(r.ctx, names(0, 2), l.load)
		if calls := l.took(); err != nil || values["k1"] != 1 || len(values) != 2 || len(calls) != 0 {
			t.Errorf("%v, %v, loads %v", values, err, calls)
		}
	})
}

// While Redis does not answer, batches of the same keys share a load, also those
// whose look ends when it is done:
//
//  1. a batch looks in vain; another begins to look
//  2. the first loads, and keeps in memory what came
//  3. the look of the second ends
func TestBatchesOfTheSameKeysInAnOutage(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{BreakerFailures: -1}}, func(r *rig) {
		a := r.nodes[0]
		a.remote.Delay(time.Second)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if values, err := a.plain.GetMany(r.ctx, names(0, 10), r.src.loadMany); err != nil || len(values) != 10 {
					t.Errorf("%v, %v", values, err)
				}
			})
			r.pass(10 * time.Millisecond)
		}
		wg.Wait()
		for _, key := range names(0, 10) {
			r.loads(key, 1)
		}
		if s := a.stats(); s.Reads != 40 || s.LoadedPast != 10 || s.MemoryHits != 30 {
			t.Errorf("counted %+v", s)
		}
	})
}
