package larder

import (
	"slices"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
)

// Two versions of a program may share a Redis while one replaces the other. An
// entry of the other's schema, codec or key is current and of no use here. If
// each took it over at once, the two would overwrite each other's entry as fast
// as they can load, and every push would empty the other's memory:
//
//  1. the old version fills the entry
//  2. the new one reads it, takes it over, loads and fills
//  3. the old one hears the push, reads, takes over, loads and fills, and so on
//
// So an entry that was written a moment ago stays, and who cannot use it loads
// aside: the value goes into memory and not into Redis. Each version loses Redis
// for a moment in turn; when the old one is gone, nothing is overwritten any
// more.

// coexistence is how long an entry is left to the version that wrote it.
const coexistence = 10 * time.Second

// unusable says what becomes of an entry that this process cannot use.
func (l *look) unusable(f fit, e *frame.Entry) verdict {
	now := l.epoch.serverTime(l.sent)
	age, ok := e.Age(now)
	if f != unfit || !ok || time.Duration(age)*time.Second >= coexistence || e.Soft <= now {
		return verdictOutdated
	}
	l.left = time.Duration(e.Soft-now) * time.Millisecond
	return verdictUnfit
}

// asidePermit allows a load beside an entry that stays in Redis. Its value may
// be kept in memory for as long as that entry is valid: the ticket was issued
// before the look that found the entry current, and the load begins after it, so
// whatever invalidates the value removes the entry too and kills the ticket.
func (k *Keyspace[K, V]) asidePermit(r *request[K, V], l *look) *permit {
	r.unlearn(l)
	return &permit{kind: bypassAside, epoch: l.epoch, gens: slices.Clone(l.gens), ticket: l.ticket, least: l.least,
		until: clock.Add(l.sent, l.left)}
}
