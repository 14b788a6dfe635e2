package dashboard

import (
	"regexp"
	"strings"
)

// MaxSignature is the length of a signature in bytes.
const MaxSignature = 200

// variable matches what differs between two messages of one fault: identifiers,
// addresses, times and numbers.
var variable = regexp.MustCompile(`(?i)` +
	`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}` + // UUID
	`|0x[0-9a-f]+` +
	`|\b[0-9a-f]*[0-9][0-9a-f]{6,}\b` + // hash or id
	`|\d{4}-\d\d-\d\d[t ]\d\d:\d\d(:\d\d)?([.,]\d+)?(z|[+-]\d\d:?\d\d)?` + // time
	`|\d+([.,:]\d+)*`) // number, version, duration, IPv4 address with port

var blanks = regexp.MustCompile(`\s+`)

// Signature returns what the messages of one fault have in common: their first
// line with its variable parts as "#". Messages without one have the signature
// "(no message)".
func Signature(message string) string {
	line := FirstLine(message)
	if line == "" {
		return "(no message)"
	}
	if len(line) > 8*MaxSignature {
		line = strings.ToValidUTF8(line[:8*MaxSignature], "")
	}
	line = blanks.ReplaceAllString(variable.ReplaceAllString(line, "#"), " ")
	if len(line) > MaxSignature {
		line = strings.ToValidUTF8(line[:MaxSignature], "")
	}
	return line
}

// FirstLine returns the first line of a text that is not blank, trimmed.
func FirstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
