package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/dashboard"
)

const webhookColumns = "w.id, w.url, w.secret, w.branch, w.created_by, w.created_at"

// webhookFields returns destinations; finish is called once they are filled.
func webhookFields() (*dashboard.Webhook, fieldSet) {
	w, created := new(dashboard.Webhook), new(int64)
	return w, fieldSet{
		dest:   []any{&w.ID, &w.URL, &w.Secret, &w.Branch, &w.CreatedBy, created},
		finish: func() { w.CreatedAt = instantOf(*created) },
	}
}

func (q *querier) webhooks(ctx context.Context, condition string, args ...any) ([]dashboard.Webhook, error) {
	out := []dashboard.Webhook{}
	err := q.each(ctx, func(row scanner) error {
		w, fields := webhookFields()
		err := row.Scan(fields.dest...)
		fields.finish()
		out = append(out, *w)
		return err
	}, "SELECT "+webhookColumns+" FROM webhooks w "+condition+" ORDER BY w.id", args...)
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	return out, nil
}

// Webhooks implements [dashboard.WebhookStore].
func (s *Store) Webhooks(ctx context.Context) ([]dashboard.Webhook, error) {
	return s.reader().webhooks(ctx, "")
}

// CreateWebhook implements [dashboard.WebhookStore].
func (s *Store) CreateWebhook(ctx context.Context, n dashboard.NewWebhook) (dashboard.Webhook, error) {
	n, err := n.Normal()
	if err != nil {
		return dashboard.Webhook{}, err
	}
	w := dashboard.Webhook{URL: n.URL, Secret: n.Secret, Branch: n.Branch, CreatedBy: n.CreatedBy}
	_, err = s.mutate(ctx, func(t *txn) error {
		w.CreatedAt = t.now
		err := t.row(ctx, "INSERT INTO webhooks (url, secret, branch, created_by, created_at) VALUES (?, ?, ?, ?, ?) RETURNING id",
			n.URL, n.Secret, n.Branch, n.CreatedBy, millis(t.now)).Scan(&w.ID)
		if err != nil {
			return fmt.Errorf("insert webhook: %w", err)
		}
		return nil
	})
	return w, err
}

// DeleteWebhook implements [dashboard.WebhookStore].
func (s *Store) DeleteWebhook(ctx context.Context, id int64) error {
	_, err := s.mutate(ctx, func(t *txn) error {
		n, err := t.exec(ctx, "DELETE FROM webhooks WHERE id = ?", id)
		if err != nil {
			return fmt.Errorf("delete webhook: %w", err)
		}
		if n == 0 {
			return &dashboard.NotFoundError{Kind: dashboard.KindWebhook, ID: id}
		}
		return nil
	})
	return err
}

// oweDeliveries records, with the verdict itself, whom it concerns.
func (t *txn) oweDeliveries(ctx context.Context, e dashboard.Execution) error {
	if e.Status == dashboard.StatusStopped {
		return nil
	}
	hooks, err := t.webhooks(ctx, "WHERE w.branch IN ('', ?)", e.Branch)
	if err != nil || len(hooks) == 0 {
		return err
	}
	var previous presentResult
	err = t.row(ctx, `SELECT id, status FROM executions WHERE suite_id = ? AND branch = ? AND id < ? AND status IN ('passed', 'failed', 'error')
		ORDER BY id DESC LIMIT 1`, e.SuiteID, e.Branch, e.ID).Scan(&previous.id, &previous.status)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read verdict before: %w", err)
	}
	event, turned := dashboard.Turn(previous.status, e.Status)
	if !turned {
		return nil
	}
	for _, w := range hooks {
		_, err := t.exec(ctx, "INSERT INTO deliveries (webhook_id, event, execution_id, previous_id, created_at, due_at) VALUES (?, ?, ?, ?, ?, ?)",
			w.ID, string(event), e.ID, previous.id, millis(t.now), millis(t.now))
		if err != nil {
			return fmt.Errorf("insert delivery: %w", err)
		}
	}
	return nil
}

// ClaimDeliveries implements [dashboard.WebhookStore]. It writes only when something is due.
func (s *Store) ClaimDeliveries(ctx context.Context, limit int, lease time.Duration) ([]dashboard.Delivery, error) {
	if err := within("limit", limit, dashboard.MaxLimit); err != nil {
		return nil, err
	}
	var due int64
	err := s.reader().row(ctx, "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL AND due_at <= ?", millis(s.instant())).Scan(&due)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	if due == 0 {
		return nil, nil
	}
	var out []dashboard.Delivery
	_, err = s.mutate(ctx, func(t *txn) error {
		var ids []int64
		err := t.each(ctx, func(row scanner) error {
			var id int64
			err := row.Scan(&id)
			ids = append(ids, id)
			return err
		}, `UPDATE deliveries SET due_at = ?, tries = tries + 1 WHERE id IN
			(SELECT id FROM deliveries WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?`+s.dialect.skipLocked+`) RETURNING id`,
			millis(t.now.Add(lease)), millis(t.now), limit)
		if err != nil {
			return fmt.Errorf("claim deliveries: %w", err)
		}
		out, err = t.deliveries(ctx, ids)
		return err
	})
	return out, err
}

func (q *querier) deliveries(ctx context.Context, ids []int64) ([]dashboard.Delivery, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	var out []dashboard.Delivery
	err := q.each(ctx, func(row scanner) error {
		var (
			d       dashboard.Delivery
			created int64
		)
		w, hook := webhookFields()
		e, execution := executionFields()
		dest := append([]any{&d.ID, &d.Event, &d.Previous, &d.Tries, &created}, hook.dest...)
		if err := row.Scan(append(dest, execution.dest...)...); err != nil {
			return err
		}
		hook.finish()
		execution.finish()
		d.Webhook, d.Execution, d.CreatedAt = *w, *e, instantOf(created)
		out = append(out, d)
		return nil
	}, "SELECT d.id, d.event, d.previous_id, d.tries, d.created_at, "+webhookColumns+", "+executionColumns+` FROM deliveries d
		JOIN webhooks w ON w.id = d.webhook_id JOIN executions e ON e.id = d.execution_id JOIN suites s ON s.id = e.suite_id
		WHERE d.id IN `+rowsOf(1, len(ids))+" ORDER BY d.id", args...)
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return out, nil
}

// FinishDelivery implements [dashboard.WebhookStore].
func (s *Store) FinishDelivery(ctx context.Context, id int64, o dashboard.DeliveryOutcome) error {
	_, err := s.mutate(ctx, func(t *txn) error {
		done, due := sql.NullInt64{Int64: millis(t.now), Valid: o.OK || o.RetryAt == nil}, sql.NullInt64{}
		if !o.OK {
			due = maybeMillis(o.RetryAt)
		}
		_, err := t.exec(ctx, "UPDATE deliveries SET due_at = ?, done_at = ?, reason = ? WHERE id = ?", due, done, dashboard.CutText(o.Reason, 500), id)
		if err != nil {
			return fmt.Errorf("update delivery: %w", err)
		}
		return nil
	})
	return err
}
