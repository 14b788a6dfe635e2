package main

import (
	"math/bits"
	"math/rand/v2"
	"time"
)

// A fleet is nodes that share one master of Redis, and what they do.
type fleet struct {
	nodes         int
	reads         int           // of each node in a second, zipf over keys
	keys          int           // that exist
	invalidations int           // of all nodes in a second, as often of a key as it is read
	ttl           time.Duration // of every entry
	staleness     time.Duration // MaxStaleness of the namespace
}

// load is what a fleet costs its master, in the mean of a second where it is a
// rate and at the end where it is a state.
type load struct {
	hits     float64 // served from memory, per second
	gets     float64 // hits in Redis and looks that found nothing
	fills    float64 // loads: a lease, a value
	deletes  float64
	pushes   float64 // messages "this key changed", by deletion or expiry
	beats    float64 // heartbeats
	tracked  int     // keys in the server's tracking table
	pairs    int     // (key, node) in it
	watchers int     // nodes that were told of the key that most had
}

// staleness is the setting that options.go advises.
func staleness(nodes int) time.Duration {
	return max(time.Second, time.Duration(nodes)*4*time.Millisecond)
}

// run simulates f for two TTLs and reports the second. Time advances by one
// invalidation: the reads of all nodes that fall between two of them are drawn,
// then a key is drawn that changes. What a node has read it holds until the key
// changes or expires; the first reader after that loads. That others wait for
// its load instead of reading at once is left out: it makes their reads later,
// not fewer.
func (f fleet) run(seed uint64) load {
	s := newShard(f, seed)
	steps := int(2 * f.ttl.Seconds() * float64(f.invalidations))
	var l load
	for step := range steps {
		if step == steps/2 {
			l = load{}
		}
		now := time.Duration(step) * time.Second / time.Duration(f.invalidations)
		s.expire(now, &l)
		for range f.nodes * f.reads / f.invalidations {
			s.read(s.random.IntN(f.nodes), s.draw(), now, &l)
		}
		l.deletes++
		s.forget(s.draw(), &l)
	}
	measured := f.ttl.Seconds()
	for _, rate := range []*float64{&l.hits, &l.gets, &l.fills, &l.deletes, &l.pushes} {
		*rate /= measured
	}
	l.beats = float64(f.nodes) * 4 / f.staleness.Seconds()
	for key := range f.keys {
		if n := s.count(key); n > 0 {
			l.tracked++
			l.pairs += n
		}
	}
	return l
}

// shard is the state of a simulation.
type shard struct {
	fleet
	random *rand.Rand
	draws  []int32  // keys, drawn once
	held   []uint64 // bits: which nodes have a key, words of them for each
	words  int
	until  []time.Duration // when a key expires; 0: not in Redis
	queue  []expiry        // in the order of time
	first  int             // of queue
}

type expiry struct {
	key int32
	at  time.Duration
}

func newShard(f fleet, seed uint64) *shard {
	s := &shard{fleet: f, random: rand.New(rand.NewPCG(seed, 1)), words: (f.nodes + 63) / 64, until: make([]time.Duration, f.keys)}
	s.held = make([]uint64, f.keys*s.words)
	zipf := rand.NewZipf(s.random, 1.01, 1, uint64(f.keys-1))
	s.draws = make([]int32, 1<<20)
	for i := range s.draws {
		s.draws[i] = int32(zipf.Uint64())
	}
	return s
}

func (s *shard) draw() int { return int(s.draws[s.random.IntN(len(s.draws))]) }

func (s *shard) read(node, key int, now time.Duration, l *load) {
	word, bit := &s.held[key*s.words+node/64], uint64(1)<<(node%64)
	if *word&bit != 0 {
		l.hits++
		return
	}
	*word |= bit
	l.gets++
	if s.until[key] == 0 {
		l.fills++
		s.until[key] = now + s.ttl
		s.queue = append(s.queue, expiry{int32(key), now + s.ttl})
	}
}

// forget is what a deletion and an expiry do: everybody who read the key is told.
func (s *shard) forget(key int, l *load) {
	told := s.count(key)
	l.pushes += float64(told)
	l.watchers = max(l.watchers, told)
	clear(s.held[key*s.words : (key+1)*s.words])
	s.until[key] = 0
}

func (s *shard) count(key int) (n int) {
	for _, word := range s.held[key*s.words : (key+1)*s.words] {
		n += bits.OnesCount64(word)
	}
	return n
}

func (s *shard) expire(now time.Duration, l *load) {
	for ; s.first < len(s.queue) && s.queue[s.first].at <= now; s.first++ {
		if e := s.queue[s.first]; s.until[e.key] == e.at { // not deleted or filled again
			s.forget(int(e.key), l)
		}
	}
}
