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
	failures map[string]failure // by key
	serial   uint64
}

// failure is a removal that is not confirmed, with the number of its last
// failure.
type failure struct {
	op     Op
	serial uint64
}

// add marks the keys of ops; a retry that is under way does not lift them.
// Beyond pendingLimit whole, which outdates everything, takes the place of all.
func (p *pending) add(ops, whole []Op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures == nil {
		p.failures = make(map[string]failure)
	}
	if len(p.failures)+len(ops) > pendingLimit {
		clear(p.failures)
		ops = whole
	}
	p.serial++
	for _, op := range ops {
		p.failures[op.Key] = failure{op, p.serial}
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

// batch returns up to n pending removals with the number of their last failure.
func (p *pending) batch(n int) (ops []Op, serials []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.failures {
		if len(ops) == n {
			break
		}
		ops, serials = append(ops, f.op), append(serials, f.serial)
	}
	return ops, serials
}

// lift removes key unless it failed again after serial.
func (p *pending) lift(key string, serial uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failures[key].serial == serial {
		delete(p.failures, key)
		p.count.Store(int64(len(p.failures)))
	}
}

// retryPending carries out the pending removals again, as they were asked for,
// until none is left or one fails. It returns what is left as an error.
func (c *Cache) retryPending(ctx context.Context) error {
	for {
		ops, serials := c.pending.batch(retryBatch)
		if len(ops) == 0 {
			return nil
		}
		var failed []Op
		var first error
		for i, reply := range c.sendBatch(ctx, ops) {
			if reply.Err != nil {
				failed, first = append(failed, ops[i]), firstOf(first, reply.Err)
				continue
			}
			c.board.Kill(ops[i].Key) // before reads may use memory again
			c.pending.lift(ops[i].Key, serials[i])
		}
		if first != nil {
			return &PendingError{Keys: keysOf(failed), Err: first}
		}
	}
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
