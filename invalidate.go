package larder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/internal/clock"
)

// Invalidate makes every target outdated, in one round trip. Call it after the
// change is committed. When it returns nil, every later [Exact] read anywhere
// and every load it leads to sees the change; other reads see it as soon as
// Redis has told their process, at the latest after [Options.MaxStaleness].
// With [Strict] among the targets it waits until they do.
//
// An error that matches [ErrPending] means Redis did not confirm all of it, be
// it that ctx ended: this process stops using memory and Redis for what is
// concerned and retries until Redis confirms; other processes may serve the
// old value until then. [ErrNotStrict] means all is confirmed, but ctx ended
// before the waiting of Strict was over. Any other error names a target that
// is invalid, and nothing was invalidated. No targets, nothing done.
func (c *Cache) Invalidate(ctx context.Context, targets ...Target) error {
	ops := make([]Op, 0, len(targets))
	strict := false
	for _, t := range targets {
		var err error
		if ops, err = c.removals(ops, t); err != nil {
			return fmt.Errorf("larder: invalidate: %w", err)
		}
		strict = strict || t.kind == targetStrict
	}
	if c.ctx.Err() == nil {
		c.noteTargets(targets)
	}
	ctx, span := c.span(ctx, SpanInvalidate, "", len(targets))
	err := c.remove(ctx, ops)
	if err == nil && strict {
		err = c.awaitEverywhere(ctx, ops, time.Now())
	}
	span.EndSpan(outcomeOfSpan(err))
	return err
}

// Clear makes every entry of the namespace outdated by changing its
// generation: one round trip, whatever the number of entries. Errors are those
// of [Cache.Invalidate].
func (c *Cache) Clear(ctx context.Context) error { return c.Invalidate(ctx, All()) }

// strictMargin covers the difference in speed of two monotonic clocks.
const strictMargin = 50 // one part in so many: 2 %

// awaitEverywhere returns when no process serves from memory what the
// confirmed ops removed: when what it can have proven without their pushes is
// too old, or before, when all have acknowledged these. replied is when the
// last confirmation came.
//
// Acknowledgement alone is not enough while processes keep what they load past
// Redis, which is why it is an option that forbids that. Numbered, without:
//
//  1. A loses Redis, loads the old value and keeps it for MaxStaleness
//  2. the registry of members forgets A, or never knew it
//  3. B invalidates; everybody who is asked acknowledges
//  4. a Get on A is answered from memory
func (c *Cache) awaitEverywhere(ctx context.Context, ops []Op, replied time.Time) error {
	if c.remote == nil || len(ops) == 0 {
		return nil
	}
	longest := time.Duration(c.longest.Load())
	if c.opts.AcknowledgedStrict {
		within, cancel := context.WithTimeout(ctx, longest)
		sent := clock.Now()
		err := c.remote.Confirm(within, keysOf(ops))
		c.meter.call(opConfirm, err, elapsed(sent))
		cancel()
		if err == nil {
			return nil
		}
	}
	timer := time.NewTimer(time.Until(replied.Add(longest + longest/strictMargin + time.Millisecond)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrNotStrict, ctx.Err())
	case <-c.ctx.Done():
		return fmt.Errorf("%w: %w", ErrNotStrict, ErrClosed)
	}
}

func keysOf(ops []Op) []string {
	keys := make([]string, len(ops))
	for i := range ops {
		keys[i] = ops[i].Key
	}
	return keys
}

// removal is the operation that invalidates key: its deletion, or a hold-off
// that refuses fills for a while.
func (c *Cache) removal(key string, holdOff time.Duration) Op {
	if holdOff > 0 {
		return Op{Kind: OpHold, Key: key, Token: newToken(), TTL: holdOff}
	}
	return Op{Kind: OpDelete, Key: key}
}

// remove carries out removals. Everything local that depends on them dies
// twice: before the request is sent, so that nothing old is served or joined
// any more, and at the reply, because until then old state could be read.
func (c *Cache) remove(ctx context.Context, ops []Op) error {
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	c.invalidations.Add(1)
	c.kill(ops)
	if c.remote == nil || len(ops) == 0 {
		return nil
	}
	c.journal.add(ops)
	failed, err := c.sendRemovals(ctx, ops)
	// Marked before the tickets die: a read takes its ticket first and looks
	// here afterwards, so it misses at most one of the two.
	if err != nil {
		c.pending.add(failed, c.removeAll())
	}
	c.kill(ops)
	if err != nil {
		return &PendingError{Keys: keysOf(failed), Err: err}
	}
	return nil
}

// removeAll returns the operations that outdate the whole namespace.
func (c *Cache) removeAll() []Op {
	ops, _ := c.removals(nil, All()) // never fails
	return ops
}

func (c *Cache) kill(ops []Op) {
	for i := range ops {
		c.board.Kill(ops[i].Key)
		if c.outdatesAll(ops[i].Key) {
			c.slowStart()
		}
	}
	if c.remote == nil && len(ops) > 0 {
		c.board.Kill(anyTagKey)
	}
}

// removeBatch is how many removals go into one pipeline.
const removeBatch = 1000

// sendRemovals carries out ops and returns those that are not confirmed with
// the first reason. A server that fails already is not asked.
func (c *Cache) sendRemovals(ctx context.Context, ops []Op) (failed []Op, first error) {
	for from := 0; from < len(ops); from += removeBatch {
		part := ops[from:min(from+removeBatch, len(ops))]
		for i, reply := range c.sendBatch(ctx, part) {
			if reply.Err != nil {
				failed, first = append(failed, part[i]), firstOf(first, reply.Err)
			}
		}
	}
	return failed, first
}

func (c *Cache) sendBatch(ctx context.Context, ops []Op) []Reply {
	replies := make([]Reply, len(ops))
	if c.breaker.shut.Load() {
		for i := range replies {
			replies[i].Err = ErrUnavailable
		}
		return replies
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.WriteTimeout)
	defer cancel()
	sent := clock.Now()
	c.send(ctx, ops, replies)
	c.observe(replies[0].Err, sent)
	return replies
}

// DeletePattern removes every entry whose name matches a glob pattern as in
// Redis's SCAN, such as "suites:*", and outdates what loads in flight bring.
// It reads the whole key space in pages and, with a remote tier, leaves this
// process's memory empty: an administrator's tool; services use [Tag]. It
// returns how many entries it removed.
//
// Names above 512 bytes end in a hash, so only a literal beginning of at most
// 448 bytes with "*" finds them. What other processes keep of [MemoryOnly]
// keyspaces is not reached: Redis has no entries of them. Name their keys or
// tags.
func (c *Cache) DeletePattern(ctx context.Context, pattern string) (n int, err error) {
	switch {
	case c.ctx.Err() != nil:
		return 0, ErrClosed
	case pattern == "":
		return 0, fmt.Errorf("%w: empty pattern", ErrInvalidKey)
	}
	c.invalidations.Add(1)
	c.noteInvalidation(targetPattern, pattern)
	ctx, span := c.span(ctx, SpanInvalidate, "", 1)
	defer func() { span.EndSpan(outcomeOfSpan(err)) }()
	if c.remote == nil {
		c.board.Kill(sweepKey) // loads in flight
		return c.forget(pattern), nil
	}
	c.board.KillAll()
	defer c.board.KillAll()
	sent := clock.Now()
	n, err = c.remote.DeleteMatching(ctx, pattern, func(keys []string) {
		for _, key := range keys {
			c.board.Kill(key)
		}
	})
	c.meter.call(opDeleteMatching, err, elapsed(sent))
	if err != nil {
		return n, fmt.Errorf("larder: delete pattern %q: %w", pattern, err)
	}
	return n, nil
}

// Delete removes the entry of key: [Cache.Invalidate] for one key.
func (k *Keyspace[K, V]) Delete(ctx context.Context, key K) error {
	return k.cache.Invalidate(ctx, k.Key(key))
}

// mutateHold is how long a hold-off of [Keyspace.Mutate] outlives a process
// that died meanwhile. It is renewed while the change runs.
const mutateHold = 10 * time.Second

// Mutate runs change while no read of key, anywhere, can fill the cache, and
// then removes the entry: between the beginning and the return of Mutate reads
// come from the source. Unlike a change followed by [Cache.Invalidate] it
// leaves no moment in which the change is committed and the old value is still
// cached in Redis. It costs two round trips beside the change.
//
// The error of change is returned as it is; the entry is removed in any case.
// While Redis is away the change runs all the same, and the removal is an
// invalidation that is pending ([ErrPending]).
func (k *Keyspace[K, V]) Mutate(ctx context.Context, key K, change func(context.Context) error) (err error) {
	target := k.Key(key)
	ops, err := k.cache.removals(nil, target)
	if err != nil {
		return fmt.Errorf("larder: mutate: %w", err)
	}
	c, held := k.cache, ops[0].Key
	c.noteTargets([]Target{target})
	if c.remote == nil {
		defer func() { err = errors.Join(err, c.removeTraced(ctx, ops)) }()
		return change(ctx)
	}
	token := newToken()
	hold := Op{Kind: OpHold, Key: held, Token: token, TTL: mutateHold}
	c.kill([]Op{hold})
	c.sendBatch(ctx, []Op{hold}) // a hold that failed costs nothing but reads of the old value
	c.kill([]Op{hold})
	stop := c.renew(ctx, []Op{hold}, mutateHold/3)
	end := Op{Kind: OpUnhold, Key: held, Token: token}
	if k.opts.HoldOff > 0 {
		end = Op{Kind: OpHold, Key: held, Token: token, TTL: k.opts.HoldOff}
	}
	defer func() {
		stop()
		err = errors.Join(err, c.removeTraced(context.WithoutCancel(ctx), []Op{end}))
	}()
	return change(ctx)
}

// holdOffOf returns the hold-off of the keyspace that an entry's name belongs
// to. Names of keyspaces may contain colons, so several may stand at its
// beginning: the longest hold-off is safe for all of them.
func (c *Cache) holdOffOf(name string) (longest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range min(len(name), maxName+1) {
		if name[i] != ':' {
			continue
		}
		if s := c.spaces[name[:i]]; s != nil {
			longest = max(longest, s.holdOff)
		}
	}
	return longest
}

// longestHoldOff returns the longest hold-off of any keyspace: what a tag
// needs, whose entries may be of all of them.
func (c *Cache) longestHoldOff() (longest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spaces {
		longest = max(longest, s.holdOff)
	}
	return longest
}

func (c *Cache) declaresPrefix(prefix string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spaces {
		for _, p := range s.prefixes {
			if p == prefix {
				return true
			}
		}
	}
	return false
}
