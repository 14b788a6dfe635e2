package larder_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larder-go/larder"
)

const aSecret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" // 32 bytes

// A key file: the first key is primary; comments, blank lines and the line ends
// of other systems do not matter. Faults name the line or the key, no secret.
func TestParseKeyRing(t *testing.T) {
	for text, want := range map[string]string{
		"a:" + aSecret: "[a]",
		"# of 2026\n\n b : " + aSecret + "\r\na:" + aSecret: "[b a]",
		"":                                "no key",
		"# nothing":                       "no key",
		"a":                               "line 1",
		"a:" + aSecret + "\nb:!":          "line 2",
		aSecret:                           "line 1",
		"a:MDEy":                          `key "a": the secret has 3 bytes, want 32`,
		"a b:" + aSecret:                  "letters",
		":" + aSecret:                     "1 to 32 characters",
		"a:" + aSecret + "\na:" + aSecret: "twice",
		"a:" + aSecret + "\x00":           "line 1",
	} {
		ring, err := larder.ParseKeyRing(text)
		var got string
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprint(ring.IDs())
		}
		if !strings.Contains(got, want) || strings.Contains(got, aSecret[:8]) || strings.Contains(got, "0123") {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// A key file that others may read or change is refused, as is what is no file.
func TestReadKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	for mode, right := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o644: false, 0o604: false, 0o620: false, 0o602: false} {
		if err := os.WriteFile(path, []byte("a:"+aSecret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		ring, err := larder.ReadKeyFile(path)
		if (err == nil) != right || err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("mode %04o: %v, %v", mode, ring, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("#\n", 40<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, name := range map[string]string{"too large": path, "a directory": dir, "absent": filepath.Join(dir, "none")} {
		if _, err := larder.ReadKeyFile(name); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func FuzzParseKeyRing(f *testing.F) {
	f.Add("a:" + aSecret + "\n# comment\nb:" + aSecret)
	f.Add("a:")
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := larder.ParseKeyRing(text)
		if (err == nil) == (ring == nil) || err == nil && len(ring.IDs()) == 0 {
			t.Fatalf("%v, %v", ring, err)
		}
	})
}

// What says how values are stored is refused where it cannot work, by its name.
func TestStoredOptions(t *testing.T) {
	type opts = larder.KeyspaceOptions[string, int]
	c, err := larder.New(larder.Options{Keys: mustParse(t, "a:"+aSecret)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, bad := range []struct {
		field string
		keyed bool
		opts  opts
	}{
		{"Compression", false, opts{Compression: 9}}, {"Encryption", false, opts{Encryption: 9}},
		{"Encryption", false, opts{Encryption: larder.EncryptAlways}}, {"Schema", false, opts{Schema: 1 << 32}},
		{"Interop", false, opts{Interop: true, Tags: func(string) []string { return nil }}},
		{"Interop", false, opts{Interop: true, DynamicTags: true}}, {"Interop", false, opts{Interop: true, Prefixes: []string{"x"}}},
		{"Interop", false, opts{Interop: true, Tiers: larder.MemoryOnly}}, {"Interop", false, opts{Interop: true, Compression: larder.CompressZstd}},
		{"Interop", false, opts{Interop: true, Schema: 3}}, {"Interop", false, opts{Interop: true, NegativeTTL: 5e9}},
		{"Interop", false, opts{Interop: true, Codec: otherCodec{}}}, {"Codec", false, opts{Codec: otherCodec{id: 8}}},
		{"Interop", true, opts{Interop: true}},
		{"", false, opts{Interop: true, Compression: larder.CompressNone, Schema: -1}},
		{"", true, opts{Interop: true, Encryption: larder.EncryptNever}}, {"", true, opts{Encryption: larder.EncryptAlways}},
	} {
		cache := c
		if !bad.keyed {
			cache = alone(t)
		}
		_, err := larder.NewKeyspace(cache, fmt.Sprintf("k%d", i), bad.opts)
		if (err == nil) != (bad.field == "") || err != nil && !strings.Contains(err.Error(), bad.field+": ") {
			t.Errorf("%+v: error %v, want one about %q", bad.opts, err, bad.field)
		}
	}
}

// otherCodec is a codec of another package.
type otherCodec struct{ id uint8 }

func (c otherCodec) ID() uint8                              { return max(c.id, 7) }
func (otherCodec) Append(dst []byte, v int) ([]byte, error) { return append(dst, byte(v)), nil }
func (otherCodec) Decode(data []byte) (int, error)          { return int(data[0]), nil }
