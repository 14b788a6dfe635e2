package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func key(id string, b byte) Key { return Key{ID: id, Secret: bytes.Repeat([]byte{b}, KeySize)} }

func ring(t testing.TB, keys ...Key) *Ring {
	t.Helper()
	r, err := NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestVectorsOfTheSpecification holds that what is sealed is XAES-256-GCM, by
// the test vectors of its specification (one for each most significant bit of
// CMAC's L).
func TestVectorsOfTheSpecification(t *testing.T) {
	const nonce = "ABCDEFGHIJKLMNOPQRSTUVWX"
	for _, v := range []struct {
		key        byte
		additional string
		want       string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		want, err := hex.DecodeString(v.want)
		if err != nil {
			t.Fatal(err)
		}
		r := ring(t, key("k", v.key))
		sealed := append([]byte("\x01k"+nonce), want...)
		got, err := r.Open(nil, sealed, []byte(v.additional))
		if string(got) != "XAES-256-GCM" || err != nil {
			t.Errorf("opened %q, %v", got, err)
		}
	}
}

// TestRoundTrip holds that what is sealed opens, behind other bytes too, and
// that the overhead is what it is said to be.
func TestRoundTrip(t *testing.T) {
	r := ring(t, key("2026-11", 7))
	for _, n := range []int{0, 1, 15, 16, 17, 1000, 1 << 20} {
		plain := bytes.Repeat([]byte{'p'}, n)
		sealed := r.Seal([]byte("before"), plain, []byte("ad"))
		if len(sealed) != len("before")+n+r.Overhead() {
			t.Errorf("%d bytes became %d", n, len(sealed))
		}
		got, err := r.Open([]byte("ahead"), sealed[len("before"):], []byte("ad"))
		if err != nil || string(got) != "ahead"+string(plain) {
			t.Errorf("%d bytes: opened %d, %v", n, len(got), err)
		}
	}
	if a, b := r.Seal(nil, []byte("same"), nil), r.Seal(nil, []byte("same"), nil); bytes.Equal(a, b) {
		t.Error("sealed the same twice alike")
	}
}

// TestRotation holds that a ring opens what its older keys sealed, seals under
// its first, and does not know others.
func TestRotation(t *testing.T) {
	before, after := ring(t, key("a", 1)), ring(t, key("b", 2), key("a", 1))
	old, now := before.Seal(nil, []byte("old"), nil), after.Seal(nil, []byte("new"), nil)
	if got, err := after.Open(nil, old, nil); string(got) != "old" || err != nil {
		t.Errorf("after the rotation: %q, %v", got, err)
	}
	if _, err := before.Open(nil, now, nil); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("before the rotation: %v", err)
	}
	if id, ok := KeyID(now); id != "b" || !ok {
		t.Errorf("sealed under %q, %v", id, ok)
	}
	if _, err := ring(t, key("a", 9)).Open(nil, old, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("another secret under the same id: %v", err)
	}
	if ids := after.IDs(); fmt.Sprint(ids) != "[b a]" {
		t.Errorf("ids %v", ids)
	}
}

// TestEveryBitMatters holds that no bit of a sealed payload, nor of the
// additional data, can be changed, and nothing can be cut off.
func TestEveryBitMatters(t *testing.T) {
	r := ring(t, key("k1", 1), key("j1", 2))
	additional := []byte("suite:42")
	sealed := r.Seal(nil, []byte("payload"), additional)
	for i := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if got, err := r.Open(nil, bad, additional); err == nil {
			t.Errorf("bit %d flipped: opened %q", i, got)
		}
	}
	for i := range len(additional) * 8 {
		bad := bytes.Clone(additional)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := r.Open(nil, sealed, bad); !errors.Is(err, ErrRefused) {
			t.Errorf("bit %d of the additional data flipped: %v", i, err)
		}
	}
	for n := range sealed {
		if _, err := r.Open(nil, sealed[:n], additional); err == nil {
			t.Errorf("opened %d bytes of %d", n, len(sealed))
		}
	}
}

// TestPrefixIsRenewed holds that a derived key seals no more than it may.
func TestPrefixIsRenewed(t *testing.T) {
	r := ring(t, key("k", 1))
	first := r.Seal(nil, nil, nil)
	r.writing.Load().left.Store(1)
	second, third := r.Seal(nil, nil, nil), r.Seal(nil, nil, nil)
	prefix := func(sealed []byte) string { return string(sealed[2 : 2+prefixSize]) }
	if prefix(first) != prefix(second) || prefix(second) == prefix(third) {
		t.Errorf("prefixes %x, %x, %x", prefix(first), prefix(second), prefix(third))
	}
	for _, sealed := range [][]byte{first, second, third} {
		if _, err := r.Open(nil, sealed, nil); err != nil {
			t.Error(err)
		}
	}
}

// TestConcurrently holds that a ring may be shared, also while it draws a new
// prefix.
func TestConcurrently(t *testing.T) {
	r := ring(t, key("k", 1))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			text := []byte(strings.Repeat("x", i))
			for range 200 {
				if i == 0 {
					if w := r.writing.Load(); w != nil {
						w.left.Store(1)
					}
				}
				if got, err := r.Open(nil, r.Seal(nil, text, text), text); err != nil || !bytes.Equal(got, text) {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestBadKeys holds that a ring is refused with the reason, and never with the
// secret.
func TestBadKeys(t *testing.T) {
	for _, c := range []struct {
		keys []Key
		want string
	}{
		{nil, "no key"},
		{[]Key{key("", 1)}, "1 to 32"},
		{[]Key{key(strings.Repeat("i", 33), 1)}, "1 to 32"},
		{[]Key{key("a b", 1)}, "letters"},
		{[]Key{key("a:b", 1)}, "letters"},
		{[]Key{key("ä", 1)}, "letters"},
		{[]Key{key("a", 1), key("b", 1), key("a", 2)}, "twice"},
		{[]Key{{ID: "a", Secret: []byte("hush-hush")}}, "9 bytes, want 32"},
	} {
		_, err := NewRing(c.keys...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%v: %v", c.want, err)
		}
	}
}

// TestNoAllocations holds that with room given neither direction allocates.
func TestNoAllocations(t *testing.T) {
	r := ring(t, key("k", 1))
	plain, additional, room := make([]byte, 1000), []byte("ad"), make([]byte, 0, 2000)
	sealed := r.Seal(nil, plain, additional)
	if n := testing.AllocsPerRun(100, func() { r.Seal(room, plain, additional) }); n > 0 {
		t.Errorf("%v allocations to seal", n)
	}
	open := func() {
		if _, err := r.Open(room, sealed, additional); err != nil {
			t.Error(err)
		}
	}
	if n := testing.AllocsPerRun(100, open); n > 0 {
		t.Errorf("%v allocations to open", n)
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, key("k", 1), key("older", 2))
	// Sealed once and for all: each process of a fuzzer would seal another.
	sealed, err := hex.DecodeString("016b3ee53afdd43d90bc0fab7aeac0d325a7846ea032bb94c071a6e83883cb35a0d6e4da69cf1882fb9abb9ba23cab701f")
	if err != nil {
		f.Fatal(err)
	}
	if out, err := r.Open(nil, sealed, []byte("ad")); err != nil || string(out) != "payload" {
		f.Fatalf("opens as %q, %v", out, err)
	}
	f.Add(sealed)
	f.Add([]byte{})
	f.Add([]byte("\x20"))
	f.Add([]byte("\xff" + strings.Repeat("x", 300)))
	f.Add([]byte("\x05older" + strings.Repeat("x", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := r.Open(nil, b, []byte("ad"))
		switch {
		case err == nil && !bytes.Equal(b, sealed):
			t.Fatalf("%q opens as %q", b, out)
		case err != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrUnknownKey):
			t.Fatal(err)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	r := ring(b, key("k", 1))
	for _, size := range []int{1 << 10, 10 << 10, 100 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			plain := make([]byte, size)
			for i := range plain {
				plain[i] = byte(rand.Uint32())
			}
			sealed, room := r.Seal(nil, plain, nil), make([]byte, 0, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := r.Open(room, sealed, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
