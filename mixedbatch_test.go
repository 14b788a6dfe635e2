package larder_test

import (
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
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

// A single that joins a batch is given what the batch finds, without a request
// of its own, and the flights of a batch are gone when it returns.
func TestSingleJoinsBatchThatFinds(t *testing.T) {
	remoteOnly := larder.KeyspaceOptions[string, int]{Tiers: larder.RemoteOnly}
	inSetup(t, setup{nodes: 1, delay: time.Millisecond, spaces: remoteOnly}, func(r *rig) {
		a := r.nodes[0]
		l := &batches{src: r.src}
		keys := names(0, 50)
		r.src.change("k7")
		a.plain.GetMany(r.ctx, keys, l.load)
		l.took()
		for range 3 { // the second uses the room of the first
			trips := a.remote.Trips()
			done := make(chan int)
			go func() {
				values, _ := a.plain.GetMany(r.ctx, keys, l.load)
				done <- len(values)
			}()
			synctest.Wait()
			seven, eight := a.begin("k7"), a.begin("k8")
			if n := <-done; n != len(keys) {
				t.Errorf("%d values", n)
			}
			seven.brings(t, 1)
			eight.brings(t, 0)
			if n := a.remote.Trips() - trips; n != 1 {
				t.Errorf("took %d round trips", n)
			}
			trips = a.remote.Trips()
			a.get("k7")
			if n := a.remote.Trips() - trips; n != 1 {
				t.Errorf("a later read took %d round trips", n)
			}
		}
		if calls := l.took(); len(calls) != 0 {
			t.Errorf("loads %v", calls)
		}
	})
}
