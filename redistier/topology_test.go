package redistier

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// reachable waits until a tier beats on all its connections.
func reachable(t testing.TB, tier *Tier) {
	t.Helper()
	for end := time.Now().Add(2 * patience); ; time.Sleep(5 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := tier.Beat(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not reachable within %v: %v", 2*patience, err)
		}
	}
}

// TestSentinelFailover: the tier leaves the old master, ends the epoch, clears
// what the new one may have brought back, and goes on there.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	sentinel := lardertest.StartSentinel(t)
	cfg := Config{Topology: Sentinel, Addresses: sentinel.Addrs(), MasterName: lardertest.SentinelMaster}
	tier, events := openTier(t, cfg, "shop")
	mark := events.await(t, 0, "connected")
	key := tier.EntryKey("k")
	generation := larder.Op{Kind: larder.OpGeneration, Key: tier.NamespaceKey(key), Value: []byte("12345678"), TTL: time.Hour}
	one(t, tier, generation)
	epoch, life := tier.Epoch(key), tier.RunID(key)
	sentinel.Failover(t)
	mark = events.await(t, mark, "flushed")
	events.await(t, mark, "connected")
	reachable(t, tier)
	if epoch.Alive() || tier.RunID(key) == life {
		t.Error("epoch or life outlived the master")
	}
	if r := tier.Get(testContext(t), tier.NamespaceKey(key)); r.State != larder.Absent || r.Err != nil {
		t.Errorf("after a failover the namespace has the generation %q, %v", r.Data, r.Err)
	}
	if got := tier.conn(key).cfg.Address; got != sentinel.Servers[1].Addr() {
		t.Errorf("connected to %s", got)
	}
}

// TestSentinelCrash: a master that dies is replaced without anybody's help, and
// with Replay the entries stay.
func TestSentinelCrash(t *testing.T) {
	t.Parallel()
	sentinel := lardertest.StartSentinel(t)
	cfg := Config{Topology: Sentinel, Addresses: sentinel.Addrs(), MasterName: lardertest.SentinelMaster, OnFailover: Replay}
	tier, _ := openTier(t, cfg, "shop")
	reachable(t, tier)
	key := tier.NamespaceKey(tier.EntryKey("k"))
	one(t, tier, larder.Op{Kind: larder.OpGeneration, Key: key, Value: []byte("12345678"), TTL: time.Hour})
	command(t, sentinel.Servers[0], "WAIT", "1", "1000")
	if err := sentinel.Servers[0].Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	sentinel.AwaitMaster(t, sentinel.Servers[0])
	elected := time.Now()
	reachable(t, tier)
	t.Logf("another master after %v, used %v later", elected.Sub(killed), time.Since(elected))
	if r := tier.Get(testContext(t), key); r.Data != "12345678" {
		t.Errorf("with Replay: %+v", r)
	}
}

// TestClusterSlotMoves: what was read from the former owner of a slot dies, and
// the slot is served by its new owner; connections to other masters stay.
func TestClusterSlotMoves(t *testing.T) {
	t.Parallel()
	cluster := lardertest.StartCluster(t)
	tier, _ := openTier(t, Config{Topology: Cluster, Addresses: cluster.Addrs()}, "shop")
	reachable(t, tier)
	key := tier.EntryKey("k")
	slot := slotOf(key)
	from := cluster.Owner(slot)
	to := cluster.Servers[(slices.Index(cluster.Servers, from)+1)%3]
	third := cluster.Servers[(slices.Index(cluster.Servers, from)+2)%3]
	other := ""
	for i := 0; other == ""; i++ {
		if k := fmt.Sprint("shop:", i); cluster.Owner(slotOf(k)) == third {
			other = k
		}
	}
	one(t, tier, larder.Op{Kind: larder.OpSet, Key: key, Value: []byte("v"), TTL: time.Hour})
	one(t, tier, larder.Op{Kind: larder.OpGeneration, Key: tier.NamespaceKey(other), Value: []byte("12345678"), TTL: time.Hour})
	old, untouched := tier.Epoch(key), tier.Epoch(other)
	cluster.MoveSlot(t, slot, to)
	eventually(t, "slot at its new owner", func() bool { return tier.Get(testContext(t), key).Data == "v" })
	if got := tier.conn(key).cfg.Address; got != to.Addr() || old.Alive() {
		t.Errorf("served by %s; the epoch at the former owner lives: %v", got, old.Alive())
	}
	if !untouched.Alive() {
		t.Error("the epoch of a master that has the same slots ended")
	}
	if r := tier.Get(testContext(t), tier.NamespaceKey(other)); r.Data != "12345678" {
		t.Errorf("a slot that moved cleared the namespace: %+v", r)
	}
	t.Run("with the control keys of its stripe", func(t *testing.T) {
		slot := slotOf(tier.NamespaceKey(key))
		cluster.MoveSlot(t, slot, third)
		eventually(t, "slot at its third owner", func() bool { return tier.conn(tier.NamespaceKey(key)).cfg.Address == third.Addr() })
		reachable(t, tier)
		if r := tier.Get(testContext(t), tier.NamespaceKey(other)); r.Data != "12345678" {
			t.Errorf("control keys that moved cleared the namespace: %+v", r)
		}
	})
}

// TestClusterFailover: a replica that takes over may have lost writes, so the
// whole namespace is cleared, also on the other masters.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	cluster := lardertest.StartCluster(t)
	tier, _ := openTier(t, Config{Topology: Cluster, Addresses: cluster.Addrs()}, "shop")
	reachable(t, tier)
	for _, key := range tier.NamespaceKeys() {
		one(t, tier, larder.Op{Kind: larder.OpGeneration, Key: key, Value: []byte("12345678"), TTL: time.Hour})
	}
	key := tier.EntryKey("k")
	epoch, life := tier.Epoch(key), tier.RunID(key)
	if err := cluster.Owner(slotOf(key)).Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	for end := time.Now().Add(2 * patience); tier.RunID(key) == life || tier.RunID(key) == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the replica is not found")
		}
	}
	t.Logf("served again %v after the master died", time.Since(killed))
	reachable(t, tier)
	if epoch.Alive() {
		t.Error("the epoch outlived its master")
	}
	for _, key := range tier.NamespaceKeys() {
		if r := tier.Get(testContext(t), key); r.State != larder.Absent || r.Err != nil {
			t.Fatalf("%s: %+v", key, r)
		}
	}
}

// TestClusterDeleteMatching: keys that move while the key space is read are
// found where they arrive.
func TestClusterDeleteMatching(t *testing.T) {
	t.Parallel()
	cluster := lardertest.StartCluster(t)
	tier, _ := openTier(t, Config{Topology: Cluster, Addresses: cluster.Addrs()}, "shop")
	reachable(t, tier)
	const total = 3000
	ops := make([]larder.Op, total)
	for i := range ops {
		ops[i] = larder.Op{Kind: larder.OpSet, Key: tier.EntryKey(fmt.Sprint("doomed:", i)), Value: []byte("v"), TTL: time.Hour}
	}
	tier.Do(testContext(t), ops, make([]larder.Reply, total))
	moves, last := 0, cluster.Owner(slots-1)
	n, err := tier.DeleteMatching(testContext(t), "doomed:*", func([]string) {
		if moves++; moves <= 3 { // from the last master to the first, which was read before
			cluster.MoveSlot(t, slotOf(ops[moves].Key), cluster.Owner(0))
			cluster.MoveSlot(t, slots-moves, cluster.Owner(0))
		}
	})
	if err != nil || n != total {
		t.Errorf("removed %d of %d: %v (last master %s)", n, total, err, last.Addr())
	}
	reachable(t, tier)
	for i := range ops {
		r := tier.Get(testContext(t), ops[i].Key)
		for end := time.Now().Add(patience); r.Err != nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
			r = tier.Get(testContext(t), ops[i].Key) // the new layout may not be known yet
		}
		if r.State != larder.Absent || r.Err != nil {
			t.Fatalf("%s: %+v", ops[i].Key, r)
		}
	}
}

// TestClusterCopiesStayCoherent is TestCopiesStayCoherent over a cluster whose
// slots move and whose masters fail over.
func TestClusterCopiesStayCoherent(t *testing.T) {
	t.Parallel()
	cluster := lardertest.StartCluster(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	door := lardertest.OpenClusterDoor(t, cluster)
	var mirrors []*mirror
	for range 3 {
		tier, err := New(Config{Topology: Cluster, Addresses: cluster.Addrs()}, "shop")
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
	for round := range uint64(40) {
		var wg sync.WaitGroup
		for i, m := range mirrors {
			for g := range 4 {
				rng := rand.New(rand.NewPCG(seed+round, uint64(10*i+g)))
				wg.Go(func() {
					for range 30 {
						m.step(testContext(t), rng, &serial)
					}
				})
			}
		}
		key := fmt.Sprint("shop:k", round%20)
		switch round % 8 {
		case 1, 3, 5:
			cluster.MoveSlot(t, slotOf(key), cluster.Owner(int(seed>>8+round*4000)%slots))
		case 6:
			door.Drop()
		case 7:
			cluster.Failover(t, slotOf(key))
		}
		wg.Wait()
		if round%8 == 7 {
			cluster.AwaitHealth(t)
		}
		for _, m := range mirrors {
			reachable(t, m.tier)
			kept += m.check(t, func(key string) string { return command(t, cluster.Owner(slotOf(key)), "GET", key) })
		}
	}
	if kept < 100 {
		t.Errorf("only %d copies were compared", kept)
	}
	t.Logf("%d copies compared, %d steps", kept, serial.Load())
}
