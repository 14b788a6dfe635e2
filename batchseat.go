package larder

import (
	"fmt"
	"slices"

	"github.com/larder-go/larder/internal/flight"
)

// seat is a key that is looked for in Redis together with others. Most keys of
// a batch are found and need no more than this; what a flight and a load take in
// addition is in [member].
type seat[K comparable, V any] struct {
	key    K
	hash   uint64
	entry  string // remote key
	ticket liveTicket
	needs  *needs
	f      *flight.Flight[K, guard, outcome[V]] // whom the look proves something; nil: nobody can have joined

	asked   bool
	pending bool // not asked, as an invalidation is not confirmed
	at      int  // of the reply, if asked
	epoch   *Epoch
	proof   int
}

// needs is what keys depend on beside their own entry, with what one look finds
// of it. Keys that depend on the same share it.
type needs struct {
	deps, tags []string // as in request
	tickets    []liveTicket
	floor      int64 // of the evidence of gens

	looked bool
	proven bool // by copies, with the evidence least
	least  int64
	gens   []*generation // as deps; nil: missing in Redis

	depRoom    [1]string
	ticketRoom [2]liveTicket
	genRoom    [1]*generation
}

// newNeeds returns what a read depends on. Nothing that it refers to is
// changed, and what is appended to deps and tags goes elsewhere.
func newNeeds(deps, tags []string, floor int64) *needs {
	n := &needs{tags: slices.Clip(slices.Clone(tags)), floor: floor}
	n.deps = slices.Clip(append(n.depRoom[:0], deps...))
	return n
}

// equals reports whether n, which may be nil, is what deps and tags say.
func (n *needs) equals(deps, tags []string) bool {
	return n != nil && slices.Equal(n.deps, deps) && slices.Equal(n.tags, tags)
}

// prove takes generations from copies, and leaves to gens what they do not
// prove.
func (n *needs) prove(gens *ensuring) {
	n.looked = true
	n.gens = append(n.genRoom[:0], make([]*generation, len(n.deps))...)
	if n.least, n.proven = gens.cache.gens.proven(n.deps, n.floor, n.gens); !n.proven {
		clear(n.gens)
		gens.reread(n.deps)
	}
}

// complete takes the generations that gens has found.
func (n *needs) complete(gens *ensuring) {
	if n.proven {
		return
	}
	for i, dep := range n.deps {
		n.gens[i] = gens.of(dep)
	}
}

// enlist gives a key that is not in memory a seat.
func (b *batch[K, V]) enlist(key K, hash uint64) {
	k := b.k
	if need := min(b.left+1, batchKeys); len(b.seats) == 0 && cap(b.seats) < need {
		b.seats = make([]seat[K, V], 0, need) // none of them may move
	}
	s := &b.seats[:len(b.seats)+1][len(b.seats)]
	if err := b.reserve(s, key, hash); err != nil {
		b.fail(key, err)
		return
	}
	if b.heats && diceOf(b.config.began).of(hash).one(crowdOneIn) {
		k.heated(key, hash, 1<<crowdOneIn)
	}
	s.key, s.hash, s.ticket = key, hash, k.board.Issue(s.entry)
	b.seats = b.seats[:len(b.seats)+1]
}

// board leads the flight of m, the member of s, which no look settled, or joins
// the one that somebody else leads. Its guard is as old as the look.
func (b *batch[K, V]) board(m *member[K, V], s *seat[K, V]) {
	honoured := b.k.cache.honours(b.config.token)
	f, place, leads := b.k.flights.Join(s.key, s.hash, func() *flight.Flight[K, guard, outcome[V]] {
		return m.own.Begin(guard{entry: s.ticket, deps: s.needs.tickets})
	})
	if !leads {
		b.k.stats.localWaits.Add()
		b.joins = append(b.joins, joined[K, V]{s.key, s.hash, f, place, honoured})
		return
	}
	m.f, m.o = f, outcome[V]{}
	b.leads, b.rest = append(b.leads, m), b.rest[1:]
}

// reserve sets what entry a seat is for and what that depends on.
func (b *batch[K, V]) reserve(s *seat[K, V], key K, hash uint64) (err error) {
	k := b.k
	if k.alike {
		if s.entry, err = b.entryKey(key); err == nil {
			s.needs = b.needsIn(k.cache.namespaceKey(s.entry))
		}
		return err
	}
	b.asking = request[K, V]{}
	r := &b.asking
	if err := k.request(r, key, hash, b.config); err != nil {
		return err
	}
	if !b.needs.equals(r.deps, r.tags) {
		b.needs = b.newNeeds(r.deps, r.tags)
	}
	s.entry, s.needs = r.entry, b.needs
	return nil
}

// newNeeds returns needs with the tickets of a guard.
func (b *batch[K, V]) newNeeds(deps, tags []string) *needs {
	n := newNeeds(deps, tags, b.config.floor)
	n.tickets = b.k.cache.guardTickets(n.ticketRoom[:0], n.deps)
	return n
}

// needsIn returns what entries depend on that are covered by the generation
// namespace alone.
func (b *batch[K, V]) needsIn(namespace string) *needs {
	last := b.needs
	if last != nil && last.deps[0] == namespace {
		return last
	}
	n := b.stripes[namespace]
	if n == nil {
		n = b.newNeeds([]string{namespace}, nil)
	}
	if last != nil { // as in a cluster
		if b.stripes == nil {
			b.stripes = make(map[string]*needs)
		}
		b.stripes[last.deps[0]], b.stripes[namespace] = last, n
	}
	b.needs = n
	return n
}

// keyRoom is how many bytes of a key there is room for, on average.
const keyRoom = 16

// entryKey returns the remote key of an entry. Those of a batch share their room, so
// whoever keeps one for long keeps a copy.
func (b *batch[K, V]) entryKey(key K) (string, error) {
	k, start := b.k, len(b.names)
	if cap(b.names)-start < len(k.entryStart)+2*keyRoom {
		b.names, start = make([]byte, 0, min(b.left+2, batchKeys)*(len(k.entryStart)+keyRoom)+2*keyRoom), 0
	}
	names := k.opts.AppendKey(append(b.names, k.entryStart...), key)
	size := len(names) - start - len(k.entryStart)
	switch {
	case size <= 0:
		return "", fmt.Errorf("%w: empty key in keyspace %q", ErrInvalidKey, k.name)
	case len(k.name)+1+size > maxKeyBytes:
		k.stats.longNames.Add()
		name, err := k.entryName(key)
		return k.cache.entryKey(name), err
	}
	b.names = names
	return textOf(names[start:]), nil
}

// next returns a member that is new, or that was of a key whose flight the batch
// does not lead: of that only its request, look and outcome are left, for others to
// be put in their place. It is the same until it leaves rest.
func (b *batch[K, V]) next() *member[K, V] {
	if len(b.rest) == 0 {
		b.chunk = min(max(8*b.chunk, 1), 32)
		b.rest = make([]member[K, V], b.chunk)
	}
	m := &b.rest[0]
	m.candidate, m.ended = candidate[K, V]{r: &m.req, l: &m.seen}, false
	return m
}

// giveBack leaves the room of b to later batches, if nothing was under way in it
// but looks: loads may go on, and so may who waits for them.
func (b *batch[K, V]) giveBack() {
	if b.loaded {
		return
	}
	k, seats, rest := b.k, b.seats, b.rest[:min(len(b.rest), 1)]
	clear(rest)
	*b = batch[K, V]{seats: seats, rest: rest, chunk: len(rest)}
	k.batches.Put(b)
}

// present makes the next member that of a seat's key.
func (b *batch[K, V]) present(s *seat[K, V]) *member[K, V] {
	m, n := b.next(), s.needs
	r := m.r
	r.key, r.hash = s.key, s.hash
	r.readConfig = b.config
	r.entry, r.deps, r.tags, r.declared = s.entry, n.deps, n.tags, len(n.tags)
	return m
}

// letGo ends what was under way, so that the next keys find room.
func (b *batch[K, V]) letGo() {
	b.tally()
	b.loaded = b.loaded || len(b.leads) > 0
	clear(b.seats)
	clear(b.leads)
	clear(b.joins)
	b.seats, b.leads, b.joins = b.seats[:0], b.leads[:0], b.joins[:0]
	b.names, b.needs, b.stripes = nil, nil, nil
}
