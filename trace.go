package larder

import (
	"context"
	"errors"

	"github.com/larder-go/larder/internal/flight"
)

// SpanKind says which work a span shows.
type SpanKind string

// The kinds of spans. A read that memory answers is none: it stays as fast as
// it is.
const (
	SpanGet        SpanKind = "get"        // a read that memory did not answer; of a batch, all of its keys together
	SpanWait       SpanKind = "wait"       // within a read: somebody else loads, in this process or another
	SpanLoad       SpanKind = "load"       // a call of a loader, which gets its context
	SpanFill       SpanKind = "fill"       // storing what was loaded in Redis
	SpanSet        SpanKind = "set"        // Set and its like
	SpanInvalidate SpanKind = "invalidate" // an invalidation, the waiting of [Strict] included
	SpanLock       SpanKind = "lock"       // waiting for a lock
)

// SpanStart is what is known of a span when it begins. It carries no key, no
// value, no tag and no name of a lock.
type SpanStart struct {
	Kind     SpanKind
	Keyspace string // static name, if the work is of one
	Count    int    // of the keys or targets
}

// Tracer makes the work of a cache visible as spans. telemetry/larderotel has
// one for OpenTelemetry. Its methods are called concurrently, and by who works:
// they must be quick and never fail.
type Tracer interface {
	// StartSpan begins a span, as a child of the one that ctx carries, and
	// returns the context of the work within it.
	StartSpan(ctx context.Context, start SpanStart) (context.Context, Span)
}

// Span is work that a [Tracer] shows.
type Span interface {
	// EndSpan ends the span, once. The outcome is one of a few static words:
	// never the text of an error, which may name a key.
	EndSpan(outcome SpanOutcome)
}

// SpanOutcome is how the work of a span ended.
type SpanOutcome string

// The outcomes of spans.
const (
	SpanOK       SpanOutcome = "ok"
	SpanNotFound SpanOutcome = "not_found" // the source has none, or, for a Lookup, nothing is cached
	SpanRefused  SpanOutcome = "refused"   // of a fill: a value was not stored; see larder_fills_refused_total
	SpanPending  SpanOutcome = "pending"   // of an invalidation: Redis did not confirm it
	SpanBusy     SpanOutcome = "busy"      // the bulkhead was full, or the lock stayed taken
	SpanTimeout  SpanOutcome = "timeout"   // a time limit passed, of the loader or of the caller
	SpanCanceled SpanOutcome = "canceled"  // the caller left
	SpanError    SpanOutcome = "error"     // anything else that went wrong
)

// outcomeOfSpan names how work ended that returned err.
func outcomeOfSpan(err error) SpanOutcome {
	switch {
	case err == nil:
		return SpanOK
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrMiss):
		return SpanNotFound
	case errors.Is(err, ErrPending):
		return SpanPending
	case errors.Is(err, ErrBusy), errors.Is(err, ErrLocked):
		return SpanBusy
	case errors.Is(err, ErrLoadTimeout), errors.Is(err, context.DeadlineExceeded):
		return SpanTimeout
	case errors.Is(err, context.Canceled):
		return SpanCanceled
	}
	return SpanError
}

// noSpan is the span of a cache without tracer.
type noSpan struct{}

func (noSpan) EndSpan(SpanOutcome) {}

// span begins a span if there is a tracer. Without one it costs a comparison.
func (c *Cache) span(ctx context.Context, kind SpanKind, keyspace string, count int) (context.Context, Span) {
	if c.opts.Tracer == nil {
		return ctx, noSpan{}
	}
	return c.opts.Tracer.StartSpan(ctx, SpanStart{Kind: kind, Keyspace: keyspace, Count: count})
}

// getTraced is getSlow within a span, which a loader that panics ends too.
func (k *Keyspace[K, V]) getTraced(ctx context.Context, key K, hash uint64, load Loader[K, V], config readConfig) (value V, err error) {
	if k.cache.opts.Tracer == nil {
		return k.getSlow(ctx, key, hash, load, config)
	}
	ctx, span := k.cache.span(ctx, SpanGet, k.name, 1)
	outcome := SpanError
	defer func() { span.EndSpan(outcome) }()
	value, err = k.getSlow(ctx, key, hash, load, config)
	outcome = outcomeOfSpan(err)
	return value, err
}

// waitLocally waits for a flight of somebody else in this process.
func (k *Keyspace[K, V]) waitLocally(ctx context.Context, f *flight.Flight[K, guard, outcome[V]]) (o outcome[V], ok bool, err error) {
	k.stats.localWaits.Add()
	_, span := k.cache.span(ctx, SpanWait, k.name, 1)
	o, ok, err = f.Wait(ctx)
	span.EndSpan(outcomeOfSpan(err))
	return o, ok, err
}

// runTraced is run within a span.
func (b *batch[K, V]) runTraced(ctx context.Context) {
	count := len(b.seats)
	if b.k.cache.opts.Tracer == nil {
		b.run(ctx)
		return
	}
	failed, outcome := len(b.failed), SpanError
	ctx, span := b.k.cache.span(ctx, SpanGet, b.k.name, count)
	defer func() { span.EndSpan(outcome) }()
	b.run(ctx)
	outcome = SpanOK
	if len(b.failed) > failed {
		outcome = outcomeOfSpan(b.failed[failed].Err)
	}
}

// removeTraced is remove within a span.
func (c *Cache) removeTraced(ctx context.Context, ops []Op) error {
	ctx, span := c.span(ctx, SpanInvalidate, "", len(ops))
	err := c.remove(ctx, ops)
	span.EndSpan(outcomeOfSpan(err))
	return err
}
