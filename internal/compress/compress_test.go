package compress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

var methods = []Method{S2, Zstd}

// texts are payloads of several kinds and sizes.
func texts() [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 70_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	json := []byte(strings.Repeat(`{"id":12345,"name":"checkout","status":"failed"},`, 2000))
	return [][]byte{{7}, json[:100], json[:1024], json, noise[:5], noise, make([]byte, 1<<20)}
}

// TestRoundTrip holds that everything comes back whole, behind other bytes too.
func TestRoundTrip(t *testing.T) {
	for _, m := range methods {
		for _, text := range texts() {
			packed := Deflate([]byte("before"), text, m)
			if !bytes.HasPrefix(packed, []byte("before")) {
				t.Fatalf("method %d: what stood before %d bytes is gone", m, len(text))
			}
			packed = packed[len("before"):]
			whole, err := Inflate([]byte("ahead"), packed, m, len(text))
			if err != nil || string(whole) != "ahead"+string(text) {
				t.Errorf("method %d: %d bytes became %d: %v", m, len(text), len(whole), err)
			}
		}
	}
}

// TestLimitIsCheckedFirst holds that a payload that announces too much costs no
// room: neither one that holds what it says nor one that lies.
func TestLimitIsCheckedFirst(t *testing.T) {
	for _, m := range methods {
		bomb := Deflate(nil, make([]byte, 8<<20), m)
		if len(bomb) > 1<<16 {
			t.Fatalf("method %d: a bomb of %d bytes", m, len(bomb))
		}
		grew := testing.AllocsPerRun(10, func() {
			if _, err := Inflate(nil, bomb, m, 1<<20); !errors.Is(err, ErrTooLarge) {
				t.Errorf("method %d: %v", m, err)
			}
		})
		if grew > 0 {
			t.Errorf("method %d: %v allocations before a bomb is refused", m, grew)
		}
	}
	liar := binary.AppendUvarint(nil, 1<<31)
	if _, err := Inflate(nil, append(liar, 0), S2, 1<<32); !errors.Is(err, ErrTooLarge) {
		t.Errorf("2 GiB in a byte: %v", err)
	}
}

// TestMoreThanAnnounced holds that a frame which goes on behind the size it
// announces, or announces none, is refused.
func TestMoreThanAnnounced(t *testing.T) {
	one := Deflate(nil, make([]byte, 1000), Zstd)
	two := append(bytes.Clone(one), Deflate(nil, make([]byte, 4<<20), Zstd)...)
	if out, err := Inflate(nil, two, Zstd, 1<<20); !errors.Is(err, ErrCorrupt) {
		t.Errorf("two frames: %d bytes, %v", len(out), err)
	}
	var open bytes.Buffer
	w, err := zstd.NewWriter(&open)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err := w.Write(make([]byte, 1<<16)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := Inflate(nil, open.Bytes(), Zstd, 1<<30); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a frame without a size: %d bytes, %v", len(out), err)
	}
}

// TestDamage holds that cut or flipped payloads are an error or some bytes
// within the limit, never more.
func TestDamage(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	text := texts()[3][:4000]
	for _, m := range methods {
		packed := Deflate(nil, text, m)
		for range 2000 {
			bad := bytes.Clone(packed)
			bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			checkInflate(t, bad[:len(bad)-r.IntN(2)*r.IntN(len(bad))], m)
		}
	}
	if _, err := Inflate(nil, []byte("x"), 3, 100); !errors.Is(err, ErrUnknown) {
		t.Errorf("method 3: %v", err)
	}
}

const checkLimit = 1 << 16

func checkInflate(t *testing.T, packed []byte, m Method) {
	t.Helper()
	out, err := Inflate(nil, packed, m, checkLimit)
	switch {
	case err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrUnknown):
		t.Fatalf("method %d: %v", m, err)
	case err == nil && len(out) > checkLimit:
		t.Fatalf("method %d: %d bytes", m, len(out))
	}
}

func FuzzInflate(f *testing.F) {
	for _, m := range methods {
		for _, text := range texts()[:5] {
			f.Add(Deflate(nil, text, m), uint8(m))
		}
	}
	f.Add([]byte("\xff\xff\xff\xff\x0f"), uint8(S2))
	f.Add([]byte("\x28\xb5\x2f\xfd"), uint8(Zstd))
	f.Fuzz(func(t *testing.T, packed []byte, m uint8) { checkInflate(t, packed, Method(m%4)) })
}

// TestWorthwhile holds where a tenth begins.
func TestWorthwhile(t *testing.T) {
	for _, c := range []struct {
		packed, size int
		want         bool
	}{{900, 1000, true}, {901, 1000, false}, {1000, 1000, false}, {1100, 1000, false}, {1, 9, true}} {
		if got := Worthwhile(c.packed, c.size); got != c.want {
			t.Errorf("%d of %d: %v", c.packed, c.size, got)
		}
	}
}
