package larder_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// openOn opens the cache of a process on a server that others use as well.
func openOn(server *lardertest.Server, o larder.Options) *larder.Cache {
	o.Logger = slog.New(slog.DiscardHandler)
	cache, err := larder.NewWithRemote(context.Background(), server.Node(), o)
	if err != nil {
		panic(err)
	}
	return cache
}

func declare[K comparable, V any](cache *larder.Cache, name string, o larder.KeyspaceOptions[K, V]) *larder.Keyspace[K, V] {
	k, err := larder.NewKeyspace(cache, name, o)
	if err != nil {
		panic(err)
	}
	return k
}

// Bytes and texts are stored as they are, everything else as JSON.
func ExampleJSON() {
	type Suite struct {
		Name string `json:"name"`
	}
	for _, data := range [][]byte{
		encoded(larder.JSON[Suite](), Suite{"smoke"}),
		encoded(larder.Bytes, []byte("smoke")),
		encoded(larder.Text, "smoke"),
	} {
		fmt.Printf("%s\n", data)
	}
	// Output:
	// {"name":"smoke"}
	// smoke
	// smoke
}

func encoded[V any](codec larder.Codec[V], v V) []byte {
	data, err := codec.Append(nil, v)
	if err != nil {
		panic(err)
	}
	return data
}

// point is a value with a codec of its own.
type point struct{ x, y uint32 }

type pointCodec struct{}

func (pointCodec) ID() uint8 { return 4 } // stays the same for ever

func (pointCodec) Append(dst []byte, p point) ([]byte, error) {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(dst, p.x), p.y), nil
}

func (pointCodec) Decode(data []byte) (point, error) {
	if len(data) != 8 {
		return point{}, errors.New("a point has 8 bytes")
	}
	return point{binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])}, nil
}

// A codec of one's own is three methods.
func ExampleCodec() {
	server := lardertest.NewServer()
	a, b := openOn(server, larder.Options{}), openOn(server, larder.Options{})
	defer a.Close()
	defer b.Close()
	o := larder.KeyspaceOptions[string, point]{Codec: pointCodec{}}
	if err := declare(a, "point", o).Set(context.Background(), "home", point{3, 4}); err != nil {
		panic(err)
	}
	fmt.Println(declare(b, "point", o).Lookup(context.Background(), "home"))
	// Output: {3 4} <nil>
}

// Values of 1 KiB and more are compressed if that saves a tenth; readers take
// every form.
func ExampleCompression() {
	server := lardertest.NewServer()
	a, b := openOn(server, larder.Options{}), openOn(server, larder.Options{})
	defer a.Close()
	defer b.Close()
	logs := declare(a, "log", larder.KeyspaceOptions[string, string]{Compression: larder.CompressZstd})
	text := strings.Repeat("all tests passed\n", 1000)
	if err := logs.Set(context.Background(), "build 7", text); err != nil {
		panic(err)
	}
	fmt.Println(a.Stats().Keyspaces["log"].CompressionSaved > 16_000)
	got, err := declare(b, "log", larder.KeyspaceOptions[string, string]{}).Lookup(context.Background(), "build 7")
	fmt.Println(got == text, err)
	// Output:
	// true
	// true <nil>
}

// The key is changed without losing what is cached: every process learns the new
// one before it is used.
func ExampleKeyRing() {
	secret := func(b byte) []byte { return slices.Repeat([]byte{b}, 32) } // openssl rand -base64 32
	march := larder.EncryptionKey{ID: "2026-03", Secret: secret(1)}
	april := larder.EncryptionKey{ID: "2026-04", Secret: secret(2)}
	server, ctx := lardertest.NewServer(), context.Background()
	process := func(primary larder.EncryptionKey, others ...larder.EncryptionKey) (*larder.Cache, *larder.Keyspace[int, string]) {
		ring, err := larder.NewKeyRing(primary, others...)
		if err != nil {
			panic(err)
		}
		cache := openOn(server, larder.Options{Keys: ring})
		return cache, declare(cache, "user", larder.KeyspaceOptions[int, string]{})
	}
	old, users := process(march, april) // first deploy: the new key is known
	if err := users.Set(ctx, 1, "Ada"); err != nil {
		panic(err)
	}
	defer old.Close()

	next, users := process(april, march) // second deploy: it is used
	defer next.Close()
	fmt.Println(users.Lookup(ctx, 1))
	if err := users.Set(ctx, 2, "Grace"); err != nil {
		panic(err)
	}

	last, users := process(april) // third deploy: the old one is gone, when its entries have expired
	defer last.Close()
	fmt.Println(users.Lookup(ctx, 2))
	_, err := users.Lookup(ctx, 1)
	fmt.Println(errors.Is(err, larder.ErrMiss), last.Stats().Keyspaces["user"].SealErrors)
	// Output:
	// Ada <nil>
	// Grace <nil>
	// true 1
}

// Programs in other languages read what an interop keyspace stores, and write
// what it reads.
func ExampleKeyspaceOptions_interop() {
	type Suite struct {
		Name string `json:"name"`
	}
	server, ctx := lardertest.NewServer(), context.Background()
	cache := openOn(server, larder.Options{})
	defer cache.Close()
	suites := declare(cache, "suite", larder.KeyspaceOptions[int, Suite]{Interop: true})
	if err := suites.Set(ctx, 42, Suite{"smoke"}); err != nil {
		panic(err)
	}
	document, _, _ := server.Peek("suite:42") // GET suite:42
	fmt.Println(document)

	server.Set("suite:43", `{"name":"nightly"}`, larder.ShortTTL) // SET suite:43 … EX 60
	fmt.Println(suites.Lookup(ctx, 43))
	// Output:
	// {"name":"smoke"}
	// {nightly} <nil>
}

// What will be asked for is made present before that, in batches and at a
// bounded rate.
func ExampleKeyspace_Warm() {
	cache := newCache()
	defer cache.Close()
	suites := declare(cache, "suite", larder.KeyspaceOptions[int, string]{})
	load := func(_ context.Context, ids []int) (map[int]string, error) {
		names := make(map[int]string, len(ids))
		for _, id := range ids {
			if id != 3 { // which the source does not have
				names[id] = fmt.Sprint("suite ", id)
			}
		}
		return names, nil
	}
	ids := slices.Values([]int{1, 2, 3, 4, 5})
	report, err := suites.Warm(context.Background(), ids, load, larder.WarmOptions{Concurrency: 2, BatchSize: 2})
	fmt.Printf("%d keys, %d loaded, %d not found, %v\n", report.Keys, report.Loaded, report.NotFound, err)
	report, err = suites.Warm(context.Background(), ids, load, larder.WarmOptions{})
	fmt.Printf("%d keys, %d present, %d loaded, %v\n", report.Keys, report.Present, report.Loaded, err)
	// Output:
	// 5 keys, 4 loaded, 1 not found, <nil>
	// 5 keys, 4 present, 0 loaded, <nil>
}

// What is read most, in all processes together.
func ExampleCache_HotKeys() {
	cache, ctx := newCache(), context.Background()
	defer cache.Close()
	suites := declare(cache, "suite", larder.KeyspaceOptions[int, string]{})
	load := func(context.Context, int) (string, error) { return "smoke", nil }
	for i := range 20_000 {
		id := 42
		if i%100 == 0 {
			id = i
		}
		if _, err := suites.Get(ctx, id, load); err != nil {
			panic(err)
		}
	}
	hot, err := cache.HotKeys(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(hot[0].Name)
	// Output: suite:42
}
