package frame

import (
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var (
	anID   = ID{1, 2, 3, 4, 5, 6}
	aToken = Token{1, 2, 3, 4, 5, 6, 7, 8}
	aGen   = Generation{9, 9, 9, 9, 9, 9, 9, 9}
	aHard  = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).UnixMilli()
)

// random returns any entry that Append accepts.
func random(r *rand.Rand) *Entry {
	e := &Entry{Hard: epoch2024 + r.Int64N(maxHard+1), Codec: Codec(r.IntN(8)), Compression: uint8(r.IntN(4))}
	e.Soft = e.Hard
	fill(r, e.ID[:])
	fill(r, e.Namespace[:])
	if r.IntN(8) == 0 { // plain
		e.Codec, e.Compression, e.Payload = Codec(r.IntN(int(plainCodecs))), 0, text(r, r.IntN(100))
		return e
	}
	coin := func() bool { return r.IntN(2) == 0 }
	e.Negative, e.Sealed, e.HasSchema, e.HasWritten = coin(), coin(), coin(), coin()
	if coin() {
		e.Soft -= 1 + r.Int64N(1<<r.IntN(40))
	}
	if coin() {
		e.LoadMillis = r.Uint64() >> r.IntN(64)
	}
	if coin() {
		e.Version = r.Uint64()
	}
	if e.HasSchema {
		e.Schema = r.Uint32()
	}
	if e.HasWritten {
		e.Written = uint16(r.Uint32())
	}
	for range r.IntN(2) * r.IntN(5) {
		p := Pair{Tag: text(r, r.IntN(20))}
		fill(r, p.Generation[:])
		e.Pairs = append(e.Pairs, p)
	}
	if r.IntN(200) == 0 {
		e.Pairs = make([]Pair, MaxTags)
	}
	e.Payload = text(r, r.IntN(100))
	return e
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

func text(r *rand.Rand, n int) string {
	b := make([]byte, n)
	fill(r, b)
	return string(b)
}

func mustAppend(t testing.TB, e *Entry) string {
	t.Helper()
	b, err := Append(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRoundTrip holds that every entry survives its byte form, also appended
// behind other bytes and parsed into a used Entry.
func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var got Entry
	for range 20000 {
		want := random(r)
		b, err := Append([]byte("before"), want)
		if err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if err := Parse(string(b[len("before"):]), &got); err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if len(got.Pairs) == 0 && len(want.Pairs) == 0 {
			got.Pairs, want.Pairs = nil, nil
		}
		if !reflect.DeepEqual(&got, want) {
			t.Fatalf("got  %+v\nwant %+v", &got, want)
		}
	}
}

// TestFlipped holds that damage is either noticed or yields an entry with exactly
// these bytes; nothing reads beyond them.
func TestFlipped(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 5000 {
		e := random(r)
		e.Payload = ""
		flipped := []byte(mustAppend(t, e))
		flipped[r.IntN(len(flipped))] ^= 1 << r.IntN(8)
		checkBytes(t, string(flipped))
	}
}

// checkBytes holds what is true of any bytes: a parse that succeeds re-encodes
// to the same bytes, so that one value has one byte form.
func checkBytes(t *testing.T, s string) {
	t.Helper()
	var e Entry
	err := Parse(s, &e)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%q: %v", s, err)
		}
		return
	}
	if KindOf(s) != Value {
		t.Fatalf("%q parses and is no value", s)
	}
	if e.Soft > e.Hard || len(e.Pairs) > MaxTags {
		t.Fatalf("%q: impossible %+v", s, &e)
	}
	if again := mustAppend(t, &e); again != s {
		t.Fatalf("%q re-encodes to %q", s, again)
	}
	if p := Prefix(s); !strings.HasPrefix(s, p) || len(p) < 12 || p[len(p)-11:len(p)-5] != string(e.ID[:]) {
		t.Fatalf("prefix %q of %q does not end with its id and deadline", p, s)
	}
}

func FuzzParse(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(mustAppend(f, random(r)))
	}
	for _, s := range []string{
		"", "\xFA", "\xFA\x80\x00", `{"foreign":true}`, "\xF9\x01\x02\x03\x04\x05\x06\x07\x08", "\xFBhold",
		"\xF5", "\xF8" + strings.Repeat("\x00", 19), "\xFA\x03" + strings.Repeat("\x00", 19), "\xFA\x04" + strings.Repeat("\x00", 19),
		"\xFA\x40" + strings.Repeat("\x00", 19) + "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
		"\xFA\x40" + strings.Repeat("\x00", 19) + "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F",
		"\xFA\x10" + strings.Repeat("\x00", 19) + "\x80\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkBytes(t, s)
		if p := Prefix(s); !strings.HasPrefix(s, p) {
			t.Fatalf("prefix %q of %q", p, s)
		}
		if token, err := ParseLease(s); err == nil && string(AppendLease(nil, token)) != s {
			t.Fatalf("lease %q re-encodes differently", s)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(uint64(0), "payload", "tag")
	f.Fuzz(func(t *testing.T, seed uint64, payload, tag string) {
		e := random(rand.New(rand.NewPCG(seed, 1)))
		e.Payload = payload
		if len(e.Pairs) > 0 {
			e.Pairs[0].Tag = tag
		}
		checkBytes(t, mustAppend(t, e))
	})
}

// TestAppendRefuses holds that nothing is written that no reader accepts.
func TestAppendRefuses(t *testing.T) {
	for name, change := range map[string]func(e *Entry){
		"before 2024":    func(e *Entry) { e.Hard = epoch2024 - 1; e.Soft = e.Hard },
		"after 2058":     func(e *Entry) { e.Hard = epoch2024 + maxHard + 1; e.Soft = e.Hard },
		"soft after":     func(e *Entry) { e.Soft = e.Hard + 1 },
		"endless grace":  func(e *Entry) { e.Soft = e.Hard - maxHard - 1 },
		"soft unset":     func(e *Entry) { e.Soft = 0 },
		"grace overflow": func(e *Entry) { e.Soft = math.MinInt64 },
		"codec":          func(e *Entry) { e.Codec = 8 },
		"compression":    func(e *Entry) { e.Compression = 4 },
		"tags":           func(e *Entry) { e.Pairs = make([]Pair, MaxTags+1) },
	} {
		e := &Entry{ID: anID, Hard: aHard, Soft: aHard}
		change(e)
		if b, err := Append(nil, e); err == nil {
			t.Errorf("%s: accepted as %q, parsed again: %v", name, b, Parse(string(b), new(Entry)))
		}
	}
}

// TestKinds holds that Larder's strings are told from those of other programs,
// whatever these write as text or JSON.
func TestKinds(t *testing.T) {
	value := mustAppend(t, &Entry{ID: anID, Hard: aHard, Soft: aHard})
	lease := string(AppendLease(nil, aToken))
	for s, want := range map[string]Kind{
		"": Foreign, "{}": Foreign, "null": Foreign, "Ünïcode": Foreign, "\xF4\x80\x80\x80": Foreign, "\xF4": Foreign, "\xFC": Foreign, "\xFF": Foreign,
		value: Value, lease: Lease, "\xFBanything": Hold, "\xF5": Value, "\xF6": Value, "\xF7": Value, "\xF8": Value, "\xFA": Value,
	} {
		if got := KindOf(s); got != want {
			t.Errorf("%q is kind %d, want %d", s, got, want)
		}
	}
	for b := plainByte; b <= holdByte; b++ {
		if KindOf(string([]byte{b})) == Foreign {
			t.Errorf("%#x is nobody's", b)
		}
		if utf8.ValidString(string([]byte{b, 'x'})) || utf8.RuneStart(b) && utf8.FullRuneInString(string([]byte{b})) && utf8.ValidString(string([]byte{b})) {
			t.Errorf("%#x can begin text", b)
		}
	}
}

// TestLease holds that a lease is exactly nine bytes.
func TestLease(t *testing.T) {
	s := string(AppendLease(nil, aToken))
	if got, err := ParseLease(s); err != nil || got != aToken || len(s) != 9 {
		t.Fatalf("lease %q: %v, %v", s, got, err)
	}
	for _, bad := range []string{"", s[:8], s + "x", "\xFA" + s[1:]} {
		if _, err := ParseLease(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestPrefix holds that a takeover compares kind, flags, id and hard deadline, and
// everything of what has no id.
func TestPrefix(t *testing.T) {
	e := Entry{ID: anID, Hard: aHard, Soft: aHard, Payload: "payload"}
	plain := mustAppend(t, &e)
	e.Negative = true
	flagged := mustAppend(t, &e)
	e.Sealed = true
	extended := mustAppend(t, &e)
	for s, want := range map[string]string{
		plain: plain[:12], flagged: flagged[:13], extended: extended[:14], "": "", "x": "x", `{"a":1}`: `{"a":1}`, "\xFA": "\xFA", "\xF5": "\xF5",
		plain[:5]: plain[:5], flagged[:5]: flagged[:5], "\xFBhold": "\xFBhold", string(AppendLease(nil, aToken)): string(AppendLease(nil, aToken)),
	} {
		if got := Prefix(s); got != want {
			t.Errorf("prefix of %q is %q, want %q", s, got, want)
		}
	}
	for name, change := range map[string]func(e *Entry){
		"id": func(e *Entry) { e.ID[5]++ }, "deadline": func(e *Entry) { e.Hard++; e.Soft++ }, "flags": func(e *Entry) { e.Negative = false },
	} {
		other := e
		change(&other)
		if s := mustAppend(t, &other); strings.HasPrefix(s, Prefix(extended)) {
			t.Errorf("a write of another %s has the same prefix", name)
		}
	}
}

// TestTokenID holds that the id of a write is the beginning of its token: scripts
// are given the one or the other.
func TestTokenID(t *testing.T) {
	if id := aToken.ID(); id != anID {
		t.Errorf("the id of %v is %v", aToken, id)
	}
}

// TestAllocations holds that reading an entry allocates nothing.
func TestAllocations(t *testing.T) {
	e := Entry{ID: anID, Hard: aHard, Soft: aHard - 5, Version: 3, Payload: "payload"}
	e.Pairs = []Pair{{"suites", aGen}, {"suite:1", aGen}}
	s := mustAppend(t, &e)
	got := Entry{Pairs: make([]Pair, 0, 4)}
	if n := testing.AllocsPerRun(100, func() {
		if KindOf(s) != Value || Parse(s, &got) != nil || Prefix(s) == "" {
			t.Fatal("not parsed")
		}
	}); n != 0 {
		t.Errorf("Parse allocates %v times", n)
	}
	room := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { room, _ = Append(room[:0], &e) }); n != 0 {
		t.Errorf("Append allocates %v times", n)
	}
}

func BenchmarkParse(b *testing.B) {
	grace := Entry{ID: anID, Hard: aHard, Soft: aHard - 5, Payload: strings.Repeat("x", 100)}
	plain, tagged := grace, grace
	plain.Soft, tagged.Pairs = aHard, []Pair{{"suites", aGen}, {"suite:1", aGen}}
	for _, bench := range []struct {
		name string
		e    *Entry
	}{{"plain", &plain}, {"tags=0", &grace}, {"tags=2", &tagged}} {
		s := mustAppend(b, bench.e)
		b.Run(bench.name, func(b *testing.B) {
			var got Entry
			b.ReportAllocs()
			for b.Loop() {
				if Parse(s, &got) != nil {
					b.Fatal("corrupt")
				}
			}
		})
	}
}
