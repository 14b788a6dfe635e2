package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var sqliteDialect = dialect{
	name:       "sqlite3",
	migrations: "migrations/sqlite",
	rebind:     func(q string) string { return q },
	lock:       func(string) string { return "" }, // the transaction holds the write lock
	like:       "LIKE",
	agedOutbox: "added_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || CAST(? AS INTEGER) || ' seconds')",
	again:      func(error) bool { return false }, // it waits for the write lock instead
	unique: func(err error) bool {
		code := sqliteCode(err)
		return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	},
	full: func(err error) bool { return sqliteCode(err)&0xff == sqlite3.SQLITE_FULL },
	away: func(err error) bool {
		switch sqliteCode(err) & 0xff { // the primary part of an extended code
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
			return true
		}
		return false
	},
}

// sqliteCode returns the extended result code, 0 for errors that have none.
func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// openSQLite opens a file. SQLite lets one connection write at a time, so there is
// one for writing, whose transactions begin with the write lock: none fails
// half-way because it could not get it. With the write-ahead log the readers see
// the last commit without waiting for the writer.
func openSQLite(name string, readers int) (*Store, error) {
	path := strings.TrimPrefix(strings.TrimPrefix(name, "sqlite:"), "file:")
	path = strings.TrimPrefix(path, "//")
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, errors.New("open database: SQLite needs the path of a file")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	write, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", sqliteDSN(path, true))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &Store{write: write, read: read, dialect: sqliteDialect, close: closer(read, write)}, nil
}

func sqliteDSN(path string, readOnly bool) string {
	v := url.Values{}
	// Another process may hold the write lock for as long as a large report takes.
	v.Add("_pragma", "busy_timeout(15000)")
	v.Add("_pragma", "journal_mode(WAL)")
	// A commit survives a crash of the process; the last ones before a power
	// failure may be lost, the file is never damaged.
	v.Add("_pragma", "synchronous(NORMAL)")
	v.Add("_pragma", "foreign_keys(1)")
	v.Add("_pragma", "cache_size(-16000)")
	if readOnly {
		v.Add("_pragma", "query_only(1)")
	} else {
		v.Set("_txlock", "immediate")
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: v.Encode()}).String()
}
