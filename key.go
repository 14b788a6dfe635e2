package larder

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxKeyBytes is the longest name of an entry that is kept as it is.
const maxKeyBytes = 512

// literalBytes is how much of a longer name stays readable before its hash.
const literalBytes = 448

// hashMark stands between the literal part and the hash of a long name.
// [AppendSegment] escapes it, so no user text forms a hashed name.
const hashMark = '~'

// AppendSegment appends text as one segment of a key: bytes that separate
// segments, mean something in a pattern, are control characters or no UTF-8
// become %XX. Different texts give different segments. It allocates only when
// dst must grow.
func AppendSegment(dst []byte, text string) []byte {
	plain := 0
	for plain < len(text) && isPlain[text[plain]] {
		plain++
	}
	dst, text = append(dst, text[:plain]...), text[plain:]
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if escaped(r, size) {
			for i := range size {
				dst = appendEscape(dst, text[i])
			}
		} else {
			dst = append(dst, text[:size]...)
		}
		text = text[size:]
	}
	return dst
}

func escaped(r rune, size int) bool {
	if r == utf8.RuneError && size == 1 || r < 0x20 || r >= 0x7f && r < 0xa0 {
		return true
	}
	switch r {
	case ':', '*', '?', '[', ']', '\\', '{', '}', '%', '#', ' ', hashMark:
		return true
	}
	return false
}

// isPlain tells the ASCII characters that are not escaped.
var isPlain = func() (plain [256]bool) {
	for c := range rune(utf8.RuneSelf) {
		plain[c] = !escaped(c, 1)
	}
	return plain
}()

func appendEscape(dst []byte, b byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[b>>4], hex[b&15])
}

// boundedName returns name, or for a longer one than a key may be its
// beginning with a hash of the whole.
func boundedName(name []byte) string {
	if len(name) <= maxKeyBytes {
		return string(name)
	}
	sum := sha256.Sum256(name)
	out := make([]byte, 0, literalBytes+1+43)
	out = append(out, name[:literalBytes]...)
	out = append(out, hashMark)
	return string(base64.RawURLEncoding.AppendEncode(out, sum[:]))
}

// isHashed reports whether boundedName has shortened a name.
func isHashed(name string) bool {
	return len(name) == literalBytes+1+43 && name[literalBytes] == hashMark
}

// defaultAppendKey returns the form of strings and integers, nil for others.
func defaultAppendKey[K comparable]() func([]byte, K) []byte {
	var key K
	switch reflect.TypeFor[K]().Kind() {
	case reflect.String:
		if _, plain := any(key).(string); plain {
			return func(dst []byte, key K) []byte { return AppendSegment(dst, any(key).(string)) }
		}
		return func(dst []byte, key K) []byte { return AppendSegment(dst, reflect.ValueOf(key).String()) }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(dst []byte, key K) []byte { return strconv.AppendInt(dst, reflect.ValueOf(key).Int(), 10) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(dst []byte, key K) []byte { return strconv.AppendUint(dst, reflect.ValueOf(key).Uint(), 10) }
	}
	return nil
}

// defaultParseKey returns the reverse of defaultAppendKey, nil where that is.
// It takes more than [AppendSegment] writes: who needs the very form compares.
func defaultParseKey[K comparable]() func(string) (K, error) {
	switch kind := reflect.TypeFor[K]().Kind(); kind {
	case reflect.String:
		return func(form string) (key K, err error) {
			text, err := url.PathUnescape(form)
			reflect.ValueOf(&key).Elem().SetString(text)
			return key, err
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(form string) (key K, err error) {
			v := reflect.ValueOf(&key).Elem()
			n, err := strconv.ParseInt(form, 10, v.Type().Bits())
			v.SetInt(n)
			return key, err
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(form string) (key K, err error) {
			v := reflect.ValueOf(&key).Elem()
			n, err := strconv.ParseUint(form, 10, v.Type().Bits())
			v.SetUint(n)
			return key, err
		}
	}
	return nil
}

func validNamespace(ns string) error {
	return validWord("Namespace", ns, "*?[]\\{} ")
}

// maxName is the longest name of a keyspace or namespace in bytes.
const maxName = 64

// validName accepts what may stand before the key in an entry's name: words
// joined by colons, as in "dashboard:trends".
func validName(name string) error {
	if name == "" {
		return fmt.Errorf("name: empty")
	}
	if name[0] == ':' || name[len(name)-1] == ':' {
		return fmt.Errorf("name: %q begins or ends with a colon", name)
	}
	return validWord("name", name, "*?[]\\{}%~ ")
}

func validWord(field, word, refused string) error {
	switch {
	case len(word) > maxName:
		return fmt.Errorf("%s: %d bytes, the limit is %d", field, len(word), maxName)
	case strings.HasPrefix(word, "#"):
		return fmt.Errorf("%s: %q begins with '#', which is kept for control keys", field, word)
	case strings.ContainsAny(word, refused):
		return fmt.Errorf("%s: %q contains one of %q", field, word, refused)
	}
	for _, r := range word {
		if r < 0x21 || r > 0x7e {
			return fmt.Errorf("%s: %q contains something else than printable ASCII", field, word)
		}
	}
	return nil
}
