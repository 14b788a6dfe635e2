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
	anID  = Token{1, 2, 3, 4, 5, 6, 7, 8}
	aGen  = Generation{9, 9, 9, 9, 9, 9, 9, 9}
	aHard = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).UnixMilli()
)

// random returns any entry that Append accepts.
func random(r *rand.Rand) *Entry {
	e := &Entry{Hard: epoch2024 + r.Int64N(maxHard+1), Codec: Codec(r.IntN(8)), Compression: uint8(r.IntN(4))}
	e.Soft = e.Hard
	fill(r, e.ID[:])
	coin := func() bool { return r.IntN(2) == 0 }
	e.Negative, e.Sealed, e.HasNamespace, e.HasSchema, e.HasWritten = coin(), coin(), coin(), coin(), coin()
	if coin() {
		e.Soft -= 1 + r.Int64N(1<<r.IntN(40))
	}
	if coin() {
		e.LoadMillis = r.Uint64() >> r.IntN(64)
	}
	if coin() {
		e.Version = r.Uint64()
	}
	if e.HasNamespace {
		fill(r, e.Namespace[:])
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

// TestTruncatedAndFlipped holds that damage is either noticed or yields an
// entry with exactly these bytes; nothing reads beyond them.
func TestTruncatedAndFlipped(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		e := random(r)
		e.Payload = ""
		s := mustAppend(t, e)
		n := r.IntN(len(s))
		if err := Parse(s[:n], new(Entry)); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("header of %d bytes cut to %d: %v", len(s), n, err)
		}
		flipped := []byte(s)
		flipped[r.IntN(len(s))] ^= 1 << r.IntN(8)
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
	if p := Prefix(s); !strings.HasPrefix(s, p) || !strings.Contains(p, string(e.ID[:])) {
		t.Fatalf("prefix %q of %q lacks its id", p, s)
	}
}

func FuzzParse(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(mustAppend(f, random(r)))
	}
	for _, s := range []string{
		"", "\xFA", "\xFA\x80\x00", `{"foreign":true}`, "\xF9\x01\x02\x03\x04\x05\x06\x07\x08", "\xFBhold",
		"\xFA\x40" + strings.Repeat("\x00", 13) + "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
		"\xFA\x40" + strings.Repeat("\x00", 13) + "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F",
		"\xFA\x10" + strings.Repeat("\x00", 13) + "\x80\x00",
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

// TestOneByteForm holds that every header field has one byte form: a second
// one would slip through comparisons.
func TestOneByteForm(t *testing.T) {
	header := "\x01\x02\x03\x04\x05\x06\x07\x08" + "\x10\x00\x00\x00\x00"
	for name, s := range map[string]string{
		"extension of nothing":   "\xFA\x80\x00" + header,
		"unknown extension":      "\xFA\x80\x20" + header,
		"no grace":               "\xFA\x10" + header + "\x00",
		"long form of a grace":   "\xFA\x10" + header + "\x81\x00",
		"grace beyond the range": "\xFA\x10" + header + "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
		"endless grace":          "\xFA\x10" + header + strings.Repeat("\xFF", 20),
		"version 0":              "\xFA\x20" + header + strings.Repeat("\x00", 8),
		"tags, none":             "\xFA\x40" + header + "\x00",
		"too many tags":          "\xFA\x40" + header + "\x80\x02" + strings.Repeat("\x00"+strings.Repeat("g", 8), 256),
		"tag longer than all":    "\xFA\x40" + header + "\x01\x7F",
		"missing generation":     "\xFA\x40" + header + "\x01\x01t1234567",
	} {
		if err := Parse(s, new(Entry)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
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

// TestHeaderSize holds what an entry costs in Redis beyond its payload.
func TestHeaderSize(t *testing.T) {
	tests := []struct {
		name string
		e    Entry
		want int
	}{
		{"bare", Entry{}, 15},
		{"namespace only", Entry{HasNamespace: true}, 24},
		{"namespace and one minute of grace", Entry{HasNamespace: true, Soft: -60_000}, 27},
		{"namespace and schema", Entry{HasNamespace: true, HasSchema: true}, 28},
		{"namespace, schema and time", Entry{HasNamespace: true, HasSchema: true, HasWritten: true}, 30},
		{"namespace and a tag", Entry{HasNamespace: true, Pairs: []Pair{{"suites", aGen}}}, 40},
	}
	for _, tt := range tests {
		tt.e.Hard = aHard
		tt.e.Soft += aHard
		if got := len(mustAppend(t, &tt.e)); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", tt.name, got, tt.want)
		}
	}
}

// TestKinds holds that Larder's strings are told from those of other programs,
// whatever these write as text or JSON.
func TestKinds(t *testing.T) {
	value := mustAppend(t, &Entry{ID: anID, Hard: aHard, Soft: aHard})
	lease := string(AppendLease(nil, anID))
	for s, want := range map[string]Kind{
		"": Foreign, "{}": Foreign, "null": Foreign, "Ünïcode": Foreign, "\xF8": Foreign, "\xFF": Foreign,
		value: Value, lease: Lease, "\xFBanything": Hold, "\xFA": Value,
	} {
		if got := KindOf(s); got != want {
			t.Errorf("%q is kind %d, want %d", s, got, want)
		}
	}
	for _, b := range []byte{leaseByte, valueByte, holdByte} {
		if utf8.ValidString(string([]byte{b, 'x'})) || utf8.RuneStart(b) && utf8.FullRuneInString(string([]byte{b})) && utf8.ValidString(string([]byte{b})) {
			t.Errorf("%#x can begin text", b)
		}
	}
}

// TestLease holds that a lease is exactly nine bytes.
func TestLease(t *testing.T) {
	s := string(AppendLease(nil, anID))
	if got, err := ParseLease(s); err != nil || got != anID || len(s) != 9 {
		t.Fatalf("lease %q: %v, %v", s, got, err)
	}
	for _, bad := range []string{"", s[:8], s + "x", "\xFA" + s[1:]} {
		if _, err := ParseLease(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestPrefix holds that a takeover compares kind, flags and id, and everything
// of what has no id.
func TestPrefix(t *testing.T) {
	e := Entry{ID: anID, Hard: aHard, Soft: aHard, Payload: "payload"}
	bare := mustAppend(t, &e)
	e.HasNamespace = true
	extended := mustAppend(t, &e)
	for s, want := range map[string]string{
		bare: bare[:10], extended: extended[:11], "": "", "x": "x", `{"a":1}`: `{"a":1}`, "\xFA": "\xFA",
		bare[:5]: bare[:5], "\xFBhold": "\xFBhold", string(AppendLease(nil, anID)): string(AppendLease(nil, anID)),
	} {
		if got := Prefix(s); got != want {
			t.Errorf("prefix of %q is %q, want %q", s, got, want)
		}
	}
	e.ID[7]++
	if other := mustAppend(t, &e); strings.HasPrefix(other, Prefix(extended)) {
		t.Error("another write has the same prefix")
	}
}

// TestAllocations holds that reading an entry allocates nothing.
func TestAllocations(t *testing.T) {
	e := Entry{ID: anID, Hard: aHard, Soft: aHard - 5, HasNamespace: true, Version: 3, Payload: "payload"}
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
	e := Entry{ID: anID, Hard: aHard, Soft: aHard - 5, HasNamespace: true, Payload: strings.Repeat("x", 100)}
	for _, tags := range []int{0, 2} {
		e.Pairs = []Pair{{"suites", aGen}, {"suite:1", aGen}}[:tags]
		s := mustAppend(b, &e)
		b.Run(map[int]string{0: "tags=0", 2: "tags=2"}[tags], func(b *testing.B) {
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
