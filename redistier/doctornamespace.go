package redistier

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder/internal/frame"
)

const (
	// surveyPages bounds the pages that are read of each master.
	surveyPages = 100
	// surveySample is how many entries of the namespace are looked into.
	surveySample = 500
)

// census is what a look over the keys has found.
type census struct {
	namespaces map[string]bool // of other programs
	sample     []string        // keys of entries
	partial    bool            // there are more keys

	foreign, wrong int // of the sample
}

// checkNamespaces looks for others whose keys lie among ours.
func (i *Inspector) checkNamespaces(ctx context.Context) []Finding {
	finding := func(level Level, text, advice string) Finding {
		return Finding{Check: "namespace", Level: level, Text: text, Advice: advice}
	}
	conns, err := i.masters()
	c := census{namespaces: map[string]bool{}}
	for _, conn := range conns {
		if err == nil {
			err = c.take(ctx, conn)
		}
	}
	if err != nil {
		return []Finding{finding(LevelSkipped, "the keys cannot be listed: "+err.Error(), "")}
	}
	var list []Finding
	own := ownNamespace(&i.tier.self.keys)
	for _, other := range c.others() {
		if collide(own, other) {
			list = append(list, finding(LevelWarning, fmt.Sprintf("the keys of namespace %q and of ours, %q, lie within one another: a pattern for one matches entries of the other", other, own),
				"name namespaces so that none is the beginning of another before a colon"))
		}
	}
	if c.wrong > 0 {
		list = append(list, finding(LevelFailed, fmt.Sprintf("%d of %d keys under %q that were looked at hold no string: another program uses them, and what is loaded cannot be stored there", c.wrong, len(c.sample), i.tier.self.keys.entry),
			"give this cache a namespace of its own (CACHE_NAMESPACE)"))
	}
	if c.foreign > 0 {
		list = append(list, finding(LevelWarning, fmt.Sprintf("%d of %d keys under %q that were looked at were not written by Larder: they survive Clear, and tags do not reach them", c.foreign, len(c.sample), i.tier.self.keys.entry),
			"give this cache a namespace of its own, or leave those keys to Larder"))
	}
	if list == nil {
		text := fmt.Sprintf("%d entries looked at, %d other namespaces, none in the way", len(c.sample), len(c.namespaces))
		if c.partial {
			text += "; there are more keys than were read"
		}
		list = []Finding{finding(LevelOK, text, "")}
	}
	return list
}

// collide reports whether the entries of one namespace look like those of the
// other.
func collide(a, b string) bool {
	return a == "" || b == "" || strings.HasPrefix(a, b+":") || strings.HasPrefix(b, a+":")
}

func (c *census) others() []string {
	var list []string
	for name := range c.namespaces {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// take reads pages of one master.
func (c *census) take(ctx context.Context, from *conn) error {
	own := ownNamespace(&from.keys)
	var sample []string
	cursor := uint64(0)
	for range surveyPages {
		entry, err := from.sendOne(ctx, from.client.B().Scan().Cursor(cursor).Count(page).Build()).AsScanEntry()
		if err != nil {
			return err
		}
		for _, key := range entry.Elements {
			if name, ok := namespaceOf(key); ok && name != own {
				c.namespaces[name] = true
			} else if !strings.HasPrefix(key, reserved) && strings.HasPrefix(key, from.keys.entry) && len(sample)+len(c.sample) < surveySample {
				sample = append(sample, key)
			}
		}
		if cursor = entry.Cursor; cursor == 0 {
			break
		}
	}
	c.partial = c.partial || cursor != 0
	c.sample = append(c.sample, sample...)
	c.lookInto(ctx, from, sample)
	return nil
}

func ownNamespace(k *keys) string { return strings.TrimSuffix(k.entry, ":") }

// namespaceOf returns the namespace that a mark of a server's life or a
// generation of a namespace belongs to.
func namespaceOf(key string) (string, bool) {
	for _, kind := range []string{"i:", "n:", "m:"} {
		if name, ok := strings.CutPrefix(key, reserved+kind); ok {
			name, _, _ = strings.Cut(name, "#")
			return name, true
		}
	}
	return "", false
}

// lookInto reads the first bytes of entries.
func (c *census) lookInto(ctx context.Context, from *conn, sample []string) {
	if len(sample) == 0 {
		return
	}
	commands := make([]rueidis.Completed, len(sample))
	for n, key := range sample {
		commands[n] = from.client.B().Getrange().Key(key).Start(0).End(0).Build()
	}
	for _, result := range from.send(ctx, commands) {
		first, err := result.ToString()
		switch {
		case err != nil && strings.HasPrefix(err.Error(), "WRONGTYPE"):
			c.wrong++
		case err == nil && first != "" && frame.KindOf(first) == frame.Foreign:
			c.foreign++
		}
	}
}
