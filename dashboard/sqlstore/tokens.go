package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/larder-go/larder/dashboard"
)

var _ dashboard.Admin = (*Store)(nil)

const tokenColumns = "t.id, t.name, t.scope, t.hint, t.created_by, t.created_at, t.expires_at, t.last_used_at, t.revoked_at"

func scanToken(row scanner) (dashboard.Token, error) {
	var (
		t                      dashboard.Token
		created                int64
		expires, used, revoked sql.NullInt64
	)
	err := row.Scan(&t.ID, &t.Name, &t.Scope, &t.Hint, &t.CreatedBy, &created, &expires, &used, &revoked)
	t.CreatedAt, t.ExpiresAt, t.LastUsedAt, t.RevokedAt = instantOf(created), maybeInstant(expires), maybeInstant(used), maybeInstant(revoked)
	return t, err
}

func readToken(ctx context.Context, q *querier, id int64) (dashboard.Token, error) {
	t, err := scanToken(q.row(ctx, "SELECT "+tokenColumns+" FROM tokens t WHERE t.id = ?", id))
	if err != nil {
		return dashboard.Token{}, missing(err, dashboard.KindToken, id)
	}
	return t, nil
}

// CreateToken implements [dashboard.TokenStore].
func (s *Store) CreateToken(ctx context.Context, n dashboard.NewToken) (dashboard.Token, error) {
	var out dashboard.Token
	n, err := n.Normal(s.instant())
	if err != nil {
		return out, err
	}
	_, err = s.mutate(ctx, func(t *txn) error {
		var id int64
		err := t.row(ctx, "INSERT INTO tokens (name, scope, hash, hint, created_by, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
			n.Name, string(n.Scope), n.Hash, n.Hint, n.CreatedBy, millis(t.now), maybeMillis(n.ExpiresAt)).Scan(&id)
		if s.dialect.unique(err) {
			return nameTaken(dashboard.KindToken, "another token")
		}
		if err != nil {
			return fmt.Errorf("insert token: %w", err)
		}
		out, err = readToken(ctx, t.querier, id)
		return err
	})
	return out, err
}

// Tokens implements [dashboard.TokenStore].
func (s *Store) Tokens(ctx context.Context, page dashboard.Page) (dashboard.List[dashboard.Token], error) {
	page, err := page.Normal()
	if err != nil {
		return dashboard.List[dashboard.Token]{}, err
	}
	return list(ctx, s.reader(), page, listing[dashboard.Token]{
		columns: tokenColumns, from: "tokens t", id: "t.id", scan: scanToken,
		cursor: func(t dashboard.Token) string { return idCursor(t.ID) },
	})
}

// touchTime bounds the note that a token was used: a reader must not wait for a
// writer to be let in.
const touchTime = 100 * time.Millisecond

// TokenByHash implements [dashboard.TokenStore].
func (s *Store) TokenByHash(ctx context.Context, hash string) (dashboard.Token, error) {
	now := s.instant()
	t, err := scanToken(s.reader().row(ctx, "SELECT "+tokenColumns+" FROM tokens t WHERE t.hash = ? AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?)", hash, millis(now)))
	if err != nil {
		return dashboard.Token{}, missing(err, dashboard.KindToken, 0)
	}
	if t.LastUsedAt == nil || now.Sub(*t.LastUsedAt) >= time.Minute {
		brief, cancel := context.WithTimeout(ctx, touchTime)
		defer cancel()
		// When it does not get through, the next use notes it.
		q := querier{db: s.write, dialect: &s.dialect}
		if _, err := q.exec(brief, "UPDATE tokens SET last_used_at = ? WHERE id = ?", millis(now), t.ID); err == nil {
			t.LastUsedAt = &now
		}
	}
	return t, nil
}

// RevokeToken implements [dashboard.TokenStore].
func (s *Store) RevokeToken(ctx context.Context, id int64) (dashboard.Token, error) {
	var out dashboard.Token
	_, err := s.mutate(ctx, func(t *txn) error {
		n, err := t.exec(ctx, "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", millis(t.now), id)
		if err != nil {
			return fmt.Errorf("revoke token: %w", err)
		}
		if out, err = readToken(ctx, t.querier, id); err == nil && n == 0 {
			return &dashboard.ConflictError{Kind: dashboard.KindToken, ID: id, Reason: "is revoked already"}
		}
		return err
	})
	return out, err
}

// AddAudit implements [dashboard.AuditStore].
func (s *Store) AddAudit(ctx context.Context, e dashboard.AuditEntry) error {
	const most = 500
	_, err := s.mutate(ctx, func(t *txn) error {
		_, err := t.exec(ctx, "INSERT INTO audits (at, actor, action, target, detail) VALUES (?, ?, ?, ?, ?)",
			millis(t.now), dashboard.CutText(e.Actor, most), e.Action, dashboard.CutText(e.Target, most), dashboard.CutText(e.Detail, most))
		if err != nil {
			return fmt.Errorf("insert audit entry: %w", err)
		}
		return nil
	})
	return err
}

// Audits implements [dashboard.AuditStore].
func (s *Store) Audits(ctx context.Context, page dashboard.Page) (dashboard.List[dashboard.AuditEntry], error) {
	page, err := page.Normal()
	if err != nil {
		return dashboard.List[dashboard.AuditEntry]{}, err
	}
	return list(ctx, s.reader(), page, listing[dashboard.AuditEntry]{
		columns: "a.id, a.at, a.actor, a.action, a.target, a.detail", from: "audits a", id: "a.id", down: true,
		scan: func(row scanner) (dashboard.AuditEntry, error) {
			var (
				e  dashboard.AuditEntry
				at int64
			)
			err := row.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Target, &e.Detail)
			e.At = instantOf(at)
			return e, err
		},
		cursor: func(e dashboard.AuditEntry) string { return idCursor(e.ID) },
	})
}
