package larder

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// unescape undoes AppendSegment.
func unescape(t testing.TB, segment string) string {
	t.Helper()
	var out []byte
	for i := 0; i < len(segment); i++ {
		if segment[i] != '%' {
			out = append(out, segment[i])
			continue
		}
		b, err := strconv.ParseUint(segment[i+1:i+3], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, byte(b))
		i += 2
	}
	return string(out)
}

// checkSegment holds what the form of a key relies on: a segment can be read
// back, so different texts give different segments, and it contains nothing
// that separates, matches or controls.
func checkSegment(t testing.TB, text string) {
	t.Helper()
	segment := string(AppendSegment([]byte("suite:"), text))
	rest, ok := strings.CutPrefix(segment, "suite:")
	if !ok {
		t.Fatalf("AppendSegment changed what was there: %q", segment)
	}
	if back := unescape(t, rest); back != text {
		t.Fatalf("%q became %q, which reads %q", text, rest, back)
	}
	if !utf8.ValidString(rest) || strings.ContainsAny(rest, ":*?[]\\{}# ~") {
		t.Fatalf("%q became %q", text, rest)
	}
	for _, r := range rest {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			t.Fatalf("%q became %q, with a control character", text, rest)
		}
	}
}

func TestAppendSegment(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "plain-Text_1.2": "plain-Text_1.2", "a:b": "a%3Ab", "50%": "50%25", "*": "%2A", "~x": "%7Ex",
		"é日🦀": "é日🦀", "\xff": "%FF", "a\x00b\n": "a%00b%0A", "\u0085": "%C2%85", "\uFFFD": "\uFFFD",
	} {
		if got := string(AppendSegment(nil, text)); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		checkSegment(t, text)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := make([]byte, random.IntN(20))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		checkSegment(t, string(b))
	}
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { AppendSegment(dst, "some:text") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAppendSegment(f *testing.F) {
	f.Add("a:b*%~\xff\u0085")
	f.Fuzz(func(t *testing.T, text string) { checkSegment(t, text) })
}

// TestBoundedName holds that names fit, keep a readable beginning, and stay
// different when they are cut.
func TestBoundedName(t *testing.T) {
	short := strings.Repeat("a", maxKeyBytes)
	if got := boundedName([]byte(short)); got != short {
		t.Errorf("a name of %d bytes was changed", len(short))
	}
	seen := map[string]string{}
	random := rand.New(rand.NewPCG(1, 2))
	base := []byte("suite:" + strings.Repeat("x", 1000))
	for range 10_000 {
		name := append([]byte(nil), base[:maxKeyBytes+1+random.IntN(300)]...)
		for range random.IntN(3) {
			name[random.IntN(len(name))] = byte('a' + random.IntN(26))
		}
		got := boundedName(name)
		if len(got) > maxKeyBytes || got[:literalBytes] != string(name[:literalBytes]) || got[literalBytes] != hashMark {
			t.Fatalf("%q became %q", name, got)
		}
		if other, ok := seen[got]; ok && other != string(name) {
			t.Fatalf("%q and %q share %q", other, name, got)
		}
		seen[got] = string(name)
	}
}

// TestHashedNamesAreUnreachable holds that no text of a user forms the name
// that another key is hashed to.
func TestHashedNamesAreUnreachable(t *testing.T) {
	hashed := boundedName(AppendSegment([]byte("suite:"), strings.Repeat("x", 1000)))
	text := strings.TrimPrefix(hashed, "suite:")
	if forged := boundedName(AppendSegment([]byte("suite:"), text)); forged == hashed {
		t.Errorf("the key %q names the entry of another", text)
	}
}

// TestLooseKeys holds that names given as text address what keyspaces store.
func TestLooseKeys(t *testing.T) {
	for rest, want := range map[string]string{
		"42": "42", "list:skip:0": "list:skip:0", "a b:*": "a%20b:%2A", "::": "::", "x:\xff": "x:%FF",
	} {
		if got := string(appendLoose(nil, rest)); got != want {
			t.Errorf("%q became %q, want %q", rest, got, want)
		}
	}
}

// TestKeyForms holds the default forms of strings and integers of all kinds.
func TestKeyForms(t *testing.T) {
	type id int16
	type name string
	if got := string(defaultAppendKey[id]()(nil, -7)); got != "-7" {
		t.Error(got)
	}
	if got := string(defaultAppendKey[uint64]()(nil, 1<<63)); got != "9223372036854775808" {
		t.Error(got)
	}
	if got := string(defaultAppendKey[name]()(nil, "a:b")); got != "a%3Ab" {
		t.Error(got)
	}
	if defaultAppendKey[float64]() != nil || defaultAppendKey[[2]int]() != nil || defaultAppendKey[bool]() != nil {
		t.Error("a form for keys that have none")
	}
}
