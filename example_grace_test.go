package larder_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder"
)

// A value past its TTL is served while it is loaded anew, and as long as its
// loader fails.
func ExampleKeyspaceOptions_grace() {
	cache := newCache()
	defer cache.Close()
	suites, err := larder.NewKeyspace(cache, "suite", larder.KeyspaceOptions[int64, string]{
		TTL:         20 * time.Millisecond,
		Grace:       time.Minute,
		SoftTimeout: 10 * time.Second, // how long a read waits for something better
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	works := func(context.Context, int64) (string, error) { return "smoke", nil }
	fails := func(context.Context, int64) (string, error) { return "", errors.New("the database is down") }
	fmt.Println(suites.Get(ctx, 1, works))
	time.Sleep(25 * time.Millisecond) // past its TTL
	fmt.Println(suites.Get(ctx, 1, fails))
	fmt.Println(cache.Stats().Keyspaces["suite"].StaleFailed, "stale hit because the loader failed")

	// What is invalidated is wrong, not stale: no grace for it.
	if err := cache.Invalidate(ctx, suites.Key(1)); err != nil {
		panic(err)
	}
	_, err = suites.Get(ctx, 1, fails)
	fmt.Println(err)
	// Output:
	// smoke <nil>
	// smoke <nil>
	// 1 stale hit because the loader failed
	// the database is down
}

// Expire makes a value stale without taking it away from readers.
func ExampleKeyspace_Expire() {
	cache := newCache()
	defer cache.Close()
	suites, err := larder.NewKeyspace(cache, "suite", larder.KeyspaceOptions[int64, string]{Grace: time.Minute, SoftTimeout: 10 * time.Second})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	fmt.Println(suites.Get(ctx, 1, func(context.Context, int64) (string, error) { return "old", nil }))
	if err := suites.Expire(ctx, 1); err != nil {
		panic(err)
	}
	fmt.Println(suites.Get(ctx, 1, func(context.Context, int64) (string, error) { return "new", nil }))
	// Output:
	// old <nil>
	// new <nil>
}

// A loader that refreshes a value can ask its source for changes only.
func ExampleLoad_NotModified() {
	type document struct{ ETag, Body string }
	cache := newCache()
	defer cache.Close()
	documents, err := larder.NewKeyspace(cache, "document", larder.KeyspaceOptions[string, document]{Grace: time.Minute})
	if err != nil {
		panic(err)
	}
	load := func(ctx context.Context, url string) (document, error) {
		if old, ok := larder.StaleFrom[document](ctx); ok && old.ETag == "v1" { // as the source would answer 304
			fmt.Println("not modified")
			larder.LoadFrom(ctx).NotModified()
			return document{}, nil
		}
		fmt.Println("loading", url)
		return document{ETag: "v1", Body: "hello"}, nil
	}
	ctx := context.Background()
	for range 2 {
		d, err := documents.Refresh(ctx, "/hello", load)
		fmt.Println(d.Body, err)
	}
	// Output:
	// loading /hello
	// hello <nil>
	// not modified
	// hello <nil>
}
