package sqlstore

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

var postgresDialect = dialect{
	name:       "postgres",
	migrations: "migrations/postgres",
	rebind:     numbered,
	// Not FOR UPDATE: rows that refer to the locked one may still be inserted.
	lock:       func(table string) string { return " FOR NO KEY UPDATE OF " + table },
	skipLocked: " FOR UPDATE SKIP LOCKED",
	agedOutbox: "added_at < now() - make_interval(secs => ?)",
	like:       "ILIKE",
	unique:     func(err error) bool { return hasCode(err, "23505") },
	// deadlock_detected and serialization_failure: another transaction was first.
	again: func(err error) bool { return hasCode(err, "40P01", "40001") },
	full:  func(err error) bool { return hasCode(err, "53100") }, // disk_full
	away:  away,
}

// away reports an error that says nothing about the statement: the server ended,
// refuses connections, has become a standby, or cannot be reached.
func away(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		class := e.Code[:min(2, len(e.Code))]
		return class == "08" || class == "53" || class == "57" && e.Code != "57014" || e.Code == "25006"
	}
	var network net.Error
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || pgconn.SafeToRetry(err)
}

func hasCode(err error, codes ...string) bool {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	for _, code := range codes {
		if e.Code == code {
			return true
		}
	}
	return false
}

// openPostgres opens one pool for readers and writers. A transaction reads what
// was committed before each of its statements and locks the rows that it changes.
func openPostgres(url string, connections int) (*Store, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The cause quotes the URL, which may hold a password.
		return nil, errors.New("open database: the URL is not one of PostgreSQL, as in postgres://user@host:5432/database")
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "qadash"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(2 * connections)
	db.SetMaxIdleConns(2 * connections)
	return &Store{write: db, read: db, dialect: postgresDialect, close: closer(db)}, nil
}

// numbered turns ? into $1, $2 and so on. No statement of this package has a ? in a literal.
func numbered(query string) string {
	var b strings.Builder
	n := 0
	for {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}
