package larder

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/larder-go/larder/internal/clock"
)

// WarmOptions say how [Keyspace.Warm] goes about it. The zero value works.
type WarmOptions struct {
	// Concurrency is how many batches are under way at once, and so the most
	// loads. Default 4.
	Concurrency int
	// BatchSize is how many keys one batch has, and so the most that one call
	// of the loader gets. Default 256, at most 1024.
	BatchSize int
	// Skip is how many of the first keys to leave out: [WarmReport.Done] of a
	// run that was ended goes on where that stopped. Default: none.
	Skip int
	// Progress is called after each batch, by one goroutine at a time. It must
	// not be slow: batches wait for it. Default: nobody is told.
	Progress func(WarmReport)
}

// WarmReport counts what a [Keyspace.Warm] did so far.
//
// Keys = Present + Loaded + NotFound + Failed + Invalid + Duplicates, when no
// batch is under way.
type WarmReport struct {
	Keys       int // taken from the list, without skipped ones
	Present    int // cached already, or loaded by somebody else meanwhile
	Loaded     int // loaded and found
	NotFound   int // known not to exist
	Failed     int // not loaded: the loader failed or the bulkhead was full
	Invalid    int // cannot name an entry
	Duplicates int // twice in one batch
	// Done is how many of the list's first keys need not be looked at again,
	// skipped ones included: see [WarmOptions.Skip].
	Done int
}

// Warm makes the entries of keys present: it looks them up in batches as
// [Keyspace.GetMany] does and loads what is missing, in the whole cluster once,
// under the bulkhead and behind those who wait there. What is read often stays
// in memory however much is warmed: entries that nobody asked for twice do not
// displace it.
//
// It stops when ctx ends, when the cache is closed, and with [ErrUnavailable]
// when Redis cannot be asked, since nothing would last that is loaded then;
// [WarmReport.Done] says where to go on. Failed loads do not stop it; the first
// error is returned.
func (k *Keyspace[K, V]) Warm(ctx context.Context, keys iter.Seq[K], load BatchLoader[K, V], opts WarmOptions) (WarmReport, error) {
	setDefault(&opts.Concurrency, 4)
	setDefault(&opts.BatchSize, 256)
	err := errors.Join(
		atLeast("Concurrency", opts.Concurrency, 1, false),
		atLeast("BatchSize", opts.BatchSize, 1, false),
		atMost("BatchSize", opts.BatchSize, 1024),
		atLeast("Skip", opts.Skip, 0, false),
	)
	switch {
	case load == nil:
		err = errors.Join(err, errors.New("load: required"))
	case keys == nil:
		err = errors.Join(err, errors.New("keys: required"))
	}
	if err != nil {
		return WarmReport{}, fmt.Errorf("larder: warm: %w", err)
	}
	w := warming[K, V]{k: k, load: load, opts: opts, ended: make(map[int]int)}
	return w.run(ctx, keys)
}

// WarmNames is [Keyspace.Warm] for names of entries, such as [Cache.LoadedKeys]
// or a file has them. Names of other keyspaces are left out; names that
// [KeyspaceOptions.ParseKey] does not understand, among them those too long to
// be kept as they are, count as invalid.
func (k *Keyspace[K, V]) WarmNames(ctx context.Context, names iter.Seq[string], load BatchLoader[K, V], opts WarmOptions) (WarmReport, error) {
	if k.opts.ParseKey == nil {
		return WarmReport{}, fmt.Errorf("larder: warm: keyspace %q: ParseKey: required to read keys from names", k.name)
	}
	if names == nil {
		return WarmReport{}, errors.New("larder: warm: names: required")
	}
	invalid := 0
	keys := func(yield func(K) bool) {
		for name := range names {
			if k.cache.spaceOf(name) != &k.space {
				continue
			}
			key, err := k.parseName(name)
			if err != nil {
				invalid++
				continue
			}
			if !yield(key) {
				return
			}
		}
	}
	report, err := k.Warm(ctx, keys, load, opts)
	report.Keys, report.Invalid = report.Keys+invalid, report.Invalid+invalid
	return report, err
}

// WarmLoaded is [Keyspace.WarmNames] for the entries of this keyspace that were
// loaded most today and yesterday ([Cache.LoadedKeys]), by all processes,
// those that have ended included.
func (k *Keyspace[K, V]) WarmLoaded(ctx context.Context, load BatchLoader[K, V], opts WarmOptions) (WarmReport, error) {
	loaded, err := k.cache.LoadedKeys(ctx)
	if err != nil {
		return WarmReport{}, err
	}
	return k.WarmNames(ctx, func(yield func(string) bool) {
		for _, l := range loaded {
			if !yield(l.Name) {
				return
			}
		}
	}, load, opts)
}

// parseName returns the key that name is the entry of.
func (k *Keyspace[K, V]) parseName(name string) (K, error) {
	key, err := k.opts.ParseKey(strings.TrimPrefix(name, k.name+":"))
	if err != nil {
		return key, err
	}
	if again, err := k.entryName(key); err != nil || again != name {
		return key, fmt.Errorf("%w: %q is not the name of its key", ErrInvalidKey, name)
	}
	return key, nil
}

// spaceOf returns the keyspace of this process that the entry called name
// belongs to, by the longest name of one at its beginning; nil if none.
func (c *Cache) spaceOf(name string) (of *space) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range min(len(name), maxName+1) {
		if s := c.spaces[name[:i]]; name[i] == ':' && s != nil {
			of = s
		}
	}
	return of
}

// warming is one run of Warm.
type warming[K comparable, V any] struct {
	k    *Keyspace[K, V]
	load BatchLoader[K, V]
	opts WarmOptions

	mu     sync.Mutex // guards what follows, and serialises Progress
	report WarmReport
	err    error
	ended  map[int]int // keys of the batches that ended before an earlier one, by number
	next   int         // number of the first batch that has not ended
}

func (w *warming[K, V]) run(ctx context.Context, keys iter.Seq[K]) (WarmReport, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, w.opts.Concurrency)
	var all sync.WaitGroup
	number := 0
	start := func(batch []K) (goesOn bool) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		if err := w.ready(ctx); err != nil {
			<-slots
			cancel(err)
			return false
		}
		n := number
		number++
		all.Go(func() {
			defer func() { <-slots }()
			w.batch(ctx, n, batch)
		})
		return true
	}
	w.report.Done = w.opts.Skip
	skip, batch, goesOn := w.opts.Skip, make([]K, 0, w.opts.BatchSize), true
	for key := range keys {
		if skip > 0 {
			skip--
			continue
		}
		if batch = append(batch, key); len(batch) == cap(batch) {
			if goesOn = start(batch); !goesOn {
				break
			}
			batch = make([]K, 0, w.opts.BatchSize)
		}
	}
	if goesOn && len(batch) > 0 {
		start(batch)
	}
	all.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return w.report, cause
	}
	return w.report, w.err
}

// ready says why no batch may begin.
func (w *warming[K, V]) ready(ctx context.Context) error {
	c := w.k.cache
	switch {
	case c.ctx.Err() != nil:
		return ErrClosed
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case c.remote == nil:
		return nil
	}
	for _, key := range c.remote.NamespaceKeys() {
		if c.usableEpoch(key, clock.Now()) == nil {
			return fmt.Errorf("larder: warm: %w", ErrUnavailable)
		}
	}
	return nil
}

const (
	// busyTries is how often a batch that the bulkhead refused is tried.
	busyTries = 8
	// busyPause is waited before the second try, and doubles.
	busyPause = 20 * time.Millisecond
)

// batch warms keys and counts the outcome. Who gave up because ctx ended is
// not done.
func (w *warming[K, V]) batch(ctx context.Context, number int, keys []K) {
	r := WarmReport{Keys: len(keys)}
	var err error
	for try := range busyTries {
		counted := r
		if err = w.try(ctx, keys, &counted); !errors.Is(err, ErrBusy) || try == busyTries-1 || !waited(ctx, busyPause<<try) {
			r = counted
			break
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() == nil && !errors.Is(err, ErrClosed) {
		w.finish(number, len(keys))
	}
	w.err = firstOf(w.err, err)
	w.report.add(r)
	if w.opts.Progress != nil {
		w.opts.Progress(w.report)
	}
}

// try gets keys once. A panic of the loader is an error.
func (w *warming[K, V]) try(ctx context.Context, keys []K, r *WarmReport) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
			r.Failed = r.Keys
		}
	}()
	var loaded loadCount
	b := &batch[K, V]{k: w.k, load: func(ctx context.Context, keys []K) (map[K]V, error) {
		found, err := w.load(ctx, keys)
		if err == nil {
			loaded.add(len(found))
		}
		return found, err
	}}
	values, err := b.get(ctx, keys, nil)
	distinct := make(map[K]struct{}, len(keys))
	for _, key := range keys {
		distinct[key] = struct{}{}
	}
	r.Duplicates = len(keys) - len(distinct)
	r.Loaded = min(loaded.n, len(values))
	r.Present = len(values) - r.Loaded
	r.Invalid, r.Failed = failures(err, len(distinct)-len(values))
	r.NotFound = len(distinct) - len(values) - r.Invalid - r.Failed
	return err
}

// loadCount counts what a loader found, which may be called concurrently.
type loadCount struct {
	mu sync.Mutex
	n  int
}

func (l *loadCount) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n += n
}

// failures divides what a batch failed for. A batch that failed as a whole
// failed for all of its keys without a value.
func failures(err error, missing int) (invalid, failed int) {
	var each *BatchError
	switch {
	case err == nil:
		return 0, 0
	case !errors.As(err, &each):
		return 0, missing
	}
	for _, f := range each.Failed {
		if errors.Is(f.Err, ErrInvalidKey) {
			invalid++
		} else {
			failed++
		}
	}
	return invalid, failed
}

// waited waits for d and reports whether ctx lives.
func waited(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// finish moves Done past the batches that ended without a gap before them.
func (w *warming[K, V]) finish(number, keys int) {
	w.ended[number] = keys
	for {
		n, ok := w.ended[w.next]
		if !ok {
			return
		}
		delete(w.ended, w.next)
		w.next++
		w.report.Done += n
	}
}

func (r *WarmReport) add(s WarmReport) {
	r.Keys += s.Keys
	r.Present += s.Present
	r.Loaded += s.Loaded
	r.NotFound += s.NotFound
	r.Failed += s.Failed
	r.Invalid += s.Invalid
	r.Duplicates += s.Duplicates
}
