package redistier

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
	"github.com/larder-go/larder/lardertest"
)

// mirror keeps copies of what a tier read or wrote, by the rules of the memory
// tier: a copy needs a ticket taken before its request was sent; pushes and own
// writes kill tickets and copies; a copy dies with its epoch.
type mirror struct {
	tier *Tier

	mu     sync.Mutex
	ticket map[string]int
	copies map[string]copied
}

type copied struct {
	data  string
	epoch *larder.Epoch
}

func (m *mirror) Invalidated(keys []string) {
	for _, key := range keys {
		m.kill(key)
	}
}
func (m *mirror) Flushed()           {}
func (m *mirror) Connected()         {}
func (m *mirror) Confirming()        {}
func (m *mirror) Disconnected(error) {}

func (m *mirror) kill(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ticket[key]++
	delete(m.copies, key)
}

func (m *mirror) take(key string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ticket[key]
}

func (m *mirror) keep(key string, ticket int, c copied) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ticket[key] == ticket && c.epoch != nil && c.epoch.Alive() {
		m.copies[key] = c
	}
}

// keepOwn keeps what was just written, and kills the tickets of reads that were
// executed before the write and are told later.
func (m *mirror) keepOwn(key string, ticket int, c copied) {
	m.keep(key, ticket, c)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ticket[key]++; m.ticket[key] != ticket+1 {
		delete(m.copies, key)
	}
}

// do carries out an op and keeps what it proves.
func (m *mirror) do(ctx context.Context, op larder.Op) larder.Reply {
	write := op.Kind != larder.OpGet && op.Kind != larder.OpInspect
	if write {
		m.kill(op.Key)
	}
	ticket, epoch := m.take(op.Key), m.tier.Epoch(op.Key)
	replies := make([]larder.Reply, 1)
	m.tier.Do(ctx, []larder.Op{op}, replies)
	r := replies[0]
	switch {
	case r.Err != nil:
		m.kill(op.Key) // the outcome is unknown
	case r.State == larder.Present && frame.KindOf(r.Data) == frame.Value: // a lease expires in between
		m.keep(op.Key, ticket, copied{r.Data, epoch})
	case r.State == larder.Done && (op.Kind == larder.OpFill || op.Kind == larder.OpRefill || op.Kind == larder.OpSet):
		m.keepOwn(op.Key, ticket, copied{string(op.Value), epoch})
	case write:
		m.kill(op.Key)
	}
	return r
}

// step makes a random op on a random key that depends on what it finds there.
func (m *mirror) step(ctx context.Context, rng *rand.Rand, serial *atomic.Int64) {
	key := m.tier.EntryKey(fmt.Sprint("k", rng.IntN(20)))
	n := serial.Add(1)
	token := frame.Token{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), 1}
	value := fmt.Appendf(nil, "\xf5%06d-hardnamespac", n)
	switch p := rng.IntN(100); {
	case p < 60:
		m.do(ctx, larder.Op{Kind: larder.OpGet, Key: key})
	case p < 80:
		r := m.do(ctx, larder.Op{Kind: larder.OpAcquire, Key: key, Token: token, TTL: 50 * time.Millisecond})
		if r.State == larder.Present {
			r = m.do(ctx, larder.Op{Kind: larder.OpTakeover, Key: key, Token: token, Expect: frame.Prefix(r.Data), TTL: 50 * time.Millisecond})
		}
		switch {
		case r.Err != nil || r.State != larder.Acquired:
		case rng.IntN(10) == 0:
			m.do(ctx, larder.Op{Kind: larder.OpRelease, Key: key, Token: token})
		default:
			m.do(ctx, larder.Op{Kind: larder.OpRenew, Key: key, Token: token, TTL: 100 * time.Millisecond})
			m.do(ctx, larder.Op{Kind: larder.OpFill, Key: key, Token: token, Value: value, TTL: time.Minute})
		}
	case p < 85:
		if r := m.do(ctx, larder.Op{Kind: larder.OpInspect, Key: key}); r.State == larder.Present {
			m.do(ctx, larder.Op{Kind: larder.OpRefill, Key: key, Expect: frame.Prefix(r.Data), Value: value, TTL: time.Minute})
		}
	case p < 90:
		m.do(ctx, larder.Op{Kind: larder.OpSet, Key: key, Value: value, TTL: time.Minute})
	case p < 95:
		m.do(ctx, larder.Op{Kind: larder.OpDelete, Key: key})
	default:
		m.do(ctx, larder.Op{Kind: larder.OpGeneration, Key: key, Value: value, TTL: time.Minute})
	}
}

// check compares the copies with the server once nothing moves any more.
func (m *mirror) check(t *testing.T, get func(key string) string) (kept int) {
	t.Helper()
	// A connection that was killed a moment ago may not know it yet.
	eventually(t, "heartbeat", func() bool { return m.tier.Beat(testContext(t)) == nil })
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, c := range m.copies {
		if !c.epoch.Alive() {
			continue
		}
		kept++
		if got := get(key); got != c.data {
			t.Errorf("%s: memory holds %q, Redis %q", key, c.data, got)
		}
	}
	return kept
}

// TestCopiesStayCoherent: with several processes doing everything at once,
// connections killed, scripts and data flushed in between, no copy survives a
// change of its key. It fails as soon as a single keeping op loses its
// registration or a push comes too late.
func TestCopiesStayCoherent(t *testing.T) {
	t.Parallel()
	srv := lardertest.StartRedis(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var mirrors []*mirror
	for range 3 {
		tier, err := New(Config{Address: srv.Addr()}, "shop")
		if err != nil {
			t.Fatal(err)
		}
		m := &mirror{tier: tier, ticket: map[string]int{}, copies: map[string]copied{}}
		t.Cleanup(func() { tier.Close() })
		tier.Start(testContext(t), m)
		mirrors = append(mirrors, m)
	}
	var serial atomic.Int64
	kept := 0
	for round := range uint64(100) {
		var wg sync.WaitGroup
		for i, m := range mirrors {
			for g := range 4 {
				rng := rand.New(rand.NewPCG(seed+round, uint64(10*i+g)))
				wg.Go(func() {
					for range 12 {
						m.step(testContext(t), rng, &serial)
					}
				})
			}
		}
		switch round % 5 {
		case 1:
			command(t, srv, "CLIENT", "KILL", "TYPE", "normal")
		case 2:
			command(t, srv, "FLUSHALL")
		case 3:
			command(t, srv, "SCRIPT", "FLUSH")
		}
		wg.Wait()
		for _, m := range mirrors {
			eventually(t, "new connection", func() bool { return m.tier.Epoch("k") != nil })
			kept += m.check(t, func(key string) string { return command(t, srv, "GET", key) })
		}
	}
	if kept < 100 {
		t.Errorf("only %d copies were compared", kept)
	}
	t.Logf("%d copies compared, %d steps", kept, serial.Load())
}
