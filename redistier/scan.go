package redistier

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/larder-go/larder"
)

// page is how many slots of the key space one SCAN looks at.
const page = 1000

// errMoved reports that another server process answers now.
var errMoved = errors.New("redistier: the server restarted during the scan")

// DeleteMatching removes the entries whose names match a glob pattern, page by
// page. Every key that was present during the whole call is found; a lease that
// was there at its start cannot be filled after it. When the server restarted
// meanwhile, possibly from a snapshot, the scan starts over. It costs one round
// trip per page of 1000 keys in the database, and one per page with matches.
func (t *Tier) DeleteMatching(ctx context.Context, pattern string, removed func(keys []string)) (int, error) {
	total := 0
	for {
		n, err := t.deletePages(ctx, t.self.keys.matching(pattern), removed)
		total += n
		if !errors.Is(err, errMoved) {
			return total, err
		}
	}
}

// deletePages scans one server process from its first page to its last.
func (t *Tier) deletePages(ctx context.Context, match string, removed func(keys []string)) (int, error) {
	total, cursor, runID := 0, uint64(0), ""
	for {
		c := t.server.conn()
		switch {
		case c == nil:
			return total, larder.ErrUnavailable
		case runID == "":
			runID = c.runID
		case runID != c.runID:
			return total, errMoved
		}
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
	result = c.sendOne(ctx, c.client.B().Unlink().Key(names...).Build())
	n, err := result.ToInt64()
	if err != nil {
		return 0, 0, c.scanError("UNLINK", &result, err)
	}
	removed(names)
	return entry.Cursor, int(n), nil
}

func (c *conn) scanError(command string, result *rueidis.RedisResult, err error) error {
	if gone := result.NonRedisError(); gone != nil {
		return fmt.Errorf("redistier: %s: %w", command, lost(gone))
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
