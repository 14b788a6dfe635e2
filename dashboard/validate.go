package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// Lengths in characters.
const (
	MaxSuiteName   = 100
	MaxCaseName    = 200
	MaxDescription = 10_000
	MaxTestCode    = 100_000
	MaxLabel       = 200
	MaxURL         = 2000
	MaxTags        = 50
	MaxTag         = 50
	// MaxJSON is the size of config and results_summary in bytes.
	MaxJSON = 64 << 10
	// MaxQuery is the length of a search text.
	MaxQuery = 200
)

// checker collects wrong fields so that a caller sees all of them at once.
type checker struct{ fields []FieldError }

func (c *checker) check(ok bool, field, reason string) {
	if !ok {
		c.fields = append(c.fields, FieldError{Field: field, Reason: reason})
	}
}

func (c *checker) err() error {
	if len(c.fields) == 0 {
		return nil
	}
	return &InvalidError{Fields: c.fields}
}

func (c *checker) text(field, value string, most int) {
	switch {
	case !utf8.ValidString(value):
		c.check(false, field, "must be valid UTF-8")
	case strings.ContainsRune(value, 0):
		c.check(false, field, "must not contain the character U+0000")
	case utf8.RuneCountInString(value) > most:
		c.check(false, field, fmt.Sprintf("must have at most %d characters", most))
	}
}

func (c *checker) name(field, value string, most int) {
	c.check(strings.TrimSpace(value) != "", field, "must not be empty")
	c.text(field, value, most)
}

func (c *checker) url(field, value string) {
	c.text(field, value, MaxURL)
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	c.check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", field, "must be an http or https URL")
}

func (c *checker) tags(field string, tags []string) {
	c.check(len(tags) <= MaxTags, field, fmt.Sprintf("must have at most %d entries", MaxTags))
	for _, t := range tags {
		if c.name(field, t, MaxTag); len(c.fields) > 0 {
			return
		}
	}
}

// object returns a JSON object in the one form in which it is stored and
// cached, so that a value that went through a cache equals one that did not.
func (c *checker) object(field string, raw json.RawMessage) json.RawMessage {
	if len(bytes.TrimSpace(raw)) == 0 || string(bytes.TrimSpace(raw)) == "null" {
		return json.RawMessage("{}")
	}
	c.check(len(raw) <= MaxJSON, field, fmt.Sprintf("must have at most %d bytes", MaxJSON))
	var compact, escaped bytes.Buffer
	err := json.Compact(&compact, raw)
	ok := err == nil && compact.Len() > 0 && compact.Bytes()[0] == '{' && utf8.Valid(raw)
	c.check(ok, field, "must be a JSON object")
	if !ok {
		return nil
	}
	json.HTMLEscape(&escaped, compact.Bytes())
	return escaped.Bytes()
}

func oneOf[T ~string](value T, allowed []T) bool {
	for _, a := range allowed {
		if value == a {
			return true
		}
	}
	return false
}

func list[T ~string](allowed []T) string {
	parts := make([]string, len(allowed))
	for i, a := range allowed {
		parts[i] = string(a)
	}
	return "must be one of " + strings.Join(parts, ", ")
}
