package larder

import (
	"context"
	"slices"
	"sync"

	"github.com/larder-go/larder/internal/clock"
)

// answers are what Redis said to a look at many keys. Their room is used again:
// whoever has read them gives them back.
type answers struct {
	sent, back int64 // when the look was sent, and when it was answered
	ops        []Op
	replies    []Reply // of the seats that were asked, then of generations
	drafts     []*generation
	err        error // of all of them
	second     *secondLook

	epoch  *Epoch // the last that was checked
	intact bool   // what came of it
}

var answersPool = sync.Pool{New: func() any { return new(answers) }}

// answersKept is for how many operations room is kept.
const answersKept = 2 * batchKeys

func (a *answers) giveBack() {
	if cap(a.ops) > answersKept {
		return
	}
	clear(a.ops)
	clear(a.replies)
	clear(a.drafts)
	*a = answers{ops: a.ops[:0], replies: a.replies[:0], drafts: a.drafts[:0]}
	answersPool.Put(a)
}

// lookAll is [Keyspace.look] for many keys, whose tickets were issued before:
// all entries and all generations that copies do not prove, in one round trip.
func (k *Keyspace[K, V]) lookAll(ctx context.Context, seats []seat[K, V], token Token) *answers {
	c, a := k.cache, answersPool.Get().(*answers)
	if c.remote == nil {
		return a
	}
	a.sent = clock.Now()
	a.ops = slices.Grow(a.ops, len(seats))
	gens := ensuring{cache: c}
	for i := range seats {
		s := &seats[i]
		if s.asked = s.mayAsk(c, a, token); !s.asked {
			continue
		}
		if !s.needs.looked {
			s.needs.prove(&gens)
		}
		if s.f != nil && !s.needs.proven { // the order of requests says nothing about copies
			s.proof = s.f.Prove()
		}
		s.at = a.ask(s.entry)
	}
	if len(a.ops) > 0 {
		a.send(ctx, c, &gens)
	}
	for i := range seats {
		if n := seats[i].needs; seats[i].asked && !n.proven {
			n.complete(&gens)
		}
	}
	a.second = &secondLook{all: func() (deps []string) {
		for i := range seats {
			if seats[i].asked {
				deps = append(deps, seats[i].needs.deps...)
			}
		}
		return deps
	}}
	return a
}

// ask adds the reading of key and returns which operation that is. There must be
// room for it, where all is zero: an [OpGet] has no more than its key.
func (a *answers) ask(key string) (at int) {
	at = len(a.ops)
	a.ops = a.ops[:at+1]
	a.ops[at].Key = key
	return at
}

// mayAsk reports whether Redis can be asked about the seat; see [Keyspace.look]
// for the order.
func (s *seat[K, V]) mayAsk(c *Cache, a *answers, token Token) bool {
	if s.pending = c.pending.has(s.entry, s.needs.deps); s.pending || c.breaker.shut.Load() {
		return false
	}
	e := c.remote.Epoch(s.entry)
	if e != a.epoch {
		a.epoch, a.intact = e, e != nil && c.covered(e, a.sent)
	}
	if !a.intact {
		return false
	}
	s.epoch, s.pending = e, !c.honours(token)
	return !s.pending
}

// send asks for all entries, and for the generations of gens.
func (a *answers) send(ctx context.Context, c *Cache, gens *ensuring) {
	entries := len(a.ops)
	a.ops = append(a.ops, gens.ops...)
	a.replies = slices.Grow(a.replies, len(a.ops))[:len(a.ops)]
	if gens.err == nil {
		c.send(c.readContext(ctx, a.sent), a.ops, a.replies)
		c.observe(a.replies[0].Err, a.sent)
		gens.adoptFound(a.replies[entries:], a.sent)
	}
	a.err, a.back, a.epoch = gens.err, clock.Now(), nil
}

// covers reports whether what was read under e may be used.
func (a *answers) covers(c *Cache, e *Epoch) bool {
	if e != a.epoch {
		a.epoch, a.intact = e, e.Alive() && c.covered(e, a.back)
	}
	return a.intact
}

// tell sets l to what was found for the seat. Of an earlier look only what was
// judged is left there, which judge replaces.
func (s *seat[K, V]) tell(l *look, c *Cache, a *answers) {
	if !s.asked {
		*l = look{ticket: s.ticket, pending: s.pending, epoch: s.epoch}
		if !s.pending {
			l.err = ErrUnavailable
		}
		return
	}
	n := s.needs
	l.ticket, l.pending, l.epoch = s.ticket, false, s.epoch
	l.sent, l.least, l.proof, l.back, l.second = a.sent, a.sent, s.proof, a.back, a.second
	if n.proven {
		l.least = min(a.sent, n.least)
	}
	l.gens = append(l.room[:0], n.gens...)
	l.reply = a.replies[s.at]
	if l.err = firstOf(l.reply.Err, a.err); l.err == nil && !a.covers(c, s.epoch) {
		l.err = ErrUnavailable
	}
}
