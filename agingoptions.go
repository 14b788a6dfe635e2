package larder

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// validateAging checks the options that say what becomes of a value after its
// TTL, each alone and then against the others.
func (o KeyspaceOptions[K, V]) validateAging() error {
	return errors.Join(
		atLeast("Grace", o.Grace, time.Millisecond, o.Grace == 0),
		atMost("Grace", o.Grace, maxTTL),
		atLeast("SoftTimeout", o.SoftTimeout, time.Millisecond, o.SoftTimeout == 0),
		atLeast("HardTimeout", o.HardTimeout, time.Millisecond, o.HardTimeout == 0),
		atLeast("Backoff", o.Backoff, time.Millisecond, o.Backoff <= 0),
		atMost("Backoff", o.Backoff, time.Hour),
		atLeast("RefreshWindow", o.RefreshWindow, time.Millisecond, o.RefreshWindow == 0),
		atMost("RefreshWindow", o.RefreshWindow, time.Minute),
		atLeast("ServeStaleOnOutage", o.ServeStaleOnOutage, time.Millisecond, o.ServeStaleOnOutage == 0),
		atMost("ServeStaleOnOutage", o.ServeStaleOnOutage, maxTTL),
		fraction("Jitter", o.Jitter, 1),
		fraction("EarlyRefresh", max(o.EarlyRefresh, 0), 1000),
		contradictions(
			contradiction{"SoftTimeout", "needs Grace: without it there is no stale value", o.SoftTimeout > 0 && o.Grace == 0},
			contradiction{"SoftTimeout", "is not below HardTimeout", o.HardTimeout > 0 && o.SoftTimeout >= o.HardTimeout},
			contradiction{"SoftTimeout", "is not below LoadTimeout", o.LoadTimeout > 0 && o.SoftTimeout >= o.LoadTimeout},
			contradiction{"HardTimeout", "is above LoadTimeout", o.LoadTimeout > 0 && o.HardTimeout > o.LoadTimeout},
			contradiction{"RefreshBatch", "needs Grace or EarlyRefresh: nothing is refreshed", o.RefreshBatch != nil && o.Grace == 0 && o.EarlyRefresh <= 0},
			contradiction{"RefreshWindow", "needs RefreshBatch", o.RefreshWindow > 0 && o.RefreshBatch == nil},
			contradiction{"ServeStaleOnOutage", "needs memory: Tiers is RemoteOnly", o.ServeStaleOnOutage > 0 && o.Tiers == RemoteOnly},
		),
	)
}

// contradiction is a field that does not go with another.
type contradiction struct {
	field, why string
	holds      bool
}

func contradictions(list ...contradiction) error {
	var errs []error
	for _, c := range list {
		if c.holds {
			errs = append(errs, fmt.Errorf("%s: %s", c.field, c.why))
		}
	}
	return errors.Join(errs...)
}

// fraction refuses what is no number from 0 to below limit.
func fraction(field string, value, limit float64) error {
	if value >= 0 && value < limit && !math.IsNaN(value) {
		return nil
	}
	return fmt.Errorf("%s: %v is not between 0 and %v", field, value, limit)
}
