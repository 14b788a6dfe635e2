package dashboard

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Outage keeps the log readable while the database is away and every request fails
// for the same reason. The zero value works; it is safe for concurrent use.
type Outage struct{ told Minutely }

// Tell reports whether an error is worth a line: once a minute where the database
// is away or silent, always otherwise.
func (o *Outage) Tell(err error, now time.Time) bool {
	if !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	return o.told.Due(now)
}

// Minutely is for what is told once a minute at most. The zero value works; it is
// safe for concurrent use.
type Minutely struct{ last atomic.Int64 }

// Due reports whether the last time was a minute ago, and counts as the next then.
func (m *Minutely) Due(now time.Time) bool {
	last := m.last.Load()
	return (last == 0 || now.UnixNano()-last >= int64(time.Minute)) && m.last.CompareAndSwap(last, now.UnixNano())
}
