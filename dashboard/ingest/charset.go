package ingest

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/larder-go/larder/dashboard"
)

// declarationSize is how far into the report its XML declaration must end.
const declarationSize = 1024

var (
	declaration = regexp.MustCompile(`^\s*<\?xml\s[^>]*\?>`)
	encodingOf  = regexp.MustCompile(`encoding\s*=\s*["']([^"']*)["']`)
)

// decode returns the report as UTF-8 without its XML declaration, whose newlines
// stay so that lines keep their numbers. A byte order mark wins over the
// declaration; a declaration of UTF-16 that can be read as ASCII is not true.
func decode(r io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	head, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if enc := marked(head); enc != nil {
		in = bufio.NewReaderSize(transform.NewReader(in, enc.NewDecoder()), 64<<10)
	} else if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	head, err = in.Peek(declarationSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	decl := declaration.Find(head)
	newlines := strings.Repeat("\n", bytes.Count(decl, []byte("\n")))
	label := ""
	if m := encodingOf.FindSubmatch(decl); m != nil && marked(head) == nil {
		label = strings.ToLower(strings.TrimSpace(string(m[1])))
	}
	_, _ = in.Discard(len(decl))
	body, err := decodeLabel(in, label)
	if err != nil {
		return nil, err
	}
	return io.MultiReader(strings.NewReader(newlines), body), nil
}

// marked returns the encoding that the first bytes give away: a byte order mark
// of UTF-16, or UTF-16 text without one.
func marked(head []byte) encoding.Encoding {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("<\x00")):
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	case bytes.HasPrefix(head, []byte("\xfe\xff")), bytes.HasPrefix(head, []byte("\x00<")):
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	}
	return nil
}

func decodeLabel(r io.Reader, label string) (io.Reader, error) {
	if label == "" || label == "utf-8" || label == "utf8" || strings.HasPrefix(label, "utf-16") || strings.HasPrefix(label, "utf16") {
		return r, nil
	}
	enc, err := htmlindex.Get(label)
	if err != nil {
		return nil, &dashboard.ReportError{Line: 1, Reason: "declares an encoding that is not known"}
	}
	return transform.NewReader(r, enc.NewDecoder()), nil
}
