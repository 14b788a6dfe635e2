package dashboard

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Outage keeps the log readable while the database is away and every request fails
// for the same reason. The zero value works; it is safe for concurrent use.
type Outage struct{ told atomic.Int64 }

// outageEvery is how often an outage is told.
const outageEvery = time.Minute

// Tell reports whether an error is worth a line: once a minute where the database
// is away or silent, always otherwise.
func (o *Outage) Tell(err error, now time.Time) bool {
	if !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	last := o.told.Load()
	return (last == 0 || now.UnixNano()-last >= int64(outageEvery)) && o.told.CompareAndSwap(last, now.UnixNano())
}
