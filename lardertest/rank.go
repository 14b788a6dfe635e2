package lardertest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// The methods of this file carry out the operations of locks and rankings;
// their callers hold s.mu.

// fenceLife is for how long the last number of a lock is remembered.
const fenceLife = 24 * time.Hour

// lock grants a lease with a number: the one after the last, at least the clock
// in microseconds.
func (s *Server) lock(c *conn, op *larder.Op, it *item) larder.Reply {
	if it != nil && !isLease(it, op.Token) {
		left := it.ttl()
		if left < 0 {
			left = op.TTL
		}
		return larder.Reply{State: larder.Busy, TTL: left}
	}
	var last int64
	if f := s.lookup(op.Key+":fence", c); f != nil {
		last, _ = strconv.ParseInt(f.data, 10, 64)
	}
	s.watch(op.Key+":fence", c)
	if it == nil || last == 0 {
		last = max(last+1, s.now().UnixMicro())
		s.put(op.Key+":fence", strconv.FormatInt(last, 10), fenceLife, c)
		s.put(op.Key, lease(op.Token), op.TTL, c)
		s.watch(op.Key, c)
	}
	return larder.Reply{State: larder.Acquired, Data: strconv.FormatInt(last, 10)}
}

// ranking adds to a ranking or reads it.
func (s *Server) ranking(c *conn, op *larder.Op, it *item) larder.Reply {
	switch {
	case it != nil && it.ranks == nil:
		return larder.Reply{Err: larder.ErrWrongType}
	case op.Kind == larder.OpRanks:
		s.watch(op.Key, c)
		if it == nil {
			return larder.Reply{State: larder.Absent}
		}
		var ranks []frame.Rank
		for name, n := range it.ranks {
			ranks = append(ranks, frame.Rank{Name: name, Count: n})
		}
		return larder.Reply{State: larder.Present, Data: string(frame.AppendRanks(nil, ranks))}
	case s.readOnly:
		return larder.Reply{Err: ErrReadOnly}
	}
	counts := map[string]uint64{}
	if it != nil {
		counts = it.ranks
	}
	added, _ := frame.ParseRanks(string(op.Value))
	for _, r := range added {
		counts[r.Name] += r.Count
	}
	s.put(op.Key, "", op.TTL, c)
	s.data[op.Key].other, s.data[op.Key].ranks = true, counts
	if len(counts) > 2*frame.RankLimit {
		trim(counts)
	}
	return larder.Reply{State: larder.Done}
}

// trim removes the names with the lowest counts.
func trim(counts map[string]uint64) {
	all := slices.SortedFunc(maps.Values(counts), func(a, b uint64) int { return cmp.Compare(b, a) })
	least := all[frame.RankLimit-1]
	maps.DeleteFunc(counts, func(_ string, n uint64) bool { return n < least })
}
