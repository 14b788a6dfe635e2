package outbox

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/larder-go/larder"
)

// longestName is the length in bytes above which names of entries are hashed
// and tags refused.
const longestName = 512

// template is the text of a target with columns in it.
type template struct {
	parts   []part
	escaped bool // the values are segments of an entry's name
	longest int  // of the text, in bytes
}

// part is either a literal or a quoted column.
type part struct{ literal, column string }

// parseTemplate reads "key:suite:{id}".
func parseTemplate(text string) (template, error) {
	var t template
	sample := ""
	for rest := text; rest != ""; {
		literal, behind, found := strings.Cut(rest, "{")
		if strings.Contains(literal, "}") {
			return t, fmt.Errorf("target %q: } without {", text)
		}
		if literal != "" {
			t.parts = append(t.parts, part{literal: literal})
			sample += literal
		}
		if !found {
			break
		}
		column, after, closed := strings.Cut(behind, "}")
		if !closed {
			return t, fmt.Errorf("target %q: { without }", text)
		}
		quoted, err := quoteIdentifier(column)
		if err != nil {
			return t, fmt.Errorf("target %q: %w", text, err)
		}
		t.parts = append(t.parts, part{column: quoted})
		sample += "1"
		rest = after
	}
	if _, err := larder.ParseTarget(sample); err != nil {
		return t, err
	}
	if encode(sample) != sample {
		return t, fmt.Errorf("target %q is no text", text)
	}
	word, _, _ := strings.Cut(text, ":") // no column: ParseTarget knows the word
	t.escaped = word == "key" || word == "memory"
	t.longest = len(word) + len(":") + longestName
	return t, nil
}

// expression returns the SQL of the text for the row called row, NULL where a
// column is.
func (t template) expression(d Dialect, row string) string {
	var parts, unsafe []string
	for _, p := range t.parts {
		if p.column == "" {
			parts = append(parts, d.text(d.quoteText(p.literal)))
			continue
		}
		value := d.text(row + "." + p.column)
		if t.escaped {
			unsafe = append(unsafe, d.hasControls(value))
			value = d.escape(value)
		}
		parts = append(parts, value)
	}
	text := strings.Join(parts, " || ")
	if len(t.parts) == 1 && t.parts[0].column == "" {
		return text
	}
	unsafe = append(unsafe, d.bytes(text)+" > "+strconv.Itoa(t.longest))
	return "CASE WHEN " + strings.Join(unsafe, " OR ") + " THEN " + d.text("'all:'") + " ELSE " + text + " END"
}

// text returns an expression as text.
func (d Dialect) text(expression string) string { return "CAST(" + expression + " AS TEXT)" }

// bytes returns the length of a text in bytes.
func (d Dialect) bytes(text string) string {
	if d == PostgreSQL {
		return "octet_length(" + text + ")"
	}
	return "length(CAST(" + text + " AS BLOB))"
}

// hasControls asks for control characters, which a segment has escaped byte by
// byte.
func (d Dialect) hasControls(value string) string {
	if d == PostgreSQL {
		return value + " ~ ('[' || chr(1) || '-' || chr(31) || chr(127) || '-' || chr(159) || ']')"
	}
	return value + " GLOB '*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*' OR instr(" + value + ", char(0)) > 0"
}

// segmentEscapes are the other characters that [larder.AppendSegment] escapes;
// % comes first, because it is what escapes are made of.
const segmentEscapes = `%:*?[]\{}# ~`

// escape returns value as a segment of a key.
func (d Dialect) escape(value string) string {
	for _, c := range segmentEscapes {
		value = fmt.Sprintf("replace(%s, %s, '%%%02X')", value, d.quoteText(string(c)), c)
	}
	return value
}
