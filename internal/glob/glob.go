// Package glob matches names against patterns as Redis's SCAN and KEYS do:
// '*' any bytes, '?' one byte, "[a-c]" and "[^a]" sets, '\' quotes.
package glob

import "strings"

// Match reports whether the whole of name matches pattern. It takes time
// proportional to the product of their lengths at worst.
func Match(pattern, name string) bool {
	// Where to go on after a mismatch: behind the last star, one byte later.
	star, resume := -1, 0
	p, n := 0, 0
	for n < len(name) || p < len(pattern) {
		if p < len(pattern) && pattern[p] == '*' {
			star, resume = p+1, n
			p++
			continue
		}
		if n < len(name) && p < len(pattern) {
			if size, ok := matchOne(pattern[p:], name[n]); ok {
				p += size
				n++
				continue
			}
		}
		if star < 0 || resume >= len(name) {
			return false
		}
		resume++
		p, n = star, resume
	}
	return true
}

// matchOne matches the first element of pattern, which takes size bytes.
func matchOne(pattern string, b byte) (size int, ok bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		return matchSet(pattern, b)
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == b
		}
	}
	return 1, pattern[0] == b
}

// matchSet matches a set; one that is not closed ends with the pattern.
func matchSet(pattern string, b byte) (size int, ok bool) {
	i := 1
	negated := strings.HasPrefix(pattern[i:], "^")
	if negated {
		i++
	}
	for i < len(pattern) && pattern[i] != ']' {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			ok = ok || pattern[i+1] == b
			i += 2
		case i+2 < len(pattern) && pattern[i+1] == '-':
			low, high := min(pattern[i], pattern[i+2]), max(pattern[i], pattern[i+2])
			ok = ok || low <= b && b <= high
			i += 3
		default:
			ok = ok || pattern[i] == b
			i++
		}
	}
	return min(i+1, len(pattern)), ok != negated
}
