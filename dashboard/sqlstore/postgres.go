package sqlstore

import (
	"errors"
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
	like:       "ILIKE",
	unique:     func(err error) bool { return hasCode(err, "23505") },
	// deadlock_detected and serialization_failure: another transaction was first.
	again: func(err error) bool { return hasCode(err, "40P01", "40001") },
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
