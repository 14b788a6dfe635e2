package glob

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// The cases were checked against redis-server 7.0 with SCAN MATCH.
func TestMatchesAsRedisDoes(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "a:b", true}, {"", "", true}, {"", "a", false},
		{"suites:*", "suites:list:skip:0", true}, {"suites:*", "suite:1", false},
		{"a*b*c", "axxbyyc", true}, {"a*b*c", "axxbyy", false}, {"*a", "ba", true}, {"*a", "ab", false},
		{"h?llo", "hello", true}, {"h?llo", "hllo", false},
		{"h[ae]llo", "hallo", true}, {"h[ae]llo", "hillo", false}, {"h[^e]llo", "hallo", true},
		{"h[^e]llo", "hello", false}, {"h[a-c]llo", "hbllo", true}, {"h[c-a]llo", "hbllo", true},
		{`a\*`, "a*", true}, {`a\*`, "ab", false}, {"[ab", "a", true}, {"**", "x", true},
	} {
		if got := Match(c.pattern, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

func FuzzMatchEnds(f *testing.F) {
	f.Add("a*[b-d]?\\*", "axb*")
	f.Add(`*\`, `\`)
	f.Add("[ab", "a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		around := "*" + pattern
		if !strings.HasSuffix(pattern, `\`) && !strings.Contains(pattern, "[") {
			around += "*" // elsewhere it could be quoted, or part of a set
		}
		if !Match(around, name) && Match(pattern, name) {
			t.Errorf("%q matches %q, with stars around it does not", pattern, name)
		}
	})
}

// reference is the obvious matcher: exponential, and easy to believe. It knows
// stars, question marks and plain bytes.
func reference(pattern, name string) bool {
	switch {
	case pattern == "":
		return name == ""
	case pattern[0] == '*':
		return reference(pattern[1:], name) || name != "" && reference(pattern, name[1:])
	case name == "":
		return false
	}
	return (pattern[0] == '?' || pattern[0] == name[0]) && reference(pattern[1:], name[1:])
}

func TestAgainstReference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func(alphabet string, n int) string {
		b := make([]byte, random.IntN(n))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	matched := 0
	for range 100_000 {
		pattern, name := word("ab*?", 8), word("ab", 8)
		want := reference(pattern, name)
		if got := Match(pattern, name); got != want {
			t.Fatalf("Match(%q, %q) = %v", pattern, name, got)
		}
		if want {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("only %d pairs match", matched)
	}
}

// A pattern of an attacker takes time proportional to the product of the
// lengths, not an exponential one.
func TestManyStars(t *testing.T) {
	start := time.Now()
	if Match(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 10_000)) {
		t.Error("matched")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
