package larder

import (
	"context"
	"sync"
	"sync/atomic"
)

// pendingLimit is how many keys may wait for their invalidation to be
// confirmed. Beyond it the whole namespace counts as one.
const pendingLimit = 100_000

// retryBatch is how many pending keys one retry sends at once.
const retryBatch = 500

// pending holds the keys whose invalidation Redis has not confirmed. While a
// key is here, this process uses neither memory nor Redis for what depends on
// it.
type pending struct {
	count atomic.Int64 // len(failures), to keep reads free of the lock

	mu       sync.Mutex
	failures map[string]uint64 // by key: number of its last failure
	serial   uint64
}

// add marks keys; a retry that is under way does not lift them.
func (p *pending) add(keys []string, whole []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures == nil {
		p.failures = make(map[string]uint64)
	}
	if len(p.failures)+len(keys) > pendingLimit {
		clear(p.failures)
		keys = whole
	}
	p.serial++
	for _, key := range keys {
		p.failures[key] = p.serial
	}
	p.count.Store(int64(len(p.failures)))
}

// has reports whether key or one of others is pending.
func (p *pending) has(key string, others []string) bool {
	if p.count.Load() == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.failures[key]; ok {
		return true
	}
	for _, k := range others {
		if _, ok := p.failures[k]; ok {
			return true
		}
	}
	return false
}

// batch returns up to n pending keys with the number of their last failure.
func (p *pending) batch(n int) (keys []string, serials []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, serial := range p.failures {
		if len(keys) == n {
			break
		}
		keys, serials = append(keys, key), append(serials, serial)
	}
	return keys, serials
}

// lift removes key unless it failed again after serial.
func (p *pending) lift(key string, serial uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures[key] == serial {
		delete(p.failures, key)
		p.count.Store(int64(len(p.failures)))
	}
}

// retryPending sends the pending deletions again until none is left or one
// fails. It returns what is left as an error.
func (c *Cache) retryPending(ctx context.Context) error {
	for {
		keys, serials := c.pending.batch(retryBatch)
		if len(keys) == 0 {
			return nil
		}
		errs := c.sendDeletes(ctx, keys)
		var failed []string
		var first error
		for i, key := range keys {
			if errs[i] != nil {
				failed, first = append(failed, key), firstOf(first, errs[i])
				continue
			}
			c.board.Kill(key) // before reads may use memory again
			c.pending.lift(key, serials[i])
		}
		if first != nil {
			return &PendingError{Keys: failed, Err: first}
		}
	}
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
