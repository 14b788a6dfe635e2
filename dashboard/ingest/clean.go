package ingest

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// XML forbids control characters, and reports have them all the same: the
// colours of a terminal, a bell, a NUL. On the way into the XML decoder they
// stand as characters of a private plane, restore puts them back in what was read.
const (
	disguise  = 0x10FF00
	disguised = "\xf4\x8f\xbc" // the first bytes of all of them
)

// cleaner turns UTF-8 of any kind into what an XML decoder accepts.
type cleaner struct {
	in     *bufio.Reader
	out    []byte
	err    error
	limits Limits
	// read counts all bytes, fresh those since the last token, line the newlines.
	read, fresh int64
	line        int
	cdata       bool
}

func newCleaner(r io.Reader, limits Limits) *cleaner {
	return &cleaner{in: bufio.NewReaderSize(r, 64<<10), limits: limits, line: 1}
}

// Read implements io.Reader.
func (c *cleaner) Read(p []byte) (int, error) {
	for len(c.out) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		c.fill()
	}
	n := copy(p, c.out)
	c.out = c.out[n:]
	return n, nil
}

// fill cleans what the reader has buffered.
func (c *cleaner) fill() {
	if _, err := c.in.Peek(1); c.in.Buffered() == 0 {
		c.err = err
		return
	}
	c.out = c.out[:0]
	for c.in.Buffered() > 0 {
		b, _ := c.in.Peek(c.in.Buffered())
		n := plain(b)
		if n > 0 {
			c.out = append(c.out, b[:n]...)
		} else {
			if len(b) < longest {
				b, _ = c.in.Peek(longest) // fewer at the end
			}
			n = c.special(b)
		}
		c.line += bytes.Count(b[:n], []byte("\n"))
		c.read, c.fresh = c.read+int64(n), c.fresh+int64(n)
		_, _ = c.in.Discard(n)
	}
	if c.read > c.limits.Bytes {
		c.err = tooLarge(c.line, "is larger than %d bytes", c.limits.Bytes)
	} else if c.fresh > c.limits.Token {
		c.err = tooLarge(c.line, "has a text or tag of more than %d bytes", c.limits.Token)
	}
}

// plain returns the length of the prefix that needs no look.
func plain(b []byte) int {
	for i, x := range b {
		if x >= utf8.RuneSelf || x == '&' || x == '<' || x == ']' || x < ' ' && x != '\n' && x != '\t' && x != '\r' {
			return i
		}
	}
	return len(b)
}

// longest is the length of the longest sequence that special must see whole.
const longest = 16

// special cleans the sequence at the beginning of b, and returns its length.
func (c *cleaner) special(b []byte) int {
	switch b[0] {
	case '<':
		if !c.cdata && bytes.HasPrefix(b, []byte("<![CDATA[")) {
			c.cdata = true
		}
		return c.emit(b[:1], 1)
	case ']':
		if c.cdata && bytes.HasPrefix(b, []byte("]]>")) {
			c.cdata = false
			return c.emit(b[:3], 3)
		}
		return c.emit(b[:1], 1)
	case '&':
		return c.reference(b)
	}
	r, n := utf8.DecodeRune(b)
	switch {
	case r < ' ':
		r += disguise
	case r == 0xFFFE || r == 0xFFFF || r >= disguise && r < disguise+' ':
		r = utf8.RuneError
	}
	c.out = utf8.AppendRune(c.out, r)
	return n
}

func (c *cleaner) emit(b []byte, n int) int {
	c.out = append(c.out, b...)
	return n
}

// reference replaces a numeric reference to a character that XML forbids.
func (c *cleaner) reference(b []byte) int {
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if c.cdata || end < 3 || b[1] != '#' {
		return c.emit(b[:1], 1)
	}
	digits, base := string(b[2:end]), 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	code, err := strconv.ParseUint(digits, base, 32)
	switch {
	case err != nil, code >= ' ' && utf8.ValidRune(rune(code)) && code != 0xFFFE && code != 0xFFFF, code == '\n', code == '\t', code == '\r':
		return c.emit(b[:1], 1)
	case code < ' ':
		c.out = utf8.AppendRune(c.out, rune(code)+disguise)
	default:
		c.out = utf8.AppendRune(c.out, utf8.RuneError)
	}
	return end + 1
}

// restore puts back the control characters of a text.
func restore(s string) string {
	if !strings.Contains(s, disguised) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= disguise && r < disguise+' ' {
			return r - disguise
		}
		return r
	}, s)
}
