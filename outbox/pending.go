package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/larder-go/larder"
)

// Tx is the caller's transaction: a *sql.Tx, or a *sql.Conn on which one was
// begun.
type Tx interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Pending is an invalidation that is written and, once its transaction is
// committed, due. Drop it when the transaction is rolled back.
type Pending struct {
	box     *Box
	targets []larder.Target
	rows    []int64
}

// Add writes the targets in the caller's transaction, in one statement, at any
// point of it. [larder.Strict] among them is not written; it makes Done wait.
// An error that matches [larder.ErrInvalidKey] names a target that is none, and
// nothing was written; any other is the database's, and the transaction should
// be rolled back. No targets, nothing written.
func (b *Box) Add(ctx context.Context, tx Tx, targets ...larder.Target) (*Pending, error) {
	texts, err := textsOf(targets)
	if err != nil {
		return nil, err
	}
	p := &Pending{box: b, targets: targets}
	if len(texts) == 0 {
		return p, nil
	}
	if p.rows, err = b.insert(ctx, tx, texts); err != nil {
		return nil, fmt.Errorf("outbox: add: %w", err)
	}
	b.counts.added.Add(int64(len(texts)))
	return p, nil
}

// insert returns the numbers of the new rows.
func (b *Box) insert(ctx context.Context, tx Tx, texts []string) ([]int64, error) {
	list, err := json.Marshal(texts)
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, b.sql.add, string(list))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ids := make([]int64, 0, len(texts))
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(ids) != len(texts) {
		return nil, fmt.Errorf("%d rows for %d targets", len(ids), len(texts))
	}
	return ids, nil
}

// textsOf returns the texts to store, each once.
func textsOf(targets []larder.Target) ([]string, error) {
	texts, have := make([]string, 0, len(targets)), make(map[string]bool, len(targets))
	for i, t := range targets {
		if t == larder.Strict {
			continue
		}
		text := t.String()
		if _, err := larder.ParseTarget(text); err != nil {
			return nil, fmt.Errorf("outbox: target %d: %w", i, err)
		}
		if !have[text] {
			have[text] = true
			texts = append(texts, encode(text))
		}
	}
	return texts, nil
}

// Done carries the invalidation out. Call it after the commit, never before:
// what readers load in between would stay cached. Without a relay in this
// process it also deletes the rows; with one the relay does, a moment later.
//
// The error is that of the Invalidator: one that matches [larder.ErrPending]
// means Redis has not confirmed; the rows stay, and a relay goes on trying, also
// when this process is no more. After [larder.ErrNotStrict] nothing is left to
// do. Done of a nil Pending and of no targets does nothing.
func (p *Pending) Done(ctx context.Context) error {
	if p == nil || len(p.targets) == 0 {
		return nil
	}
	err := p.box.cache.Invalidate(ctx, p.targets...)
	if err == nil || errors.Is(err, larder.ErrNotStrict) {
		p.box.counts.done.Add(int64(len(p.rows)))
		p.box.confirm(ctx, p.rows)
		if p.box.state.is(cache) { // so others that failed will succeed now
			p.box.Wake()
		}
	}
	if err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	return nil
}
