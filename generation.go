package larder

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/memory"
)

// copiesKept is how many generation copies are kept in memory.
const copiesKept = 1 << 16

// generations keeps copies of tags' generations and reads them again.
type generations struct {
	cache  *Cache
	copies *memory.Tier[string, generation]

	mu      sync.Mutex
	renewed map[string]int64   // when this process last made sure that a key lives on
	heads   map[string]logHead // by log
}

func newGenerations(c *Cache) (*generations, error) {
	copies, err := memory.New[string](copiesKept, 0, func(*generation) uint32 { return 1 }, nil)
	if err != nil {
		return nil, err
	}
	return &generations{cache: c, copies: copies, renewed: make(map[string]int64), heads: make(map[string]logHead)}, nil
}

// proven sets gens to the copies of keys if all of them have evidence of at
// least floor, and returns the least evidence they have.
func (gs *generations) proven(keys []string, floor int64, gens []*generation) (least int64, ok bool) {
	least = always
	for i, key := range keys {
		g := gs.copies.Get(key)
		if g == nil {
			return 0, false
		}
		evidence := max(g.evidence.Load(), g.epoch.AsOf()) // before the ticket, as in head.proves
		if evidence < floor || !g.live() {
			return 0, false
		}
		gens[i], least = g, min(least, evidence)
	}
	return least, true
}

// read sets gens from a request sent after read was called; missing ones are
// nil. If entry is not empty, it is read in the same round trip.
func (gs *generations) read(ctx context.Context, keys []string, gens []*generation, entry string) Reply {
	a := answersPool.Get().(*answers)
	defer a.giveBack()
	e := ensuring{cache: gs.cache, ops: a.ops, drafts: a.drafts}
	e.reread(keys)
	a.ops, a.drafts = e.ops, e.drafts
	if e.err != nil {
		return Reply{Err: e.err}
	}
	n := len(a.ops)
	if entry != "" {
		a.ops = append(a.ops, Op{Kind: OpGet, Key: entry})
	}
	a.replies = slices.Grow(a.replies, len(a.ops))[:len(a.ops)]
	sent := clock.Now()
	gs.cache.send(ctx, a.ops, a.replies)
	if e.adoptFound(a.replies[:n], sent); e.err != nil {
		return Reply{Err: e.err}
	}
	for i, key := range keys {
		gens[i] = e.of(key)
	}
	if entry == "" {
		return Reply{}
	}
	return a.replies[n]
}

// draft returns a generation that waits for its value, with the ticket taken
// before anything is sent.
func (gs *generations) draft(key string) (*generation, error) {
	epoch := gs.cache.usableEpoch(key, clock.Now())
	if epoch == nil {
		return nil, ErrUnavailable
	}
	g, ok := drafts.Get().(*generation)
	if !ok {
		g = new(generation)
	}
	g.key, g.epoch, g.ticket = key, epoch, gs.cache.board.Issue(key)
	g.alone[0] = g
	return g, nil
}

// drafts are generations that were of no use: most reads find what is known.
var drafts sync.Pool

// accept completes a draft by a reply. It keeps the copy if nothing changed
// since it was drafted, or returns the one it has already, whereupon the draft
// must not be used; nil if Redis has no generation.
func (gs *generations) accept(g *generation, reply Reply) (*generation, error) {
	switch {
	case reply.Err != nil:
		return nil, reply.Err
	case reply.State != Present:
		return nil, nil
	case len(reply.Data) != len(g.value) && frame.KindOf(reply.Data) == frame.Hold:
		g.held = true
		return g, nil
	case len(reply.Data) != len(g.value):
		return nil, fmt.Errorf("larder: generation of %d bytes: %w", len(reply.Data), frame.ErrCorrupt)
	case !g.epoch.Alive():
		return nil, ErrUnavailable
	}
	copy(g.value[:], reply.Data)
	if !g.live() || g.epoch.silent {
		return g, nil
	}
	if known := gs.copies.Get(g.key); known != nil && known.confirmed(g) {
		*g = generation{}
		drafts.Put(g)
		return known, nil
	}
	gs.copies.Put(g.key, g, 1)
	return g, nil
}

// lifetime is how long a generation lives in Redis without being renewed: four
// times the longest entry, so that no entry survives the memory of its tags.
func (gs *generations) lifetime() time.Duration {
	return 4 * max(time.Duration(gs.cache.longestTTL.Load()), ExtendedTTL)
}

// due reports whether this process should make sure that the key lives on. It
// says so once in a quarter of a lifetime for each key.
func (gs *generations) due(key string, now int64) bool {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if last, ok := gs.renewed[key]; ok && now-last < int64(gs.lifetime()/4) {
		return false
	}
	if len(gs.renewed) >= copiesKept {
		clear(gs.renewed)
	}
	gs.renewed[key] = now
	return true
}

// ensureOp is the operation that creates the generation of key or prolongs it.
func (gs *generations) ensureOp(key string) Op {
	fresh := newGeneration()
	return Op{Kind: OpGeneration, Key: key, Value: fresh[:], TTL: gs.lifetime()}
}

func newGeneration() (g frame.Generation) {
	rand.Read(g[:]) // never fails
	return g
}

func newToken() (t frame.Token) {
	rand.Read(t[:]) // never fails
	return t
}
