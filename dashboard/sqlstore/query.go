package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// handle is what *sql.DB and *sql.Tx share.
type handle interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// querier runs statements written with ? on a database or in a transaction.
type querier struct {
	db      handle
	dialect *dialect
}

func (q *querier) row(ctx context.Context, query string, args ...any) scanner {
	return oneRow{q.db.QueryRowContext(ctx, q.dialect.rebind(query), args...), q.dialect}
}

// oneRow is a row whose errors are those of the domain.
type oneRow struct {
	row     *sql.Row
	dialect *dialect
}

// Scan implements scanner.
func (r oneRow) Scan(dest ...any) error { return r.dialect.fault(r.row.Scan(dest...)) }

// exec returns the number of rows that the statement touched.
func (q *querier) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := q.db.ExecContext(ctx, q.dialect.rebind(query), args...)
	if err != nil {
		return 0, q.dialect.fault(err)
	}
	return res.RowsAffected()
}

// each calls scan for every row.
func (q *querier) each(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	rows, err := q.db.QueryContext(ctx, q.dialect.rebind(query), args...)
	if err != nil {
		return q.dialect.fault(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return q.dialect.fault(rows.Err())
}

// scanner is a row of either form.
type scanner interface{ Scan(dest ...any) error }

// where collects conditions with their arguments.
type where struct {
	conditions []string
	args       []any
}

func (w *where) and(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

// contains selects rows where one of the columns contains the text.
func (w *where) contains(like, text string, columns ...string) {
	pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(text) + "%"
	parts := make([]string, len(columns))
	args := make([]any, len(columns))
	for i, c := range columns {
		parts[i], args[i] = c+" "+like+` ? ESCAPE '\'`, pattern
	}
	w.and("("+strings.Join(parts, " OR ")+")", args...)
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// with returns the arguments followed by more.
func (w *where) with(more ...any) []any { return append(w.args[:len(w.args):len(w.args)], more...) }

// listing is a list in a stable order: by rank (where there is one), then by id.
type listing[T any] struct {
	columns, from string
	// count is the FROM clause for the total where it can be a shorter one.
	count  string
	where  where
	id     string
	rank   string
	down   bool
	scan   func(scanner) (T, error)
	cursor func(T) string
}

// list reads one page and the total.
func list[T any](ctx context.Context, q *querier, page dashboard.Page, l listing[T]) (dashboard.List[T], error) {
	out := dashboard.List[T]{Items: []T{}}
	if l.count == "" {
		l.count = l.from
	}
	if err := q.row(ctx, "SELECT count(*) FROM "+l.count+l.where.String(), l.where.args...).Scan(&out.Total); err != nil {
		return out, fmt.Errorf("count: %w", err)
	}
	if err := l.after(page.Cursor); err != nil {
		return out, err
	}
	query := "SELECT " + l.columns + " FROM " + l.from + l.where.String() + " ORDER BY " + l.order() + " LIMIT ? OFFSET ?"
	err := q.each(ctx, func(rows scanner) error {
		item, err := l.scan(rows)
		out.Items = append(out.Items, item)
		return err
	}, query, l.where.with(page.Limit+1, page.Skip)...)
	if err != nil {
		return out, fmt.Errorf("list: %w", err)
	}
	if len(out.Items) > page.Limit {
		out.Items = out.Items[:page.Limit:page.Limit]
		out.Next = l.cursor(out.Items[page.Limit-1])
	}
	return out, nil
}

func (l *listing[T]) order() string {
	order := l.id
	if l.down {
		order += " DESC"
	}
	if l.rank != "" {
		order = l.rank + ", " + order
	}
	return order
}

// after continues behind a cursor: "id", or "rank.id" in lists with a rank.
func (l *listing[T]) after(cursor string) error {
	if cursor == "" {
		return nil
	}
	rank, id, ranked := strings.Cut(cursor, ".")
	if !ranked {
		rank, id = "0", rank
	}
	r, err1 := strconv.Atoi(rank)
	i, err2 := strconv.ParseInt(id, 10, 64)
	if err1 != nil || err2 != nil || ranked != (l.rank != "") {
		return dashboard.Invalid("cursor", "is not a cursor of this list")
	}
	switch {
	case ranked:
		l.where.and("("+l.rank+", "+l.id+") > (?, ?)", r, i)
	case l.down:
		l.where.and(l.id+" < ?", i)
	default:
		l.where.and(l.id+" > ?", i)
	}
	return nil
}

// missing turns "no rows" into a NotFoundError.
func missing(err error, kind dashboard.Kind, id int64) error {
	if errors.Is(err, sql.ErrNoRows) {
		return &dashboard.NotFoundError{Kind: kind, ID: id}
	}
	return fmt.Errorf("read %s: %w", kind, err)
}

func idCursor(id int64) string { return strconv.FormatInt(id, 10) }

func millis(t time.Time) int64 { return t.UnixMilli() }

func instantOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func maybeMillis(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: true}
}

func maybeInstant(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	return new(instantOf(ms.Int64))
}

func maybeInt(v sql.NullInt64) *int64 {
	if !v.Valid {
		return nil
	}
	return new(v.Int64)
}

// rowsOf returns "(?,…),(?,…)" for n rows of width columns.
func rowsOf(n, width int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(row+",", n), ",")
}

// scanID reads the only column of the only row.
func scanID(into *int64) func(scanner) error {
	return func(row scanner) error { return row.Scan(into) }
}
