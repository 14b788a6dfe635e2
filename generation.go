package larder

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/internal/memory"
)

// copiesKept is how many generation copies are kept in memory.
const copiesKept = 1 << 16

// generations keeps copies of tags' generations and reads them again. Reads
// are coalesced: while one is under way, all Gets that come in the meantime
// share the next one, which is sent after they started.
type generations struct {
	cache  *Cache
	copies *memory.Tier[string, generation]

	mu      sync.Mutex
	reading bool
	next    *generationRead    // nil while nobody waits for it
	renewed map[string]int64   // when this process last made sure that a key lives on
	heads   map[string]logHead // by log
}

// generationRead is one request for several generations.
type generationRead struct {
	found map[string]*generation // nil: missing in Redis
	err   error
	done  chan struct{}
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
	gs.mu.Lock()
	if !gs.reading {
		gs.reading = true
		gs.mu.Unlock()
		r := newGenerationRead(keys)
		reply := gs.send(ctx, r, entry)
		gs.passOn()
		return r.take(keys, gens, reply)
	}
	if gs.next == nil {
		gs.next = newGenerationRead(nil)
	}
	r := gs.next
	for _, key := range keys {
		r.found[key] = nil
	}
	gs.mu.Unlock()

	var reply Reply
	if entry != "" {
		reply, _ = gs.cache.fetch(ctx, entry, clock.Now())
	}
	select {
	case <-r.done:
		return r.take(keys, gens, reply)
	case <-ctx.Done():
		return Reply{Err: ctx.Err()}
	}
}

func newGenerationRead(keys []string) *generationRead {
	r := &generationRead{found: make(map[string]*generation, len(keys)), done: make(chan struct{})}
	for _, key := range keys {
		r.found[key] = nil
	}
	return r
}

// take copies what was found for keys; an error of the generations is an error
// of the whole look.
func (r *generationRead) take(keys []string, gens []*generation, reply Reply) Reply {
	if r.err != nil {
		return Reply{Err: r.err}
	}
	for i, key := range keys {
		gens[i] = r.found[key]
	}
	return reply
}

// send reads the generations of r, and entry with them.
func (gs *generations) send(ctx context.Context, r *generationRead, entry string) Reply {
	ops := make([]Op, 0, len(r.found)+1)
	drafts := make([]*generation, 0, len(r.found))
	if entry != "" {
		ops = append(ops, Op{Kind: OpGet, Key: entry})
	}
	for key := range r.found {
		g, err := gs.draft(key)
		if err != nil {
			r.err = err
			return Reply{}
		}
		drafts = append(drafts, g)
		ops = append(ops, Op{Kind: OpGet, Key: key})
	}
	now := clock.Now()
	replies := make([]Reply, len(ops))
	gs.cache.send(ctx, ops, replies)
	var reply Reply
	rest := replies
	if entry != "" {
		reply, rest = replies[0], replies[1:]
	}
	for i, g := range drafts {
		g.evidence.Store(now)
		if r.found[g.key], r.err = gs.accept(g, rest[i]); r.err != nil {
			return reply
		}
	}
	return reply
}

// passOn starts the read that others have waited for, if any.
func (gs *generations) passOn() {
	gs.mu.Lock()
	r := gs.next
	gs.next = nil
	gs.reading = r != nil
	gs.mu.Unlock()
	if r != nil && !gs.cache.goRun(func() { gs.run(r) }) {
		r.err = ErrClosed
		close(r.done)
		gs.passOn()
	}
}

func (gs *generations) run(r *generationRead) {
	gs.send(gs.cache.reads.At(clock.Now()), r, "")
	close(r.done)
	gs.passOn()
}

// draft returns a generation that waits for its value, with the ticket taken
// before anything is sent.
func (gs *generations) draft(key string) (*generation, error) {
	epoch := gs.cache.usableEpoch(key, clock.Now())
	if epoch == nil {
		return nil, ErrUnavailable
	}
	g := &generation{key: key, epoch: epoch, ticket: gs.cache.board.Issue(key)}
	g.alone[0] = g
	return g, nil
}

// accept completes a draft by a reply. It keeps the copy if nothing changed
// since it was drafted, or returns the one it has already; nil if Redis has no
// generation.
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
