package larder

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
)

// pauses are the keys that this process does not load or refresh for a while:
// their last load failed, or another process refreshes them.
type pauses struct {
	count atomic.Int64 // of byKey, so that reads need no lock while there are none
	mu    sync.Mutex
	byKey map[string]pause
}

type pause struct {
	until int64
	err   error // why the last load failed; nil: another process refreshes
}

// pausesKept bounds the keys that are remembered. Beyond it a key that should
// wait is loaded.
const pausesKept = 1 << 14

// add makes key wait until until.
func (p *pauses) add(key string, until int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey == nil {
		p.byKey = make(map[string]pause)
	}
	if len(p.byKey) >= pausesKept {
		p.sweep()
	}
	p.byKey[strings.Clone(key)] = pause{until: until, err: err}
	p.count.Store(int64(len(p.byKey)))
}

// sweep removes what is over, and everything if nothing is.
func (p *pauses) sweep() {
	now := clock.Now()
	for key, pause := range p.byKey {
		if now >= pause.until {
			delete(p.byKey, key)
		}
	}
	if len(p.byKey) >= pausesKept {
		clear(p.byKey)
	}
}

// of returns whether key waits at now, and for what.
func (p *pauses) of(key string, now int64) (waits bool, err error) {
	if p.count.Load() == 0 {
		return false, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pause, ok := p.byKey[key]
	if !ok {
		return false, nil
	}
	if now >= pause.until {
		p.drop(key)
		return false, nil
	}
	return true, pause.err
}

// end lets key be loaded again.
func (p *pauses) end(key string) {
	if p.count.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(key)
}

func (p *pauses) drop(key string) {
	delete(p.byKey, key)
	p.count.Store(int64(len(p.byKey)))
}

// backoff notes how the load of an entry ended: after a failure it is not
// begun again for a while.
func (k *Keyspace[K, V]) backoff(r *request[K, V], err error) {
	if !speaksAgainst(err) {
		k.pauses.end(r.entry)
		return
	}
	if k.opts.Backoff > 0 {
		k.pauseRefresh(r, k.opts.Backoff, err)
	}
}

// pauseRefresh keeps this process from loading an entry for d.
func (k *Keyspace[K, V]) pauseRefresh(r *request[K, V], d time.Duration, err error) {
	until := clock.Add(clock.Now(), d)
	k.pauses.add(r.entry, until, err)
	if k.memory == nil {
		return
	}
	if e := k.own(k.memory.Get(r.hash), r.key); e != nil && e.aged {
		e.late().failing.Store(err != nil)
		e.late().asked.Store(until)
	}
}

// backedOff returns the error of the last load of an entry while it must not be
// loaded again, nil otherwise.
func (k *Keyspace[K, V]) backedOff(r *request[K, V]) error {
	_, err := k.pauses.of(r.entry, clock.Now())
	if err != nil {
		k.stats.backedOff.Add()
	}
	return err
}

// speaksAgainst tells errors of loads that speak against the source from those that
// do not.
func speaksAgainst(err error) bool {
	return err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrBusy) &&
		!errors.Is(err, context.Canceled)
}

// insteadOfLoading returns what is better than a load without a lease: the
// value that outlasts an outage, or the error of a loader that backs off.
func (k *Keyspace[K, V]) insteadOfLoading(r *request[K, V], p *permit) (o outcome[V], instead bool) {
	if p.kind == bypassError {
		if o, ok := k.outlasting(r); ok {
			return o, true
		}
	}
	if err := k.backedOff(r); err != nil {
		return outcome[V]{err: err}, true
	}
	return o, false
}
