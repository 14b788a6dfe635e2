package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
)

// The instances of a namespace show each other their figures through Redis. Each
// writes into a slot of its own, which vanishes soon after its last write: what
// an instance that died has shown falls out.
const (
	boardName   = "qadash:instances"
	boardSlots  = 32
	boardTTL    = 4 * sampleStep
	boardWithin = time.Second
)

// board is the slots, an ordinary keyspace without memory. Its entries promise
// nothing and need not: they are overwritten every few seconds.
type board struct {
	space *larder.Keyspace[int64, dashboard.CacheOverview]
	name  string
	slot  int64
}

func newBoard(cache *larder.Cache, name string) (*board, error) {
	space, err := larder.NewKeyspace(cache, boardName, larder.KeyspaceOptions[int64, dashboard.CacheOverview]{Tiers: larder.RemoteOnly, TTL: boardTTL})
	return &board{space: space, name: name, slot: rand.Int64N(boardSlots)}, err
}

// post shows this instance's figures. A slot that another instance took over is
// left to it; while all are taken, this one is not seen by others.
func (b *board) post(o dashboard.CacheOverview) {
	ctx, cancel := context.WithTimeout(context.Background(), boardWithin)
	defer cancel()
	for range boardSlots {
		there, err := b.space.Lookup(ctx, b.slot)
		switch {
		case err == nil && there.Instance != b.name:
			b.slot = (b.slot + 1) % boardSlots
			continue
		case err == nil || err == larder.ErrMiss || err == larder.ErrNotFound:
			_ = b.space.Set(ctx, b.slot, o) // the next one comes in a few seconds
		}
		return // Redis is away
	}
}

// others returns what the other living instances show. Slots that Redis does not
// answer for in time are left out; it fails if those are all.
func (b *board) others(ctx context.Context) ([]dashboard.CacheOverview, error) {
	var list []dashboard.CacheOverview
	var failed error
	answered := false
	for slot := range int64(boardSlots) {
		o, err := b.space.Lookup(ctx, slot, larder.Exact)
		if err != nil && err != larder.ErrMiss && err != larder.ErrNotFound {
			failed = err
			continue
		}
		answered = true
		if err == nil && o.Instance != b.name {
			list = append(list, o)
		}
	}
	if !answered {
		return nil, failed
	}
	return list, nil
}
