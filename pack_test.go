package larder_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// document is what these tests keep.
type document struct {
	Name string `json:"name"`
	Body string `json:"body"`
}

type documents = larder.KeyspaceOptions[string, document]

// body returns a text of n bytes that compresses well.
func body(n int) string { return strings.Repeat("the order stays open; ", n/22+1)[:n] }

// noise returns a text of n bytes that S2 does not make smaller by a tenth, of
// letters that JSON does not escape.
func noise(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-*/=!?.,:;_~^|#%()[]{}@$"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[rand.IntN(len(letters))]
	}
	return string(b)
}

func fixed[V any](v V) larder.Loader[string, V] {
	return func(context.Context, string) (V, error) { return v, nil }
}

// storedEntry returns what Redis has of an entry, parsed.
func (r *rig) storedEntry(name string) (data string, e frame.Entry) {
	r.Helper()
	data, _, ok := r.server.Peek(name)
	if !ok {
		r.Fatalf("nothing is stored under %q", name)
	}
	if err := frame.Parse(data, &e); err != nil {
		r.Fatalf("%q: %v", data, err)
	}
	return data, e
}

func stats(c *larder.Cache, space string) larder.KeyspaceStats { return c.Stats().Keyspaces[space] }

// Values from CompressMin on are stored compressed if that saves a tenth, and
// are read whatever a process would compress with itself.
func TestCompression(t *testing.T) {
	for name, c := range map[string]struct {
		cache  larder.Options
		space  larder.Compression
		body   string
		method uint8
	}{
		"s2 by default":       {body: body(2000), method: 1},
		"zstd":                {space: larder.CompressZstd, body: body(2000), method: 2},
		"none":                {space: larder.CompressNone, body: body(2000)},
		"small":               {body: body(900)},
		"small, least 500":    {cache: larder.Options{CompressMin: 500}, body: body(900), method: 1},
		"off":                 {cache: larder.Options{CompressMin: -1}, body: body(2000)},
		"saves too little":    {body: noise(5000)},
		"exactly the default": {body: body(1024 - len(`{"name":"n","body":""}`)), method: 1},
		"one byte less":       {body: body(1023 - len(`{"name":"n","body":""}`))},
	} {
		t.Run(name, func(t *testing.T) {
			inSetup(t, setup{nodes: 2, cache: c.cache}, func(r *rig) {
				a := space(r.T, r.nodes[0].cache, "doc", documents{Compression: c.space})
				b := space(r.T, r.nodes[1].cache, "doc", documents{Compression: larder.CompressNone})
				want := document{"n", c.body}
				if _, err := a.Get(r.ctx, "k", fixed(want)); err != nil {
					t.Fatal(err)
				}
				_, e := r.storedEntry("doc:k")
				if e.Compression != c.method {
					t.Errorf("method %d, want %d", e.Compression, c.method)
				}
				size := len(c.body) + len(`{"name":"n","body":""}`)
				if saved := stats(r.nodes[0].cache, "doc").CompressionSaved; saved != uint64(size-len(e.Payload)) {
					t.Errorf("%d bytes saved, of %d are %d stored", saved, size, len(e.Payload))
				}
				if got, err := b.Lookup(r.ctx, "k"); got != want || err != nil {
					t.Errorf("read %.40v, %v", got, err)
				}
			})
		})
	}
}

func keys(t testing.TB, ids ...string) *larder.KeyRing {
	t.Helper()
	var list []larder.EncryptionKey
	for _, id := range ids {
		list = append(list, larder.EncryptionKey{ID: id, Secret: bytes.Repeat([]byte(id)[:1], 32)})
	}
	ring, err := larder.NewKeyRing(list[0], list[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// With keys nothing in Redis shows the value, and other processes read it.
func TestEncryption(t *testing.T) {
	inSetup(t, setup{nodes: 2, cache: larder.Options{Keys: keys(t, "a")}}, func(r *rig) {
		a, b := space(r.T, r.nodes[0].cache, "doc", documents{}), space(r.T, r.nodes[1].cache, "doc", documents{})
		for _, want := range []document{{"secret", "a short one"}, {"secret", body(5000)}} {
			if err := a.Set(r.ctx, want.Body[:1], want); err != nil {
				t.Fatal(err)
			}
			data, e := r.storedEntry("doc:" + want.Body[:1])
			if !e.Sealed || strings.Contains(data, "secret") || strings.Contains(data, "short") {
				t.Errorf("stored %.100q", data)
			}
			if got, err := b.Lookup(r.ctx, want.Body[:1]); got != want || err != nil {
				t.Errorf("read %.40v, %v", got, err)
			}
		}
	})
}

// What was not written by a holder of the key for this very entry is a counted
// miss: never an error, never served.
func TestForgeriesAreMisses(t *testing.T) {
	reseal := func(change func(e *frame.Entry)) func(r *rig, data string) string {
		return func(r *rig, data string) string {
			var e frame.Entry
			if err := frame.Parse(data, &e); err != nil {
				r.Fatal(err)
			}
			change(&e)
			b, err := frame.Append(nil, &e)
			if err != nil {
				r.Fatal(err)
			}
			return string(b)
		}
	}
	for name, forge := range map[string]func(r *rig, data string) string{
		"of another entry": func(r *rig, _ string) string {
			data, _, _ := r.server.Peek("doc:other")
			return data
		},
		"longer life":     reseal(func(e *frame.Entry) { e.Hard += 3600_000; e.Soft = e.Hard }),
		"not compressed":  reseal(func(e *frame.Entry) { e.Compression = 0 }),
		"not found":       reseal(func(e *frame.Entry) { e.Negative, e.HasSchema = true, false }),
		"another version": reseal(func(e *frame.Entry) { e.Version = 7 }),
		"in the clear":    reseal(func(e *frame.Entry) { e.Sealed, e.Compression, e.Payload = false, 0, `{"name":"forged"}` }),
		"not found in the clear": reseal(func(e *frame.Entry) {
			e.Sealed, e.Negative, e.HasSchema, e.Compression, e.Payload = false, true, false, 0, ""
		}),
		"no payload":     reseal(func(e *frame.Entry) { e.Payload = "" }),
		"cut":            func(r *rig, data string) string { return data[:len(data)-1] },
		"a flipped bit":  func(r *rig, data string) string { return data[:len(data)-20] + "\x00" + data[len(data)-19:] },
		"another id":     reseal(func(e *frame.Entry) { e.Payload = "\x01z" + e.Payload[2:] }),
		"a plain string": func(*rig, string) string { return `{"name":"forged"}` },
	} {
		t.Run(name, func(t *testing.T) {
			inSetup(t, setup{nodes: 1, cache: larder.Options{Keys: keys(t, "a")}}, func(r *rig) {
				k := space(r.T, r.nodes[0].cache, "doc", documents{})
				right := document{"right", body(3000)}
				for _, key := range []string{"k", "other"} {
					if err := k.Set(r.ctx, key, right); err != nil {
						t.Fatal(err)
					}
				}
				data, _ := r.storedEntry("doc:k")
				r.server.Set("doc:k", forge(r, data), time.Hour)
				got, err := k.Lookup(r.ctx, "k")
				if err != larder.ErrMiss {
					t.Errorf("Lookup = %.60v, %v", got, err)
				}
				if got, err = k.Get(r.ctx, "k", fixed(document{Name: "loaded"})); got.Name != "loaded" || err != nil {
					t.Errorf("Get = %.60v, %v", got, err)
				}
				s := stats(r.nodes[0].cache, "doc")
				if name != "a plain string" && s.SealErrors == 0 || s.Errors != 0 || s.Misses != 1 {
					t.Errorf("counted %+v", s)
				}
			})
		})
	}
}

// Entries that operations on them may change stay readable: a stale one, one
// replaced by its version.
func TestSealedEntriesMayChange(t *testing.T) {
	inSetup(t, setup{nodes: 2, cache: larder.Options{Keys: keys(t, "a")}}, func(r *rig) {
		a, b := space(r.T, r.nodes[0].cache, "doc", documents{}), space(r.T, r.nodes[1].cache, "doc", documents{})
		load := func(ctx context.Context, _ string) (document, error) {
			larder.LoadFrom(ctx).Version(3)
			return document{Name: "three"}, nil
		}
		if _, err := a.Get(r.ctx, "k", load); err != nil {
			t.Fatal(err)
		}
		if err := a.SetVersion(r.ctx, "k", document{Name: "four"}, 4); err != nil {
			t.Fatal(err)
		}
		if got, err := b.Lookup(r.ctx, "k"); got.Name != "four" || err != nil {
			t.Errorf("read %v, %v", got, err)
		}
		if s := stats(r.nodes[1].cache, "doc"); s.SealErrors != 0 {
			t.Errorf("counted %+v", s)
		}
	})
}

// A key is changed without a flush: what the old one sealed is read, new
// entries are under the new one. Who has the new key only, another secret or
// none misses.
func TestKeyRotation(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{Keys: keys(t, "a")}}, func(r *rig) {
		join := func(ring *larder.KeyRing) (*larder.Cache, *larder.Keyspace[string, document]) {
			n := r.join(setup{cache: larder.Options{Keys: ring}})
			return n.cache, space(r.T, n.cache, "doc", documents{})
		}
		old := space(r.T, r.nodes[0].cache, "doc", documents{})
		if err := old.Set(r.ctx, "k", document{Name: "old"}); err != nil {
			t.Fatal(err)
		}
		rotated, both := join(keys(t, "b", "a"))
		if got, err := both.Lookup(r.ctx, "k"); got.Name != "old" || err != nil {
			t.Errorf("after the rotation: %v, %v", got, err)
		}
		if s := stats(rotated, "doc"); s.RemoteHits != 1 || s.SealErrors != 0 {
			t.Errorf("counted %+v", s)
		}
		if err := both.Set(r.ctx, "new", document{Name: "new"}); err != nil {
			t.Fatal(err)
		}
		if data, _ := r.storedEntry("doc:new"); !strings.Contains(data, "\x01b") {
			t.Errorf("stored %q", data)
		}
		for name, ring := range map[string]*larder.KeyRing{"new key only": keys(t, "b"), "another secret": mustParse(t, "a:"+strings.Repeat("QUFB", 10)+"QUE="), "none": nil} {
			cache, k := join(ring)
			if _, err := k.Lookup(r.ctx, "k"); err != larder.ErrMiss {
				t.Errorf("%s: %v", name, err)
			}
			if s := stats(cache, "doc"); s.SealErrors != 1 || s.Misses != 1 || s.Errors != 0 {
				t.Errorf("%s: counted %+v", name, s)
			}
		}
	})
}

func mustParse(t testing.TB, text string) *larder.KeyRing {
	t.Helper()
	ring, err := larder.ParseKeyRing(text)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// "Not found" is sealed as well: who can write to Redis cannot make an entry
// vanish by saying so.
func TestNotFoundIsSealed(t *testing.T) {
	inSetup(t, setup{nodes: 2, cache: larder.Options{Keys: keys(t, "a")}}, func(r *rig) {
		a, b := space(r.T, r.nodes[0].cache, "doc", documents{}), space(r.T, r.nodes[1].cache, "doc", documents{})
		none := func(context.Context, string) (document, error) { return document{}, larder.ErrNotFound }
		if _, err := a.Get(r.ctx, "k", none); err != larder.ErrNotFound {
			t.Fatal(err)
		}
		if _, err := b.Lookup(r.ctx, "k"); err != larder.ErrNotFound {
			t.Errorf("Lookup: %v", err)
		}
		if _, e := r.storedEntry("doc:k"); !e.Negative || !e.Sealed {
			t.Errorf("stored %+v", e)
		}
	})
}

// Decompression bombs, trash that claims to be compressed and values above the
// limit are counted misses, before room is made for them.
func TestHugeAndCorruptPayloads(t *testing.T) {
	const limit = 10_000
	long := `{"name":"` + strings.Repeat("x", limit) + `"}`
	for name, c := range map[string]struct {
		change func(e *frame.Entry)
		count  func(s larder.KeyspaceStats) uint64
	}{
		"announces 2 GiB": {func(e *frame.Entry) { e.Compression, e.Payload = 1, "\xff\xff\xff\xff\x07\x00" }, tooLarge},
		"trash as s2":     {func(e *frame.Entry) { e.Compression, e.Payload = 1, "trash" }, corrupt},
		"trash as zstd":   {func(e *frame.Entry) { e.Compression, e.Payload = 2, "trash" }, corrupt},
		"method 3":        {func(e *frame.Entry) { e.Compression = 3 }, codecErrors},
		"too long":        {func(e *frame.Entry) { e.Payload = long }, tooLarge},
		"codec 6":         {func(e *frame.Entry) { e.Codec = 6 }, codecErrors},
		"sealed":          {func(e *frame.Entry) { e.Sealed = true }, sealErrors},
		"sealed, unknown": {func(e *frame.Entry) { e.Sealed, e.Payload = true, "\x01z"+strings.Repeat("y", 60) }, sealErrors},
		"other schema":    {func(e *frame.Entry) { e.HasSchema, e.Schema = true, 99 }, otherSchema},
	} {
		t.Run(name, func(t *testing.T) {
			inSetup(t, setup{nodes: 1, cache: larder.Options{MaxValueBytes: limit}}, func(r *rig) {
				k := space(r.T, r.nodes[0].cache, "doc", documents{Schema: -1})
				r.nodes[0].get("warm")
				r.server.Set("doc:k", r.entryOf(`{"name":"n"}`, c.change), time.Hour)
				if _, err := k.Lookup(r.ctx, "k"); err != larder.ErrMiss {
					t.Errorf("Lookup: %v", err)
				}
				s := stats(r.nodes[0].cache, "doc")
				if c.count(s) != 1 || s.Corrupt+s.CodecErrors+s.TooLarge+s.SealErrors+s.OtherSchema != 1 {
					t.Errorf("counted %+v", s)
				}
				if got, err := k.Get(r.ctx, "k", fixed(document{Name: "loaded"})); got.Name != "loaded" || err != nil {
					t.Errorf("Get = %v, %v", got, err)
				}
			})
		})
	}
}

func tooLarge(s larder.KeyspaceStats) uint64    { return s.TooLarge }
func corrupt(s larder.KeyspaceStats) uint64     { return s.Corrupt }
func codecErrors(s larder.KeyspaceStats) uint64 { return s.CodecErrors }
func sealErrors(s larder.KeyspaceStats) uint64  { return s.SealErrors }
func otherSchema(s larder.KeyspaceStats) uint64 { return s.OtherSchema }

// Nil values are values: they come back nil, from memory and from Redis.
func TestNilValues(t *testing.T) {
	inRig(t, 2, func(r *rig) {
		a := space(r.T, r.nodes[0].cache, "p", larder.KeyspaceOptions[string, *document]{})
		b := space(r.T, r.nodes[1].cache, "p", larder.KeyspaceOptions[string, *document]{})
		if got, err := a.Get(r.ctx, "k", fixed[*document](nil)); got != nil || err != nil {
			t.Errorf("Get = %v, %v", got, err)
		}
		for range 2 {
			if got, err := b.Lookup(r.ctx, "k"); got != nil || err != nil {
				t.Errorf("Lookup = %v, %v", got, err)
			}
		}
	})
}

// OpenPayload opens what a cache has stored, and says why it cannot.
func TestOpenPayload(t *testing.T) {
	inSetup(t, setup{nodes: 1, cache: larder.Options{Keys: keys(t, "a")}}, func(r *rig) {
		sealed := space(r.T, r.nodes[0].cache, "sealed", documents{})
		open := space(r.T, r.nodes[0].cache, "clear", documents{Encryption: larder.EncryptNever})
		want := `{"name":"n","body":"` + body(3000) + `"}`
		for name, k := range map[string]*larder.Keyspace[string, document]{"sealed:k": sealed, "clear:k": open} {
			if err := k.Set(r.ctx, "k", document{"n", body(3000)}); err != nil {
				t.Fatal(err)
			}
			data, _ := r.storedEntry(name)
			if got, err := larder.OpenPayload(name, data, keys(t, "b", "a")); string(got) != want || err != nil {
				t.Errorf("%s: %.40q, %v", name, got, err)
			}
		}
		data, _ := r.storedEntry("sealed:k")
		for what, c := range map[string]struct {
			key, data string
			keys      *larder.KeyRing
			want      string
		}{
			"no keys":        {"sealed:k", data, nil, `unknown key "a"`},
			"other keys":     {"sealed:k", data, keys(t, "b"), `unknown key "a"`},
			"another entry":  {"sealed:l", data, keys(t, "a"), "not authentic"},
			"cut":            {"sealed:k", data[:5], keys(t, "a"), "corrupt"},
			"a lease":        {"sealed:k", "\xf912345678", nil, "corrupt"},
			"corrupt packed": {"sealed:k", r.entryOf("x", func(e *frame.Entry) { e.Compression = 1 }), nil, "corrupt"},
		} {
			_, err := larder.OpenPayload(c.key, c.data, c.keys)
			if !errors.Is(err, larder.ErrUnreadable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got, err := larder.OpenPayload("x", `{"plain":1}`, nil); string(got) != `{"plain":1}` || err != nil {
			t.Errorf("a foreign value: %q, %v", got, err)
		}
	})
}

func FuzzOpenPayload(f *testing.F) {
	ring := keys(f, "a")
	for _, e := range []frame.Entry{
		{Payload: "7"}, {Payload: "\xff\xff\xff\xff\x07\x00", Compression: 1}, {Payload: "(\xb5/\xfd\x20\x01\x09\x00\x00x", Compression: 2},
		{Payload: "\x01a" + strings.Repeat("y", 60), Sealed: true},
	} {
		e.Hard = 1_800_000_000_000
		e.Soft = e.Hard
		b, err := frame.Append(nil, &e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Add(`{"foreign":1}`)
	f.Fuzz(func(t *testing.T, stored string) {
		if len(stored) > 1<<16 {
			return
		}
		if _, err := larder.OpenPayload("k", stored, ring); err != nil && !errors.Is(err, larder.ErrUnreadable) {
			t.Fatal(err)
		}
	})
}
