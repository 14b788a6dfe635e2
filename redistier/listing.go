package redistier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/larder-go/larder"
)

// ErrCursor reports a cursor that is none, or of a server that is no master any
// more: the listing has to begin again.
var ErrCursor = errors.New("redistier: the cursor is not valid any more")

// Page is a part of a listing.
type Page struct {
	Names []string // of entries or tags; a name may come twice in a listing
	Next  string   // where the next page begins; empty: this was the last
}

// Scan lists the names of entries that match a glob pattern. It begins with the
// cursor "", reads about count keys (at most 1000, the default) of one master
// with one SCAN and returns those that match, perhaps none. What is there from
// the first page to the last is listed. Entries of [larder.MemoryOnly] keyspaces
// are found by ScanTags.
func (i *Inspector) Scan(ctx context.Context, pattern, cursor string, count int) (Page, error) {
	k := &i.tier.self.keys
	return i.scan(ctx, k.matching(pattern), cursor, count, func(key string) string {
		if strings.HasPrefix(key, reserved) {
			return ""
		}
		return strings.TrimPrefix(key, k.entry)
	})
}

// ScanTags lists tags that have a generation and match a glob pattern. A tag
// that begins with "^" stands for a declared prefix, one with "=" for an entry
// of a [larder.MemoryOnly] keyspace.
func (i *Inspector) ScanTags(ctx context.Context, pattern, cursor string, count int) (Page, error) {
	k := &i.tier.self.keys
	match := globEscaper.Replace(k.tag)
	if k.clustered() {
		match += "{*}"
	}
	return i.scan(ctx, match+pattern, cursor, count, k.tagOf)
}

// tagOf returns the tag whose generation has this key, empty if it is none: locks
// and rankings lie where tags do.
func (k *keys) tagOf(key string) string {
	tag, ok := strings.CutPrefix(key, k.tag)
	if ok && k.clustered() {
		_, tag, ok = strings.Cut(tag, "}")
	}
	if !ok || strings.HasPrefix(tag, "=#") {
		return ""
	}
	return tag
}

func (i *Inspector) scan(ctx context.Context, match, cursor string, count int, name func(key string) string) (Page, error) {
	conns, at, position, err := i.resume(cursor)
	if err != nil {
		return Page{}, err
	}
	c := conns[at]
	if count <= 0 || count > page {
		count = page
	}
	result := c.sendOne(ctx, c.client.B().Scan().Cursor(position).Match(match).Count(int64(count)).Build())
	entry, err := result.AsScanEntry()
	if err != nil {
		return Page{}, c.scanError("SCAN", &result, err)
	}
	var p Page
	for _, key := range entry.Elements {
		if n := name(key); n != "" {
			p.Names = append(p.Names, n)
		}
	}
	switch {
	case entry.Cursor != 0:
		p.Next = strconv.FormatUint(entry.Cursor, 10) + "@" + c.cfg.Address
	case at+1 < len(conns):
		p.Next = "0@" + conns[at+1].cfg.Address
	}
	return p, nil
}

// masters returns the connections in the order of their addresses.
func (i *Inspector) masters() ([]*conn, error) {
	conns, complete := i.tier.conns()
	if !complete {
		return nil, larder.ErrUnavailable
	}
	slices.SortFunc(conns, func(a, b *conn) int { return cmp.Compare(a.cfg.Address, b.cfg.Address) })
	return conns, nil
}

// resume finds the server and the position that a cursor names.
func (i *Inspector) resume(cursor string) (conns []*conn, at int, position uint64, err error) {
	if conns, err = i.masters(); err != nil || cursor == "" {
		return conns, 0, 0, err
	}
	number, address, ok := strings.Cut(cursor, "@")
	position, err = strconv.ParseUint(number, 10, 64)
	at = slices.IndexFunc(conns, func(c *conn) bool { return c.cfg.Address == address })
	if !ok || err != nil || at < 0 {
		return nil, 0, 0, fmt.Errorf("%w: %q", ErrCursor, cursor)
	}
	return conns, at, position, nil
}
