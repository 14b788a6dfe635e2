package glob

import "testing"

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
	f.Fuzz(func(t *testing.T, pattern, name string) {
		Match(pattern, name)
		if !Match("*"+pattern+"*", name) && Match(pattern, name) {
			t.Errorf("%q matches %q, with stars around it does not", pattern, name)
		}
	})
}
