package dashboard

import (
	"context"
	"sync"
	"time"
)

// Tier is who answered a read.
type Tier string

// The tiers, the cheapest first.
const (
	TierMemory   Tier = "memory"
	TierRedis    Tier = "redis"
	TierDatabase Tier = "database"
)

// Tiers lists the tiers, the cheapest first.
var Tiers = []Tier{TierMemory, TierRedis, TierDatabase}

// Answer says who answered one read, and how long it took.
type Answer struct {
	// Read is the static name of the read, such as "stats".
	Read string
	Tier Tier
	Took time.Duration
}

// Trace collects the answers that one request was made of. A nil Trace drops them.
type Trace struct {
	mu      sync.Mutex
	answers []Answer
}

type traceKey struct{}

// WithTrace returns a context whose reads are noted in the trace.
func WithTrace(ctx context.Context, trace *Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

// TraceOf returns the trace of a context, or nil.
func TraceOf(ctx context.Context) *Trace {
	trace, _ := ctx.Value(traceKey{}).(*Trace)
	return trace
}

// Note adds an answer. It may be called concurrently.
func (t *Trace) Note(a Answer) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers = append(t.answers, a)
}

// Answers returns what was noted so far, in order.
func (t *Trace) Answers() []Answer {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Answer(nil), t.answers...)
}
