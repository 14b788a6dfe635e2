package sqlstore

import (
	"context"
	"fmt"
	"time"
)

// ForgetOutbox deletes the invalidations that nobody has carried out for longer than
// an age, and returns how many there were. They accumulate where no process has a
// cache, or none its Redis. An age above the longest TTL is safe: what they name has
// expired by then.
func (s *Store) ForgetOutbox(ctx context.Context, age time.Duration) (int64, error) {
	q := &querier{db: s.write, dialect: &s.dialect}
	n, err := q.exec(ctx, "DELETE FROM larder_outbox WHERE "+s.dialect.agedOutbox, int64(age.Seconds()))
	if err != nil {
		return 0, fmt.Errorf("forget old invalidations: %w", s.dialect.fault(err))
	}
	return n, nil
}
