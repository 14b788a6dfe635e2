package cachedstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
)

// read is one kind of read with its keyspace.
type read[K comparable, V any] struct {
	name string
	// label names a read in traces where the keyspace does not; nil: by its name.
	label func(K) string
	exact bool
	space *larder.Keyspace[K, V]
	load  larder.Loader[K, V]
	// loads and decodes tell a trace where an answer came from.
	loads, decodes atomic.Int64
}

// declareRead declares a keyspace whose misses are loaded with load.
func declareRead[K comparable, V any](s *Store, name string, o larder.KeyspaceOptions[K, V], load larder.Loader[K, V]) (*read[K, V], error) {
	r := &read[K, V]{name: name, exact: s.options.Exact}
	o.Codec = counting[V]{Codec: larder.JSON[V](), decodes: &r.decodes}
	r.load = func(ctx context.Context, key K) (V, error) {
		r.loads.Add(1)
		v, err := load(ctx, key)
		if errors.Is(err, dashboard.ErrNotFound) {
			return v, larder.ErrNotFound
		}
		return v, err
	}
	var err error
	r.space, err = larder.NewKeyspace(s.cache, name, o)
	return r, err
}

// get returns the value of key. Its error is larder.ErrNotFound for what the store does not have.
func (r *read[K, V]) get(ctx context.Context, key K) (V, error) {
	trace := dashboard.TraceOf(ctx)
	if trace == nil {
		return r.fetch(ctx, key)
	}
	begin, loads, decodes := time.Now(), r.loads.Load(), r.decodes.Load()
	v, err := r.fetch(ctx, key)
	name := r.name
	if r.label != nil {
		name = r.label(key)
	}
	answer := dashboard.Answer{Read: name, Tier: dashboard.TierMemory, Took: time.Since(begin)}
	// Counted for the keyspace, not for the call: beside other reads of the same
	// kind an answer may be credited to a dearer tier than it came from.
	switch {
	case r.loads.Load() != loads:
		answer.Tier = dashboard.TierDatabase
	case r.decodes.Load() != decodes:
		answer.Tier = dashboard.TierRedis
	}
	trace.Note(answer)
	return v, err
}

func (r *read[K, V]) fetch(ctx context.Context, key K) (v V, err error) {
	if r.exact || dashboard.IsExact(ctx) {
		v, err = r.space.Get(ctx, key, r.load, larder.Exact)
	} else {
		v, err = r.space.Get(ctx, key, r.load)
	}
	if errors.Is(err, larder.ErrLoadTimeout) || errors.Is(err, larder.ErrBusy) {
		err = fmt.Errorf("%w: %w", dashboard.ErrUnavailable, err) // the database is silent, or has too much to do
	}
	return v, err
}

// row returns one row, or the NotFoundError that the store below would give.
func row[V any](ctx context.Context, r *read[int64, V], kind dashboard.Kind, id int64) (V, error) {
	v, err := r.get(ctx, id)
	if errors.Is(err, larder.ErrNotFound) {
		return v, &dashboard.NotFoundError{Kind: kind, ID: id}
	}
	return v, err
}

// counting is a codec that counts what it decodes.
type counting[V any] struct {
	larder.Codec[V]
	decodes *atomic.Int64
}

// Decode implements larder.Codec.
func (c counting[V]) Decode(data []byte) (V, error) {
	c.decodes.Add(1)
	return c.Codec.Decode(data)
}
