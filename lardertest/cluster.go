package lardertest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// clusterSlots is how many slots a cluster has.
const clusterSlots = 16384

// Cluster is a Redis Cluster on loopback ports: three masters with a third of
// the slots each, and a replica of each. A silent master is replaced after a
// second.
type Cluster struct {
	Servers []*RedisServer // three masters, then their replicas in the same order
	ids     []string
}

// StartCluster starts all processes for the test tb and ends them with it. It
// returns when every server sees the whole cluster.
func StartCluster(tb testing.TB, opts ...RedisOptions) *Cluster {
	tb.Helper()
	var o RedisOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	o.Args = append(append([]string(nil), o.Args...), "--cluster-enabled", "yes",
		"--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0", "--cluster-migration-barrier", "100")
	c := &Cluster{}
	for i := range 6 {
		s := StartRedis(tb, o)
		c.Servers = append(c.Servers, s)
		c.ids = append(c.ids, c.must(tb, s, "CLUSTER", "MYID"))
		c.must(tb, s, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i > 0 {
			c.must(tb, s, "CLUSTER", "MEET", c.Servers[0].Host(), strconv.Itoa(c.Servers[0].Port()))
		}
	}
	for i, s := range c.Servers[:3] {
		c.must(tb, s, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(clusterSlots*i/3), strconv.Itoa(clusterSlots*(i+1)/3-1))
	}
	eventually(tb, "all servers know each other", func() bool { return c.all("CLUSTER", "INFO", "cluster_known_nodes:6") })
	for i, s := range c.Servers[3:] {
		eventually(tb, "a replica takes its master", func() bool {
			_, err := s.Command("CLUSTER", "REPLICATE", c.ids[i])
			return err == nil
		})
	}
	c.AwaitHealth(tb)
	return c
}

func (c *Cluster) must(tb testing.TB, s *RedisServer, args ...string) string {
	tb.Helper()
	reply, err := s.Command(args...)
	if err != nil {
		tb.Fatalf("%q at %s: %v", args, s.Addr(), err)
	}
	return reply
}

// all asks every server and reports whether each reply contains text.
func (c *Cluster) all(command, argument, text string) bool {
	for _, s := range c.Servers {
		if reply, err := s.Command(command, argument); err != nil || !strings.Contains(reply, text) {
			return false
		}
	}
	return true
}

// AwaitHealth returns when all six servers run, all slots are served and every
// replica is connected to its master.
func (c *Cluster) AwaitHealth(tb testing.TB) {
	tb.Helper()
	eventually(tb, "the cluster is complete", func() bool {
		if !c.all("CLUSTER", "INFO", "cluster_state:ok") {
			return false
		}
		masters := 0
		for _, s := range c.Servers {
			info, err := s.Command("INFO", "replication")
			switch {
			case err != nil:
				return false
			case strings.Contains(info, "role:master"):
				masters++
				if !strings.Contains(info, "connected_slaves:1") {
					return false
				}
			case !strings.Contains(info, "master_link_status:up"):
				return false
			}
		}
		return masters == 3
	})
}

// Addrs returns the addresses of all servers.
func (c *Cluster) Addrs() []string { return addresses(c.Servers) }

// Owner returns the master that serves slot, as the majority of the running
// servers says, nil without one.
func (c *Cluster) Owner(slot int) *RedisServer {
	votes := map[*RedisServer]int{}
	for _, s := range c.Servers {
		if owner := c.ownerBy(s, slot); owner != nil {
			votes[owner]++
		}
	}
	var best *RedisServer
	for s, n := range votes {
		if best == nil || n > votes[best] {
			best = s
		}
	}
	return best
}

// ownerBy asks one server who serves slot.
func (c *Cluster) ownerBy(s *RedisServer, slot int) *RedisServer {
	nodes, err := s.Command("CLUSTER", "NODES")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(nodes) {
		words := strings.Fields(line)
		if len(words) < 9 || !strings.Contains(words[2], "master") || strings.Contains(words[2], "fail") {
			continue
		}
		for _, span := range words[8:] {
			if !strings.HasPrefix(span, "[") && within(span, slot) {
				return c.byID(words[0])
			}
		}
	}
	return nil
}

func within(span string, slot int) bool {
	first, last, ok := strings.Cut(span, "-")
	if !ok {
		last = first
	}
	a, errA := strconv.Atoi(first)
	b, errB := strconv.Atoi(last)
	return errA == nil && errB == nil && a <= slot && slot <= b
}

func (c *Cluster) byID(id string) *RedisServer {
	for i := range c.ids {
		if c.ids[i] == id {
			return c.Servers[i]
		}
	}
	return nil
}

func (c *Cluster) id(s *RedisServer) string {
	for i := range c.Servers {
		if c.Servers[i] == s {
			return c.ids[i]
		}
	}
	return ""
}

// Replica returns a replica of master, nil without one.
func (c *Cluster) Replica(master *RedisServer) *RedisServer {
	for _, s := range c.Servers {
		info, err := s.Command("INFO", "replication")
		if err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, fmt.Sprintf("master_port:%d\r", master.Port())) {
			return s
		}
	}
	return nil
}

// Failover makes a replica of the master of slot take over, without agreement
// of the others and so possibly with a loss of writes, and returns when the
// cluster follows it.
func (c *Cluster) Failover(tb testing.TB, slot int) {
	tb.Helper()
	old := c.Owner(slot)
	replica := c.Replica(old)
	if replica == nil {
		tb.Fatalf("%s has no replica", old.Addr())
	}
	c.must(tb, replica, "CLUSTER", "FAILOVER", "TAKEOVER")
	eventually(tb, "the replica is followed", func() bool { return c.Owner(slot) == replica })
}

// Handover makes a replica of the master of slot take over in agreement with
// it, which loses nothing, and returns when the cluster follows it.
func (c *Cluster) Handover(tb testing.TB, slot int) {
	tb.Helper()
	old := c.Owner(slot)
	replica := c.Replica(old)
	if replica == nil {
		tb.Fatalf("%s has no replica", old.Addr())
	}
	c.must(tb, replica, "CLUSTER", "FAILOVER")
	c.AwaitOwner(tb, slot, old)
}

// AwaitOwner returns when the cluster has another master than old for slot.
func (c *Cluster) AwaitOwner(tb testing.TB, slot int, old *RedisServer) {
	tb.Helper()
	eventually(tb, "another owner of a slot", func() bool {
		owner := c.Owner(slot)
		return owner != nil && owner != old
	})
}

// MoveSlot moves a slot with its keys to another master, key by key as
// redis-cli does it. Without a master at either end there is nothing to move.
func (c *Cluster) MoveSlot(tb testing.TB, slot int, to *RedisServer) {
	tb.Helper()
	from, n := c.Owner(slot), strconv.Itoa(slot)
	if from == nil || to == nil || from == to {
		return
	}
	c.must(tb, to, "CLUSTER", "SETSLOT", n, "IMPORTING", c.id(from))
	c.must(tb, from, "CLUSTER", "SETSLOT", n, "MIGRATING", c.id(to))
	for {
		keys := c.must(tb, from, "CLUSTER", "GETKEYSINSLOT", n, "100")
		if keys == "" {
			break
		}
		args := append([]string{"MIGRATE", to.Host(), strconv.Itoa(to.Port()), "", "0", "5000", "AUTH2", operator, operator, "KEYS"}, strings.Split(keys, "\n")...)
		c.must(tb, from, args...)
	}
	for _, s := range []*RedisServer{to, from} {
		c.must(tb, s, "CLUSTER", "SETSLOT", n, "NODE", c.id(to))
	}
}
