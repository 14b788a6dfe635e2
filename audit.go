package larder

import (
	"context"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
)

// AuditOptions make a keyspace compare some of the answers it gives with the
// source, in production and in the background.
type AuditOptions[K comparable, V any] struct {
	// Every is the least time between two answers that are compared. Default
	// 1 s.
	Every time.Duration
	// Load reads the source. Required. Each comparison calls it once, and
	// twice more about MaxStaleness later if the answers differ.
	Load Loader[K, V]
	// Equal compares two values. Default: [reflect.DeepEqual].
	Equal func(a, b V) bool
	// Report receives each finding, in a goroutine of the cache. Default:
	// findings are only counted and logged, without key and value.
	Report func(Finding[K, V])
}

// A Finding is a cached value that differs from what the source has said for
// longer than [Options.MaxStaleness].
type Finding[K comparable, V any] struct {
	Key    K
	Tier   string // "memory", or "remote": then most likely nobody invalidated the change
	Cached V
	Source V
}

// auditor is the state of a keyspace's audits.
type auditor[K comparable, V any] struct {
	AuditOptions[K, V]
	next    atomic.Int64 // when the next answer is due
	running atomic.Bool  // one comparison at a time
}

func newAuditor[K comparable, V any](o *AuditOptions[K, V]) *auditor[K, V] {
	if o == nil {
		return nil
	}
	a := &auditor[K, V]{AuditOptions: *o}
	a.next.Store(clock.Never)
	setDefault(&a.Every, time.Second)
	if a.Equal == nil {
		a.Equal = func(x, y V) bool { return reflect.DeepEqual(x, y) }
	}
	return a
}

// audit compares an answer with the source if one is due. now is when the read
// began.
func (k *Keyspace[K, V]) audit(key K, value V, now int64) {
	a := k.auditor
	next := a.next.Load()
	if now < next || !a.next.CompareAndSwap(next, clock.Add(now, a.Every)) || !a.running.CompareAndSwap(false, true) {
		return
	}
	if !k.cache.goRun(func() {
		defer a.running.Store(false)
		k.compare(key, value)
	}) {
		a.running.Store(false)
	}
}

// compare decides about one answer. A difference alone says nothing: the
// source may have changed a moment ago. It counts when the source has said the
// same for longer than any read may be stale, and a tier still differs.
func (k *Keyspace[K, V]) compare(key K, value V) {
	a, ctx := k.auditor, k.cache.ctx
	first, err := a.Load(ctx, key)
	if err != nil {
		return // the source's state is not known; "not found" is left alone
	}
	k.stats.audited.Add()
	if a.Equal(value, first) {
		return
	}
	timer := time.NewTimer(k.cache.opts.MaxStaleness + k.cache.opts.MaxStaleness/10)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	memory, inMemory := k.quietly(ctx, key)
	remote, inRemote := k.quietly(ctx, key, Exact)
	last, err := a.Load(ctx, key)
	switch {
	case err != nil || !a.Equal(first, last):
		k.stats.auditUnsettled.Add()
	case inRemote && !a.Equal(remote, last):
		k.stats.auditRemote.Add()
		k.find(Finding[K, V]{Key: key, Tier: "remote", Cached: remote, Source: last})
	case inMemory && !a.Equal(memory, last):
		k.stats.auditMemory.Add()
		k.find(Finding[K, V]{Key: key, Tier: "memory", Cached: memory, Source: last})
	}
}

// quietly is Lookup that no counter notices.
func (k *Keyspace[K, V]) quietly(ctx context.Context, key K, opts ...ReadOption) (value V, ok bool) {
	now, hash := clock.Now(), k.hash(key)
	config := k.readConfig(now, opts)
	if e := k.remembered(key, hash, now, config.floor); e != nil {
		return e.value, !e.negative
	}
	found, err := k.peek(ctx, key, hash, config)
	return found.value, err == nil && !found.negative
}

func (k *Keyspace[K, V]) find(f Finding[K, V]) {
	k.cache.opts.Logger.WarnContext(context.WithoutCancel(k.cache.ctx),
		"larder: audit: a cached value is not what the source says", "keyspace", k.name, "tier", f.Tier)
	if k.auditor.Report != nil {
		k.auditor.Report(f)
	}
}
