package larder

import (
	"fmt"
	"strings"
)

// A Target is what an invalidation names. Its text form ([Target.String],
// [ParseTarget]) can be stored and carried out later by another process.
type Target struct {
	kind targetKind
	name string
	err  error
}

type targetKind uint8

const (
	targetNone   targetKind = iota
	targetKey               // an entry, by its name in the namespace
	targetMemory            // an entry of a MemoryOnly keyspace
	targetTag
	targetPrefix
	targetAll
	targetStrict  // no target: how to wait
	targetPattern // not a Target: see Cache.DeletePattern
	targetKinds
)

var targetWords = map[targetKind]string{
	targetKey: "key", targetMemory: "memory", targetTag: "tag", targetPrefix: "prefix", targetAll: "all",
}

// Strict is given to [Cache.Invalidate] beside what to invalidate, which then
// returns only when reads served from memory see the change too, in every
// process, also those that join a flight. It takes a little more than
// [Options.MaxStaleness]; with [Options.AcknowledgedStrict] about two round trips
// while all processes answer.
var Strict = Target{kind: targetStrict}

// Tag names all entries that depend on tag, in every process.
func Tag(tag string) Target { return Target{kind: targetTag, name: tag} }

// Prefix names all entries of keyspaces that declare prefix
// ([KeyspaceOptions.Prefixes]) and whose names begin with it. For other
// prefixes there is [Cache.DeletePattern].
func Prefix(prefix string) Target { return Target{kind: targetPrefix, name: prefix} }

// All names every entry of the namespace, like [Cache.Clear].
func All() Target { return Target{kind: targetAll} }

// String returns the text form, such as "key:suite:42" or "tag:suites".
func (t Target) String() string {
	if word, ok := targetWords[t.kind]; ok {
		return word + ":" + t.name
	}
	return "invalid"
}

// ParseTarget reads the text form of a target. It fails with [ErrInvalidKey].
func ParseTarget(text string) (Target, error) {
	word, name, ok := strings.Cut(text, ":")
	for kind, w := range targetWords {
		if ok && w == word && (name != "") == (kind != targetAll) {
			return Target{kind: kind, name: name}, nil
		}
	}
	return Target{}, fmt.Errorf("%w: target %q is not of the form key:…, memory:…, tag:…, prefix:… or all:", ErrInvalidKey, text)
}

// Internal tags begin with a byte that tags of users must not begin with.
const (
	entryMark  = "=" // stands for one entry of a MemoryOnly keyspace
	prefixMark = "^" // stands for a declared prefix
)

// checkTag refuses tags that cannot be one.
func checkTag(tag string) error {
	switch {
	case tag == "":
		return fmt.Errorf("%w: empty tag", ErrInvalidKey)
	case len(tag) > maxKeyBytes:
		return fmt.Errorf("%w: tag of %d bytes, the limit is %d", ErrInvalidKey, len(tag), maxKeyBytes)
	case strings.HasPrefix(tag, entryMark), strings.HasPrefix(tag, prefixMark):
		return fmt.Errorf("%w: tag %q begins with %q, which is kept for internal ones", ErrInvalidKey, tag, tag[:1])
	}
	return nil
}

// tagKey returns the remote key of a tag's generation, internal tags included.
func (c *Cache) tagKey(tag string) string {
	if c.remote == nil {
		return "#tag:" + tag
	}
	return c.remote.TagKey(tag)
}

// namespaceKey returns the remote key of the generation that covers entry.
func (c *Cache) namespaceKey(entry string) string {
	if c.remote == nil {
		return "#namespace"
	}
	return c.remote.NamespaceKey(entry)
}

func (c *Cache) namespaceKeys() []string {
	if c.remote == nil {
		return []string{c.namespaceKey("")}
	}
	return c.remote.NamespaceKeys()
}

// entryKey returns the remote key of the entry called name.
func (c *Cache) entryKey(name string) string {
	if c.remote == nil {
		return name
	}
	return c.remote.EntryKey(name)
}

// removals appends the operations that invalidate t.
func (c *Cache) removals(ops []Op, t Target) ([]Op, error) {
	if t.err != nil {
		return ops, t.err
	}
	switch t.kind {
	case targetKey:
		return append(ops, c.removal(c.entryKey(t.name), c.holdOffOf(t.name))), nil
	case targetMemory:
		return append(ops, c.removal(c.tagKey(entryMark+t.name), c.holdOffOf(t.name))), nil
	case targetTag:
		return append(ops, c.removal(c.tagKey(t.name), c.longestHoldOff())), checkTag(t.name)
	case targetPrefix:
		if !c.declaresPrefix(t.name) {
			return ops, fmt.Errorf("%w: prefix %q is declared by no keyspace", ErrInvalidKey, t.name)
		}
		return append(ops, c.removal(c.tagKey(prefixMark+t.name), c.longestHoldOff())), nil
	case targetAll:
		for _, key := range c.namespaceKeys() {
			ops = append(ops, c.removal(key, c.longestHoldOff()))
		}
		return ops, nil
	case targetStrict:
		return ops, nil
	}
	return ops, fmt.Errorf("%w: the zero Target", ErrInvalidKey)
}
