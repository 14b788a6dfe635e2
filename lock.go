package larder

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/ticket"
)

// LockOptions say how [Cache.Lock] goes about it. The zero value works.
type LockOptions struct {
	// TTL is how long the lock outlives a holder that died. It is renewed every
	// third of it. Default 10 s, at least 100 ms.
	TTL time.Duration
	// Wait is how long to queue for the lock. Default: as long as the context
	// allows; negative: not at all, the lock is tried once.
	Wait time.Duration
}

// Lock is a lock that this process holds or held; see [Cache.Lock]. All methods
// may be called concurrently.
type Lock struct {
	cache *Cache
	name  string
	key   string
	token frame.Token
	fence uint64
	ttl   time.Duration

	ctx    context.Context
	cancel context.CancelCauseFunc
	turn   *lockQueue
	leave  sync.Once     // of the turn
	ticket ticket.Ticket // taken before the request that was granted: who deletes the key kills it
	ended  chan struct{} // closed when the renewing goroutine has ended
	expiry *time.Timer   // of that goroutine

	mu       sync.Mutex
	trust    int64 // monotonic time until which it is certainly ours
	released bool
}

// Lock waits until it holds the lock called name, in all processes of the
// namespace. Any name but the empty one is right. Processes queue without
// polling: they are told when the lock is released, and look again when it must
// have expired. Callers of one process are served in their order, processes in
// none.
//
// It is a lock for saving work, not for correctness: a holder that is paused, or
// a Redis that loses the key, lets two processes believe that they hold it. What
// must not be done twice must check [Lock.Fence] where it is done;
// docs/locks.md says more.
//
// It fails with [ErrLocked] when the lock stays taken for [LockOptions.Wait],
// with the error of ctx, and with [ErrUnavailable] or the error of Redis, at
// once, when Redis cannot be asked. It costs one round trip if the lock is free.
// In a cache in memory alone it excludes the callers of this process.
func (c *Cache) Lock(ctx context.Context, name string, opts LockOptions) (*Lock, error) {
	setDefault(&opts.TTL, 10*time.Second)
	err := errors.Join(atLeast("TTL", opts.TTL, 100*time.Millisecond, false), atMost("TTL", opts.TTL, time.Hour))
	switch {
	case name == "":
		err = errors.Join(err, fmt.Errorf("%w: empty name", ErrInvalidKey))
	case err == nil && c.ctx.Err() != nil:
		err = ErrClosed
	case err == nil:
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("larder: lock: %w", err)
	}
	waitCtx := ctx
	if opts.Wait > 0 {
		var cancel context.CancelFunc
		waitCtx, cancel = context.WithTimeoutCause(ctx, opts.Wait, ErrLocked)
		defer cancel()
	}
	l := &Lock{cache: c, name: name, key: c.lockKey(name), token: newToken(), ttl: opts.TTL}
	waitCtx, span := c.span(waitCtx, SpanLock, "", 1)
	err = l.acquire(waitCtx, opts.Wait < 0)
	span.EndSpan(outcomeOfSpan(err))
	if err != nil {
		return nil, fmt.Errorf("larder: lock %.60q: %w", name, err)
	}
	l.begin(ctx)
	return l, nil
}

// lockKey returns the remote key of the lock called name: where tags live, under
// a name that no entry of a [MemoryOnly] keyspace has.
func (c *Cache) lockKey(name string) string {
	return c.tagKey(entryMark + "#lock:" + boundedName(AppendSegment(nil, name)))
}

// acquire gets the lock: the turn among the callers of this process first, then
// the lock itself.
func (l *Lock) acquire(ctx context.Context, once bool) error {
	c := l.cache
	turn, err := c.locks.enter(ctx, c.ctx, l.key, once)
	if err != nil {
		return err
	}
	l.turn = turn
	if c.remote == nil {
		l.fence, l.trust = c.locks.number(), always
		return nil
	}
	for {
		l.ticket = c.board.Issue(l.key)
		sent := clock.Now()
		reply := c.doOne(ctx, Op{Kind: OpLock, Key: l.key, Token: l.token, TTL: l.ttl})
		switch {
		case reply.Err != nil:
			err = firstOf(context.Cause(ctx), reply.Err)
			if !errors.Is(reply.Err, ErrUnavailable) {
				l.giveUp() // it may be ours
			}
		case reply.State == Acquired:
			if l.fence, err = strconv.ParseUint(reply.Data, 10, 64); err == nil {
				l.trust = l.trustedUntil(sent)
				return nil
			}
			l.giveUp()
		case once:
			err = ErrLocked
		default:
			err = l.await(ctx, &foreignLease{entry: l.key, ticket: l.ticket, left: reply.TTL})
		}
		if err != nil {
			turn.leave()
			return err
		}
	}
}

// await waits until the lock may be free.
func (l *Lock) await(ctx context.Context, w *foreignLease) error {
	woken, stop := l.cache.board.Wait(w.entry, w.ticket)
	defer stop()
	timer := time.NewTimer(max(w.left, 0) + time.Millisecond)
	defer timer.Stop()
	select {
	case <-woken:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.cache.ctx.Done():
		return ErrClosed
	}
	return nil
}

// trustedUntil returns until when a lock is certainly ours that was granted or
// renewed by a request sent at sent: the server began to count later. A
// hundredth is left for clocks that run at different rates.
func (l *Lock) trustedUntil(sent int64) int64 { return clock.Add(sent, l.ttl-l.ttl/100) }

// giveUp releases what a request of unknown outcome may have got, without
// waiting.
func (l *Lock) giveUp() {
	c, op := l.cache, Op{Kind: OpRelease, Key: l.key, Token: l.token}
	c.goRun(func() {
		c.doOne(context.Background(), op)
		c.board.Kill(op.Key)
	})
}

// begin starts the life of a lock that was got.
func (l *Lock) begin(ctx context.Context) {
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.ended = make(chan struct{})
	if !l.cache.goRun(l.keep) {
		close(l.ended)
		l.lose(ErrClosed)
	}
}

// keep renews the lock until it is released or lost, or the cache is closed:
// every third of its time, and when somebody else may have deleted it. A timer
// of its own ends the context, as a renewal may hang beyond that moment.
func (l *Lock) keep() {
	defer close(l.ended)
	c := l.cache
	renewal := time.NewTicker(l.ttl / 3)
	defer renewal.Stop()
	if l.trust != always {
		l.expiry = time.AfterFunc(time.Duration(l.trust-clock.Now()), func() { l.cancel(ErrLockLost) })
		defer l.expiry.Stop()
	}
	for {
		woken, stop := c.board.Wait(l.key, l.ticket)
		select {
		case <-l.ctx.Done():
			stop()
			if context.Cause(l.ctx) == ErrLockLost {
				l.lose(ErrLockLost)
			}
			return
		case <-c.ctx.Done():
			stop()
			l.lose(ErrClosed)
			return
		case <-renewal.C:
		case <-woken:
		}
		stop()
		l.ticket = c.board.Issue(l.key)
		if !l.renew() {
			l.lose(ErrLockLost)
			return
		}
	}
}

// renew prolongs the lock and reports whether it may still be ours. A request
// without an answer changes nothing: perhaps the next one is answered in time.
func (l *Lock) renew() bool {
	if l.cache.remote == nil {
		return true
	}
	sent := clock.Now()
	r := l.cache.doOne(l.ctx, Op{Kind: OpRenew, Key: l.key, Token: l.token, TTL: l.ttl})
	if r.Err != nil || r.State != Done {
		return r.Err != nil
	}
	until := l.trustedUntil(sent)
	l.mu.Lock()
	l.trust = until
	l.mu.Unlock()
	l.expiry.Reset(time.Duration(until - clock.Now()))
	return true
}

// lose ends the context of a lock that is not held any more, and what is left
// of it in Redis.
func (l *Lock) lose(why error) {
	l.mu.Lock()
	l.trust = clock.Never
	l.mu.Unlock()
	l.cancel(why)
	if l.cache.remote != nil {
		l.cache.doOne(context.Background(), Op{Kind: OpRelease, Key: l.key, Token: l.token})
		l.cache.board.Kill(l.key)
	}
	l.leave.Do(l.turn.leave)
}

// Name returns the name of the lock.
func (l *Lock) Name() string { return l.name }

// Fence returns the number of this acquisition. Every later holder of a lock of
// this name has a greater one, so a resource that remembers the greatest number
// it has seen, and refuses lower ones, takes no write of an earlier holder after
// one of a later: whatever happens to locks. Numbers are below 2^53. They
// survive a Redis that loses its data, unless its clock is set back meanwhile.
func (l *Lock) Fence() uint64 { return l.fence }

// Context returns a context of the one given to [Cache.Lock], which ends when
// the lock is lost, with the cause [ErrLockLost], when it is released, and when
// the cache is closed. It ends at the latest when the lock would have expired,
// but a process that is paused notices that afterwards: see [Lock.Held].
func (l *Lock) Context() context.Context { return l.ctx }

// Held reports whether the lock is certainly held at this moment, by the clock:
// also right after a pause, when the context has not ended yet. Nothing keeps
// the next pause from coming right after it.
func (l *Lock) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return clock.Now() < l.trust && l.ctx.Err() == nil
}

// Unlock releases the lock and ends its context. It returns [ErrLockLost] if the
// lock was not held any more, and the error of Redis if the release is not
// confirmed: the lock then expires by itself. Later calls return nil. It may be
// called by another goroutine than the one that locked.
func (l *Lock) Unlock() error {
	l.mu.Lock()
	if l.released {
		l.mu.Unlock()
		return nil
	}
	l.released = true
	l.mu.Unlock()
	lost := context.Cause(l.ctx) == ErrLockLost || context.Cause(l.ctx) == ErrClosed
	l.cancel(context.Canceled)
	<-l.ended
	if lost || context.Cause(l.ctx) == ErrLockLost {
		return fmt.Errorf("larder: unlock %.60q: %w", l.name, ErrLockLost)
	}
	l.mu.Lock()
	l.trust = clock.Never
	l.mu.Unlock()
	defer l.leave.Do(l.turn.leave)
	if l.cache.remote == nil {
		return nil
	}
	r := l.cache.doOne(context.Background(), Op{Kind: OpRelease, Key: l.key, Token: l.token})
	l.cache.board.Kill(l.key) // our own waiters hear of it from nobody else
	switch {
	case r.Err != nil:
		return fmt.Errorf("larder: unlock %.60q: %w", l.name, r.Err)
	case r.State != Done:
		return fmt.Errorf("larder: unlock %.60q: %w", l.name, ErrLockLost)
	}
	return nil
}

// locks are the queues of the callers of this process, one for each lock that is
// held or waited for.
type locks struct {
	mu     sync.Mutex
	queues map[string]*lockQueue
	last   uint64 // number given out in a cache without remote tier
}

// lockQueue is who waits for a turn, the first one has it.
type lockQueue struct {
	of      *locks
	key     string
	waiting []chan struct{} // of those behind the first
}

// enter waits for a turn at key. It fails with the cause of ctx, with
// [ErrClosed], and at once with [ErrLocked].
func (s *locks) enter(ctx, life context.Context, key string, once bool) (*lockQueue, error) {
	s.mu.Lock()
	q := s.queues[key]
	if q == nil {
		if s.queues == nil {
			s.queues = make(map[string]*lockQueue)
		}
		q = &lockQueue{of: s, key: key}
		s.queues[key] = q
		s.mu.Unlock()
		return q, nil
	}
	if once {
		s.mu.Unlock()
		return nil, ErrLocked
	}
	turn := make(chan struct{})
	q.waiting = append(q.waiting, turn)
	s.mu.Unlock()
	var err error
	select {
	case <-turn:
		return q, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-life.Done():
		err = ErrClosed
	}
	if !q.forget(turn) {
		q.leave() // the turn came meanwhile
	}
	return nil, err
}

// forget takes a waiter out and reports whether it was still waiting.
func (q *lockQueue) forget(turn chan struct{}) bool {
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	for i, w := range q.waiting {
		if w == turn {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// leave gives the turn to the next.
func (q *lockQueue) leave() {
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	if len(q.waiting) == 0 {
		delete(q.of.queues, q.key)
		return
	}
	close(q.waiting[0])
	q.waiting = q.waiting[1:]
}

// number returns one greater than all before it, also of earlier processes while
// the clock is not set back: the time in microseconds, as Redis would give it.
func (s *locks) number() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, uint64(time.Now().UnixMicro()))
	return s.last
}
