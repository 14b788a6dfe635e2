package larder

import (
	"context"
	"slices"

	"github.com/larder-go/larder/internal/clock"
)

// secondLook reads generations again, after the entries that seemed to be
// outdated were there: the first reading may be older than an entry. The keys
// of a batch share one, so that a thousand outdated entries cost one round
// trip.
type secondLook struct {
	all   func() []string        // what all keys of the batch depend on
	found map[string]*generation // nil until the reading
	doubt []string               // whose invalidation was not confirmed when the reading was sent
}

// again sets l.gens to generations read after l.reply was there, and reports
// whether that succeeded and they can be relied on.
func (l *look) again(ctx context.Context, c *Cache, deps []string) bool {
	s := l.second
	if s == nil {
		s = new(secondLook)
	}
	if s.found == nil {
		s.found = make(map[string]*generation, len(deps))
		if s.all != nil && !s.read(ctx, c, s.all()) {
			return false
		}
	}
	if ask := s.missing(deps); len(ask) > 0 && !s.read(ctx, c, ask) {
		return false
	}
	for i, dep := range deps {
		if slices.Contains(s.doubt, dep) {
			return false
		}
		l.gens[i] = s.found[dep]
	}
	return true
}

func (s *secondLook) missing(deps []string) (ask []string) {
	for _, dep := range deps {
		if _, known := s.found[dep]; !known {
			ask = append(ask, dep)
		}
	}
	return ask
}

func (s *secondLook) read(ctx context.Context, c *Cache, ask []string) bool {
	// Whoever looks only when the answer is there may come after the confirmation.
	for _, dep := range ask {
		if c.pending.has(dep, nil) {
			s.doubt = append(s.doubt, dep)
		}
	}
	gens := make([]*generation, len(ask))
	sent := clock.Now()
	reply := c.gens.read(c.readContext(ctx, sent), ask, gens, "")
	c.observe(reply.Err, sent)
	if reply.Err != nil {
		return false
	}
	for i, dep := range ask {
		s.found[dep] = gens[i]
	}
	return true
}
