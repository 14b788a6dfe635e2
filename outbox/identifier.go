package outbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// longestIdentifier is PostgreSQL's limit; it silently cuts longer ones.
const longestIdentifier = 63

// quoteIdentifier quotes a name of a table or column, in the case it is given.
func quoteIdentifier(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("empty name")
	case len(name) > longestIdentifier:
		return "", fmt.Errorf("%q is longer than %d bytes", name, longestIdentifier)
	case !utf8.ValidString(name), strings.Contains(name, "\x00"):
		return "", fmt.Errorf("%q is no text", name)
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`, nil
}

// quoteTable quotes "table" or "schema.table".
func quoteTable(name string) (string, error) {
	parts := strings.Split(name, ".")
	if len(parts) > 2 {
		return "", fmt.Errorf("%q has more than a schema and a name", name)
	}
	for i, part := range parts {
		q, err := quoteIdentifier(part)
		if err != nil {
			return "", err
		}
		parts[i] = q
	}
	return strings.Join(parts, "."), nil
}

// boundedIdentifier joins parts to a name of admissible length: the end of a
// longer one becomes a hash of the whole.
func boundedIdentifier(parts ...string) string {
	name := strings.Join(parts, ":") // quoted, so it may be in a name
	if len(name) <= longestIdentifier {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	const hashed = 12
	return strings.ToValidUTF8(name[:longestIdentifier-1-hashed], "") + ":" + hex.EncodeToString(sum[:hashed/2])
}

// quoteText quotes a literal for the dialect.
func (d Dialect) quoteText(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if d == PostgreSQL && strings.Contains(text, `\`) { // whatever standard_conforming_strings says
		quoted = "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
