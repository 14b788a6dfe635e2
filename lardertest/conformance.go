package lardertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/frame"
)

// Site is an implementation of larder.Remote to examine: two remotes of one
// namespace over one empty store, neither started, and a back door to it.
type Site struct {
	A, B larder.Remote
	Door BackDoor
	// Shared says that the store is not for this test alone: it is neither
	// paused nor killed, and the namespace is the only empty one.
	Shared bool
}

// outages are the groups that pause or kill the store.
var outages = map[string]bool{
	"RunID": true, "ConfirmWaits": true, "Credit": true, "LostServer": true, "AbsentServer": true, "PausedServer": true,
}

// BackDoor reaches the store past the remotes, as other programs and faults
// do. *[Server] is one; [OpenBackDoor] makes one for a [RedisServer].
type BackDoor interface {
	// Set writes a key; ttl 0: without expiry.
	Set(key, data string, ttl time.Duration)
	// SetList makes a key hold something that is no string.
	SetList(key string)
	// Delete deletes a key and reports whether it was there.
	Delete(key string) bool
	// FlushAll deletes everything.
	FlushAll()
	// Drop breaks all connections once.
	Drop()
	// Stop pauses the store, Cont resumes it.
	Stop()
	Cont()
	// Kill ends the store with all its data, Restart starts it again.
	Kill()
	Restart()
}

// RunRemote runs the conformance suite of larder.Remote: every operation in
// every state, times to live, pushes and their order, epochs, outages, pattern
// deletion and closing. open is called once per test and may fail it; the
// suite starts and closes the remotes.
//
// It runs in real time, a few seconds in all.
func RunRemote(t *testing.T, open func(t *testing.T) Site) {
	groups := []struct {
		name string
		run  func(t *testing.T, f *fixture)
	}{
		{"Keys", testKeys},
		{"Values", testValues},
		{"ValueIsNotKept", testValueNotKept},
		{"Pipeline", testPipeline},
		{"WrongType", testWrongType},
		{"TimesToLive", testTimesToLive},
		{"Expiry", testExpiry},
		{"GenerationIsKeptAlive", testGenerationKeptAlive},
		{"OneLease", testOneLease},
		{"Lock", testLock},
		{"LockExpires", testLockExpires},
		{"LockNumbersOutliveData", testLockNumbersOutliveData},
		{"Ranks", testRanks},
		{"Hold", testHold},
		{"HoldExpires", testHoldExpires},
		{"SetNewerKeepsGenerations", testSetNewerKeepsGenerations},
		{"Expire", testExpire},
		{"ExpireEndsARefresh", testExpireEndsARefresh},
		{"Births", testBirths},
		{"BirthsPush", testBirthsPush},
		{"RunID", testRunID},
		{"Confirm", testConfirm},
		{"ConfirmWaits", testConfirmWaits},
		{"PushAfterEachRead", testPushAfterEachRead},
		{"NoPushForOwnWrites", testNoPushForOwnWrites},
		{"PushForEachChange", testPushForEachChange},
		{"PushBeforeReply", testPushBeforeReply},
		{"PushBeforeCredit", testPushBeforeCredit},
		{"Credit", testCredit},
		{"Flush", testFlush},
		{"LostConnection", testLostConnection},
		{"LostServer", testLostServer},
		{"AbsentServer", testAbsentServer},
		{"PausedServer", testPausedServer},
		{"EndedContext", testEndedContext},
		{"DeleteMatching", testDeleteMatching},
		{"DeleteMatchingPages", testDeleteMatchingPages},
		{"Close", testClose},
	}
	t.Run("Operations", func(t *testing.T) { testOperations(t, open) })
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			site := open(t)
			if site.Shared && outages[g.name] {
				return // an exclusive store of the same kind plays them
			}
			g.run(t, newFixture(t, site))
		})
	}
}

// patience is how long the suite waits for what must happen.
const patience = 15 * time.Second

// fixture is a Site with what its remotes reported.
type fixture struct {
	Site
	t        *testing.T
	ctx      context.Context
	logA     *eventLog
	logB     *eventLog
	lastName int
	tokens   uint64
}

func newFixture(t *testing.T, s Site) *fixture {
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	f := &fixture{Site: s, t: t, ctx: ctx, logA: newEventLog(), logB: newEventLog()}
	t.Cleanup(func() {
		for _, r := range []larder.Remote{s.A, s.B} {
			if err := r.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		cancel()
	})
	return f
}

// start starts both remotes and waits for their connections.
func (f *fixture) start() *fixture {
	f.t.Helper()
	f.A.Start(f.ctx, f.logA)
	f.B.Start(f.ctx, f.logB)
	for _, l := range []*eventLog{f.logA, f.logB} {
		f.waitFor("a connection", l, func() bool { return l.connected > 0 })
	}
	f.ready(f.A, f.B)
	return f
}

// ready waits until each remote is connected to all servers.
func (f *fixture) ready(remotes ...larder.Remote) {
	f.t.Helper()
	for _, r := range remotes {
		for _, key := range r.NamespaceKeys() {
			f.eventually("connections to all servers", func() bool { return r.Epoch(key) != nil })
		}
	}
}

// waitFor waits until cond, called under the lock of l, holds.
func (f *fixture) waitFor(what string, l *eventLog, cond func() bool) {
	f.t.Helper()
	if !l.wait(cond) {
		f.t.Fatalf("no %s within %v", what, patience)
	}
}

// eventually asks cond until it holds.
func (f *fixture) eventually(what string, cond func() bool) {
	f.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			f.t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// key returns the key of a new entry.
func (f *fixture) key() string {
	f.lastName++
	return f.A.EntryKey(fmt.Sprintf("thing:%d", f.lastName))
}

// token returns one that was not used before.
func (f *fixture) token() (t frame.Token) {
	f.tokens++
	for i := range t {
		t[i] = byte(f.tokens >> (8 * i))
	}
	t[7] = 0xEE
	return t
}

func (f *fixture) do(r larder.Remote, op larder.Op) larder.Reply {
	f.t.Helper()
	reply := f.try(r, op)
	if reply.Err != nil {
		f.t.Fatalf("%s: %v", opName(op.Kind), reply.Err)
	}
	return reply
}

func (f *fixture) try(r larder.Remote, op larder.Op) larder.Reply {
	if op.TTL == 0 {
		op.TTL = time.Minute
	}
	var reply [1]larder.Reply
	r.Do(f.ctx, []larder.Op{op}, reply[:])
	return reply[0]
}

func (f *fixture) set(r larder.Remote, key, data string) {
	f.t.Helper()
	f.expect(f.do(r, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte(data)}), larder.Done, "")
}

func (f *fixture) expect(got larder.Reply, state larder.ReplyState, data string) {
	f.t.Helper()
	if got.State != state || got.Data != data || got.Err != nil {
		f.t.Fatalf("reply %v %q %v, want %v %q", got.State, got.Data, got.Err, state, data)
	}
}

func opName(k larder.OpKind) string {
	names := [...]string{"get", "acquire", "takeover", "fill", "refill", "release", "renew", "set",
		"set newer", "delete", "hold", "unhold", "generation", "births", "tags since", "expire", "inspect",
		"lock", "rank", "ranks"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("operation %d", k)
}

// aValue returns the bytes of an entry.
func aValue(id frame.Token, payload string) string {
	hard := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	b, err := frame.Append(nil, &frame.Entry{ID: id.ID(), Hard: hard, Soft: hard, Payload: payload})
	if err != nil {
		panic(err)
	}
	return string(b)
}
