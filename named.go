package larder

import (
	"sync/atomic"
)

// invalidationCounts counts what was invalidated, by what named it.
type invalidationCounts struct {
	own    [targetKinds]atomic.Uint64
	pushed [2]atomic.Uint64 // entries, generations
}

// InvalidationStats counts what was invalidated, by what named it.
type InvalidationStats struct {
	Keys     uint64 // entries that this process named
	Tags     uint64 // tags that it named
	Prefixes uint64 // declared prefixes that it named
	All      uint64 // times it cleared the namespace
	Patterns uint64 // deletions by pattern

	PushedEntries     uint64 // entries that other processes changed, fills included
	PushedGenerations uint64 // generations that other processes changed: tags, prefixes, the namespace
}

func (n *invalidationCounts) snapshot() InvalidationStats {
	return InvalidationStats{
		Keys:              n.own[targetKey].Load() + n.own[targetMemory].Load(),
		Tags:              n.own[targetTag].Load(),
		Prefixes:          n.own[targetPrefix].Load(),
		All:               n.own[targetAll].Load(),
		Patterns:          n.own[targetPattern].Load(),
		PushedEntries:     n.pushed[0].Load(),
		PushedGenerations: n.pushed[1].Load(),
	}
}

// noteTargets counts targets that are about to be invalidated.
func (c *Cache) noteTargets(targets []Target) {
	for _, t := range targets {
		if t.kind != targetStrict {
			c.noteInvalidation(t.kind, t.name)
		}
	}
}

func (c *Cache) noteInvalidation(kind targetKind, name string) {
	c.named.own[kind].Add(1)
	if c.watched() {
		c.tell(Event{Kind: EventInvalidate, Name: name, Detail: kind.word()})
	}
}

func (t targetKind) word() string {
	if t == targetPattern {
		return "pattern"
	}
	return targetWords[t]
}

// notePush counts keys that other processes changed.
func (c *Cache) notePush(keys []string) {
	watched := c.watched()
	for _, key := range keys {
		detail := "entry"
		if len(key) > 0 && key[0] == '#' {
			detail = "generation"
			c.named.pushed[1].Add(1)
		} else {
			c.named.pushed[0].Add(1)
		}
		if watched {
			c.tell(Event{Kind: EventPush, Name: key, Detail: detail})
		}
	}
}
