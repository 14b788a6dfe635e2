package flight

// Batch is flights of different keys that one caller leads together: to begin
// and to end them locks each shard once, not once for each key. The zero value
// is empty. It is for one goroutine.
type Batch[K comparable, G Guard, R any] struct {
	first [shards]*Flight[K, G, R] // chained by mate
}

// Add adds the zero flight f, which may be found from [Group.JoinAll] on, and
// returns its guard for the caller to set.
func (b *Batch[K, G, R]) Add(f *Flight[K, G, R], key K, hash uint64) *G {
	mates := &b.first[hash%shards]
	f.key, f.hash, f.mate = key, hash, *mates
	*mates = f
	return &f.guard
}

// Met is a flight of a batch that is not led, as its key had Other already,
// which the caller joined at Place.
type Met[K comparable, G Guard, R any] struct {
	Own, Other *Flight[K, G, R]
	Place      int
}

// each calls do with every flight of b under the lock of its shard.
func (g *Group[K, G, R]) each(b *Batch[K, G, R], do func(*shard[K, G, R], *Flight[K, G, R])) {
	for i, f := range b.first {
		if f == nil {
			continue
		}
		s := &g.shards[i]
		s.mu.Lock()
		for ; f != nil; f = f.mate {
			do(s, f)
		}
		s.mu.Unlock()
	}
}

// JoinAll is [Group.Join] for all flights of b. It returns those that are not
// led.
func (g *Group[K, G, R]) JoinAll(b *Batch[K, G, R]) (met []Met[K, G, R]) {
	g.each(b, func(s *shard[K, G, R], f *Flight[K, G, R]) {
		if other, place := s.enter(f.key, f.hash); other != nil {
			met = append(met, Met[K, G, R]{f, other, place})
		} else {
			s.add(f)
		}
	})
	return met
}

// Retire ends a flight that the caller leads if it is the only member: nobody
// can join it any more, and no result need be published. The flight stays where
// it was until [Group.RemoveRetired] or until another takes its place.
func (g *Group[K, G, R]) Retire(f *Flight[K, G, R]) bool {
	return f.crew.CompareAndSwap(nil, &g.nobody)
}

// RemoveRetired removes those flights of b that are retired.
func (g *Group[K, G, R]) RemoveRetired(b *Batch[K, G, R]) {
	g.each(b, func(s *shard[K, G, R], f *Flight[K, G, R]) {
		if f.crew.Load() == &g.nobody {
			s.remove(f)
		}
	})
}
