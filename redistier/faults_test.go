package redistier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/internal/clock"
	"github.com/larder-go/larder/lardertest"
)

// TestConnectionIsCredited: an epoch is handed out only after a heartbeat has
// proven the connection, and each further heartbeat proves it anew.
func TestConnectionIsCredited(t *testing.T) {
	before := clock.Now()
	tier, _, _ := connected(t)
	epoch := tier.Epoch(tier.EntryKey("k"))
	if epoch == nil || !epoch.Alive() || epoch.AsOf() < before {
		t.Fatalf("epoch %+v is not credited", epoch)
	}
	for range 3 {
		before = clock.Now()
		if err := tier.Beat(testContext(t)); err != nil {
			t.Fatal(err)
		}
		if asOf := epoch.AsOf(); asOf < before || asOf > clock.Now() {
			t.Errorf("as of %d, want between %d and now", asOf, before)
		}
	}
}

// TestPushesArriveInOrder: pushes are reported in the order of the changes, and
// before the reply to anything sent after the change was seen.
func TestPushesArriveInOrder(t *testing.T) {
	tier, events, srv := connected(t)
	var want []string
	mark := events.mark()
	for i := range 50 {
		key := tier.EntryKey(fmt.Sprint("k", i))
		tier.Get(testContext(t), key)
		command(t, srv, "SET", key, "x")
		want = append(want, "invalidated "+key)
		// The change was executed, so the reply to this is behind its push.
		tier.Get(testContext(t), tier.EntryKey("unrelated"))
		if got := events.events(mark); !slices.Equal(got, want) {
			t.Fatalf("events %q, want %q", got, want)
		}
	}
}

// TestLostConnection: however the server ends a connection, the epoch ends
// first, then Flushed and Disconnected are reported once, then a new connection
// with another epoch serves again.
func TestLostConnection(t *testing.T) {
	for name, strike := range map[string]func(testing.TB, *lardertest.RedisServer){
		"CLIENT KILL": func(t testing.TB, srv *lardertest.RedisServer) {
			command(t, srv, "CLIENT", "KILL", "TYPE", "normal")
		},
		"kill -9 and restart": func(t testing.TB, srv *lardertest.RedisServer) {
			if err := srv.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := srv.Restart(testContext(t)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			tier, events, srv := connected(t)
			key := tier.EntryKey("k")
			first := tier.Epoch(key)
			alive := make(chan bool, 1)
			events.mu.Lock()
			events.onEvent = func(event string) {
				if event == "flushed" {
					alive <- first.Alive()
				}
			}
			events.mu.Unlock()
			mark := events.mark()
			strike(t, srv)
			events.await(t, mark, "connected")
			got := events.events(mark)
			if len(got) < 3 || got[0] != "flushed" || !strings.HasPrefix(got[1], "disconnected") || got[len(got)-1] != "connected" {
				t.Errorf("events %q", got)
			}
			if n := events.countOf(mark, "flushed"); n != 1 {
				t.Errorf("%d flushes", n)
			}
			if <-alive {
				t.Error("Flushed came before the end of the epoch")
			}
			if next := tier.Epoch(key); next == nil || next == first || !next.Alive() {
				t.Error("no new epoch")
			}
			if r := one(t, tier, larder.Op{Kind: larder.OpAcquire, Key: key, Token: mine, TTL: time.Minute}); r.State != larder.Acquired {
				t.Errorf("acquire: %+v", r)
			}
		})
	}
}

// TestPendingRequestsOfALostConnection: their outcome is unknown, which is an
// error and never a reply.
func TestPendingRequestsOfALostConnection(t *testing.T) {
	srv := lardertest.StartRedis(t)
	proxy := lardertest.StartProxy(t, srv.Addr())
	tier, events := openTier(t, Config{Address: proxy.Addr()}, "shop")
	mark := events.await(t, 0, "connected")
	proxy.Hold()
	errs := make(chan error, 20)
	for i := range cap(errs) {
		go func() {
			op := larder.Op{Kind: larder.OpSet, Key: tier.EntryKey(fmt.Sprint(i)), Value: []byte("v"), TTL: time.Minute}
			replies := make([]larder.Reply, 1)
			tier.Do(context.Background(), []larder.Op{op}, replies)
			errs <- replies[0].Err
		}()
	}
	eventually(t, "queue of requests", func() bool { return tier.conn("k").flow.queued.Load() >= int64(cap(errs)) })
	proxy.Drop()
	for range cap(errs) {
		if err := <-errs; err == nil {
			t.Error("a request without a reply succeeded")
		}
	}
	events.await(t, mark, "flushed")
}

// TestFlushAll: a flush ends the epoch without ending the connection; the new
// epoch keeps the proof.
func TestFlushAll(t *testing.T) {
	tier, events, srv := connected(t)
	key := tier.EntryKey("k")
	first := tier.Epoch(key)
	asOf := first.AsOf()
	for _, flush := range []string{"FLUSHALL", "FLUSHDB"} {
		first = tier.Epoch(key)
		mark := events.mark()
		command(t, srv, flush)
		events.await(t, mark, "flushed")
		next := tier.Epoch(key)
		if first.Alive() || next == first || !next.Alive() || next.AsOf() != asOf {
			t.Errorf("%s: old alive %v, next %+v", flush, first.Alive(), next)
		}
	}
	if n := events.countOf(0, "disconnected"); n != 0 {
		t.Errorf("events %q", events.events(0))
	}
	if err := tier.Beat(testContext(t)); err != nil || tier.Epoch(key).AsOf() <= asOf {
		t.Errorf("no credit after the flush: %v", err)
	}
}

// TestEvictionAndExpiryPush: a key that the server removes by itself is pushed
// like any other change.
func TestEvictionAndExpiryPush(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Args: []string{"--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"}})
	tier, events := openTier(t, Config{Address: srv.Addr()}, "shop")
	mark := events.await(t, 0, "connected")
	key := tier.EntryKey("evicted")
	one(t, tier, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("v"), TTL: time.Hour})
	for i := 0; events.countOf(mark, "invalidated "+key) == 0; i++ {
		if i == 200 {
			t.Fatal("no push after 20 MB in 3 MB")
		}
		command(t, srv, "SET", fmt.Sprint("filler", i), strings.Repeat("x", 100<<10))
	}
	key = tier.EntryKey("expired")
	one(t, tier, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("v"), TTL: 20 * time.Millisecond})
	events.await(t, mark, "invalidated "+key)
}

// TestFullMemoryIsNoDisconnect: a server without room refuses fills but proves
// itself and serves what it has.
func TestFullMemoryIsNoDisconnect(t *testing.T) {
	tier, events, srv := connected(t)
	key := tier.EntryKey("k")
	one(t, tier, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("v"), TTL: time.Hour})
	command(t, srv, "CONFIG", "SET", "maxmemory", "1")
	if r := one(t, tier, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("w"), TTL: time.Hour}); r.Err == nil {
		t.Error("a write without room succeeded")
	}
	if err := tier.Beat(testContext(t)); err != nil {
		t.Errorf("beat: %v", err)
	}
	if r := tier.Get(testContext(t), key); r.Data != "v" {
		t.Errorf("get: %+v", r)
	}
	if r := one(t, tier, larder.Op{Kind: larder.OpDelete, Key: key}); r.State != larder.Done {
		t.Errorf("delete: %+v", r)
	}
	if n := events.countOf(0, "disconnected"); n != 0 {
		t.Errorf("events %q", events.events(0))
	}
}

// TestAbsentServer: the tier starts without a server, refuses everything
// without sending, and uses the server once it appears.
func TestAbsentServer(t *testing.T) {
	srv := lardertest.StartRedis(t)
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	tier, events := openTier(t, Config{Address: srv.Addr()}, "shop")
	if events.countOf(0, "disconnected") == 0 {
		t.Errorf("Start returned before the first attempt ended: %q", events.events(0))
	}
	key := tier.EntryKey("k")
	replies := make([]larder.Reply, 2)
	tier.Do(testContext(t), []larder.Op{{Key: key}, {Kind: larder.OpDelete, Key: key}}, replies)
	_, scanErr := tier.DeleteMatching(testContext(t), "*", nil)
	for _, err := range []error{tier.Get(testContext(t), key).Err, replies[0].Err, replies[1].Err, tier.Beat(testContext(t)), scanErr} {
		if !errors.Is(err, larder.ErrUnavailable) {
			t.Errorf("error %v", err)
		}
	}
	if tier.Epoch(key) != nil {
		t.Error("an epoch without a connection")
	}
	if err := srv.Restart(testContext(t)); err != nil {
		t.Fatal(err)
	}
	appeared := time.Now()
	events.await(t, 0, "connected")
	if took := time.Since(appeared); took > patience/2 {
		t.Errorf("the server was found after %v", took)
	}
}

// TestHungServer: a server that stops answering keeps its connection for as
// long as a heartbeat may take, then nothing is served; awake again it is used
// within a second.
func TestHungServer(t *testing.T) {
	t.Parallel()
	srv := lardertest.StartRedis(t)
	tier, events := openTier(t, Config{Address: srv.Addr(), BeatTimeout: 300 * time.Millisecond, DialTimeout: defaultDialTimeout}, "shop")
	mark := events.await(t, 0, "connected")
	for i := range 4 {
		if err := srv.Stop(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if err := tier.Beat(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("beat: %v", err)
		}
		cancel()
		mark = events.await(t, mark, "flushed")
		for range i + 1 { // attempts that hang in the handshake
			mark = events.await(t, mark, "disconnected")
		}
		if err := srv.Cont(); err != nil {
			t.Fatal(err)
		}
		awake := time.Now()
		mark = events.await(t, mark, "connected")
		if took := time.Since(awake); took > patience/2 {
			t.Errorf("used %v after it awoke", took)
		} else {
			t.Logf("after %d attempts: used %v after it awoke", i+1, took)
		}
	}
}

// TestShortHangKeepsTheConnection: below the heartbeat time-out a pause costs
// the requests of that time and nothing else.
func TestShortHangKeepsTheConnection(t *testing.T) {
	tier, events, srv := connected(t)
	key := tier.EntryKey("k")
	epoch := tier.Epoch(key)
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if r := tier.Get(ctx, key); !errors.Is(r.Err, context.DeadlineExceeded) {
		t.Errorf("get: %+v", r)
	}
	if err := srv.Cont(); err != nil {
		t.Fatal(err)
	}
	if r := tier.Get(testContext(t), key); r.Err != nil {
		t.Errorf("get: %+v", r)
	}
	if tier.Epoch(key) != epoch || events.countOf(0, "disconnected") != 0 {
		t.Errorf("the connection was given up: %q", events.events(0))
	}
}

// TestFullQueueObeysContexts: the client's queue of requests fills up while a
// server hangs; neither requests nor heartbeats may wait longer for a place
// than their contexts allow, and all places come back afterwards.
func TestFullQueueObeysContexts(t *testing.T) {
	t.Parallel()
	srv := lardertest.StartRedis(t)
	tier, events := openTier(t, Config{Address: srv.Addr(), BeatTimeout: 2 * patience}, "shop")
	events.await(t, 0, "connected")
	key := tier.EntryKey("k")
	if err := srv.Stop(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range 3 * flowLimit {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			defer cancel()
			var err error
			if i%100 == 0 {
				err = tier.Beat(ctx)
			} else {
				err = tier.Get(ctx, key).Err
			}
			if err == nil {
				t.Error("a hung server answered")
			}
		})
	}
	wg.Wait()
	if took := time.Since(begin); took > patience/2 { // they would wait for BeatTimeout
		t.Errorf("requests of 200 ms took %v", took)
	}
	if err := srv.Cont(); err != nil {
		t.Fatal(err)
	}
	for {
		if err := tier.Beat(testContext(t)); err == nil {
			break
		} else if !errors.Is(err, errBeats) {
			t.Fatal(err)
		}
	}
	for range 2 * flowLimit {
		if r := tier.Get(testContext(t), key); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if n := tier.conn("k").flow.queued.Load(); n != 0 {
		t.Errorf("%d places are lost", n)
	}
}

// TestBlackHole: a connection whose packets vanish never fails by itself; the
// unanswered heartbeat ends it.
func TestBlackHole(t *testing.T) {
	srv := lardertest.StartRedis(t)
	proxy := lardertest.StartProxy(t, srv.Addr())
	tier, events := openTier(t, Config{Address: proxy.Addr(), BeatTimeout: 200 * time.Millisecond}, "shop")
	mark := events.await(t, 0, "connected")
	epoch := tier.Epoch(tier.EntryKey("k"))
	proxy.Hold()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := tier.Beat(ctx); err == nil {
		t.Error("a heartbeat into the void succeeded")
	}
	events.await(t, mark, "disconnected redistier: connection to "+proxy.Addr()+" lost: no heartbeat")
	if epoch.Alive() {
		t.Error("the epoch outlived the connection")
	}
	proxy.Resume()
	events.await(t, mark, "connected")
}

// TestReplicaIsRefused: a server that became a replica still answers reads; the
// heartbeat and every write find out, and nothing read before is trusted.
func TestReplicaIsRefused(t *testing.T) {
	for name, notice := range map[string]func(*Tier) error{
		"by a heartbeat": func(tier *Tier) error { return tier.Beat(testContext(t)) },
		"by a write": func(tier *Tier) error {
			return one(t, tier, larder.Op{Kind: larder.OpSet, Key: tier.EntryKey("k"), Value: []byte("v"), TTL: time.Second}).Err
		},
	} {
		t.Run(name, func(t *testing.T) {
			tier, events, srv := connected(t)
			epoch := tier.Epoch(tier.EntryKey("k"))
			mark := events.mark()
			command(t, srv, "REPLICAOF", "127.0.0.1", "1")
			if err := notice(tier); err == nil || epoch.Alive() {
				t.Fatalf("error %v, epoch alive %v", err, epoch.Alive())
			}
			mark = events.await(t, mark, "flushed")
			// Each further attempt fails in the first heartbeat.
			mark = events.await(t, mark, "disconnected redistier: connection to ")
			mark = events.await(t, mark, "disconnected redistier: connect to ")
			command(t, srv, "REPLICAOF", "NO", "ONE")
			events.await(t, mark, "connected")
		})
	}
}

// TestWrongPassword: the reason is reported again with every attempt, without
// the password, and the right one is used as soon as the server has it.
func TestWrongPassword(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Password: "right"})
	_, events := openTier(t, Config{Address: srv.Addr(), Password: "hunter2"}, "shop")
	mark := events.await(t, 0, "disconnected redistier: connect to "+srv.Addr()+": WRONGPASS")
	events.await(t, mark, "disconnected redistier: connect to "+srv.Addr()+": WRONGPASS")
	for _, e := range events.events(0) {
		if strings.Contains(e, "hunter2") {
			t.Errorf("the password is in %q", e)
		}
	}
	command(t, srv, "CONFIG", "SET", "requirepass", "hunter2")
	events.await(t, mark, "connected")
}

// TestCloseDuringEverything: Close returns at once whatever goes on, twice and
// before Start too, and leaves nothing running (goleak).
func TestCloseDuringEverything(t *testing.T) {
	t.Parallel()
	srv := lardertest.StartRedis(t)
	for i := range 30 {
		tier, err := New(Config{Address: srv.Addr()}, "shop")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		key := tier.EntryKey("k")
		for _, work := range []func(){
			func() { tier.Get(context.Background(), key) },
			func() { tier.Beat(context.Background()) },
			func() { tier.DeleteMatching(context.Background(), "*", func([]string) {}) },
			func() {
				tier.Do(context.Background(), []larder.Op{{Kind: larder.OpAcquire, Key: key, Token: mine, TTL: time.Second}, {Key: key}}, make([]larder.Reply, 2))
			},
		} {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						work()
					}
				}
			})
		}
		events := newRecorder()
		go func() { tier.Start(context.Background(), events) }()
		if i%2 == 0 {
			events.await(t, 0, "connected")
		}
		wg.Go(func() { tier.Close() })
		tier.Close()
		close(stop)
		wg.Wait()
		if r := tier.Get(context.Background(), key); !errors.Is(r.Err, larder.ErrUnavailable) {
			t.Errorf("after Close: %+v", r)
		}
	}
	t.Run("before Start", func(t *testing.T) {
		tier, _ := New(Config{Address: srv.Addr()}, "shop")
		tier.Close()
		tier.Start(testContext(t), newRecorder())
		if tier.Epoch("k") != nil {
			t.Error("a closed tier connects")
		}
	})
	t.Run("while the server hangs", func(t *testing.T) {
		for _, when := range []string{"in use", "in the handshake"} {
			tier, events := openTier(t, Config{Address: srv.Addr()}, "shop")
			events.await(t, 0, "connected")
			if err := srv.Stop(); err != nil {
				t.Fatal(err)
			}
			if when == "in the handshake" {
				tier.Close()
				tier, _ = New(Config{Address: srv.Addr(), DialTimeout: time.Minute}, "shop")
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
				tier.Start(ctx, events)
				cancel()
			}
			pending := make(chan error)
			go func() { pending <- tier.Get(context.Background(), "k").Err }()
			begin := time.Now()
			tier.Close()
			if took := time.Since(begin); took > patience/2 { // it would wait for a minute, or forever
				t.Errorf("%s: Close took %v", when, took)
			}
			if err := <-pending; err == nil {
				t.Error("a pending request succeeded")
			}
			if err := srv.Cont(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
