package redistier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// page is how many slots of the key space one SCAN looks at.
const page = 1000

// errMoved reports that keys may have come to where the scan had been before.
var errMoved = errors.New("redistier: the layout changed or a server restarted during the scan")

// DeleteMatching removes the entries whose names match a glob pattern, page by
// page, on one master after the other. Every key that was present during the
// whole call is found; a lease that was there at its start cannot be filled
// after it. When a server restarted meanwhile, possibly from a snapshot, or
// slots moved, the scan starts over; while a slot is being moved it does not
// end. It costs one round trip per page of 1000 keys in the database, and one
// per page with matches.
func (t *Tier) DeleteMatching(ctx context.Context, pattern string, removed func(keys []string)) (int, error) {
	total := 0
	for {
		n, err := t.deleteOnce(ctx, t.self.keys.matching(pattern), removed)
		total += n
		if !errors.Is(err, errMoved) {
			return total, err
		}
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
			return total, ctx.Err()
		}
	}
}

// deleteOnce scans every master once. It fails with errMoved unless the layout
// was the same before and after.
func (t *Tier) deleteOnce(ctx context.Context, match string, removed func(keys []string)) (int, error) {
	conns, complete := t.conns()
	if !complete {
		return 0, larder.ErrUnavailable
	}
	before, err := t.survey(ctx, conns)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, c := range conns {
		n, err := c.deletePages(ctx, match, removed)
		total += n
		if err != nil && c.epoch.Load() == nil && t.replaced(ctx, c) {
			err = errMoved
		}
		if err != nil {
			return total, err
		}
	}
	after, err := t.survey(ctx, conns)
	if err == nil && !maps.Equal(before, after) {
		err = errMoved
	}
	return total, err
}

// replaced waits for the successor of a connection that broke; false when there
// is none at once.
func (t *Tier) replaced(ctx context.Context, c *conn) bool {
	if ctx.Err() != nil {
		return false
	}
	next := c.server.conn()
	return next != nil && next != c
}

// survey returns what tells two layouts apart: for each master its life and,
// in a cluster, who has which slots in its view, those on their way included.
func (t *Tier) survey(ctx context.Context, conns []*conn) (map[string]string, error) {
	views := map[string]string{}
	for _, c := range conns {
		views[c.cfg.Address] = c.runID
		if !t.self.keys.clustered() {
			continue
		}
		nodes, err := c.sendOne(ctx, c.client.B().ClusterNodes().Build()).ToString()
		if err != nil {
			return nil, fmt.Errorf("redistier: CLUSTER NODES: %w", err)
		}
		view, masters, moving := slotView(nodes)
		if moving || masters != len(conns) {
			c.server.lost()
			return nil, errMoved
		}
		views[c.cfg.Address] += view
	}
	for _, s := range t.layout.Load().servers {
		c := s.conn()
		switch {
		case c == nil:
			return nil, larder.ErrUnavailable
		case views[c.cfg.Address] == "" || !strings.HasPrefix(views[c.cfg.Address], c.runID):
			return nil, errMoved
		}
	}
	return views, nil
}

// slotView returns the ids and slots of masters from the text of CLUSTER NODES,
// how many they are, and whether slots are being moved.
func slotView(nodes string) (view string, masters int, moving bool) {
	var b strings.Builder
	for line := range strings.Lines(nodes) {
		words := strings.Fields(line)
		if len(words) < 9 {
			continue
		}
		masters++
		b.WriteString(words[0])
		for _, span := range words[8:] {
			moving = moving || strings.HasPrefix(span, "[")
			b.WriteString(" " + span)
		}
	}
	return b.String(), masters, moving
}

// deletePages scans one server from its first page to its last.
func (c *conn) deletePages(ctx context.Context, match string, removed func(keys []string)) (int, error) {
	total, cursor := 0, uint64(0)
	for {
		next, n, err := c.deletePage(ctx, cursor, match, removed)
		total += n
		if err != nil {
			return total, err
		}
		if cursor = next; cursor == 0 {
			return total, nil
		}
	}
}

// deletePage reads one page and unlinks the entries on it.
func (c *conn) deletePage(ctx context.Context, cursor uint64, match string, removed func(keys []string)) (uint64, int, error) {
	result := c.sendOne(ctx, c.client.B().Scan().Cursor(cursor).Match(match).Count(page).Build())
	entry, err := result.AsScanEntry()
	if err != nil {
		return 0, 0, c.scanError("SCAN", &result, err)
	}
	names := entriesOnly(entry.Elements)
	if len(names) == 0 {
		return entry.Cursor, 0, nil
	}
	n, err := c.unlink(ctx, names)
	if err != nil {
		return 0, n, err
	}
	removed(names)
	return entry.Cursor, n, nil
}

// unlink removes keys: by one command, or in a cluster by one for each.
func (c *conn) unlink(ctx context.Context, names []string) (int, error) {
	var commands []rueidis.Completed
	if c.keys.clustered() {
		for _, name := range names {
			commands = append(commands, c.client.B().Unlink().Key(name).Build())
		}
	} else {
		commands = append(commands, c.client.B().Unlink().Key(names...).Build())
	}
	total := 0
	for _, result := range c.send(ctx, commands) {
		n, err := result.ToInt64()
		if err != nil {
			return total, c.scanError("UNLINK", &result, err)
		}
		total += int(n)
	}
	return total, nil
}

func (c *conn) scanError(command string, result *rueidis.RedisResult, err error) error {
	if gone := result.NonRedisError(); gone != nil {
		return fmt.Errorf("redistier: %s: %w", command, lost(gone))
	}
	for _, code := range slotErrors {
		if strings.HasPrefix(err.Error(), code) {
			c.misled(err)
			return errMoved
		}
	}
	return fmt.Errorf("redistier: %s: %w", command, c.refused(err))
}

// entriesOnly drops control keys, which begin with the reserved prefix and
// match patterns only while the namespace is empty.
func entriesOnly(names []string) []string {
	entries := names[:0]
	for _, name := range names {
		if !strings.HasPrefix(name, reserved) {
			entries = append(entries, name)
		}
	}
	return entries
}
