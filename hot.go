package larder

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/topk"
)

// KeyCount is the name of an entry, "suite:42", with how often something
// happened to it.
type KeyCount struct {
	Name  string
	Count uint64
}

const (
	readPlaces = 256  // of the sketch of reads
	loadPlaces = 1024 // of the sketch of loads

	readWindow = time.Minute    // one ranking of reads
	loadWindow = 24 * time.Hour // one ranking of loads

	publishEvery = 10 * time.Second
	publishReads = 64 // of the hottest of one process, each time
)

// heat finds the entries that are read and that are loaded most: sketches of
// this process, which are added to rankings in Redis every publishEvery.
type heat struct {
	reads, loads *topk.Sketch
	since        atomic.Int64                // monotonic time at which reads was last emptied
	last         atomic.Pointer[[]topk.Item] // what it held then
	hottest      atomic.Pointer[map[uint64]struct{}]
}

func newHeat() *heat {
	h := &heat{reads: topk.New(readPlaces), loads: topk.New(loadPlaces)}
	h.since.Store(clock.Now())
	return h
}

// heated counts reads of key. Only a key that enters the sketch costs an
// allocation.
func (k *Keyspace[K, V]) heated(key K, hash, reads uint64) {
	h := k.cache.heat
	if k.cache.remote == nil {
		h.turn(readWindow) // nobody else does
	}
	if h.reads.Hit(hash, reads) {
		return
	}
	if name, err := k.entryName(key); err == nil {
		h.reads.Insert(hash, reads, name)
	}
}

// heatedSlowly counts a read that began at now and that memory did not answer.
// Once there are more keys than the sketch has places, where the search for the
// least would hold up all who read, it counts some of them.
func (k *Keyspace[K, V]) heatedSlowly(key K, hash uint64, now int64) {
	reads := uint64(1)
	if k.cache.heat.reads.Crowded() {
		if !diceOf(now).of(hash).one(crowdOneIn) {
			return
		}
		reads <<= crowdOneIn
	}
	k.heated(key, hash, reads)
}

// heatedByLoad counts a load of key.
func (k *Keyspace[K, V]) heatedByLoad(key K, hash uint64) {
	if h := k.cache.heat; !h.loads.Hit(hash, 1) {
		if name, err := k.entryName(key); err == nil {
			h.loads.Insert(hash, 1, name)
		}
	}
}

// turn empties the sketch of reads if it is that old, and returns what it held.
func (h *heat) turn(after time.Duration) (items []topk.Item, turned bool) {
	now, since := clock.Now(), h.since.Load()
	if now-since < int64(after) || !h.since.CompareAndSwap(since, now) {
		return nil, false
	}
	items = h.reads.Drain()
	h.last.Store(&items)
	h.hottest.Store(hottestOf(items))
	return items, true
}

const (
	hottestKeys  = 32                // of one process
	hottestReads = 4 << heatOneIn    // that make one: a few memory hits that were counted
	hottestShare = 1.0 / hottestKeys // of all reads
)

// hottestOf returns the hashes of the items that are read most by far.
func hottestOf(items []topk.Item) *map[uint64]struct{} {
	var all uint64
	for _, it := range items {
		all += it.Count
	}
	hottest := make(map[uint64]struct{})
	for _, it := range items {
		if n := it.Count - it.Over; n >= hottestReads && float64(n) >= hottestShare*float64(all) {
			hottest[it.Hash] = struct{}{}
		}
	}
	return &hottest
}

// hurried returns what counts as the load time of an early refresh: twice the
// true one for the hottest entries, whose expiry the most readers would notice.
func (h *heat) hurried(hash uint64, load time.Duration) time.Duration {
	if hottest := h.hottest.Load(); hottest != nil {
		if _, ok := (*hottest)[hash]; ok {
			return 2 * load
		}
	}
	return load
}

// rankingKey returns the remote key of the ranking that covers now and the one
// before it, by the server's clock. Rankings live where tags do; the name
// cannot be that of an entry of a [MemoryOnly] keyspace, which begins with no #.
func (c *Cache) rankingKey(name string, window time.Duration, now int64) (current, previous string) {
	n := now / window.Milliseconds()
	key := func(n int64) string { return c.tagKey(entryMark + "#" + name + ":" + strconv.FormatInt(n, 10)) }
	return key(n), key(n - 1)
}

// serverNow returns the server's time in Unix ms, false while nobody knows it.
func (c *Cache) serverNow() (int64, bool) {
	now := clock.Now()
	if e := c.usableEpoch(c.remote.NamespaceKeys()[0], now); e != nil {
		return e.serverTime(now), true
	}
	return 0, false
}

// publishHeat adds what the sketches hold to the rankings in Redis, if the last
// time was so long ago. What fails is lost: rankings are estimates.
func (c *Cache) publishHeat(ctx context.Context, after time.Duration) {
	now, known := c.serverNow()
	if !known {
		return
	}
	reads, turned := c.heat.turn(after)
	if !turned {
		return
	}
	hot, _ := c.rankingKey("hot", readWindow, now)
	loads, _ := c.rankingKey("loads", loadWindow, now)
	var ops []Op
	for _, r := range []struct {
		key    string
		items  []topk.Item
		window time.Duration
	}{
		{hot, reads[:min(len(reads), publishReads)], readWindow}, {loads, c.heat.loads.Drain(), loadWindow},
	} {
		if len(r.items) > 0 {
			ops = append(ops, Op{Kind: OpRank, Key: r.key, Value: frame.AppendRanks(nil, ranksOf(r.items)), TTL: 3 * r.window})
		}
	}
	if len(ops) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.WriteTimeout)
	defer cancel()
	c.send(ctx, ops, make([]Reply, len(ops))) // says nothing about the breaker: nobody waits for it
}

// ranksOf returns items with the counts that are certain.
func ranksOf(items []topk.Item) []frame.Rank {
	ranks := make([]frame.Rank, len(items))
	for i, it := range items {
		ranks[i] = frame.Rank{Name: it.Name, Count: it.Count - it.Over}
	}
	return ranks
}

// HotKeys returns the entries that all processes together read most in this
// minute and the one before, highest first, with an estimate of the reads: of
// those that memory answers and of those in batches some are counted, each for
// many. It costs two round trips. In a cache in memory alone, and beside an
// error when Redis cannot be asked, it is what this process knows.
func (c *Cache) HotKeys(ctx context.Context) ([]KeyCount, error) {
	return c.ranking(ctx, "hot", readWindow, func() []topk.Item {
		items := c.heat.reads.Top()
		if last := c.heat.last.Load(); last != nil {
			items = append(items, *last...)
		}
		return items
	})
}

// LoadedKeys returns the entries that all processes together loaded most today
// and yesterday, highest first, at least 1024 if there are so many: what a
// process that starts cold should have ([Keyspace.WarmLoaded]). It costs two
// round trips. In a cache in memory alone, and beside an error when Redis
// cannot be asked, it is what this process loaded.
func (c *Cache) LoadedKeys(ctx context.Context) ([]KeyCount, error) {
	return c.ranking(ctx, "loads", loadWindow, c.heat.loads.Top)
}

// ranking reads the present and the previous ranking called name.
func (c *Cache) ranking(ctx context.Context, name string, window time.Duration, own func() []topk.Item) ([]KeyCount, error) {
	if c.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if c.remote == nil {
		return sum(ranksOf(own())), nil
	}
	local := ranksOf(own())
	now, known := c.serverNow()
	if !known {
		return sum(local), fmt.Errorf("larder: ranking: %w", ErrUnavailable)
	}
	c.publishHeat(ctx, 0)
	current, previous := c.rankingKey(name, window, now)
	replies := c.do(ctx, []Op{{Kind: OpRanks, Key: current}, {Kind: OpRanks, Key: previous}})
	var all []frame.Rank
	for _, r := range replies {
		ranks, err := frame.ParseRanks(r.Data)
		if err = firstOf(r.Err, err); err != nil {
			return sum(local), fmt.Errorf("larder: ranking: %w", err)
		}
		all = append(all, ranks...)
	}
	return sum(all), nil
}

// sum adds the counts of equal names and puts the highest first.
func sum(ranks []frame.Rank) []KeyCount {
	at := make(map[string]int, len(ranks))
	var all []KeyCount
	for _, r := range ranks {
		i, ok := at[r.Name]
		if !ok {
			i = len(all)
			at[r.Name] = i
			all = append(all, KeyCount{Name: r.Name})
		}
		all[i].Count += r.Count
	}
	slices.SortFunc(all, func(a, b KeyCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return all
}
