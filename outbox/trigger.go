package outbox

import (
	"errors"
	"fmt"
	"strings"
)

// Watch names a table whose changes, by whomever, are to invalidate.
type Watch struct {
	// Table is the table, "schema.table" in PostgreSQL if need be, in the case
	// that the database keeps it in.
	Table string
	// Targets are texts of targets, in which "{column}" stands for the value
	// that the changed row has in that column: "key:suite:{id}", "tag:suites".
	// After an update both the old and the new row count. A row whose column
	// is NULL has no such target. In names of entries values are escaped as
	// [larder.AppendSegment] does; a name above 512 bytes, whose end the
	// library replaces by a hash, and a value with control characters become
	// "all:". Columns hold integers, UUIDs or UTF-8 text; how others are
	// written depends on the session.
	Targets []string
}

// Triggers returns statements, to be executed one by one and in order, that
// make the database itself write a row whenever a watched table changes: in
// psql, sqlite3 or any other program. They may be executed again after a change
// of the watches; what they replace are their own triggers. The outbox is
// opts.Table, in opts.Dialect.
//
// Whoever writes a watched table needs the right to insert into the outbox. A
// relay carries the rows out: after at most two polls, in PostgreSQL at once
// where [Options.Listen] listens on [Channel]. Nothing fires for changes that
// the database does not show to triggers: logical replication and
// session_replication_role in PostgreSQL, rows that INSERT OR REPLACE removes
// in SQLite without recursive_triggers.
//
// They fire for changes of the service too, whose Add and Done are faster: the
// price is the invalidation twice. In PostgreSQL a transaction that begins with
// SET LOCAL larder.triggers = 'off' is left out.
//
// In PostgreSQL they cost one insert per statement, in SQLite one per changed
// row.
func Triggers(opts Options, watches ...Watch) ([]string, error) {
	if opts.Table == "" {
		opts.Table = defaultTable
	}
	if _, err := opts.Dialect.statements(opts.Table); err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	var out []string
	seen := make(map[string]bool)
	for _, w := range watches {
		err := errors.New("watched twice")
		if !seen[w.Table] {
			seen[w.Table] = true
			var made []string
			if made, err = opts.triggers(w); err == nil {
				out = append(out, made...)
				continue
			}
		}
		return nil, fmt.Errorf("outbox: triggers on %q: %w", w.Table, err)
	}
	return out, nil
}

// Channel returns the channel that the triggers in PostgreSQL notify, for a
// LISTEN. It is the name of the table; quote it. An empty name is the default.
func Channel(table string) string {
	if table == "" {
		table = defaultTable
	}
	return boundedIdentifier(table)
}

// trigger is what the statements for one watched table are made of.
type trigger struct {
	dialect     Dialect
	box, table  string // quoted
	name        string // of the triggers, without the event
	inSchema    string // quoted schema of the outbox with a dot, or nothing
	templates   []template
	notifyQuery string
}

func (o Options) triggers(w Watch) ([]string, error) {
	box, _ := quoteTable(o.Table) // checked
	table, err := quoteTable(w.Table)
	if err != nil {
		return nil, err
	}
	t := trigger{
		dialect: o.Dialect, box: box, table: table,
		name: boundedIdentifier(o.Table, w.Table),
	}
	if len(w.Targets) == 0 {
		return nil, errors.New("no targets")
	}
	for _, text := range w.Targets {
		one, err := parseTemplate(text)
		if err != nil {
			return nil, err
		}
		t.templates = append(t.templates, one)
	}
	if o.Dialect == SQLite {
		if strings.Contains(o.Table+w.Table, ".") {
			return nil, errors.New("SQLite takes no schema in triggers")
		}
		return t.sqlite(), nil
	}
	if schema, _, ok := strings.Cut(box, "."); ok {
		t.inSchema = schema + "."
	}
	t.notifyQuery = "PERFORM pg_notify(" + o.Dialect.quoteText(Channel(o.Table)) + ", '');"
	return t.postgres(), nil
}

// sqlite returns a trigger per event. Rows that are there already must not be
// taken for one's own: a relay may have carried them out and be about to delete
// them.
func (t *trigger) sqlite() []string {
	var out []string
	for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
		var selects []string
		for _, row := range rowsOf(event) {
			for _, x := range t.templates {
				selects = append(selects, "SELECT "+x.expression(t.dialect, row)+" AS target")
			}
		}
		name, _ := quoteIdentifier(boundedIdentifier(t.name, strings.ToLower(event))) // of checked parts
		out = append(out, "DROP TRIGGER IF EXISTS "+name,
			"CREATE TRIGGER "+name+" AFTER "+event+" ON "+t.table+" BEGIN\n"+
				"\tINSERT INTO "+t.box+" (target) SELECT target FROM (\n\t\t"+strings.Join(selects, "\n\t\tUNION ")+
				"\n\t) WHERE target IS NOT NULL;\nEND")
	}
	return out
}

// rowsOf returns the rows that a trigger sees after an event.
func rowsOf(event string) []string {
	switch event {
	case "INSERT":
		return []string{"NEW"}
	case "DELETE":
		return []string{"OLD"}
	}
	return []string{"OLD", "NEW"}
}

// postgres returns a function and a trigger per event, each fired once per
// statement with the tables of old and new rows.
func (t *trigger) postgres() []string {
	identifier, _ := quoteIdentifier(t.name) // of checked parts
	function := t.inSchema + identifier
	out := []string{t.function(function)}
	for _, event := range []string{"INSERT", "UPDATE", "DELETE", "TRUNCATE"} {
		name, _ := quoteIdentifier(boundedIdentifier(t.name, strings.ToLower(event)))
		referencing := ""
		if event != "TRUNCATE" {
			referencing = " REFERENCING"
			for _, row := range rowsOf(event) {
				referencing += " " + row + " TABLE AS " + transition(row)
			}
		}
		out = append(out, "DROP TRIGGER IF EXISTS "+name+" ON "+t.table,
			"CREATE TRIGGER "+name+" AFTER "+event+" ON "+t.table+referencing+
				" FOR EACH STATEMENT WHEN (current_setting('larder.triggers', true) IS DISTINCT FROM 'off') EXECUTE FUNCTION "+function+"()")
	}
	return out
}

func transition(row string) string { return "larder_" + strings.ToLower(row) }

// function returns the statement that creates the function. It runs with the
// rights of who changes the table, and with the search path of its creation, so
// that it finds the outbox in every session.
func (t *trigger) function(name string) string {
	var body strings.Builder
	body.WriteString("BEGIN\n")
	word := "IF"
	for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
		var selects []string
		for _, row := range rowsOf(event) {
			for _, x := range t.templates {
				selects = append(selects, "SELECT "+x.expression(t.dialect, "r")+" FROM "+transition(row)+" AS r")
			}
		}
		fmt.Fprintf(&body, "\t%s TG_OP = '%s' THEN\n\t\tINSERT INTO %s (target) SELECT target FROM (\n\t\t\t%s\n\t\t) AS v (target) WHERE target IS NOT NULL;\n",
			word, event, t.box, strings.Join(selects, "\n\t\t\tUNION "))
		word = "ELSIF"
	}
	fmt.Fprintf(&body, "\tELSE\n\t\tINSERT INTO %s (target) VALUES ('all:');\n\tEND IF;\n\tIF FOUND THEN\n\t\t%s\n\tEND IF;\n\tRETURN NULL;\nEND", t.box, t.notifyQuery)
	quote := "$larder$" // no name in the text may end it
	for i := 0; strings.Contains(body.String(), quote); i++ {
		quote = fmt.Sprintf("$larder%d$", i)
	}
	return "CREATE OR REPLACE FUNCTION " + name + "() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS " +
		quote + "\n" + body.String() + "\n" + quote
}
