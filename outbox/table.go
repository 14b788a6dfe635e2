package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Dialect is the SQL that a database speaks.
type Dialect uint8

// The dialects: SQLite from 3.38 and PostgreSQL from 11, by any driver.
const (
	SQLite Dialect = iota
	PostgreSQL
)

const defaultTable = "larder_outbox"

// statementTime bounds one statement, so that a database that hangs stops
// neither Run nor its end.
const statementTime = 10 * time.Second

// statements are the texts for one table. Lists travel as one JSON array: one
// text to prepare, whatever their length.
type statements struct{ add, read, newest, remove string }

func (d Dialect) statements(table string) (statements, error) {
	t, err := quoteTable(table)
	if err != nil {
		return statements{}, fmt.Errorf("Options.Table: %w", err)
	}
	s := statements{newest: "SELECT COALESCE(max(id), 0) FROM " + t}
	switch d {
	case SQLite:
		s.add = "INSERT INTO " + t + " (target) SELECT value FROM json_each(?) RETURNING id"
		s.read = "SELECT id, target FROM " + t + " WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
		s.remove = "DELETE FROM " + t + " WHERE id IN (SELECT value FROM json_each(?))"
	case PostgreSQL:
		s.add = "INSERT INTO " + t + " (target) SELECT value FROM json_array_elements_text($1::text::json) RETURNING id"
		s.read = "SELECT id, target FROM " + t + " WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3"
		// Two relays that delete the same rows must not wait for each other.
		s.remove = "DELETE FROM " + t + " WHERE id IN (SELECT id FROM " + t +
			" WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::text::json)) FOR UPDATE SKIP LOCKED)"
	default:
		return s, fmt.Errorf("Options.Dialect: %d is none", d)
	}
	return s, nil
}

// Schema returns the statement that creates the table if it is absent: for a
// migration, or to be executed at the start. An empty table name is the
// default one. The database never gives a number to a second row, because a
// relay may still be about to delete the first.
func Schema(d Dialect, table string) (string, error) {
	if table == "" {
		table = defaultTable
	}
	t, err := quoteTable(table)
	if err != nil {
		return "", fmt.Errorf("outbox: table: %w", err)
	}
	switch d {
	case SQLite:
		return "CREATE TABLE IF NOT EXISTS " + t + ` (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	target   TEXT NOT NULL,
	added_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)`, nil
	case PostgreSQL:
		return "CREATE TABLE IF NOT EXISTS " + t + ` (
	id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	target   TEXT NOT NULL,
	added_at TIMESTAMPTZ NOT NULL DEFAULT now()
)`, nil
	}
	return "", fmt.Errorf("outbox: dialect %d is none", d)
}

// row is one invalidation that waits.
type row struct {
	id   int64
	text string
}

// read returns up to BatchSize rows behind after and up to last.
func (b *Box) read(ctx context.Context, after, last int64) (out []row, err error) {
	bounded, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	defer func() {
		if err != nil {
			err = b.broken(ctx, fmt.Errorf("outbox: read: %w", err))
		}
	}()
	rows, err := b.db.QueryContext(bounded, b.sql.read, after, last, b.opts.BatchSize)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.text); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// newest returns the highest number in the table, 0 of none.
func (b *Box) newest(ctx context.Context) (id int64, err error) {
	bounded, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	if err = b.db.QueryRowContext(bounded, b.sql.newest).Scan(&id); err != nil {
		return 0, b.broken(ctx, fmt.Errorf("outbox: read: %w", err))
	}
	return id, nil
}

// remove deletes rows. Those that are gone already do no harm.
func (b *Box) remove(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return fmt.Errorf("outbox: delete: %w", err)
	}
	bounded, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	if _, err = b.db.ExecContext(bounded, b.sql.remove, string(list)); err != nil {
		return b.broken(ctx, fmt.Errorf("outbox: delete: %w", err))
	}
	b.state.note(ctx, database, nil)
	return nil
}

// broken notes that the database failed. That it works again says a deletion,
// or a poll that came to its end: while somebody holds SQLite's lock, reads
// succeed.
func (b *Box) broken(ctx context.Context, err error) error {
	b.state.note(ctx, database, err)
	return err
}

// encode makes a target's text storable: PostgreSQL refuses bytes that are no
// UTF-8, and NUL. No text of a target begins with a quote.
func encode(text string) string {
	if utf8.ValidString(text) && !strings.Contains(text, "\x00") {
		return text
	}
	return strconv.QuoteToASCII(text)
}

func decode(stored string) (string, error) {
	if !strings.HasPrefix(stored, `"`) {
		return stored, nil
	}
	return strconv.Unquote(stored)
}
