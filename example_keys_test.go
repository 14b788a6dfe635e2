package larder_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// page is the typed key of a list.
type page struct{ skip, limit int }

// appendPage is its form in Redis: nobody builds it by hand anywhere else.
func appendPage(dst []byte, p page) []byte {
	dst = append(dst, "skip:"...)
	dst = strconv.AppendInt(dst, int64(p.skip), 10)
	dst = append(dst, ":limit:"...)
	return strconv.AppendInt(dst, int64(p.limit), 10)
}

// A keyspace owns the name and the form of its keys. Redis holds
// "suites:skip:0:limit:10", with the document readable behind a short header.
func ExampleNewKeyspace() {
	server := lardertest.NewServer()
	cache, err := larder.NewWithRemote(context.Background(), server.Node(), larder.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	lists, err := larder.NewKeyspace(cache, "suites", larder.KeyspaceOptions[page, []Suite]{AppendKey: appendPage})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	lists.Get(ctx, page{0, 10}, func(context.Context, page) ([]Suite, error) { return []Suite{{1, "smoke"}}, nil })

	data, _, found := server.Peek("suites:skip:0:limit:10")
	fmt.Println(found, data[len(data)-25:])
	fmt.Println(lists.Key(page{0, 10}))
	// Output:
	// true [{"ID":1,"Name":"smoke"}]
	// key:suites:skip:0:limit:10
}

// Text of users is escaped: it can neither leave its segment nor match as a
// pattern.
func ExampleAppendSegment() {
	fmt.Printf("%s\n", larder.AppendSegment([]byte("user:"), "a:b*"))
	// Output: user:a%3Ab%2A
}

// Patterns delete in pages through the whole key space, loads in flight
// included: a tool for administrators.
func ExampleCache_DeletePattern() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	suites.Get(ctx, 1, loadSuite)
	suites.Get(ctx, 2, loadSuite)
	fmt.Println(cache.DeletePattern(ctx, "suite:*"))
	// Output:
	// loading suite 1
	// loading suite 2
	// 2 <nil>
}

// Services invalidate by key and tag: one round trip, whatever the number of
// entries.
func ExampleCache_Invalidate() {
	a, b := newCluster()
	defer a.Close()
	defer b.Close()
	here, there := suitesOf(a), suitesOf(b)
	ctx := context.Background()
	here.Get(ctx, 1, loadSuite)
	here.Get(ctx, 2, loadSuite)

	// UPDATE suites … COMMIT, and then:
	fmt.Println(b.Invalidate(ctx, there.Key(1)))
	here.Get(ctx, 1, loadSuite, larder.Exact)

	fmt.Println(b.Invalidate(ctx, larder.Tag("suites")))
	here.Get(ctx, 1, loadSuite, larder.Exact)
	here.Get(ctx, 2, loadSuite, larder.Exact)
	// Output:
	// loading suite 1
	// loading suite 2
	// <nil>
	// loading suite 1
	// <nil>
	// loading suite 1
	// loading suite 2
}

// The functions of a service, one for each kind of change, are one line each.
func ExampleTag() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	invalidateSuite := func(ctx context.Context, id int64) error {
		return cache.Invalidate(ctx, suites.Key(id), larder.Tag("lists"))
	}
	invalidateSuites := func(ctx context.Context) error { return cache.Invalidate(ctx, larder.Tag("suites")) }
	invalidateAll := cache.Clear

	ctx := context.Background()
	for _, step := range []func() error{
		func() error { return invalidateSuite(ctx, 1) },
		func() error { return invalidateSuites(ctx) },
		func() error { return invalidateAll(ctx) },
	} {
		suites.Get(ctx, 1, loadSuite)
		if err := step(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// loading suite 1
	// loading suite 1
	// loading suite 1
}

// A hit, a miss and "known to be absent" are three different things.
func ExampleKeyspace_Lookup() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	suites.Get(ctx, 1, loadSuite)
	suites.Get(ctx, 99, loadSuite)
	for _, id := range []int64{1, 2, 99} {
		suite, err := suites.Lookup(ctx, id)
		switch {
		case err == nil:
			fmt.Println(id, "is", suite.Name)
		case errors.Is(err, larder.ErrNotFound):
			fmt.Println(id, "does not exist")
		case errors.Is(err, larder.ErrMiss):
			fmt.Println(id, "is not cached")
		}
	}
	// Output:
	// loading suite 1
	// loading suite 99
	// 1 is smoke
	// 2 is not cached
	// 99 does not exist
}

// Reads degrade silently when Redis is away; an invalidation that Redis did not
// confirm is returned, and retried until it does.
func ExamplePendingError() {
	server := lardertest.NewServer()
	cache, err := larder.NewWithRemote(context.Background(), server.Node(), larder.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	suites := suitesOf(cache)
	ctx := context.Background()
	server.Kill()

	fmt.Println(suites.Get(ctx, 1, loadSuite))
	err = cache.Invalidate(ctx, suites.Key(1))
	if pending, ok := errors.AsType[*larder.PendingError](err); ok {
		fmt.Println("pending:", pending.Keys)
	}
	fmt.Println(suites.Get(ctx, 1, loadSuite)) // from the source: nothing cached is trusted
	fmt.Println(errors.Is(cache.Close(), larder.ErrPending))
	// Output:
	// loading suite 1
	// {1 smoke} <nil>
	// pending: [suite:1]
	// loading suite 1
	// {1 smoke} <nil>
	// true
}

// Logs tell changes of state, never values; hits and misses are counters.
func ExampleCache_Stats() {
	server := lardertest.NewServer()
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	cache, err := larder.NewWithRemote(context.Background(), server.Node(), larder.Options{Logger: log})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	for _, id := range []int64{1, 1, 1, 99, 99} {
		suites.Get(ctx, id, loadSuite)
	}
	s := cache.Stats().Keyspaces["suite"]
	fmt.Printf("%d reads = %d from memory + %d loaded; %d loads, %d of them found nothing\n",
		s.Reads, s.MemoryHits, s.Loaded, s.Loads, s.LoadNotFound)
	// Output:
	// level=INFO msg="larder: remote tier connected" mode=tracking
	// loading suite 1
	// loading suite 99
	// 5 reads = 3 from memory + 2 loaded; 2 loads, 1 of them found nothing
}

// GetMany takes one round trip for all that is cached, and one load for the
// rest.
func ExampleKeyspace_GetMany() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	suites.Get(ctx, 1, loadSuite)
	found, err := suites.GetMany(ctx, []int64{1, 2, 99}, func(_ context.Context, ids []int64) (map[int64]Suite, error) {
		fmt.Println("loading", len(ids), "suites")
		rows := make(map[int64]Suite)
		for _, id := range ids {
			if s, ok := suitesTable[id]; ok {
				rows[id] = s
			}
		}
		return rows, nil
	})
	fmt.Println(found[1].Name, found[2].Name, len(found), err)
	// Output:
	// loading suite 1
	// loading 2 suites
	// smoke regression 2 <nil>
}

// A read says how old its answer may be: by default it may have been
// invalidated up to Options.MaxStaleness ago, usually a millisecond.
func ExampleMaxStaleness() {
	a, b := newCluster()
	defer a.Close()
	defer b.Close()
	suites := suitesOf(a)
	ctx := context.Background()
	suites.Get(ctx, 1, loadSuite, larder.MaxStaleness(100*time.Millisecond))
	suites.Get(ctx, 1, loadSuite, larder.Exact)
	// Output: loading suite 1
}
