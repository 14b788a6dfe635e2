package larder

import (
	"context"
	"sync"
	"time"
)

// gathering collects refreshes that fall due together.
type gathering[K comparable, V any] struct {
	mu      sync.Mutex
	members []*member[K, V]
}

// gatheredMost is how many refreshes are one load at most.
const gatheredMost = 512

// gather adds refreshes to those that are loaded together when the window of
// the first has passed, or when there are enough.
func (k *Keyspace[K, V]) gather(members []*member[K, V]) {
	g := &k.gathered
	for _, m := range members {
		g.mu.Lock()
		g.members = append(g.members, m)
		n := len(g.members)
		g.mu.Unlock()
		switch {
		case n >= gatheredMost:
			k.refreshGathered()
		case n == 1 && !k.cache.goRun(k.refreshAfterWindow):
			k.refreshGathered() // closed: ends their flights
		}
	}
}

func (k *Keyspace[K, V]) refreshAfterWindow() {
	timer := time.NewTimer(k.opts.RefreshWindow)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-k.cache.ctx.Done():
	}
	k.refreshGathered()
}

func (k *Keyspace[K, V]) refreshGathered() {
	g := &k.gathered
	g.mu.Lock()
	members := g.members
	g.members = nil
	g.mu.Unlock()
	if len(members) > 0 {
		k.start(context.Background(), members, k.opts.RefreshBatch)
	}
}
