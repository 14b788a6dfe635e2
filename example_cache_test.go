package larder_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// Suite is what the examples cache.
type Suite struct {
	ID   int64
	Name string
}

// suitesTable stands for a database.
var suitesTable = map[int64]Suite{1: {1, "smoke"}, 2: {2, "regression"}}

// loadSuite reads one row. It says when, so that the examples show what is
// cached.
func loadSuite(_ context.Context, id int64) (Suite, error) {
	fmt.Println("loading suite", id)
	s, ok := suitesTable[id]
	if !ok {
		return Suite{}, larder.ErrNotFound
	}
	return s, nil
}

// newCache opens a cache in memory alone. Examples that need Redis use
// newCluster.
func newCache() *larder.Cache {
	cache, err := larder.New(larder.Options{})
	if err != nil {
		panic(err)
	}
	return cache
}

// newCluster opens the caches of two processes that share a Redis.
func newCluster() (a, b *larder.Cache) {
	server := lardertest.NewServer()
	open := func() *larder.Cache {
		cache, err := larder.NewWithRemote(context.Background(), server.Node(), larder.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			panic(err)
		}
		return cache
	}
	return open(), open()
}

// suitesOf declares the keyspace of the examples.
func suitesOf(cache *larder.Cache) *larder.Keyspace[int64, Suite] {
	suites, err := larder.NewKeyspace(cache, "suite", larder.KeyspaceOptions[int64, Suite]{
		TTL:  larder.MediumTTL,
		Tags: func(int64) []string { return []string{"suites"} },
	})
	if err != nil {
		panic(err)
	}
	return suites
}

// One cache for the process, configured by REDIS_HOST, REDIS_PORT and
// REDIS_PASSWORD. That Redis is down is no error: the cache connects when it
// appears, and until then values come from memory and from loads.
func ExampleSetDefault() {
	os.Setenv("REDIS_HOST", "127.0.0.1")
	os.Setenv("REDIS_PORT", "1") // where nobody listens
	defer os.Unsetenv("REDIS_HOST")
	defer os.Unsetenv("REDIS_PORT")
	quiet := slog.New(slog.DiscardHandler)
	cache, err := redistier.Open(context.Background(), redistier.FromEnv(), larder.Options{Namespace: "shop", Logger: quiet})
	if err != nil {
		fmt.Println("bad configuration:", err)
		return
	}
	defer cache.Close()
	larder.SetDefault(cache)
	defer larder.SetDefault(nil)

	suite, err := suitesOf(larder.Default()).Get(context.Background(), 1, loadSuite)
	fmt.Println(suite.Name, err, cache.Health().Remote)
	// Output:
	// loading suite 1
	// smoke <nil> disconnected
}

// Get loads what is not cached, once for all who ask at the same time.
func ExampleKeyspace_Get() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	for range 3 {
		suite, err := suites.Get(ctx, 1, loadSuite)
		fmt.Println(suite.Name, err)
	}
	// Output:
	// loading suite 1
	// smoke <nil>
	// smoke <nil>
	// smoke <nil>
}

// Another process finds in Redis what this one has loaded.
func ExampleNewWithRemote() {
	a, b := newCluster()
	defer a.Close()
	defer b.Close()
	ctx := context.Background()
	fmt.Println(suitesOf(a).Get(ctx, 1, loadSuite))
	fmt.Println(suitesOf(b).Get(ctx, 1, loadSuite))
	// Output:
	// loading suite 1
	// {1 smoke} <nil>
	// {1 smoke} <nil>
}

// Set stores a value without a loader; after a change of the source prefer
// Invalidate.
func ExampleKeyspace_Set() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	fmt.Println(suites.Set(ctx, 7, Suite{7, "nightly"}))
	fmt.Println(suites.Lookup(ctx, 7))
	// Output:
	// <nil>
	// {7 nightly} <nil>
}

// SetVersion hands on the row that an UPDATE … RETURNING gave back: where the
// entry is cached, nobody needs to load it again, and the highest version stays
// in whichever order the calls arrive.
func ExampleKeyspace_SetVersion() {
	a, b := newCluster()
	defer a.Close()
	defer b.Close()
	ctx := context.Background()
	load := func(ctx context.Context, id int64) (Suite, error) {
		larder.LoadFrom(ctx).Version(1) // the row's version
		return loadSuite(ctx, id)
	}
	suites := suitesOf(b)
	suitesOf(a).Get(ctx, 1, load)
	fmt.Println(suites.SetVersion(ctx, 1, Suite{1, "third"}, 3))
	fmt.Println(suites.SetVersion(ctx, 1, Suite{1, "second"}, 2))
	fmt.Println(suites.Get(ctx, 1, load))
	// Output:
	// loading suite 1
	// <nil>
	// <nil>
	// {1 third} <nil>
}

// Delete makes an entry outdated, here and in every other process.
func ExampleKeyspace_Delete() {
	a, b := newCluster()
	defer a.Close()
	defer b.Close()
	here, there := suitesOf(a), suitesOf(b)
	ctx := context.Background()
	here.Set(ctx, 7, Suite{7, "nightly"})
	fmt.Println(there.Delete(ctx, 7))
	_, err := here.Lookup(ctx, 7, larder.Exact)
	fmt.Println(err)
	// Output:
	// <nil>
	// larder: miss
}

// Exists and TTL look without loading. "Not found" is a cached answer, too, but
// no value.
func ExampleKeyspace_Exists() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	fmt.Println(suites.Exists(ctx, 1))
	suites.Get(ctx, 1, loadSuite)
	suites.Get(ctx, 99, loadSuite)
	fmt.Println(suites.Exists(ctx, 1))
	fmt.Println(suites.Exists(ctx, 99))
	// Output:
	// false <nil>
	// loading suite 1
	// loading suite 99
	// true <nil>
	// false <nil>
}

// TTL says how long an entry stays valid unless it is invalidated.
func ExampleKeyspace_TTL() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	suites.Set(ctx, 1, Suite{1, "smoke"})
	ttl, err := suites.TTL(ctx, 1)
	fmt.Println(ttl.Round(time.Minute), err)
	_, err = suites.TTL(ctx, 2)
	fmt.Println(err)
	// Output:
	// 10m0s <nil>
	// larder: miss
}

// Clear outdates everything in one step, however much there is.
func ExampleCache_Clear() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()
	suites.Get(ctx, 1, loadSuite)
	fmt.Println(cache.Clear(ctx))
	suites.Get(ctx, 1, loadSuite)
	// Output:
	// loading suite 1
	// <nil>
	// loading suite 1
}

// Asynchronous operations return a Future at once. Those under way at the same
// time share round trips.
func ExampleKeyspace_GetAsync() {
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache)
	ctx := context.Background()

	_, err := suites.SetAsync(ctx, 7, Suite{7, "nightly"}).Wait(ctx)
	fmt.Println("set:", err)

	nightly := suites.GetAsync(ctx, 7, loadSuite)
	// … other work …
	suite, err := nightly.Wait(ctx)
	fmt.Println("get:", suite.Name, err)

	_, err = suites.DeleteAsync(ctx, 7).Wait(ctx)
	fmt.Println("delete:", err)
	_, err = suites.Lookup(ctx, 7)
	fmt.Println("lookup:", err)
	// Output:
	// set: <nil>
	// get: nightly <nil>
	// delete: <nil>
	// lookup: larder: miss
}

// The package functions work on the default cache, with the full names that
// other programs use.
func ExampleGet() {
	cache := newCache()
	defer cache.Close()
	larder.SetDefault(cache)
	defer larder.SetDefault(nil)
	ctx := context.Background()

	fmt.Println(larder.Set(ctx, "my_key", "value", larder.ShortTTL))
	fmt.Println(larder.Set(ctx, "settings:theme", "dark", larder.ShortTTL))
	fmt.Println(larder.Get[string](ctx, "settings:theme"))
	fmt.Println(larder.Delete(ctx, "settings:theme"))
	_, err := larder.Get[string](ctx, "settings:theme")
	fmt.Println(errors.Is(err, larder.ErrMiss))
	// Output:
	// larder: invalid key: "my_key" is not of the form name:rest
	// <nil>
	// dark <nil>
	// <nil>
	// true
}

// DeletePattern without a keyspace, on the default cache.
func ExampleDeletePattern() {
	cache := newCache()
	defer cache.Close()
	larder.SetDefault(cache)
	defer larder.SetDefault(nil)
	ctx := context.Background()
	larder.Set(ctx, "suites:list:skip:0:limit:10", []int{1, 2}, 0)
	larder.Set(ctx, "suites:list:skip:10:limit:10", []int{3}, 0)
	larder.Set(ctx, "cases:1", "a case", 0)
	fmt.Println(larder.DeletePattern(ctx, "suites:*"))
	fmt.Println(larder.Get[string](ctx, "cases:1"))
	// Output:
	// 2 <nil>
	// a case <nil>
}

// Classes of times to live, for a keyspace or for one entry.
func ExampleKeyspace_SetTTL() {
	for _, ttl := range []time.Duration{larder.ShortTTL, larder.DefaultTTL, larder.MediumTTL, larder.LongTTL, larder.ExtendedTTL} {
		fmt.Println(ttl.Seconds(), "s")
	}
	cache := newCache()
	defer cache.Close()
	suites := suitesOf(cache) // declared with MediumTTL
	ctx := context.Background()
	suites.SetTTL(ctx, 1, Suite{1, "smoke"}, larder.ExtendedTTL)
	ttl, _ := suites.TTL(ctx, 1)
	fmt.Println(ttl.Round(time.Hour))
	// Output:
	// 60 s
	// 300 s
	// 600 s
	// 3600 s
	// 86400 s
	// 24h0m0s
}

// Memoize gives a function a cache: same shape, key from the argument.
func ExampleMemoize() {
	cache := newCache()
	defer cache.Close()
	suiteByID, err := larder.Memoize(cache, "my_data", larder.KeyspaceOptions[int64, Suite]{TTL: larder.LongTTL}, loadSuite)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	fmt.Println(suiteByID(ctx, 2))
	fmt.Println(suiteByID(ctx, 2))
	// Output:
	// loading suite 2
	// {2 regression} <nil>
	// {2 regression} <nil>
}
