package outbox_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/outbox"
)

// watched makes a table of rows with triggers.
func watched(t testing.TB, p place, db *sql.DB, targets ...string) {
	t.Helper()
	exec(t, db, "CREATE TABLE rows (id BIGINT PRIMARY KEY, suite_id BIGINT, name TEXT)")
	statements, err := outbox.Triggers(outbox.Options{Dialect: p.dialect}, outbox.Watch{Table: "rows", Targets: targets})
	must(t, err)
	exec(t, db, statements...)
	exec(t, db, statements...) // again, as after a change of the watches
}

// drain returns the rows of the outbox, sorted, and empties it.
func drain(t testing.TB, db *sql.DB) []string {
	t.Helper()
	texts := stored(t, db)
	exec(t, db, "DELETE FROM larder_outbox")
	slices.Sort(texts)
	return texts
}

// A change by any program writes the targets of the old and the new row.
func TestTriggersWriteWhatChanged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		watched(t, p, db, "key:row:{id}", "tag:rows", "tag:rows:suite:{suite_id}")
		for _, step := range []struct {
			statement string
			want      []string
		}{
			{"INSERT INTO rows VALUES (1, 10, 'a')", []string{"key:row:1", "tag:rows", "tag:rows:suite:10"}},
			{"UPDATE rows SET suite_id = 20 WHERE id = 1", []string{"key:row:1", "tag:rows", "tag:rows:suite:10", "tag:rows:suite:20"}},
			{"UPDATE rows SET id = 2 WHERE id = 1", []string{"key:row:1", "key:row:2", "tag:rows", "tag:rows:suite:20"}},
			{"UPDATE rows SET suite_id = NULL", []string{"key:row:2", "tag:rows", "tag:rows:suite:20"}},
			{"UPDATE rows SET name = 'b' WHERE id = 77", nil},
			{"INSERT INTO rows VALUES (2, 10, 'a') ON CONFLICT (id) DO UPDATE SET suite_id = 30", []string{"key:row:2", "tag:rows", "tag:rows:suite:30"}},
			{"DELETE FROM rows", []string{"key:row:2", "tag:rows", "tag:rows:suite:30"}},
		} {
			exec(t, db, step.statement)
			if got := drain(t, db); !slices.Equal(got, step.want) {
				t.Errorf("%s\nwrote %v\nwant  %v", step.statement, got, step.want)
			}
		}
		tx, err := db.Begin()
		must(t, err)
		_, err = tx.Exec("INSERT INTO rows VALUES (3, 10, 'a')")
		must(t, err)
		must(t, tx.Rollback())
		if got := drain(t, db); len(got) != 0 {
			t.Errorf("a rolled back change wrote %v", got)
		}
	})
}

// PostgreSQL writes each target once per statement, everything for TRUNCATE,
// and nothing in transactions that say so.
func TestTriggersOfPostgres(t *testing.T) {
	p := postgresPlace(t)
	db := p.create(t)
	watched(t, p, db, "key:row:{id}", "tag:rows")
	exec(t, db, "INSERT INTO rows SELECT i, 1, 'x' FROM generate_series(1, 1000) AS i")
	if got := drain(t, db); len(got) != 1001 {
		t.Errorf("1000 rows wrote %d targets", len(got))
	}
	exec(t, db, "TRUNCATE rows")
	if got := drain(t, db); !slices.Equal(got, []string{"all:"}) {
		t.Errorf("TRUNCATE wrote %v", got)
	}
	exec(t, db, "BEGIN; SET LOCAL larder.triggers = 'off'; INSERT INTO rows VALUES (1, 1, 'x'); COMMIT")
	if got := drain(t, db); len(got) != 0 {
		t.Errorf("a muted transaction wrote %v", got)
	}
	exec(t, db, "INSERT INTO rows VALUES (2, 1, 'x')")
	if got := drain(t, db); len(got) != 2 {
		t.Errorf("the next one wrote %v", got)
	}
	// Another search path, as in somebody's session, finds the outbox as well.
	var schema string
	must(t, db.QueryRow("SELECT current_schema()").Scan(&schema))
	exec(t, db, "BEGIN; SET LOCAL search_path = public; UPDATE "+schema+".rows SET name = 'y'; COMMIT")
	if got := drain(t, db); len(got) != 3 {
		t.Errorf("from another search path %v was written", got)
	}
}

// alphabet has everything that a key escapes, and what it does not.
var alphabet = []rune("abcXYZ09:*?[]\\{}%#~ \t\n\x01\x1f\x7f\u0080\u009f\u00a0ü€😀'\"$-_.,;/|&=+\u2028")

// For any text in a column the trigger names the entry that the library names,
// or everything.
func TestTriggersEscapeAsTheLibraryDoes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		watched(t, p, db, "key:row:{name}", "tag:name={name}")
		cache, err := larder.New(larder.Options{})
		must(t, err)
		defer cache.Close()
		rows, err := larder.NewKeyspace[string, int](cache, "row", larder.KeyspaceOptions[string, int]{})
		must(t, err)
		insert := "INSERT INTO rows VALUES (1, 1, $1) ON CONFLICT (id) DO UPDATE SET id = 1, name = $1"
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		exact, everything := 0, 0
		for range 400 {
			runes := make([]rune, 1+random.IntN(8))
			if random.IntN(20) == 0 {
				runes = make([]rune, 500+random.IntN(20))
			}
			for i := range runes {
				runes[i] = alphabet[random.IntN(len(alphabet))]
				if len(runes) > 8 {
					runes[i] = 'l'
				}
			}
			name := string(runes)
			exec(t, db, "DELETE FROM rows")
			drain(t, db)
			_, err := db.Exec(insert, name)
			must(t, err)
			got := drain(t, db)
			switch {
			case slices.Contains(got, rows.Key(name).String()):
				exact++
			case slices.Contains(got, "all:"):
				everything++
			default:
				t.Fatalf("seed %d: %q gave %q, want %q", seed, name, got, rows.Key(name))
			}
			if len(name) < 400 && !slices.Contains(got, larder.Tag("name="+name).String()) {
				t.Fatalf("seed %d: %q gave %q", seed, name, got)
			}
		}
		t.Logf("%d exact, %d everything", exact, everything)
		if exact < 100 || everything == 0 {
			t.Errorf("seed %d: the test does not reach both ways", seed)
		}
	})
}

// Names with quotes and dollars end neither a statement nor a function's body.
func TestTriggersQuoteEveryName(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		for i, bad := range []string{`a"b`, "a'b", "$larder$", "$larder0$ $larder$", `x"; DROP TABLE things; --`, `\`, "Ünï"} {
			quoted := `"` + strings.ReplaceAll(bad, `"`, `""`) + `"`
			exec(t, db, fmt.Sprintf("CREATE TABLE %s (%s BIGINT)", quoted, quoted))
			statements, err := outbox.Triggers(outbox.Options{Dialect: p.dialect}, outbox.Watch{Table: bad, Targets: []string{"tag:" + strings.ReplaceAll(bad, `"`, "'") + "={" + bad + "}"}})
			must(t, err)
			exec(t, db, statements...)
			exec(t, db, fmt.Sprintf("INSERT INTO %s VALUES (%d)", quoted, i))
			want := fmt.Sprintf("tag:%s=%d", strings.ReplaceAll(bad, `"`, "'"), i)
			if got := drain(t, db); !slices.Equal(got, []string{want}) {
				t.Errorf("table %q wrote %q, want %q", bad, got, want)
			}
		}
		exec(t, db, "SELECT id FROM things")
	})
}

// Long names of tables do not make two triggers one.
func TestTriggersOfLongNames(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		long := strings.Repeat("t", 62)
		var watches []outbox.Watch
		for _, table := range []string{long + "1", long + "2"} {
			exec(t, db, "CREATE TABLE "+table+" (id BIGINT)")
			watches = append(watches, outbox.Watch{Table: table, Targets: []string{"tag:" + table[60:]}})
		}
		statements, err := outbox.Triggers(outbox.Options{Dialect: p.dialect}, watches...)
		must(t, err)
		exec(t, db, statements...)
		exec(t, db, "INSERT INTO "+long+"1 VALUES (1)", "UPDATE "+long+"1 SET id = 2", "INSERT INTO "+long+"2 VALUES (1)")
		if got := drain(t, db); !slices.Equal(got, []string{"tag:tt1", "tag:tt1", "tag:tt2"}) {
			t.Errorf("wrote %v", got)
		}
	})
}

func TestTriggersRefuseNonsense(t *testing.T) {
	good := []string{"tag:a"}
	for _, x := range []struct {
		o outbox.Options
		w []outbox.Watch
	}{
		{outbox.Options{}, []outbox.Watch{{Table: "", Targets: good}}},
		{outbox.Options{}, []outbox.Watch{{Table: "t"}}},
		{outbox.Options{}, []outbox.Watch{{Table: "main.t", Targets: good}}},
		{outbox.Options{}, []outbox.Watch{{Table: "t", Targets: good}, {Table: "t", Targets: good}}},
		{outbox.Options{Dialect: 9}, nil},
		{outbox.Options{Table: "a.b.c"}, nil},
		{outbox.Options{}, []outbox.Watch{{Table: "t", Targets: []string{"nonsense:{id}"}}}},
		{outbox.Options{}, []outbox.Watch{{Table: "t", Targets: []string{"tag:"}}}},
		{outbox.Options{}, []outbox.Watch{{Table: "t", Targets: []string{"tag:{"}}}},
		{outbox.Options{}, []outbox.Watch{{Table: "t", Targets: []string{"tag:}"}}}},
		{outbox.Options{}, []outbox.Watch{{Table: "t", Targets: []string{"tag:{}"}}}},
		{outbox.Options{}, []outbox.Watch{{Table: "t", Targets: []string{"{word}:x"}}}},
		{outbox.Options{}, []outbox.Watch{{Table: "t", Targets: []string{"tag:\xff"}}}},
	} {
		if got, err := outbox.Triggers(x.o, x.w...); err == nil {
			t.Errorf("%+v %+v gave %q", x.o, x.w, got)
		}
	}
}
