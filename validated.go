package larder

import "github.com/larder-go/larder/internal/clock"

// In validated mode the server pushes nothing and every Get asks it. Nothing
// that was read is kept, so that nothing can be outdated: no entry and no copy
// of a generation. Flights are shared by the evidence rule as ever. Two things
// are in memory all the same:
//
//   - values of [MemoryOnly] keyspaces, which Redis does not have: each Get reads
//     the generations they were loaded under, and uses them if these still hold;
//   - what is loaded while Redis cannot be asked, for MaxStaleness at most, so
//     that an outage is no stampede.

// silent reports whether no push will end what is kept under t: a connection
// that its key or a tag depends on is validated.
func (t *terms) silent() bool {
	if t.epoch != nil && t.epoch.silent {
		return true
	}
	for _, g := range t.tags {
		if g != nil && g.epoch.silent {
			return true
		}
	}
	return false
}

// spent is the epoch of what must be validated before each use: it proves
// nothing.
var spent = func() *Epoch {
	e := NewEpoch()
	e.End()
	return e
}()

// validates makes t, of a [MemoryOnly] keyspace, the terms of a value that is
// used only under generations read anew, as by sameGenerations; false for
// others, whose values are in Redis.
func (s *space) validates(t *terms) bool {
	if s.tiers != MemoryOnly {
		return false
	}
	t.epoch = spent
	return true
}

// asksAlways reports whether the server of key is asked by every Get, and can
// be at the moment.
func (c *Cache) asksAlways(key string) bool {
	e := c.usableEpoch(key, clock.Now())
	return e != nil && e.silent
}
