package lardertest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// SentinelMaster is the name under which a [Sentinel] watches its master.
const SentinelMaster = "larder"

// Sentinel is a master and a replica on loopback ports, watched by three
// Sentinel processes that replace a master after half a second of silence.
type Sentinel struct {
	Servers   []*RedisServer // the first one is the master at the start
	Sentinels []*RedisServer
}

// StartSentinel starts all processes for the test tb and ends them with it. The
// options are those of the two servers; the Sentinels have the password and the
// certificate of them. It returns when the Sentinels know each
// other and the replica, so that a failover would succeed.
func StartSentinel(tb testing.TB, opts ...RedisOptions) *Sentinel {
	tb.Helper()
	master := StartRedis(tb, opts...)
	var o RedisOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	o.Args = append(append([]string(nil), o.Args...), "--replicaof", master.Host(), fmt.Sprint(master.Port()))
	s := &Sentinel{Servers: []*RedisServer{master, StartRedis(tb, o)}}
	config := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]d 2\nsentinel down-after-milliseconds %[1]s 500\n"+
		"sentinel failover-timeout %[1]s 1000\nsentinel auth-user %[1]s %[4]s\nsentinel auth-pass %[1]s %[4]s\n",
		SentinelMaster, master.Host(), master.Port(), operator)
	if o.Password != "" {
		config += fmt.Sprintf("requirepass %[1]q\nsentinel sentinel-pass %[1]q\n", o.Password)
	}
	for range 3 {
		s.Sentinels = append(s.Sentinels, StartRedis(tb, RedisOptions{
			sentinel: config, Password: o.Password, Certificate: o.Certificate, Key: o.Key,
		}))
	}
	s.AwaitReplica(tb)
	return s
}

// AwaitReplica returns when a failover would succeed: the Sentinels know each
// other and a replica that is connected to its master.
func (s *Sentinel) AwaitReplica(tb testing.TB) {
	tb.Helper()
	eventually(tb, "Sentinels see a replica and each other", func() bool {
		for _, sentinel := range s.Sentinels {
			state, err := sentinel.Command("SENTINEL", "MASTER", SentinelMaster)
			if err != nil || field(state, "num-slaves") != "1" || field(state, "num-other-sentinels") != "2" || field(state, "flags") != "master" {
				return false
			}
		}
		for _, server := range s.Servers {
			info, err := server.Command("INFO", "replication")
			if err == nil && strings.Contains(info, "master_link_status:up") {
				return true
			}
		}
		return false
	})
}

// Addrs returns the addresses of the Sentinels.
func (s *Sentinel) Addrs() []string { return addresses(s.Sentinels) }

// Master returns the server that most Sentinels agree on, nil while there is
// none.
func (s *Sentinel) Master() *RedisServer {
	votes := map[string]int{}
	for _, sentinel := range s.Sentinels {
		reply, err := sentinel.Command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelMaster)
		if host, port, ok := strings.Cut(reply, "\n"); err == nil && ok {
			votes[host+":"+port]++
		}
	}
	for _, server := range s.Servers {
		if votes[server.Addr()] > len(s.Sentinels)/2 {
			return server
		}
	}
	return nil
}

// Failover makes the replica the master and returns when that is done. The old
// master goes on as a replica.
func (s *Sentinel) Failover(tb testing.TB) {
	tb.Helper()
	old := s.Master()
	eventually(tb, "a failover begins", func() bool {
		_, err := s.Sentinels[0].Command("SENTINEL", "FAILOVER", SentinelMaster)
		return err == nil
	})
	s.AwaitMaster(tb, old)
}

// AwaitMaster returns when another server than old is the master.
func (s *Sentinel) AwaitMaster(tb testing.TB, old *RedisServer) {
	tb.Helper()
	eventually(tb, "another master", func() bool {
		m := s.Master()
		if m == nil || m == old {
			return false
		}
		role, err := m.Command("ROLE")
		return err == nil && strings.HasPrefix(role, "master")
	})
}

func addresses(servers []*RedisServer) []string {
	list := make([]string, len(servers))
	for i, s := range servers {
		list[i] = s.Addr()
	}
	return list
}

// field returns what follows a name in an array of names and values.
func field(reply, name string) string {
	lines := strings.Split(reply, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		if lines[i] == name {
			return lines[i+1]
		}
	}
	return ""
}

// eventually asks cond until it holds, and fails the test when that takes too
// long: processes agree among themselves and tell nobody when.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * startTimeout); !cond(); <-tick.C {
		if time.Now().After(end) {
			tb.Fatalf("not within %v: %s", 2*startTimeout, what)
		}
	}
}
