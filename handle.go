package larder

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Load is a loader's handle on the entry it is making. Its methods may be
// called concurrently, until the loader returns.
type Load struct {
	dynamic bool

	mu      sync.Mutex
	tags    []string
	ttl     time.Duration
	version uint64
	keep    bool

	stale       any // the value that the load refreshes; nil: none
	staleByKey  any // map[K]V of the values that it refreshes; nil: none
	notModified bool
	kept        map[any]struct{} // keys of which that was said alone
}

type loadKey struct{}

// LoadFrom returns the handle of the load that ctx belongs to. Outside of a
// loader it returns one that nobody reads.
func LoadFrom(ctx context.Context) *Load {
	if l, ok := ctx.Value(loadKey{}).(*Load); ok {
		return l
	}
	return &Load{dynamic: true, keep: true}
}

// Tag makes the entry depend on tags that the loader learned from what it
// read. Of a batch, all entries depend on them. It panics on an invalid tag,
// and in keyspaces without [KeyspaceOptions.DynamicTags].
//
// The first load that uses a tag nobody has used before is not stored: there
// was no generation of the tag to capture before it.
func (l *Load) Tag(tags ...string) {
	if !l.dynamic {
		panic("larder: Load.Tag in a keyspace without DynamicTags")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tag := range tags {
		if err := checkTag(tag); err != nil {
			panic(err)
		}
		if indexOf(l.tags, tag) < 0 {
			l.tags = append(l.tags, tag)
		}
	}
}

// TTL sets how long the entry is fresh, instead of [KeyspaceOptions.TTL]. It
// panics unless ttl is between a millisecond and a year.
func (l *Load) TTL(ttl time.Duration) {
	if ttl < time.Millisecond || ttl > maxTTL {
		panic(fmt.Sprintf("larder: Load.TTL of %v is not between 1ms and %v", ttl, maxTTL))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ttl = ttl
}

// Version says which version of the source the value is, for
// [Keyspace.SetVersion]: read it together with the value, from the same row or
// snapshot. Of a batch, all entries get it. It panics on version 0.
func (l *Load) Version(version uint64) {
	if version == 0 {
		panic("larder: Load.Version of 0, versions begin with 1")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version = version
}

// DoNotStore makes the value an answer for those who wait now and nothing
// more.
func (l *Load) DoNotStore() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = false
}

// NotModified says that the value that the load refreshes ([StaleFrom]) is still
// what the source has: it becomes fresh again, and what the loader returns
// beside a nil error is ignored. Without such a value the load fails. Of a batch
// it says so of all keys; see [KeepStale] for some of them.
func (l *Load) NotModified() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notModified = true
}

// StaleFrom returns the value that the load of ctx refreshes, so that its loader
// can ask the source for changes only; see [Load.NotModified]. It is shared and
// must not be changed. ok is false when there is none, as in a load of several
// keys, for which there is [StaleByKey].
func StaleFrom[V any](ctx context.Context) (value V, ok bool) {
	if l, found := ctx.Value(loadKey{}).(*Load); found {
		value, ok = l.stale.(V)
	}
	return value, ok
}

// StaleByKey returns the values that the load of ctx refreshes, so that a batch
// loader can ask the source for changes only; see [KeepStale]. They are shared
// and must not be changed. Keys that are loaded for another reason are absent.
func StaleByKey[K comparable, V any](ctx context.Context) map[K]V {
	if l, found := ctx.Value(loadKey{}).(*Load); found {
		stale, _ := l.staleByKey.(map[K]V)
		return stale
	}
	return nil
}

// KeepStale says of some keys of a batch that the values which the load refreshes
// ([StaleByKey]) are still what the source has: they become fresh again, and the
// result of the loader need not have them. A key without such a value fails.
// Outside of a loader it does nothing.
func KeepStale[K comparable](ctx context.Context, keys ...K) {
	l := LoadFrom(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept == nil {
		l.kept = make(map[any]struct{}, len(keys))
	}
	for _, key := range keys {
		l.kept[key] = struct{}{}
	}
}

// leaves reports whether the loader said that the value of key is to stay.
func leaves[K comparable](l *Load, key K) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.notModified || l.kept == nil {
		return l.notModified
	}
	_, kept := l.kept[key]
	return kept
}

// read returns what the loader said, and ends its influence.
func (l *Load) read() (tags []string, ttl time.Duration, keep bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tags, l.ttl, l.keep
}

// sourceVersion returns what the loader said, 0 if nothing.
func (l *Load) sourceVersion() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.version
}

// handle returns the context of a load with its handle.
func (s *space) handle(ctx context.Context) (context.Context, *Load) {
	l := &Load{dynamic: s.dynamic, keep: true}
	return context.WithValue(ctx, loadKey{}, l), l
}
