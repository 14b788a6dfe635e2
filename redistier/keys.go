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
	entry    string // prefix of entries
	tag      string // prefix of tag generations
	requests string // prefix of the keys that pushes ask by
	acks     string // prefix of the keys that answer

	staleness string // prefix of the keys that hold MaxStaleness
	refresh   string // prefix of the keys of refreshers
	stripes   []stripe
}

// stripe is the control keys of a part of the key space, all in one slot. A
// standalone server has one.
type stripe struct {
	index     int
	namespace string // generation of the namespace
	log       string // births of generations
	life      string // which life of the server the data belong to
	beat      string // never present
	probe     string // self-test of pushes
	members   string // who may serve from memory
	requests  string // number of the last request to confirm
	acks      string // which requests the members have seen
	staleness string // MaxStaleness of the namespace
}

func newKeys(namespace string) keys {
	k := keys{
		tag:       reserved + "g:" + namespace + "#",
		requests:  reserved + "c:" + namespace,
		acks:      reserved + "a:" + namespace,
		staleness: reserved + "t:" + namespace,
		refresh:   reserved + "r:" + namespace + "#",
		stripes:   []stripe{newStripe(namespace)},
	}
	if namespace != "" {
		k.entry = namespace + ":"
	}
	return k
}

func newStripe(suffix string) stripe {
	return stripe{
		namespace: reserved + "n:" + suffix,
		log:       reserved + "l:" + suffix,
		life:      reserved + "i:" + suffix,
		beat:      reserved + "b:" + suffix,
		probe:     reserved + "p:" + suffix,
		members:   reserved + "m:" + suffix,
		requests:  reserved + "c:" + suffix,
		acks:      reserved + "a:" + suffix,
		staleness: reserved + "t:" + suffix,
	}
}

// newClusterKeys returns the layout for a cluster, where the control keys of a
// stripe share a slot of that stripe by a hash tag.
func newClusterKeys(namespace string) keys {
	k := newKeys(namespace)
	k.stripes = make([]stripe, stripes)
	for i := range k.stripes {
		k.stripes[i] = newStripe(namespace + "#{" + hashTags[i] + "}")
		k.stripes[i].index = i
	}
	return k
}

// tagKey returns the key of a tag's generation. In a cluster tags are spread
// over the stripes.
func (k *keys) tagKey(tag string) string {
	if len(k.stripes) == 1 {
		return k.tag + tag
	}
	return k.tag + "{" + hashTags[crc16(tag)%stripes] + "}" + tag
}

// refreshKey returns the key of who refreshes an entry. In a cluster it has the
// slot of the entry: by the entry's own hash tag if it has one, otherwise by the
// whole of it as one. An entry with a brace that begins or ends no tag may get
// another slot, which costs a pipeline of two.
func (k *keys) refreshKey(entry string) string {
	if len(k.stripes) == 1 || hashTag(entry) != entry {
		return k.refresh + entry
	}
	return k.refresh + "{" + entry + "}"
}

// stripeOf returns the part of the key space that key belongs to.
func (k *keys) stripeOf(key string) *stripe {
	if len(k.stripes) == 1 {
		return &k.stripes[0]
	}
	return &k.stripes[slotOf(key)/slotsPerStripe]
}

// registryOf returns the stripe that keeps the members to ask about key.
func (k *keys) registryOf(key string) *stripe {
	return &k.stripes[k.stripeOf(key).index/perRegistry*perRegistry]
}

func (k *keys) clustered() bool { return len(k.stripes) > 1 }

// all returns one key of each stripe.
func (k *keys) all(key func(*stripe) string) []string {
	list := make([]string, len(k.stripes))
	for i := range k.stripes {
		list[i] = key(&k.stripes[i])
	}
	return list
}

// logOf returns the log that lists the birth of a generation; the one of a
// namespace is in none.
func (k *keys) logOf(key string) string {
	if strings.HasPrefix(key, k.tag) {
		return k.stripeOf(key).log
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
