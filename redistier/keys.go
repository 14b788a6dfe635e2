package redistier

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// reserved begins every key that is no entry.
const reserved = "#larder:"

// keys is the layout of one namespace; see the package documentation.
type keys struct {
	entry     string // prefix of entries
	tag       string // prefix of tag generations
	namespace string
	log       string // births of generations
	life      string // which life of the server the data belong to
	beat      string
	probe     string // prefix of self-test keys
}

func newKeys(namespace string) keys {
	k := keys{
		tag:       reserved + "g:" + namespace + "#",
		namespace: reserved + "n:" + namespace,
		log:       reserved + "l:" + namespace,
		life:      reserved + "i:" + namespace,
		beat:      reserved + "b:" + namespace,
		probe:     reserved + "p:" + namespace + "#",
	}
	if namespace != "" {
		k.entry = namespace + ":"
	}
	return k
}

// logOf returns the log that lists the birth of a generation; the one of a
// namespace is in none.
func (k *keys) logOf(key string) string {
	if strings.HasPrefix(key, k.tag) {
		return k.log
	}
	return ""
}

// matching returns the SCAN pattern for a pattern of entry names.
func (k *keys) matching(pattern string) string {
	return globEscaper.Replace(k.entry) + pattern
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)

// checkNamespace refuses names that would make the key layout ambiguous.
func checkNamespace(namespace string) error {
	switch {
	case !utf8.ValidString(namespace):
		return fmt.Errorf("redistier: namespace %q is not valid UTF-8", namespace)
	case strings.ContainsFunc(namespace, func(r rune) bool { return r == '#' || r == '{' || r == '}' || r < ' ' || r == 0x7f }):
		return fmt.Errorf("redistier: namespace %q contains #, {, } or a control character", namespace)
	}
	return nil
}
