package outbox

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/larder-go/larder"
)

// What Add stores is text that every database keeps, and is read back as the
// target that it was.
func FuzzStoredTarget(f *testing.F) {
	for _, tag := range []string{"a", "\x00", "\xff", `"`, `\`, "\u2028", strings.Repeat("x", 600)} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		if tag == "" {
			return
		}
		stored := encode(larder.Tag(tag).String())
		if !utf8.ValidString(stored) || strings.Contains(stored, "\x00") {
			t.Fatalf("%q is stored as %q", tag, stored)
		}
		target, err := parse(stored)
		if err != nil || target != larder.Tag(tag) {
			t.Fatalf("%q came back as %v, %v", tag, target, err)
		}
	})
}

// A row may hold anything, written by whomever.
func FuzzRow(f *testing.F) {
	for _, text := range []string{"", "all:", "tag:x", `"tag:\x00"`, `"`, `"\q"`, "key:", "invalid"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := parse(text)
		if err != nil {
			return
		}
		if again, err := parse(encode(target.String())); err != nil || again != target {
			t.Fatalf("%q is %v, and then %v, %v", text, target, again, err)
		}
	})
}

// Templates that are accepted give SQL for either database, and only balanced
// quotes.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"key:suite:{id}", "tag:suites", "tag:{a'b}", `tag:\{"}`, "{x}:y", "tag:{", "tag:{}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := parseTemplate(text)
		if err != nil {
			return
		}
		for _, d := range []Dialect{SQLite, PostgreSQL} {
			if sql := x.expression(d, "r"); strings.Count(sql, "'")%2 != 0 && !strings.Contains(text, "'") {
				t.Fatalf("%q gave %s", text, sql)
			}
		}
	})
}
