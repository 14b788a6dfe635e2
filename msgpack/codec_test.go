package msgpack_test

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	vmihailenco "github.com/vmihailenco/msgpack/v5"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/msgpack"
)

type run struct {
	ID       int64             `msgpack:"id"`
	Name     string            `msgpack:"name"`
	Passed   bool              `msgpack:"passed"`
	Ratio    float64           `msgpack:"ratio"`
	Begun    time.Time         `msgpack:"begun"`
	Log      []byte            `msgpack:"log"`
	Labels   map[string]string `msgpack:"labels"`
	Children []*run            `msgpack:"children"`
	hidden   int
}

func aRun() run {
	begun := time.Date(2026, 3, 14, 9, 26, 53, 589, time.Local)
	return run{ID: math.MinInt64, Name: strings.Repeat("ü", 300), Passed: true, Ratio: 0.1, Begun: begun, Log: []byte{0xff, 0, 0xc1},
		Labels: map[string]string{"os": "linux", "": "empty"}, Children: []*run{nil, {ID: 70000, Begun: begun, hidden: 0}}}
}

func encoded[V any](t testing.TB, v V) []byte {
	t.Helper()
	data, err := msgpack.Codec[V]().Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func roundTrip[V any](t *testing.T, want V) {
	t.Helper()
	dst := []byte("before")
	data, err := msgpack.Codec[V]().Append(dst, want)
	if err != nil || !bytes.HasPrefix(data, dst) {
		t.Fatalf("Append = %q, %v", data, err)
	}
	data = data[len(dst):]
	got, err := msgpack.Codec[V]().Decode(data)
	clear(data) // a value that keeps data would change with it
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%T: %+v came back as %+v, %v", want, want, got, err)
	}
}

// Every kind of value comes back as it was and shares nothing with the bytes it
// was read from.
func TestRoundTrip(t *testing.T) {
	want := aRun()
	roundTrip(t, want)
	roundTrip(t, &want)
	roundTrip[*run](t, nil)
	roundTrip(t, []int64{0, -1, 127, 128, -129, 1 << 20, math.MaxInt64, math.MinInt64})
	roundTrip(t, []uint64{0, 255, 256, 65536, math.MaxUint64})
	roundTrip(t, "")
	roundTrip(t, strings.Repeat("x", 70000))
	roundTrip(t, bytes.Repeat([]byte{1}, 70000))
	roundTrip(t, make([]string, 70000))
	roundTrip(t, map[int]float32{1: 1.5, 2: -2})
	roundTrip(t, vmihailenco.RawMessage("\x93\x01\x02\x03"))
	roundTrip[any](t, map[string]any{"a": []any{"b", true, nil}})
	roundTrip(t, time.Duration(5))
}

func TestAppendReturnsErrors(t *testing.T) {
	if _, err := msgpack.Codec[func()]().Append(nil, func() {}); err == nil || !strings.HasPrefix(err.Error(), "msgpack: encode: ") {
		t.Errorf("a function: %v", err)
	}
}

// What is no value, or not one of this type, is an error that says why, before
// room is made for what it announces.
func TestDecodeRefuses(t *testing.T) {
	right := encoded(t, aRun())
	for what, data := range map[string]string{
		"it ends too early":           string(right[:len(right)-1]),
		"ends too early":              "",
		"something follows":           string(right) + "\xc0",
		"a byte that begins nothing":  "\xc1",
		"nested too deep":             strings.Repeat("\x91", 1<<20) + "\xc0",
		"deep: nested too deep":       "\x81\xa7unknown" + strings.Repeat("\x91", 20_000) + "\xc0",
		"4 GiB: it ends too early":    "\xdb\xff\xff\xff\xffx",
		"2^32 maps: it ends too":      "\xdf\xff\xff\xff\xff\x01",
		"2^32 arrays: it ends too":    "\xdd\xff\xff\xff\xff\x01",
		"head: it ends too early":     "\xdd\xff",
		"extension: it ends too earl": "\xc7\x05\x01abc",
		"msgpack: decode: ":           "\xa5texts",
	} {
		_, want, ok := strings.Cut(what, ": ")
		if !ok {
			want = what
		}
		if _, err := msgpack.Codec[run]().Decode([]byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := msgpack.Codec[any]().Decode([]byte(strings.Repeat("\x91", 9000) + "\xc0")); err != nil {
		t.Errorf("9000 levels: %v", err)
	}
}

// Fields are told apart as the codec reads them: by their tags, by their order
// where they are stored as arrays.
func TestSchemaByTags(t *testing.T) {
	schema := func(c any) uint32 { return c.(interface{ Schema() uint32 }).Schema() }
	type plain struct{ A, B int }
	type tagged struct {
		A int `msgpack:"a"`
		B int
	}
	type array struct {
		_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by reflection
		A, B     int
	}
	type turned struct {
		_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by reflection
		B, A     int
	}
	seen := map[uint32]string{}
	for name, s := range map[string]uint32{
		"plain":  schema(msgpack.Codec[plain]()),
		"tagged": schema(msgpack.Codec[tagged]()),
		"array":  schema(msgpack.Codec[array]()),
		"turned": schema(msgpack.Codec[turned]()),
	} {
		if s == 0 || seen[s] != "" {
			t.Errorf("%s has the schema %d, like %q", name, s, seen[s])
		}
		seen[s] = name
	}
	if s := schema(msgpack.Codec[int]()); s != 0 {
		t.Errorf("a number has the schema %d", s)
	}
}

// open returns a keyspace of a new process on server.
func open[V any](t *testing.T, server *lardertest.Server, codec larder.Codec[V]) (*larder.Cache, *larder.Keyspace[string, V]) {
	t.Helper()
	cache, err := larder.NewWithRemote(t.Context(), server.Node(), larder.Options{CompressMin: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	})
	k, err := larder.NewKeyspace(cache, "run", larder.KeyspaceOptions[string, V]{Codec: codec})
	if err != nil {
		t.Fatal(err)
	}
	return cache, k
}

// Another process reads what is stored; damaged bytes, JSON and another
// structure are counted misses and never an error.
func TestForeignBytesAreCountedMisses(t *testing.T) {
	server := lardertest.NewServer()
	want := run{ID: 7, Name: "nightly"}
	_, writer := open(t, server, msgpack.Codec[run]())
	if err := writer.Set(t.Context(), "k", want); err != nil {
		t.Fatal(err)
	}
	stored, _, _ := server.Peek("run:k")
	payload := encoded(t, want)
	if !strings.HasSuffix(stored, string(payload)) {
		t.Fatalf("stored %q", stored)
	}
	cache, reader := open(t, server, msgpack.Codec[run]())
	if got, err := reader.Lookup(t.Context(), "k"); got.Name != want.Name || err != nil || cache.Stats().Keyspaces["run"].RemoteHits != 1 {
		t.Errorf("read %+v, %v", got, err)
	}

	server.Set("run:k", stored[:len(stored)-len(payload)]+strings.Repeat("\xc1", len(payload)), time.Hour)
	cache, reader = open(t, server, msgpack.Codec[run]())
	missed(t, cache, reader, func(s larder.KeyspaceStats) uint64 { return s.CodecErrors })

	server.Set("run:k", stored, time.Hour)
	other, byName := open(t, server, larder.JSON[run]())
	missed(t, other, byName, func(s larder.KeyspaceStats) uint64 { return s.CodecErrors })

	server.Set("run:k", stored, time.Hour)
	type changed struct{ Name string }
	later, byOther := open(t, server, msgpack.Codec[changed]())
	missed(t, later, byOther, func(s larder.KeyspaceStats) uint64 { return s.OtherSchema })
}

// missed looks for "k" and expects one miss for one reason.
func missed[V any](t *testing.T, cache *larder.Cache, k *larder.Keyspace[string, V], count func(larder.KeyspaceStats) uint64) {
	t.Helper()
	if _, err := k.Lookup(t.Context(), "k"); !errors.Is(err, larder.ErrMiss) {
		t.Errorf("Lookup: %v", err)
	}
	s := cache.Stats().Keyspaces["run"]
	if count(s) != 1 || s.CodecErrors+s.OtherSchema+s.Corrupt != 1 || s.Misses != 1 || s.Errors != 0 {
		t.Errorf("counted %+v", s)
	}
}

// Whatever is accepted encodes again, and whatever the encoder makes is accepted.
func FuzzDecode(f *testing.F) {
	seed := aRun()
	for _, data := range []string{string(encoded(f, seed)), "\xc0", "\xde\x00\x01\xa1a\x01", "\xd6\xff\x00\x00\x00\x00", "\xc7\x0c\xff123456789012", "\xd8\x01", "\x91\xc1"} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := msgpack.Codec[run]().Decode(data); err == nil {
			again, err := msgpack.Codec[run]().Append(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := msgpack.Codec[run]().Decode(again); err != nil {
				t.Fatalf("%q: %v", again, err)
			}
		}
		if v, err := msgpack.Codec[any]().Decode(data); err == nil {
			_, _ = msgpack.Codec[any]().Append(nil, v) // maps may have keys that are none
		}
	})
}
