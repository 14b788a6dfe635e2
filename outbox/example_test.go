package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/outbox"
)

// A service renames a suite. Its invalidation is committed with the new name,
// and carried out right after; had the process died in between, the relay of
// any other would do it.
func Example() {
	dir, err := os.MkdirTemp("", "outbox")
	check(err)
	defer os.RemoveAll(dir)
	// The relay is one more user of the database: SQLite has to wait for locks.
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "shop.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	check(err)
	defer db.Close()
	schema, err := outbox.Schema(outbox.SQLite, "") // belongs into a migration
	check(err)
	for _, statement := range []string{schema, "CREATE TABLE suites (id INTEGER PRIMARY KEY, name TEXT)", "INSERT INTO suites VALUES (42, 'old')"} {
		_, err = db.Exec(statement)
		check(err)
	}

	cache, err := larder.New(larder.Options{}) // a service with Redis: redistier.Open
	check(err)
	defer cache.Close()
	suites, err := larder.NewKeyspace[int64, string](cache, "suite", larder.KeyspaceOptions[int64, string]{})
	check(err)
	load := func(ctx context.Context, id int64) (name string, err error) {
		err = db.QueryRowContext(ctx, "SELECT name FROM suites WHERE id = ?", id).Scan(&name)
		return name, err
	}

	box, err := outbox.New(db, cache, outbox.Options{Dialect: outbox.SQLite})
	check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- box.Run(ctx) }() // as long as the service runs

	before, err := suites.Get(ctx, 42, load)
	check(err)

	tx, err := db.BeginTx(ctx, nil)
	check(err)
	_, err = tx.ExecContext(ctx, "UPDATE suites SET name = 'new' WHERE id = 42")
	check(err)
	pending, err := box.Add(ctx, tx, suites.Key(42), larder.Tag("suites"))
	check(err)
	check(tx.Commit())
	check(pending.Done(ctx))

	after, err := suites.Get(ctx, 42, load)
	check(err)
	stop()
	check(<-ended)
	fmt.Println(before, after, box.Stats().Done)
	// Output: old new 2
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// Changes made with sqlite3 or psql reach the cache too.
func ExampleTriggers() {
	statements, err := outbox.Triggers(outbox.Options{Dialect: outbox.SQLite}, outbox.Watch{
		Table:   "suites",
		Targets: []string{"key:suite:{id}", "tag:suites"},
	})
	check(err)
	fmt.Println(len(statements), "statements;", statements[0])
	// Output: 6 statements; DROP TRIGGER IF EXISTS "larder_outbox:suites:insert"
}
