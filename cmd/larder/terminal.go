package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// harmless writes to a terminal. What is in Redis may be anybody's text, and a
// terminal obeys some of it: control characters and those that turn the direction
// of writing are shown as their numbers. Pipes and files get all bytes as they are.
type harmless struct{ out io.Writer }

// colors are the sequences that [app.paint] makes.
var colors = []string{"\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m"}

// Write implements io.Writer.
func (h harmless) Write(p []byte) (int, error) {
	var b strings.Builder
	for text := string(p); text != ""; {
		n := own(text)
		if n == 0 {
			r, size := utf8.DecodeRuneInString(text)
			if n = size; obeyed(r, size) {
				for _, c := range []byte(text[:size]) {
					fmt.Fprintf(&b, `\x%02x`, c)
				}
				text = text[size:]
				continue
			}
		}
		b.WriteString(text[:n])
		text = text[n:]
	}
	if _, err := io.WriteString(h.out, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// own is the length of a sequence of this program at the beginning of text, else 0.
func own(text string) int {
	for _, c := range colors {
		if strings.HasPrefix(text, c) {
			return len(c)
		}
	}
	return 0
}

// obeyed reports whether a terminal may do something else with r than show it.
func obeyed(r rune, size int) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r == utf8.RuneError && size == 1: // a byte that is no text
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// draw writes what moves the cursor or clears the screen: the program alone may.
func draw(w io.Writer, format string, args ...any) {
	if h, ok := w.(harmless); ok {
		w = h.out
	}
	fmt.Fprintf(w, format, args...)
}
