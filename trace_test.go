package larder_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/larder-go/larder"
)

// spans is a tracer that keeps what it is told, "kind of parent>kind keyspace count outcome".
type spans struct {
	mu    sync.Mutex
	begun int
	ended []string
	again int // ends of spans that had ended
}

type spanCtx struct{}

type span struct {
	of     *spans
	what   string
	kind   larder.SpanKind
	closed bool
}

func (s *spans) StartSpan(ctx context.Context, start larder.SpanStart) (context.Context, larder.Span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun++
	parent := ""
	if p, ok := ctx.Value(spanCtx{}).(*span); ok {
		parent = string(p.kind) + ">"
	}
	one := &span{of: s, kind: start.Kind, what: fmt.Sprintf("%s%s %s %d", parent, start.Kind, start.Keyspace, start.Count)}
	return context.WithValue(ctx, spanCtx{}, one), one
}

func (o *span) EndSpan(outcome larder.SpanOutcome) {
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	if o.closed {
		o.of.again++
	}
	o.closed = true
	o.of.ended = append(o.of.ended, strings.Join(strings.Fields(o.what+" "+string(outcome)), " "))
}

// take returns the spans that ended since the last call, sorted, and that all
// that began have ended once.
func (s *spans) take(t *testing.T) []string {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun != len(s.ended) || s.again > 0 {
		t.Errorf("%d spans began, %d ended, %d twice: %q", s.begun, len(s.ended), s.again, s.ended)
	}
	ended := s.ended
	slices.Sort(ended)
	s.begun, s.ended = 0, nil
	return ended
}

// expect compares what take returns.
func (s *spans) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := s.take(t); !slices.Equal(got, want) {
		t.Errorf("%s: spans %q, want %q", what, got, want)
	}
}

func inTraced(t *testing.T, n int, run func(r *rig, s *spans)) {
	s := new(spans)
	inSetup(t, setup{nodes: n, cache: larder.Options{Tracer: s}}, func(r *rig) { run(r, s) })
}

// Every piece of work beyond memory is one span within that of its caller; a
// hit in memory is none.
func TestSpansShowTheWork(t *testing.T) {
	inTraced(t, 2, func(r *rig, s *spans) {
		a, b := r.two()
		a.get("x")
		s.expect(t, "a miss", "get plain 1 ok", "get>load plain 1 ok", "get>fill plain 1 ok")
		a.get("x")
		s.expect(t, "a hit in memory")
		b.get("x")
		s.expect(t, "a hit in Redis", "get plain 1 ok")
		if _, err := a.lookup("y"); err != larder.ErrMiss {
			t.Error(err)
		}
		s.expect(t, "a lookup", "get plain 1 not_found")
		if _, err := a.plain.GetMany(r.ctx, []string{"x", "m", "n"}, func(_ context.Context, keys []string) (map[string]int, error) {
			return map[string]int{keys[0]: 1}, nil
		}); err != nil {
			t.Error(err)
		}
		s.expect(t, "a batch", "get plain 2 ok", "get>load plain 2 ok", "get>fill plain 2 ok")
		a.invalidate(larder.Tag("group"), b.plain.Key("x"))
		s.expect(t, "an invalidation", "invalidate 2 ok")
		if err := a.plain.Set(r.ctx, "s", 1); err != nil {
			t.Error(err)
		}
		if err := a.plain.SetVersion(r.ctx, "s", 1, 7); err != nil {
			t.Error(err)
		}
		s.expect(t, "sets", "set plain 1 ok", "set plain 1 ok")
		if err := a.plain.Mutate(r.ctx, "s", func(context.Context) error { return nil }); err != nil {
			t.Error(err)
		}
		if _, err := a.cache.DeletePattern(r.ctx, "plain:*"); err != nil {
			t.Error(err)
		}
		s.expect(t, "other invalidations", "invalidate 1 ok", "invalidate 1 ok")
		l := a.lock("door")
		if _, err := b.cache.Lock(r.ctx, "door", larder.LockOptions{Wait: -1}); !errors.Is(err, larder.ErrLocked) {
			t.Error(err)
		}
		r.unlock(l)
		s.expect(t, "locks", "lock 1 ok", "lock 1 busy")
	})
}

// Failures end their spans too, whatever they are, with a static word.
func TestSpansOfFailures(t *testing.T) {
	inTraced(t, 1, func(r *rig, s *spans) {
		a := r.nodes[0]
		fails := func(err error) larder.Loader[string, int] {
			return func(context.Context, string) (int, error) { return 0, err }
		}
		get := func(load larder.Loader[string, int]) { _, _ = a.plain.Get(r.ctx, "secret-key", load) }
		get(fails(errors.New("row secret-key is locked")))
		s.expect(t, "an error", "get plain 1 error", "get>load plain 1 error")
		get(fails(larder.ErrNotFound))
		s.expect(t, "not found", "get plain 1 not_found", "get>load plain 1 not_found", "get>fill plain 1 ok")
		a.invalidate(a.plain.Key("secret-key"))
		s.take(t)
		func() {
			defer func() { _ = recover() }()
			get(func(context.Context, string) (int, error) { panic("secret-key") })
		}()
		s.expect(t, "a panic", "get plain 1 error", "get>load plain 1 error")
		get(func(ctx context.Context, key string) (int, error) {
			a.invalidate(a.plain.Key(key))
			return 1, nil
		})
		s.expect(t, "a late fill", "get plain 1 ok", "get>load plain 1 ok", "invalidate 1 ok", "get>fill plain 1 refused")
		a.remote.Cut()
		if err := a.cache.Invalidate(r.ctx, a.plain.Key("secret-key")); !errors.Is(err, larder.ErrPending) {
			t.Error(err)
		}
		s.expect(t, "a pending invalidation", "invalidate 1 pending")
	})
}

// Who waits for the load of somebody else, in this process or another, shows
// that as a span of its own.
func TestSpansOfWaiting(t *testing.T) {
	inTraced(t, 2, func(r *rig, s *spans) {
		a, b := r.two()
		release := make(chan struct{})
		slow := func(context.Context, string) (int, error) {
			<-release
			return 1, nil
		}
		var wg sync.WaitGroup
		for _, n := range []*node{a, a, b} {
			wg.Go(func() {
				if _, err := n.plain.Get(r.ctx, "x", slow); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		close(release)
		wg.Wait()
		s.expect(t, "three reads", "get plain 1 ok", "get plain 1 ok", "get plain 1 ok",
			"get>load plain 1 ok", "get>fill plain 1 ok", "get>wait plain 1 ok", "get>wait plain 1 ok")
	})
}

// A hit in memory allocates nothing, with a tracer too.
func TestTracedHitAllocatesNothing(t *testing.T) {
	cache, err := larder.New(larder.Options{Tracer: new(spans)})
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	k := space(t, cache, "plain", larder.KeyspaceOptions[int, int]{})
	load := func(context.Context, int) (int, error) { return 1, nil }
	get := func() {
		if _, err := k.Get(t.Context(), 1, load); err != nil {
			t.Fatal(err)
		}
	}
	get()
	if n := testing.AllocsPerRun(1000, get); n > 0 {
		t.Errorf("a hit allocates %v times", n)
	}
}
