package larder

import (
	"context"
	"runtime/debug"
)

// Future is the result of an asynchronous operation. Its methods may be called
// concurrently and more than once.
type Future[V any] struct {
	done  chan struct{}
	value V
	err   error
}

// Done returns a channel that is closed when the result is there.
func (f *Future[V]) Done() <-chan struct{} { return f.done }

// Wait returns the result, or the error of ctx when that ends first. The
// operation goes on then.
func (f *Future[V]) Wait(ctx context.Context) (V, error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// start runs op in a goroutine that Close waits for. While
// [Options.AsyncLimit] operations are unfinished it waits for one of them,
// until ctx ends.
func start[V any](c *Cache, ctx context.Context, op func() (V, error)) *Future[V] {
	f := &Future[V]{done: make(chan struct{})}
	select {
	case c.async <- struct{}{}:
	case <-ctx.Done():
		f.err = ctx.Err()
		close(f.done)
		return f
	}
	started := c.goRun(func() {
		f.err = &PanicError{} // unless op returns
		defer func() {
			if p := recover(); p != nil {
				f.err = &PanicError{Value: p, Stack: debug.Stack()}
			}
			<-c.async
			close(f.done)
		}()
		f.value, f.err = op()
	})
	if !started {
		<-c.async
		f.err = ErrClosed
		close(f.done)
	}
	return f
}

// GetAsync is [Keyspace.Get] without waiting. Operations under way at the same
// time share pipelines. A panic of the loader is a [*PanicError].
func (k *Keyspace[K, V]) GetAsync(ctx context.Context, key K, load Loader[K, V], opts ...ReadOption) *Future[V] {
	return start(k.cache, ctx, func() (V, error) { return k.Get(ctx, key, load, opts...) })
}

// SetAsync is [Keyspace.Set] without waiting.
func (k *Keyspace[K, V]) SetAsync(ctx context.Context, key K, value V) *Future[struct{}] {
	return start(k.cache, ctx, func() (struct{}, error) { return struct{}{}, k.Set(ctx, key, value) })
}

// DeleteAsync is [Keyspace.Delete] without waiting: nothing is known to be
// invalid before the Future is done.
func (k *Keyspace[K, V]) DeleteAsync(ctx context.Context, key K) *Future[struct{}] {
	return start(k.cache, ctx, func() (struct{}, error) { return struct{}{}, k.Delete(ctx, key) })
}
