package lardertest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// every plays f now and then until ctx ends.
func every(d time.Duration, f func(i int)) func(context.Context) {
	return func(ctx context.Context) {
		for i := 0; wait(ctx, d); i++ {
			f(i)
		}
	}
}

// standaloneScenes plays on one server, a new one for each scene.
func standaloneScenes(t *testing.T, plan chaosPlan, play func(scene)) {
	type stage struct {
		s     *lardertest.RedisServer
		p     *lardertest.Proxy
		door  lardertest.BackDoor
		other func(args ...string)
	}
	command := func(args ...string) func(stage, int) {
		return func(on stage, _ int) { on.other(args...) }
	}
	for _, c := range []struct {
		fault   string
		options lardertest.RedisOptions
		pause   time.Duration
		strike  func(on stage, i int)
	}{
		{"none", lardertest.RedisOptions{}, time.Hour, func(stage, int) {}},
		{"CLIENT KILL", lardertest.RedisOptions{}, 150 * time.Millisecond, func(on stage, _ int) { on.door.Drop() }},
		{"SIGSTOP of the server", lardertest.RedisOptions{}, 300 * time.Millisecond, func(on stage, _ int) {
			on.door.Stop()
			time.Sleep(400 * time.Millisecond)
			on.door.Cont()
		}},
		{"kill -9", lardertest.RedisOptions{}, 400 * time.Millisecond, func(on stage, _ int) { on.door.Kill(); on.door.Restart() }},
		{"kill -9 with an old snapshot", lardertest.RedisOptions{Persist: lardertest.PersistRDB}, 250 * time.Millisecond, func(on stage, i int) {
			if i%2 == 0 {
				on.other("SAVE")
				return
			}
			on.door.Kill()
			on.door.Restart()
		}},
		{"black hole before a node", lardertest.RedisOptions{}, 200 * time.Millisecond, func(on stage, _ int) {
			on.p.Hold()
			time.Sleep(400 * time.Millisecond)
			on.p.Resume()
		}},
		{"cut before a node", lardertest.RedisOptions{}, 200 * time.Millisecond, func(on stage, _ int) {
			on.p.Cut()
			time.Sleep(200 * time.Millisecond)
			on.p.Resume()
		}},
		{"eviction in 2 MB", lardertest.RedisOptions{Args: []string{"--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru"}}, 2 * time.Millisecond,
			func(on stage, i int) { on.other("SET", fmt.Sprint("filler:", i%40), strings.Repeat("x", 30_000)) }},
		{"SCRIPT FLUSH", lardertest.RedisOptions{}, 20 * time.Millisecond, command("SCRIPT", "FLUSH")},
		{"FLUSHALL", lardertest.RedisOptions{}, 60 * time.Millisecond, command("FLUSHALL")},
		{"full tracking table", lardertest.RedisOptions{AllRights: true, Args: []string{"--tracking-table-max-keys", "10"}}, time.Hour, func(stage, int) {}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			plan.share(t)
			s := lardertest.StartRedis(t, c.options)
			on := stage{s: s, p: lardertest.StartProxy(t, s.Addr()), door: lardertest.OpenBackDoor(t, s)}
			on.other = func(args ...string) { _, _ = s.Command(args...) } // refused by a full server at times
			play(scene{
				t: t, topology: "standalone", fault: c.fault,
				config: redistier.Config{Address: s.Addr()}, proxied: redistier.Config{Address: on.p.Addr()},
				play: every(c.pause, func(i int) { c.strike(on, i) }),
			})
		})
	}
	t.Run("SIGSTOP of a node", func(t *testing.T) { plan.share(t); play(pausedNode(t)) })
}

// pausedNode pauses the process of a node for longer than any evidence lasts,
// and than it takes to be removed from the members.
func pausedNode(t *testing.T) scene {
	var mu sync.Mutex
	var nodes []*processNode
	all := func(sig syscall.Signal) {
		mu.Lock()
		defer mu.Unlock()
		for _, n := range nodes {
			n.signal(sig)
		}
	}
	cfg := redistier.Config{Address: lardertest.StartRedis(t).Addr()}
	return scene{
		t: t, topology: "standalone", fault: "SIGSTOP of a node", config: cfg, proxied: cfg,
		apart: func(n *processNode) {
			mu.Lock()
			defer mu.Unlock()
			nodes = append(nodes, n)
		},
		play: every(150*time.Millisecond, func(int) {
			all(syscall.SIGSTOP)
			time.Sleep(3 * chaosT)
			all(syscall.SIGCONT)
		}),
	}
}

// sentinelScenes plays on a master with a replica and three Sentinels.
func sentinelScenes(t *testing.T, plan chaosPlan, play func(scene)) {
	once := func(f func(*testing.T, *lardertest.Sentinel, *lardertest.RedisServer)) func(*testing.T, *lardertest.Sentinel) func(context.Context) {
		return func(t *testing.T, s *lardertest.Sentinel) func(context.Context) {
			return func(ctx context.Context) {
				if wait(ctx, 300*time.Millisecond) {
					f(t, s, s.Master())
				}
			}
		}
	}
	check := func(t *testing.T, err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for i, c := range []struct {
		fault string
		play  func(*testing.T, *lardertest.Sentinel) func(context.Context)
		two   time.Duration // how long there may be two masters
	}{
		{"kill -9 of the master", once(func(t *testing.T, s *lardertest.Sentinel, m *lardertest.RedisServer) {
			check(t, m.Kill())
			s.AwaitMaster(t, m)
			check(t, m.Restart(context.Background()))
		}), 0},
		{"SENTINEL FAILOVER", once(func(t *testing.T, s *lardertest.Sentinel, _ *lardertest.RedisServer) { s.Failover(t) }), 3 * time.Second},
		{"SIGSTOP of the master", once(func(t *testing.T, s *lardertest.Sentinel, m *lardertest.RedisServer) {
			check(t, m.Stop())
			s.AwaitMaster(t, m)
			check(t, m.Cont())
		}), 3 * time.Second},
	} {
		if i > 0 && !plan.long() {
			return
		}
		// Servers of its own for each: Sentinels take their time to see a former
		// master as a replica.
		t.Run(c.fault, func(t *testing.T) {
			s := lardertest.StartSentinel(t)
			cfg := redistier.Config{Topology: redistier.Sentinel, Addresses: s.Addrs(), MasterName: lardertest.SentinelMaster}
			play(scene{t: t, topology: "sentinel", fault: c.fault, config: cfg, proxied: cfg, play: c.play(t, s), twoMasters: c.two})
		})
	}
}

// clusterScenes plays on three masters with a replica each.
func clusterScenes(t *testing.T, _ chaosPlan, play func(scene)) {
	s := lardertest.StartCluster(t)
	door := lardertest.OpenClusterDoor(t, s)
	cfg := redistier.Config{Topology: redistier.Cluster, Addresses: s.Addrs()}
	const slots = 16384
	for _, c := range []struct {
		fault string
		play  func(context.Context)
	}{
		{"none", func(context.Context) {}},
		{"CLIENT KILL", every(200*time.Millisecond, func(int) { door.Drop() })},
		{"slots move", every(20*time.Millisecond, func(i int) { s.MoveSlot(t, i*2731%slots, s.Owner(i*7919%slots)) })},
		{"CLUSTER FAILOVER", func(ctx context.Context) {
			if wait(ctx, 300*time.Millisecond) {
				s.Handover(t, 0)
			}
		}},
		{"kill -9 of a master", func(ctx context.Context) {
			if !wait(ctx, 300*time.Millisecond) {
				return
			}
			master := s.Owner(slots / 2)
			if err := master.Kill(); err != nil {
				t.Error(err)
			}
			s.AwaitOwner(t, slots/2, master)
			if err := master.Restart(context.Background()); err != nil {
				t.Error(err)
			}
		}},
	} {
		s.AwaitHealth(t)
		play(scene{t: t, topology: "cluster", fault: c.fault, config: cfg, proxied: cfg, play: c.play})
	}
}
