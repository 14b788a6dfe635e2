package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// reaped is a store that notes who is to be ended; its first answer is an error.
type reaped struct {
	dashboard.Store
	since []time.Time
}

func (s *reaped) ReapExecutions(_ context.Context, silentSince time.Time) ([]dashboard.Execution, dashboard.Change, error) {
	s.since = append(s.since, silentSince)
	if len(s.since) == 1 {
		return nil, dashboard.Change{}, errors.New("the database is away")
	}
	return nil, dashboard.Change{}, nil
}

// Executions whose reporter has been silent for half an hour are looked for every
// minute, also after a database that did not answer.
func TestTheReaperComesEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, begin := &reaped{}, time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); reap(ctx, store, slog.New(slog.DiscardHandler)) }()
		time.Sleep(2*reapEvery + time.Second)
		synctest.Wait()
		cancel()
		<-done
		if len(store.since) != 2 {
			t.Fatalf("looked %d times in two minutes", len(store.since))
		}
		for i, since := range store.since {
			if want := begin.Add(time.Duration(i+1)*reapEvery - silentFor); !since.Equal(want) {
				t.Errorf("look %d: silent since %v, want %v", i+1, since.Sub(begin), want.Sub(begin))
			}
		}
	})
}
