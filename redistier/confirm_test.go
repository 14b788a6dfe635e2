package redistier

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/lardertest"
)

// staleness is the MaxStaleness of the tests that wait for it.
const staleness = 100 * time.Millisecond

// crew is two members: A asks, B can be silenced by its proxy.
type crew struct {
	t              *testing.T
	srv            *lardertest.RedisServer
	proxy          *lardertest.Proxy
	a, b           *Tier
	heardA, heardB *recorder
	key            string
}

func newCrew(t *testing.T) *crew {
	srv := lardertest.StartRedis(t)
	c := &crew{t: t, srv: srv, proxy: lardertest.StartProxy(t, srv.Addr())}
	cfg := Config{Address: srv.Addr(), MaxStaleness: staleness, BeatTimeout: time.Minute}
	c.a, c.heardA = openTier(t, cfg, "shop")
	cfg.Address = c.proxy.Addr()
	c.b, c.heardB = openTier(t, cfg, "shop")
	c.heardA.await(t, 0, "connected")
	c.heardB.await(t, 0, "connected")
	c.key = c.a.EntryKey("k")
	return c
}

func (c *crew) confirm(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return c.a.Confirm(ctx, []string{c.key})
}

// remember makes B hold what memory would keep: a tracked read.
func (c *crew) remember(tier *Tier) {
	c.t.Helper()
	if r := tier.Get(testContext(c.t), c.key); r.Err != nil {
		c.t.Fatal(r.Err)
	}
}

func (c *crew) delete() {
	c.t.Helper()
	if r := one(c.t, c.a, larder.Op{Kind: larder.OpDelete, Key: c.key}); r.Err != nil {
		c.t.Fatal(r.Err)
	}
}

func (c *crew) members() string { return command(c.t, c.srv, "HKEYS", "#larder:m:shop") }

// settle waits until A may confirm without waiting for its own age.
func (c *crew) settle() {
	c.t.Helper()
	if err := c.confirm(patience); err != nil {
		c.t.Fatal(err)
	}
}

// TestConfirmWaitsForPausedMember:
//
//  1. B keeps k in memory, and nothing reaches it any more
//  2. A deletes k and asks; B has neither push nor request
//  3. A may not say confirmed: B serves k for up to MaxStaleness
//  4. B goes on: push, request, answer
func TestConfirmWaitsForPausedMember(t *testing.T) {
	c := newCrew(t)
	c.settle()
	command(t, c.srv, "SET", c.key, "v")
	c.remember(c.b)
	c.proxy.Hold()
	c.delete()
	if err := c.confirm(staleness); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("confirmed while a member was paused: %v", err)
	}
	mark := c.heardB.mark()
	c.proxy.Resume()
	if err := c.confirm(patience); err != nil {
		t.Fatal(err)
	}
	if c.heardB.countOf(0, "invalidated "+c.key) == 0 {
		t.Errorf("confirmed before B had the push: %q", c.heardB.events(mark))
	}
}

// TestConfirmWhileMemberJoins:
//
//  1. A deletes k and asks; B is paused
//  2. C enrolls, which A has not counted, and reads k as it is after the deletion
//  3. B answers: confirmed, whether C answered or not
func TestConfirmWhileMemberJoins(t *testing.T) {
	c := newCrew(t)
	c.settle()
	command(t, c.srv, "SET", c.key, "v")
	c.remember(c.b)
	c.proxy.Hold()
	c.delete()
	done := make(chan error, 1)
	go func() { done <- c.confirm(patience) }()
	late := lardertest.StartProxy(t, c.srv.Addr())
	joined, events := openTier(t, Config{Address: late.Addr(), MaxStaleness: staleness, BeatTimeout: time.Minute}, "shop")
	events.await(t, 0, "connected")
	if r := joined.Get(testContext(t), c.key); r.State != larder.Absent {
		t.Errorf("who joins after the deletion reads %+v", r)
	}
	if n := len(strings.Split(c.members(), "\n")); n != 3 {
		t.Errorf("%d members: %q", n, c.members())
	}
	c.proxy.Resume()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestConfirmRemovesSilentMember:
//
//  1. B keeps k and falls silent
//  2. A deletes k, asks, and sees B's heartbeat number stand still for 2 T
//  3. A removes B and returns; B's credit is older than T by then
//  4. B goes on; its next heartbeat is counted from nothing: B ends its epoch
//     before anything is credited, enrolls again, and is waited for again
func TestConfirmRemovesSilentMember(t *testing.T) {
	c := newCrew(t)
	c.settle()
	command(t, c.srv, "SET", c.key, "v")
	if err := c.b.Beat(testContext(t)); err != nil {
		t.Fatal(err)
	}
	c.remember(c.b)
	epoch := c.b.Epoch(c.key)
	c.proxy.Hold()
	c.delete()
	asked := clock.Now()
	if err := c.confirm(patience); err != nil {
		t.Fatal(err)
	}
	if took := time.Duration(clock.Now() - asked); took < 2*staleness {
		t.Errorf("removed after %v, want at least %v", took, 2*staleness)
	}
	if age := time.Duration(clock.Now() - epoch.AsOf()); age <= staleness {
		t.Errorf("confirmed while B's evidence was %v old", age)
	}
	if n := len(strings.Split(c.members(), "\n")); n != 1 {
		t.Errorf("%d members: %q", n, c.members())
	}
	old := epoch.AsOf()
	mark := c.heardB.mark()
	c.proxy.Resume()
	if err := c.b.Beat(testContext(t)); err != nil {
		t.Fatal(err)
	}
	c.heardB.await(t, mark, "flushed")
	if epoch.Alive() || epoch.AsOf() != old {
		t.Error("what was read before the removal can be used after it")
	}
	if next := c.b.Epoch(c.key); next == nil || !next.Alive() || next.AsOf() <= old {
		t.Error("the member that came back is not credited")
	}
	c.remember(c.b)
	c.proxy.Hold()
	if err := c.confirm(staleness); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a member that came back is not waited for: %v", err)
	}
	c.proxy.Resume()
	if err := c.confirm(patience); err != nil {
		t.Error(err)
	}
}

// TestConfirmAfterLostRegistry:
//
//  1. A, B are members; B keeps k, credited at t
//  2. the registry is lost (evicted, flushed); only A notices and enrolls again
//  3. A deletes k and asks: B is no member
//  4. A may not return before t + T: until then B serves k
func TestConfirmAfterLostRegistry(t *testing.T) {
	c := newCrew(t)
	c.settle()
	command(t, c.srv, "SET", c.key, "v")
	if err := c.b.Beat(testContext(t)); err != nil {
		t.Fatal(err)
	}
	c.remember(c.b)
	epoch := c.b.Epoch(c.key)
	c.proxy.Hold()
	command(t, c.srv, "DEL", "#larder:m:shop")
	if err := c.confirm(patience); !errors.Is(err, errForgotten) {
		t.Errorf("confirmed by a registry that does not know us: %v", err)
	}
	c.delete()
	for {
		err := c.confirm(patience)
		if err == nil {
			break
		}
		if !errors.Is(err, errForgotten) {
			t.Fatal(err)
		}
	}
	if age := time.Duration(clock.Now() - epoch.AsOf()); epoch.Alive() && age <= staleness {
		t.Errorf("confirmed while B's evidence was %v old", age)
	}
}

// TestConfirmIgnoresOldAnswers:
//
//  1. B answers request n
//  2. the requests are lost; A asks, the first request of another era
//  3. B's answer n is none to that, however high
func TestConfirmIgnoresOldAnswers(t *testing.T) {
	c := newCrew(t)
	c.settle()
	for range 3 {
		c.settle()
	}
	command(t, c.srv, "DEL", "#larder:c:shop")
	if err := c.b.Beat(testContext(t)); err != nil { // B's answer to the deletion itself
		t.Fatal(err)
	}
	c.proxy.Hold()
	if err := c.confirm(staleness); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("confirmed by an answer of another era: %v", err)
	}
	c.proxy.Resume()
	c.settle()
}

// TestConfirmDoesNotWaitForTheClosed: who ended in good order is no member.
func TestConfirmDoesNotWaitForTheClosed(t *testing.T) {
	c := newCrew(t)
	c.settle()
	c.b.Close()
	if n := len(strings.Split(c.members(), "\n")); n != 1 {
		t.Errorf("%d members: %q", n, c.members())
	}
	if err := c.confirm(2 * staleness); err != nil { // a silent member would be waited for that long at least
		t.Error(err)
	}
}

// TestSilenceIsRememberedBetweenConfirmations: a process that died is waited for
// in vain once, then removed.
func TestSilenceIsRememberedBetweenConfirmations(t *testing.T) {
	c := newCrew(t)
	c.settle()
	c.proxy.Cut()
	start := time.Now()
	if err := c.confirm(staleness); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("confirmed for a member that vanished just now: %v", err)
	}
	for c.confirm(staleness) != nil {
		if time.Since(start) > patience {
			t.Fatal("it is never removed")
		}
	}
	if took := time.Since(start); took < 2*staleness { // however late a busy machine notices
		t.Errorf("removed after %v, want soon after %v", took, 2*staleness)
	}
}

// TestStalenessIsOneForAll: the first process decides, later ones learn it, and
// a change reaches who is connected.
func TestStalenessIsOneForAll(t *testing.T) {
	c := newCrew(t)
	late, events := openTier(t, Config{Address: c.srv.Addr(), MaxStaleness: time.Hour}, "shop")
	events.await(t, 0, "connected")
	for _, tier := range []*Tier{c.a, c.b, late} {
		if got := tier.MaxStaleness(); got != staleness {
			t.Errorf("MaxStaleness %v, want %v", got, staleness)
		}
	}
	command(t, c.srv, "SET", "#larder:t:shop", "250")
	eventually(t, "new MaxStaleness", func() bool { return c.a.MaxStaleness() == 250*time.Millisecond })
}

// TestConfirmCost measures a confirmation among twenty members.
func TestConfirmCost(t *testing.T) {
	srv := lardertest.StartRedis(t)
	var tiers []*Tier
	for range 20 {
		tier, events := openTier(t, Config{Address: srv.Addr(), MaxStaleness: staleness}, "shop")
		events.await(t, 0, "connected")
		tiers = append(tiers, tier)
	}
	key := tiers[0].EntryKey("k")
	if err := tiers[0].Confirm(testContext(t), []string{key}); err != nil {
		t.Fatal(err)
	}
	const rounds = 100
	start := time.Now()
	for range rounds {
		if err := tiers[0].Confirm(testContext(t), []string{key}); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(start) / rounds
	t.Logf("20 members: %v per confirmation", took)
	if took > staleness {
		t.Errorf("a confirmation takes %v, as long as waiting does", took)
	}
}
