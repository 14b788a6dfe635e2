package ticket

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
)

// TestLife holds the life of a ticket: live from its issue to the first kill,
// dead for good after it, and never live when it is zero.
func TestLife(t *testing.T) {
	b := NewBoard(1 << 16)
	a, other := b.Issue("a"), b.Issue("b")
	if !a.Live() || (Ticket{}).Live() {
		t.Error("a new ticket is dead, or the zero ticket lives")
	}
	b.Kill("a")
	if a.Live() || !other.Live() {
		t.Error("Kill missed its key or hit another")
	}
	if again := b.Issue("a"); !again.Live() || a.Live() {
		t.Error("a later ticket is dead, or revived an earlier one")
	}
	b.KillAll()
	if other.Live() {
		t.Error("KillAll left a ticket")
	}
}

// TestSharedStripes holds that keys of one stripe die together, never apart.
func TestSharedStripes(t *testing.T) {
	b := NewBoard(0) // 64 stripes
	tickets := map[string]Ticket{}
	for i := range 1000 {
		key := strconv.Itoa(i)
		tickets[key] = b.Issue(key)
	}
	b.Kill("7")
	dead := 0
	for key, ticket := range tickets {
		if b.index(key) == b.index("7") == ticket.Live() {
			t.Errorf("key %s: live %v", key, ticket.Live())
		}
		if !ticket.Live() {
			dead++
		}
	}
	if dead == 0 || dead > 200 {
		t.Errorf("%d of 1000 died with one of 64 stripes", dead)
	}
}

// TestControlKeysStandApart holds that no change of an entry kills the
// generation of a namespace or a tag.
func TestControlKeysStandApart(t *testing.T) {
	b := NewBoard(0)
	control := b.Issue("#tag")
	for i := range 10_000 {
		b.Kill(strconv.Itoa(i))
	}
	b.Kill("")
	if !control.Live() {
		t.Error("killed by an entry")
	}
	if b.Kill("#tag"); control.Live() {
		t.Error("not killed by its key")
	}
}

// TestReplace holds what an own write does: every earlier ticket dies, and the
// writer goes on with a live one only if nobody else came in between.
func TestReplace(t *testing.T) {
	b := NewBoard(0)
	reader, writer := b.Issue("k"), b.Issue("k")
	next, ok := b.Replace("k", writer)
	if !ok || !next.Live() || reader.Live() || writer.Live() {
		t.Errorf("ok %v, next %v, reader %v, writer %v", ok, next.Live(), reader.Live(), writer.Live())
	}
	late := b.Issue("k")
	b.Kill("k")
	if _, ok := b.Replace("k", late); ok {
		t.Error("a write that was overtaken by a kill passed for current")
	}
	if after := b.Issue("k"); !after.Live() {
		t.Error("the board is stuck")
	}
}

// TestReplaceKillsItsPredecessors holds that of many writers at once at most
// one ends with a live ticket.
func TestReplaceKillsItsPredecessors(t *testing.T) {
	b := NewBoard(0)
	for range 200 {
		const writers = 8
		var results [writers]Ticket
		var kept [writers]bool
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() { results[i], kept[i] = b.Replace("k", b.Issue("k")) })
		}
		wg.Wait()
		live := 0
		for i := range writers {
			if kept[i] && results[i].Live() {
				live++
			}
		}
		if live > 1 {
			t.Fatalf("%d writers have the last word", live)
		}
	}
}

func woken(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// TestWait holds that a waiter hears of every kill after its ticket's issue,
// also of one that came before it began to wait, and of WakeAll.
func TestWait(t *testing.T) {
	b := NewBoard(0)
	for name, wake := range map[string]func(t Ticket){
		"Kill":    func(Ticket) { b.Kill("k") },
		"Replace": func(t Ticket) { b.Replace("k", t) },
		"KillAll": func(Ticket) { b.KillAll() },
		"WakeAll": func(Ticket) { b.WakeAll() },
	} {
		ticket := b.Issue("k")
		ch, stop := b.Wait("k", ticket)
		if woken(ch) {
			t.Errorf("%s: woken too early", name)
		}
		wake(ticket)
		if !woken(ch) {
			t.Errorf("%s: not woken", name)
		}
		stop()
	}
	ticket := b.Issue("k")
	b.Kill("k")
	if ch, _ := b.Wait("k", ticket); !woken(ch) {
		t.Error("a kill before the wait is lost")
	}
}

// TestWaitersLeaveNothing holds that the map of waiters is as large as those
// who wait.
func TestWaitersLeaveNothing(t *testing.T) {
	b := NewBoard(1 << 16)
	var stops []func()
	for i := range 1000 {
		key := strconv.Itoa(i)
		_, stop := b.Wait(key, b.Issue(key))
		_, stop2 := b.Wait(key, b.Issue(key))
		stops = append(stops, stop, stop2)
	}
	for i, stop := range stops {
		if i%3 == 0 {
			b.Kill(strconv.Itoa(i / 2))
		}
		stop()
		stop() // twice is once
	}
	for i := range b.waiters {
		if n := len(b.waiters[i].m); n != 0 {
			t.Fatalf("%d stripes still have waiters", n)
		}
	}
}

// TestNoLostWakeups holds that whatever the order of issue, kill and wait, a
// waiter whose key was killed wakes up. A lost wake-up hangs the test.
func TestNoLostWakeups(t *testing.T) {
	b := NewBoard(0)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			key := strconv.Itoa(i)
			for range 2000 {
				ticket := b.Issue(key)
				var killer sync.WaitGroup
				killer.Go(func() { b.Kill(key) })
				ch, stop := b.Wait(key, ticket)
				<-ch
				stop()
				killer.Wait()
			}
		})
	}
	wg.Wait()
}

// TestBoardSize holds that any number of stripes asked for is possible.
func TestBoardSize(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 64, 65, 1 << 20} {
		b := NewBoard(n)
		if b.entries < uint64(max(n, 64)) || b.entries&(b.entries-1) != 0 {
			t.Errorf("NewBoard(%d) has %d stripes for entries", n, b.entries)
		}
		b.Kill(strconv.Itoa(rand.Int()))
	}
}

func BenchmarkLive(b *testing.B) {
	ticket := NewBoard(1 << 16).Issue("k")
	for b.Loop() {
		ticket.Live()
	}
}

// TestStubLivesAndDiesWithItsTicket holds that half the room is enough: for
// entries and control keys, in small boards and in the largest.
func TestStubLivesAndDiesWithItsTicket(t *testing.T) {
	for _, n := range []int{0, 1 << 16, 1 << 30} {
		b := NewBoard(n)
		for _, key := range []string{"a", "b", "c", "#tag", "#log"} {
			for range 3 {
				b.Kill(key)
			}
			ticket := b.Issue(key)
			stub := b.Stub(ticket)
			if !b.Live(stub) {
				t.Errorf("%d stripes: the stub of %s is dead at birth", n, key)
			}
			b.Kill(key)
			if b.Live(stub) || !b.Live(b.Stub(b.Issue(key))) {
				t.Errorf("%d stripes: the stub of %s survived a kill, or the next one did not live", n, key)
			}
		}
	}
}

// TestStubOfAnOldStripe holds that a stub of a stripe that was killed more often
// than a stub can count is told apart from the ones of late.
func TestStubOfAnOldStripe(t *testing.T) {
	b := NewBoard(0)
	b.stripes[b.index("a")].Store(5<<versionBits + 1<<versionBits - 1)
	stub := b.Stub(b.Issue("a"))
	if !b.Live(stub) {
		t.Error("dead at birth")
	}
	b.Kill("a")
	if b.Live(stub) || !b.Live(b.Stub(b.Issue("a"))) {
		t.Error("survived a kill, or the next one did not live")
	}
}
