package redistier

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/larder-go/larder"
)

// inspectTimeout is DialTimeout and the limit of a call for tools, behind which
// a person waits, perhaps over a slow line.
const inspectTimeout = 5 * time.Second

// Inspector looks at a namespace from outside, and invalidates in it. It takes
// part in nothing: it serves no reads, is no member of the namespace, marks and
// clears nothing, and decides no setting. Command-line tools and pages for
// administrators are made of it. All methods may be called concurrently.
//
// It keeps one connection per master, by the goroutines of a [Tier] and a cache
// without memory; Close ends and awaits them.
type Inspector struct {
	tier  *observer
	cache *larder.Cache // never read from
}

// Inspect connects to every master that cfg names. Other than [Open] it fails
// when one cannot be reached, with [larder.ErrUnavailable]; [Denied] tells whether
// Redis refused the user. The default of DialTimeout is 5 s here.
func Inspect(ctx context.Context, cfg Config, namespace string) (*Inspector, error) {
	cfg.observer, cfg.NoTracking = true, true
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, inspectTimeout)
	cfg.BeatTimeout = max(cfg.BeatTimeout, 2*inspectTimeout)
	tier, err := New(cfg, namespace)
	if err != nil {
		return nil, err
	}
	o := &observer{Tier: tier}
	cache, err := larder.NewWithRemote(ctx, o, larder.Options{
		Namespace: namespace, MemoryBytes: -1, MaxStaleness: cfg.MaxStaleness,
		ReadTimeout: inspectTimeout, WriteTimeout: inspectTimeout, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	if err := o.reached(); err != nil {
		_ = cache.Close()
		return nil, err
	}
	return &Inspector{tier: o, cache: cache}, nil
}

// Close ends the connections. It tries invalidations once more that are not
// confirmed, and returns those that fail again.
func (i *Inspector) Close() error { return i.cache.Close() }

// Explain tells what Redis has of the entry called name, and what a read would
// make of it. It costs two round trips.
func (i *Inspector) Explain(ctx context.Context, name string) (larder.Explanation, error) {
	return i.cache.Explain(ctx, name)
}

// Invalidate is [larder.Cache.Invalidate] for keys, tags and the namespace, with
// the same promise: nil means that Redis confirmed all of it, and a
// [larder.PendingError] names what it did not. With [larder.Strict] it waits for
// the namespace's MaxStaleness. Prefixes go through [Inspector.InvalidatePrefix].
func (i *Inspector) Invalidate(ctx context.Context, targets ...larder.Target) error {
	return i.cache.Invalidate(ctx, targets...)
}

// DeletePattern is [larder.Cache.DeletePattern].
func (i *Inspector) DeletePattern(ctx context.Context, pattern string) (int, error) {
	return i.cache.DeletePattern(ctx, pattern)
}

// Targets of one entry: its key, and the generation that stands for it where
// its keyspace is [larder.MemoryOnly], as nobody but that keyspace knows.
func Targets(name string) ([]larder.Target, error) {
	var list []larder.Target
	for _, word := range []string{"key:", "memory:"} {
		t, err := larder.ParseTarget(word + name)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// Generation returns the generation of a tag that programs declare, eight bytes,
// empty if there is none: nothing valid depends on the tag then.
func (i *Inspector) Generation(ctx context.Context, tag string) (string, error) {
	return i.generation(ctx, i.tier.TagKey(tag))
}

func (i *Inspector) generation(ctx context.Context, key string) (string, error) {
	r := i.tier.Get(ctx, key)
	return r.Data, r.Err
}

// InvalidatePrefix invalidates a prefix that keyspaces declare, as
// [larder.Prefix] does. It reports false, having changed nothing that counts, if
// the prefix has no generation: either no program declares it, and entries that
// begin so are still valid, or nothing was filled under it.
func (i *Inspector) InvalidatePrefix(ctx context.Context, prefix string, more ...larder.Target) (declared bool, err error) {
	generation, err := i.generation(ctx, i.tier.TagKey("^"+prefix))
	if err != nil || generation == "" {
		return false, err
	}
	if err := i.declare(prefix); err != nil {
		return false, err
	}
	return true, i.cache.Invalidate(ctx, append(more, larder.Prefix(prefix))...)
}

// declare lets the cache accept a prefix, by a keyspace that nobody reads.
func (i *Inspector) declare(prefix string) error {
	_, err := larder.NewKeyspace(i.cache, "inspector-"+newMemberID(), larder.KeyspaceOptions[string, string]{Prefixes: []string{prefix}})
	return err
}

// HotKeys is [larder.Cache.HotKeys]: what all processes read most lately.
func (i *Inspector) HotKeys(ctx context.Context) ([]larder.KeyCount, error) {
	return i.cache.HotKeys(ctx)
}

// LoadedKeys is [larder.Cache.LoadedKeys]: what all processes loaded most today
// and yesterday.
func (i *Inspector) LoadedKeys(ctx context.Context) ([]larder.KeyCount, error) {
	return i.cache.LoadedKeys(ctx)
}

// MaxStaleness returns what the processes of the namespace have agreed on, zero
// if there was none yet.
func (i *Inspector) MaxStaleness() time.Duration { return i.tier.MaxStaleness() }
