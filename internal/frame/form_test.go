package frame

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestEveryHeader holds that every combination of what a header can say survives,
// in one byte form, and that no shorter part of a header is taken for a whole one.
func TestEveryHeader(t *testing.T) {
	const ways = 1 << 13
	plain := 0
	for i := range ways {
		bit := func(n int) bool { return i>>n&1 == 1 }
		e := Entry{ID: anID, Hard: aHard, Soft: aHard, Namespace: aGen, Codec: Codec(i & 7), Compression: uint8(i >> 3 & 3),
			Negative: bit(5), Sealed: bit(6), HasSchema: bit(7), HasWritten: bit(8)}
		if e.HasSchema {
			e.Schema = 0xF5F9FAFB
		}
		if e.HasWritten {
			e.Written = 0xFA80
		}
		if bit(9) {
			e.Soft -= 60_000
		}
		if bit(10) {
			e.LoadMillis = 300
		}
		if bit(11) {
			e.Version = 7
		}
		if bit(12) {
			e.Pairs = []Pair{{"suites", aGen}, {"", aGen}}
		}
		s := mustAppend(t, &e)
		checkBytes(t, s)
		var got Entry
		if err := Parse(s, &got); err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("%+v became %+v, %v", e, got, err)
		}
		for n := range s {
			if err := Parse(s[:n], &got); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("header of %d bytes cut to %d: %v", len(s), n, err)
			}
		}
		if s[0] != valueByte {
			plain++
		}
	}
	if plain != int(plainCodecs) {
		t.Errorf("%d of %d headers are plain", plain, ways)
	}
}

// TestGolden holds the bytes: other builds and the scripts in Redis read them.
func TestGolden(t *testing.T) {
	const id, hard, namespace, generation = "\x01\x02\x03\x04\x05\x06", "\x12\x5B\x3A\xEE\x00", "namespac", "\t\t\t\t\t\t\t\t"
	e := Entry{ID: anID, Hard: aHard, Soft: aHard, Namespace: Generation([]byte(namespace)), Payload: "payload"}
	full := e
	full.Codec, full.Compression, full.Sealed, full.Soft, full.LoadMillis, full.Version = 5, 2, true, aHard-300, 200, 0x0102030405060708
	full.HasSchema, full.Schema, full.HasWritten, full.Written, full.Pairs = true, 0x0A0B0C0D, true, 0x0E0F, []Pair{{"tag", aGen}}
	text := e
	text.Codec = 2
	for want, e := range map[string]*Entry{
		"\xF5" + id + hard + namespace + "payload": &e,
		"\xF7" + id + hard + namespace + "payload": &text,
		"\xFA\xF5\x7A" + id + hard + namespace + "\xAC\x02" + "\xC8\x01" + "\x01\x02\x03\x04\x05\x06\x07\x08" +
			"\x0A\x0B\x0C\x0D" + "\x0E\x0F" + "\x01\x03tag" + generation + "payload": &full,
	} {
		if got := mustAppend(t, e); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

// TestFormBefore holds that a value of the form before this one, with 8 bytes of
// id and a flag for the namespace, is corrupt and never another value.
func TestFormBefore(t *testing.T) {
	const id, hard, namespace = "12345678", "\x12\x5B\x3A\xEE\x00", "namespac"
	for _, flags := range []string{"\x80\x01", "\x82\x01", "\x90\x01\x05", "\x80\x03", "\x88\x41", "\xF0\x7F"} {
		s := valueOf(flags, id+hard+namespace+strings.Repeat("x", 300))
		if err := Parse(s, new(Entry)); KindOf(s) != Value || !errors.Is(err, ErrCorrupt) {
			t.Errorf("flags %q: %v", flags, err)
		}
		if Prefix(s) != s {
			t.Errorf("flags %q: taken over by a part of it", flags)
		}
	}
}

// valueOf returns bytes that say they are a value which is not plain.
func valueOf(flags, rest string) string { return string([]byte{valueByte}) + flags + rest }

// TestOneByteForm holds that every header field has one byte form, since a second
// one would slip through comparisons, and that what no build has written yet is
// no value.
func TestOneByteForm(t *testing.T) {
	const fixed = "\x01\x02\x03\x04\x05\x06" + "\x10\x00\x00\x00\x00" + "namespac"
	cases := map[string]string{
		"extension of nothing":   "\xFA\x80\x00" + fixed,
		"no grace":               "\xFA\x10" + fixed + "\x00",
		"long form of a grace":   "\xFA\x10" + fixed + "\x81\x00",
		"grace beyond the range": "\xFA\x10" + fixed + "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
		"endless grace":          "\xFA\x10" + fixed + strings.Repeat("\xFF", 20),
		"no time of a load":      "\xFA\x80\x20" + fixed + "\x00",
		"version 0":              "\xFA\x20" + fixed + strings.Repeat("\x00", 8),
		"tags, none":             "\xFA\x40" + fixed + "\x00",
		"too many tags":          "\xFA\x40" + fixed + "\x80\x02" + strings.Repeat("\x00"+strings.Repeat("g", 8), 256),
		"tag longer than all":    "\xFA\x40" + fixed + "\x01\x7F",
		"missing generation":     "\xFA\x40" + fixed + "\x01\x01t1234567",
		"unknown 0x01":           "\xFA\x80\x01" + fixed,
		"unknown 0x80":           "\xFA\x80\x82" + fixed + "\x00\x00\x00\x00",
	}
	for codec := range plainCodecs {
		cases[fmt.Sprintf("plain of codec %d with flags", codec)] = valueOf(string([]byte{codec}), fixed)
	}
	for name, s := range cases {
		if err := Parse(s, new(Entry)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]string{ // as above, without the fault
		"flags": "\xFA\x04" + fixed, "grace": "\xFA\x10" + fixed + "\x01", "load": "\xFA\x80\x20" + fixed + "\x01",
		"version": "\xFA\x20" + fixed + "\x00\x00\x00\x00\x00\x00\x00\x01", "tag": "\xFA\x40" + fixed + "\x01\x01t12345678",
		"schema": "\xFA\x80\x02" + fixed + "\x00\x00\x00\x00",
	} {
		checkBytes(t, s)
		if err := Parse(s, new(Entry)); err != nil {
			t.Errorf("%s: %v", name, err)
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
		{"plain", Entry{Codec: 3}, 20},
		{"another codec", Entry{Codec: 4}, 21},
		{"one minute of grace", Entry{Soft: -60_000}, 24},
		{"grace and the time of its load", Entry{Soft: -60_000, LoadMillis: 5}, 26},
		{"not found", Entry{Negative: true}, 21},
		{"schema", Entry{HasSchema: true}, 26},
		{"schema and time", Entry{HasSchema: true, HasWritten: true}, 28},
		{"a tag", Entry{Pairs: []Pair{{"suites", aGen}}}, 37},
	}
	for _, tt := range tests {
		tt.e.Hard = aHard
		tt.e.Soft += aHard
		if got := len(mustAppend(t, &tt.e)); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", tt.name, got, tt.want)
		}
	}
}
