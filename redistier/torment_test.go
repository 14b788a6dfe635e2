package redistier

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// TestCallsUnderTorment: a link that hangs and breaks, a server that forgets its
// scripts, callers who give up and others who never would: every call ends, with an
// error or with the replies of its own operations in their order.
func TestCallsUnderTorment(t *testing.T) {
	t.Parallel()
	srv := lardertest.StartRedis(t)
	link := lardertest.StartProxy(t, srv.Addr())
	tier, _ := openTier(t, Config{Address: link.Addr(), BeatTimeout: 400 * time.Millisecond, DialTimeout: 200 * time.Millisecond}, "shop")
	reachable(t, tier)
	keys := fillNumbered(t, tier, srv, 50)
	torment := &torment{tier: tier, keys: keys, over: make(chan struct{})}
	var callers sync.WaitGroup
	for range 80 {
		callers.Go(func() { torment.call(t) })
	}
	callers.Go(torment.beat)
	for range 2 {
		for _, step := range []struct {
			disturb func()
			calls   *atomic.Int64 // of which some have to be made then
		}{
			{link.Hold, &torment.ended}, {link.Resume, &torment.whole}, {link.Drop, &torment.whole},
			{func() { command(t, srv, "SCRIPT", "FLUSH") }, &torment.whole},
		} {
			step.disturb()
			before := step.calls.Load()
			eventually(t, "calls that end", func() bool { return step.calls.Load() > before+100 })
		}
	}
	link.Hold()
	eventually(t, "the loss of the connection", func() bool { return tier.conn("k") == nil })
	link.Resume()
	close(torment.over)
	callers.Wait()
	reachable(t, tier)
	q := readsOf(tier)
	eventually(t, "end", func() bool { return q.underWayNow() == 0 && q.waiting() == 0 })
	t.Logf("%d calls, %d without an error", torment.ended.Load(), torment.whole.Load())
}

type torment struct {
	tier         *Tier
	keys         []string
	over         chan struct{}
	ended, whole atomic.Int64
}

// beat has the tier notice that the link hangs.
func (m *torment) beat() {
	for !closed(m.over) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		_ = m.tier.Beat(ctx)
		<-ctx.Done()
		cancel()
	}
}

// call makes calls of every size, half of them by callers who wait without end.
func (m *torment) call(t *testing.T) {
	for !closed(m.over) {
		ctx, cancel := context.WithCancel(context.Background())
		if rand.N(2) == 0 {
			ctx, cancel = context.WithTimeout(ctx, rand.N(5*time.Millisecond))
		}
		ops, want := m.some()
		replies := make([]larder.Reply, len(ops))
		if len(ops) == 1 {
			replies[0] = m.tier.Get(ctx, ops[0].Key)
		} else {
			m.tier.Do(ctx, ops, replies)
		}
		cancel()
		m.ended.Add(1)
		if got, failed := told(replies); !failed {
			m.whole.Add(1)
			if got != want {
				t.Errorf("got\n%s, want\n%s", got, want)
			}
		} else if replies[0].Err == larder.ErrUnavailable {
			<-time.After(time.Millisecond) // instead of keeping the machine from connecting
		}
	}
}

func told(replies []larder.Reply) (text string, failed bool) {
	var b strings.Builder
	for _, r := range replies {
		failed = failed || r.Err != nil
		fmt.Fprintln(&b, r.State, r.Data)
	}
	return b.String(), failed
}

// some returns operations and what they answer: a few reads, many, or what depends
// on its order, on a key of its own.
func (m *torment) some() (ops []larder.Op, want string) {
	var replies []larder.Reply
	add := func(op larder.Op, r larder.Reply) { ops, replies = append(ops, op), append(replies, r) }
	read := func() {
		key := m.keys[rand.N(len(m.keys))]
		add(larder.Op{Kind: larder.OpGet, Key: key}, larder.Reply{State: larder.Present, Data: key})
	}
	for range []int{1, 1, 2, readTogether, readTogether + 2}[rand.N(5)] {
		read()
	}
	if rand.N(3) == 0 {
		own := m.tier.EntryKey(fmt.Sprint("own:", rand.Uint64()))
		get := larder.Op{Kind: larder.OpGet, Key: own}
		add(get, larder.Reply{State: larder.Absent})
		add(larder.Op{Kind: larder.OpSet, Key: own, Value: []byte(aValue), TTL: time.Minute}, larder.Reply{State: larder.Done})
		add(get, larder.Reply{State: larder.Present, Data: aValue})
		read()
		add(larder.Op{Kind: larder.OpDelete, Key: own}, larder.Reply{State: larder.Done})
		add(get, larder.Reply{State: larder.Absent})
	}
	want, _ = told(replies)
	return ops, want
}
