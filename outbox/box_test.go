package outbox_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/outbox"
)

// What Add writes shares the fate of the transaction.
func TestAddIsPartOfTheTransaction(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		r := new(recorder)
		b := p.box(t, db, r, outbox.Options{})
		for _, commit := range []bool{false, true} {
			tx, err := db.BeginTx(t.Context(), nil)
			must(t, err)
			_, err = tx.Exec("INSERT INTO things VALUES (1, 1)")
			must(t, err)
			_, err = b.Add(t.Context(), tx, larder.Tag("things"), larder.All(), larder.Tag("things"))
			must(t, err)
			_, err = tx.Exec("UPDATE things SET version = 2") // the transaction goes on
			must(t, err)
			if !commit {
				must(t, tx.Rollback())
				if got := stored(t, db); len(got) != 0 {
					t.Fatalf("a rolled back transaction left %v", got)
				}
				continue
			}
			must(t, tx.Commit())
		}
		if got := stored(t, db); !slices.Equal(got, []string{"tag:things", "all:"}) {
			t.Fatalf("stored %v", got)
		}
		if r.numCalls() != 0 {
			t.Fatal("Add invalidated")
		}
	})
}

// A *sql.Conn with a transaction of its own will do as well.
func TestAddOnAConnection(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		b := p.box(t, db, new(recorder), outbox.Options{})
		conn, err := db.Conn(t.Context())
		must(t, err)
		defer conn.Close()
		for _, end := range []string{"ROLLBACK", "COMMIT"} {
			_, err = conn.ExecContext(t.Context(), "BEGIN")
			must(t, err)
			_, err = b.Add(t.Context(), conn, larder.Tag(end))
			must(t, err)
			_, err = conn.ExecContext(t.Context(), end)
			must(t, err)
		}
		if got := stored(t, db); !slices.Equal(got, []string{"tag:COMMIT"}) {
			t.Fatalf("stored %v", got)
		}
	})
}

// Done is one call of Invalidate with what Add was given, and without a relay
// nothing remains.
func TestDoneInvalidatesAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		r := new(recorder)
		b := p.box(t, db, r, outbox.Options{BatchSize: 3})
		targets := []larder.Target{larder.Tag("a"), larder.Prefix("b:"), larder.All(), larder.Tag("c"), larder.Strict}
		pending := add(t, db, b, targets...)
		if got := stored(t, db); len(got) != 4 {
			t.Fatalf("stored %v", got)
		}
		must(t, pending.Done(t.Context()))
		if want := [][]string{{"tag:a", "prefix:b:", "all:", "tag:c", larder.Strict.String()}}; !reflect.DeepEqual(r.calls, want) {
			t.Fatalf("calls %v, want %v", r.calls, want)
		}
		if got := stored(t, db); len(got) != 0 {
			t.Fatalf("left %v", got)
		}
		if got, want := b.Stats(), (outbox.Stats{Added: 4, Done: 4}); got != want {
			t.Fatalf("stats %+v, want %+v", got, want)
		}
	})
}

// Done outlives its caller as far as the rows are concerned.
func TestDoneOfACancelledCaller(t *testing.T) {
	p := sqlitePlace(t)
	db := p.create(t)
	b := p.box(t, db, new(recorder), outbox.Options{})
	pending := add(t, db, b, larder.Tag("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, pending.Done(ctx))
	if got := stored(t, db); len(got) != 0 {
		t.Fatalf("left %v", got)
	}
}

// What is not confirmed stays; what is confirmed but not strict goes.
func TestDoneKeepsWhatIsNotConfirmed(t *testing.T) {
	p := sqlitePlace(t)
	db := p.create(t)
	r := &recorder{fail: func([]string) error { return away(1) }}
	b := p.box(t, db, r, outbox.Options{})
	pending := add(t, db, b, larder.Tag("a"))
	if err := pending.Done(t.Context()); !errors.Is(err, larder.ErrPending) {
		t.Fatalf("Done: %v", err)
	}
	if got := stored(t, db); len(got) != 1 {
		t.Fatalf("left %v", got)
	}
	r.setFail(func([]string) error { return larder.ErrNotStrict })
	if err := pending.Done(t.Context()); !errors.Is(err, larder.ErrNotStrict) {
		t.Fatalf("Done: %v", err)
	}
	if got := stored(t, db); len(got) != 0 {
		t.Fatalf("left %v", got)
	}
}

// Nothing to invalidate costs nothing; a target that is none is refused before
// the transaction is touched.
func TestAddOfNothingAndOfNonsense(t *testing.T) {
	p := sqlitePlace(t)
	db := p.create(t)
	r := new(recorder)
	b := p.box(t, db, r, outbox.Options{})
	must(t, add(t, db, b).Done(t.Context()))
	must(t, (*outbox.Pending)(nil).Done(t.Context()))
	must(t, add(t, db, b, larder.Strict).Done(t.Context()))
	cache, err := larder.New(larder.Options{})
	must(t, err)
	defer cache.Close()
	names, err := larder.NewKeyspace[string, int](cache, "name", larder.KeyspaceOptions[string, int]{})
	must(t, err)
	for _, bad := range []larder.Target{{}, larder.Tag(""), larder.Prefix(""), names.Key("")} {
		pending, err := b.Add(t.Context(), nil, larder.Tag("good"), bad)
		if !errors.Is(err, larder.ErrInvalidKey) || pending != nil {
			t.Errorf("Add(%v): %v, %v", bad, pending, err)
		}
	}
	if got := stored(t, db); len(got) != 0 {
		t.Fatalf("stored %v", got)
	}
}

// Tags are bytes; every one of them comes back from the database as it went in.
func TestAnyTagSurvivesTheDatabase(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		r := new(recorder)
		b := p.box(t, db, r, outbox.Options{})
		var targets []larder.Target
		for _, tag := range []string{"a:b", "ü€😀", "\x00", "a\x00b", "\xff\xfe", `"quoted"`, `\`, "'; DROP TABLE things; --", "line\nbreak", "<&>", "\u2028", "�", strings.Repeat("x", 512)} {
			targets = append(targets, larder.Tag(tag))
		}
		for i := range 256 {
			targets = append(targets, larder.Tag("byte "+string([]byte{byte(i)})))
		}
		add(t, db, b, targets...)
		must(t, b.Flush(t.Context()))
		for _, target := range targets {
			if r.confirmed(target.String()) != 1 {
				t.Errorf("%q was invalidated %d times", target, r.confirmed(target.String()))
			}
		}
		if got := stored(t, db); len(got) != 0 {
			t.Fatalf("left %q", got)
		}
	})
}

// A number must not be given twice: a relay that has carried out the first row
// may be about to delete it by its number.
func TestNumbersAreNotReused(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		b := p.box(t, db, new(recorder), outbox.Options{})
		last := int64(0)
		for range 3 {
			pending := add(t, db, b, larder.Tag("a"))
			var id int64
			must(t, db.QueryRow("SELECT max(id) FROM larder_outbox").Scan(&id))
			if id <= last {
				t.Fatalf("number %d after %d", id, last)
			}
			last = id
			must(t, pending.Done(t.Context()))
		}
	})
}

func TestNewRefusesBadOptions(t *testing.T) {
	p := sqlitePlace(t)
	db := p.open(t)
	for _, o := range []outbox.Options{
		{Table: "a.b.c"}, {Table: "a."}, {Table: strings.Repeat("x", 64)}, {Table: "a\x00"}, {Table: "\xff"},
		{Dialect: 7}, {PollInterval: -1}, {BatchSize: -1},
	} {
		if _, err := outbox.New(db, new(recorder), o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := outbox.New(nil, nil, outbox.Options{}); err == nil {
		t.Error("no database and no cache were accepted")
	}
	for _, o := range []outbox.Options{{Table: "a..b"}, {Dialect: 7}} {
		if _, err := outbox.Schema(o.Dialect, o.Table); err == nil {
			t.Errorf("Schema of %+v was made", o)
		}
	}
}

// A table may have any name, and one with quotes in it ends no statement.
func TestTableNames(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.open(t)
		for _, table := range []string{"Mixed", `a"b`, "a b;c--", "select", "'"} {
			schema, err := outbox.Schema(p.dialect, table)
			must(t, err)
			exec(t, db, schema, schema) // twice: it is there already
			r := new(recorder)
			b := p.box(t, db, r, outbox.Options{Table: table})
			add(t, db, b, larder.Tag("a"))
			must(t, b.Flush(t.Context()))
			if r.confirmed("tag:a") != 1 {
				t.Errorf("nothing came through table %q", table)
			}
		}
	})
}

// Cost: Add and Done beside a commit.
func BenchmarkAddDone(b *testing.B) {
	for _, db := range []string{"SQLite", "PostgreSQL"} {
		for _, with := range []string{"nothing", "outbox"} {
			b.Run("db="+db+"/with="+with, func(b *testing.B) {
				p := sqlitePlace(b)
				if db == "PostgreSQL" {
					p = postgresPlace(b)
				}
				conn := p.create(b)
				box := p.box(b, conn, new(recorder), outbox.Options{PollInterval: time.Second})
				start(b, box)
				exec(b, conn, "INSERT INTO things VALUES (1, 1)")
				for b.Loop() {
					tx, err := conn.Begin()
					must(b, err)
					_, err = tx.Exec("UPDATE things SET version = version + 1")
					must(b, err)
					var pending *outbox.Pending
					if with == "outbox" {
						pending, err = box.Add(b.Context(), tx, larder.Tag("a"), larder.Tag("b"), larder.Tag("c"))
						must(b, err)
					}
					must(b, tx.Commit())
					must(b, pending.Done(b.Context()))
				}
			})
		}
	}
}
