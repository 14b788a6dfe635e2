package larder_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// joinedExactly begins an exact batch of key on a that joins the flight of a
// Get whose load is held back by the gate, and is refused what that brings.
func joinedExactly(ctx context.Context, a *node, key string, load larder.BatchLoader[string, int]) (g *gate, done chan map[string]int) {
	g, done = a.rig.src.slow(key), make(chan map[string]int, 1)
	a.begin(key)
	<-g.entered
	go func() {
		values, _ := a.plain.GetMany(ctx, []string{key}, load, larder.Exact)
		done <- values
	}()
	a.rig.pass(10 * time.Millisecond)
	return g, done
}

// What a batch begins in the background has the loader of that batch, though
// its room is another's meanwhile:
//
//  1. a Get loads k; an exact batch joins it too late to use what it brings
//  2. another process stores a value, which is stale at once
//  3. the load ends; the batch gets k singly: stale, so it begins a refresh and ends
//  4. the refresh loads
func TestJoinedBatchRefreshesWithItsLoader(t *testing.T) {
	s := setup{nodes: 2, spaces: aging(), delay: time.Millisecond}
	inSetup(t, s, func(r *rig) {
		a, b := r.two()
		l := &batches{src: r.src}
		gate, done := joinedExactly(r.ctx, a, "k", l.load)
		if err := b.plain.Set(r.ctx, "k", 7); err != nil {
			t.Fatal(err)
		}
		if err := b.plain.Expire(r.ctx, "k"); err != nil {
			t.Fatal(err)
		}
		want := r.src.change("k")
		gate.pass()
		if values := <-done; values["k"] != 7 {
			t.Errorf("%v", values)
		}
		a.plain.GetMany(r.ctx, []string{"other"}, func(context.Context, []string) (map[string]int, error) {
			return map[string]int{"other": -1, "k": -1}, nil
		})
		r.pass(time.Second)
		if calls := l.took(); len(calls) != 1 {
			t.Errorf("%d loads by the batch", len(calls))
		}
		b.expect("k", want, larder.Exact)
	})
}

// Whose caller leaves while it still looks loads nothing, and gives its leases
// back; who joined starts over.
func TestBatchLeftWhileItLooks(t *testing.T) {
	for name, hard := range map[string]time.Duration{"caller": 0, "hard time-out": 3 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			spaces := larder.KeyspaceOptions[string, int]{HardTimeout: hard}
			inSetup(t, setup{nodes: 2, delay: time.Millisecond, spaces: spaces}, func(r *rig) {
				a, b := r.two()
				l := &batches{src: r.src}
				ctx, leave := context.WithCancel(r.ctx)
				if hard == 0 {
					time.AfterFunc(3*time.Millisecond, leave)
				}
				defer leave()
				values, err := a.plain.GetMany(ctx, names(0, 5), l.load)
				var each *larder.BatchError
				if !errors.As(err, &each) || len(each.Failed) != 5 || len(values) != 0 {
					t.Errorf("%v, %v", values, err)
				}
				r.pass(100 * time.Millisecond)
				if calls := l.took(); len(calls) != 0 {
					t.Errorf("loads %v", calls)
				}
				start := time.Now()
				if v, err := b.plain.GetMany(r.ctx, names(0, 5), l.load); time.Since(start) > 100*time.Millisecond {
					t.Errorf("another process waited %v: %v, %v", time.Since(start), v, err)
				}
			})
		})
	}
}

// During an outage a batch that may serve what memory has waits for no load of
// others.
func TestBatchServesStaleOnOutage(t *testing.T) {
	spaces := larder.KeyspaceOptions[string, int]{ServeStaleOnOutage: time.Hour}
	inSetup(t, setup{nodes: 1, spaces: spaces}, func(r *rig) {
		a := r.nodes[0]
		a.get("k0")
		a.remote.Cut()
		r.pass(2 * tolerance)
		gate := r.src.slow("k0")
		exact := a.begin("k0", larder.Exact)
		<-gate.entered
		time.AfterFunc(time.Second, gate.pass)
		start := time.Now()
		values, err := a.plain.GetMany(r.ctx, names(0, 1), r.src.loadMany)
		if took := time.Since(start); err != nil || len(values) != 1 || took != 0 {
			t.Errorf("%v, %v after %v", values, err, took)
		}
		exact.brings(t, 0)
		if s := a.stats(); s.StaleOutage != 1 {
			t.Errorf("counted %+v", s)
		}
	})
}
