package redistier

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// sound are the settings with which Doctor finds nothing.
var sound = []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lfu"}

// problems returns the findings that are any, and fails for other errors than
// the one that was expected. How long the way takes is left out: a busy machine
// makes it long.
func problems(t *testing.T, cfg Config, namespace string) (bad []Finding, err error) {
	t.Helper()
	list, err := Doctor(testContext(t), cfg, namespace)
	if len(list) == 0 {
		t.Fatalf("no findings, %v", err)
	}
	for _, f := range list {
		if f.Check == "" || f.Text == "" || f.Problem() && f.Advice == "" && f.Check != "configuration" {
			t.Errorf("an incomplete finding %+v", f)
		}
		if f.Problem() && f.Check != "latency" {
			bad = append(bad, f)
		}
	}
	return bad, err
}

func TestDoctorMeasuresTheWay(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{AllRights: true, Args: sound})
	far := lardertest.StartProxy(t, srv.Addr())
	far.Delay(20 * time.Millisecond)
	list, err := Doctor(testContext(t), Config{Address: far.Addr()}, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if f.Check == "latency" && f.Level == LevelWarning && strings.Contains(f.Text, "a round trip takes ") && strings.Contains(f.Advice, "nearer") {
			return
		}
	}
	t.Errorf("found %+v", list)
}

func TestDoctorFindsNothingWhereNothingIs(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{AllRights: true, Args: sound})
	program(t, Config{Address: srv.Addr()}, "a1", "a2")
	before := command(t, srv, "DBSIZE")
	if bad, err := problems(t, Config{Address: srv.Addr()}, "shop"); len(bad) > 0 || err != nil {
		t.Errorf("found %+v, %v", bad, err)
	}
	if after := command(t, srv, "DBSIZE"); after != before {
		t.Errorf("%s keys before, %s after", before, after)
	}
}

// A program's own user suffices for all that the user itself depends on; what only
// an administrator may ask is skipped, and said so.
func TestDoctorWithTheRightsOfAProgram(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Args: sound})
	list, err := Doctor(testContext(t), Config{Address: srv.Addr()}, "shop")
	var skipped []string
	for _, f := range list {
		if f.Problem() {
			t.Errorf("found %+v", f)
		}
		if f.Level == LevelSkipped {
			skipped = append(skipped, f.Check)
		}
	}
	if want := []string{"push table", "persistence", "replicas"}; err != nil || !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q, %v", skipped, want, err)
	}
}

// TestDoctorNamesWhatIsBroken breaks a sound Redis in one way at a time: that,
// and nothing else, is what Doctor finds.
func TestDoctorNamesWhatIsBroken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		args   []string
		ruin   func(t *testing.T, srv *lardertest.RedisServer)
		cfg    func(t *testing.T, srv *lardertest.RedisServer) Config
		check  string
		level  Level
		text   string
		advice string
	}{
		{name: "no limit of memory", args: []string{"--maxmemory", "0"},
			check: "memory", level: LevelWarning, text: "maxmemory is not set", advice: "allkeys-lfu"},
		{name: "noeviction", args: []string{"--maxmemory-policy", "noeviction"},
			check: "memory", level: LevelFailed, text: "noeviction", advice: "CONFIG SET maxmemory-policy allkeys-lfu"},
		{name: "noeviction and full", args: []string{"--maxmemory-policy", "noeviction", "--maxmemory", "1500000"},
			ruin:  func(t *testing.T, srv *lardertest.RedisServer) { fill(t, srv) },
			check: "memory", level: LevelFailed, text: "fills fail when it is full", advice: "allkeys-lfu"},
		{name: "volatile-lru", args: []string{"--maxmemory-policy", "volatile-lru"},
			check: "memory", level: LevelWarning, text: "volatile-lru: keys without a TTL", advice: "allkeys-lfu"},
		{name: "volatile-ttl", args: []string{"--maxmemory-policy", "volatile-ttl"},
			check: "memory", level: LevelWarning, text: "leases live shortest", advice: "allkeys-lfu"},
		{name: "snapshots only, with Replay", args: []string{"--save", "3600 1"},
			cfg: func(_ *testing.T, srv *lardertest.RedisServer) Config {
				return Config{Address: srv.Addr(), OnFailover: Replay}
			},
			check: "persistence", level: LevelFailed, text: "brings deleted entries back", advice: "OnFailover Clear"},
		{name: "snapshots that fail", args: []string{"--save", "3600 1"},
			ruin:  failSnapshot,
			check: "persistence", level: LevelFailed, text: "MISCONF", advice: "CONFIG SET save"},
		{name: "a small push table", args: []string{"--tracking-table-max-keys", "500"},
			check: "push table", level: LevelFailed, text: "tracking-table-max-keys is 500", advice: "CONFIG SET tracking-table-max-keys"},
		{name: "RESP2 alone", args: []string{"--rename-command", "HELLO", ""},
			check: "pushes", level: LevelFailed, text: "does not speak RESP3", advice: "Redis 6"},
		{name: "an old version", cfg: rewritten(`redis_version:\d+\.\d+\.\d+`, func(s string) string {
			return "redis_version:5.0." + strings.Repeat("1", len(s)-len("redis_version:5.0."))
		}),
			check: "version", level: LevelFailed, text: "cannot push", advice: "upgrade"},
		{name: "another time", cfg: rewritten(`\*2\r\n\$10\r\n\d{10}`, func(s string) string {
			var at int64
			fmt.Sscan(s[len(s)-10:], &at)
			return s[:len(s)-10] + fmt.Sprint(at+3600)
		}),
			check: "clock", level: LevelWarning, text: "clock and that of this machine differ by", advice: "chrony"},
		{name: "a user without rights", ruin: func(t *testing.T, srv *lardertest.RedisServer) {
			rights := documentedRights(t)
			command(t, srv, append(rights, "-lpush", "-hincrby", "-unlink")...)
		}, cfg: asApp, check: "rights", level: LevelFailed, text: "the user app lacks +hincrby +lpush +unlink", advice: "ACL SETUSER app +hincrby +lpush +unlink"},
		{name: "a user for other keys", ruin: func(t *testing.T, srv *lardertest.RedisServer) {
			rights := slices.DeleteFunc(documentedRights(t), func(word string) bool { return word == "~shop:*" })
			command(t, srv, append(rights, "~other:*")...)
		}, cfg: asApp, check: "rights", level: LevelFailed, text: "lacks ~shop:*", advice: "~shop:*"},
		{name: "renamed commands", args: []string{"--rename-command", "UNLINK", ""},
			check: "rights", level: LevelFailed, text: "knows no UNLINK", advice: "rename-command"},
		{name: "a replica without a bound", ruin: func(t *testing.T, srv *lardertest.RedisServer) { addReplica(t, srv) },
			check: "replicas", level: LevelWarning, text: "1 replicas and min-replicas-to-write is 0", advice: "CONFIG SET min-replicas-to-write 1"},
		{name: "a bound that is long", args: []string{"--min-replicas-to-write", "1", "--min-replicas-max-lag", "60"},
			ruin: func(t *testing.T, srv *lardertest.RedisServer) {
				addReplica(t, srv)
				awaitInfo(t, srv, "replication", "min_slaves_good_slaves:1") // counted once a second
			},
			check: "replicas", level: LevelWarning, text: "min-replicas-max-lag is 60 s", advice: "min-replicas-max-lag 10"},
		{name: "a key of another type", ruin: func(t *testing.T, srv *lardertest.RedisServer) {
			command(t, srv, "RPUSH", "shop:queue", "job")
		}, check: "namespace", level: LevelFailed, text: "1 of 1 keys under \"shop:\" that were looked at hold no string", advice: "CACHE_NAMESPACE"},
		{name: "values of another program", ruin: func(t *testing.T, srv *lardertest.RedisServer) {
			command(t, srv, "SET", "shop:session", "x")
		}, check: "namespace", level: LevelWarning, text: "were not written by Larder", advice: "namespace of its own"},
		{name: "a namespace within ours", ruin: func(t *testing.T, srv *lardertest.RedisServer) {
			command(t, srv, "SET", "#larder:i:shop:eu", "life")
		}, check: "namespace", level: LevelWarning, text: `"shop:eu" and of ours, "shop"`, advice: "beginning of another"},
		{name: "nearly all clients", args: []string{"--maxclients", "20"}, ruin: func(t *testing.T, srv *lardertest.RedisServer) {
			for range 17 {
				c, err := net.Dial("tcp", srv.Addr())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
			}
		}, check: "clients", level: LevelWarning, text: "of at most 20 clients", advice: "maxclients"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := lardertest.StartRedis(t, lardertest.RedisOptions{AllRights: true, Args: append(slices.Clone(sound), c.args...)})
			cfg := Config{Address: srv.Addr()}
			if c.ruin != nil {
				c.ruin(t, srv)
			}
			if c.cfg != nil {
				cfg = c.cfg(t, srv)
			}
			bad, err := problems(t, cfg, "shop")
			if err != nil || len(bad) != 1 || bad[0].Check != c.check || bad[0].Level != c.level || !strings.Contains(bad[0].Text, c.text) || !strings.Contains(bad[0].Advice, c.advice) {
				t.Errorf("found %+v, %v\nwant %s %s %q, %q", bad, err, c.check, c.level, c.text, c.advice)
			}
		})
	}
}

func asApp(_ *testing.T, srv *lardertest.RedisServer) Config {
	return Config{Address: srv.Addr(), Username: "app", Password: "password"}
}

// fill writes until Redis refuses.
func fill(t *testing.T, srv *lardertest.RedisServer) {
	for n := 0; ; n++ {
		if _, err := srv.Command("SET", fmt.Sprint("filler", n), strings.Repeat("x", 50_000)); err != nil {
			return
		}
	}
}

// failSnapshot takes the directory away under a snapshot.
func failSnapshot(t *testing.T, srv *lardertest.RedisServer) {
	command(t, srv, "SET", "shop2:k", "x")
	if err := os.RemoveAll(srv.Dir()); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Command("SAVE"); err == nil {
		t.Fatal("a snapshot without a directory succeeded")
	}
	srv.Command("BGSAVE")
	awaitInfo(t, srv, "persistence", "rdb_last_bgsave_status:err")
	command(t, srv, "CONFIG", "SET", "save", "3600 1")
	t.Cleanup(func() { // lets the server end in good order
		os.MkdirAll(srv.Dir(), 0o700)
		srv.Command("CONFIG", "SET", "save", "")
	})
}

func awaitInfo(t *testing.T, srv *lardertest.RedisServer, section, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !strings.Contains(command(t, srv, "INFO", section), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s in %s", text, command(t, srv, "INFO", section))
		}
	}
}

func addReplica(t *testing.T, master *lardertest.RedisServer) *lardertest.RedisServer {
	t.Helper()
	replica := lardertest.StartRedis(t, lardertest.RedisOptions{AllRights: true, Args: append(slices.Clone(sound), "--replicaof", master.Host(), fmt.Sprint(master.Port()))})
	awaitInfo(t, replica, "replication", "master_link_status:up")
	awaitInfo(t, master, "replication", "state=online") // connected ones do not count yet
	return replica
}

// A replica is named as such, with its master.
func TestDoctorAtAReplica(t *testing.T) {
	master := lardertest.StartRedis(t, lardertest.RedisOptions{AllRights: true, Args: sound})
	replica := addReplica(t, master)
	bad, err := problems(t, Config{Address: replica.Addr()}, "shop")
	if err != nil || len(bad) != 1 || bad[0].Check != "role" || !strings.Contains(bad[0].Text, fmt.Sprint("replica of 127.0.0.1:", master.Port())) {
		t.Errorf("found %+v, %v", bad, err)
	}
}

// What cannot be reached is one finding, and the error of it.
func TestDoctorWithoutRedis(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Password: "secret"})
	hung := lardertest.StartProxy(t, srv.Addr())
	hung.Hold()
	for name, c := range map[string]struct {
		cfg          Config
		denied       bool
		text, advice string
	}{
		"password": {Config{Address: srv.Addr(), Password: "x"}, true, "WRONGPASS", "REDIS_PASSWORD"},
		"nobody":   {Config{Address: "127.0.0.1:1"}, false, "refused", "nobody listens"},
		"no name":  {Config{Address: "no.such.host.invalid:6379"}, false, "no.such.host.invalid", "host name"},
		"hung":     {Config{Address: hung.Addr(), DialTimeout: 200 * time.Millisecond}, false, hung.Addr(), "firewall"},
		"no TLS":   {Config{Address: srv.Addr(), TLS: &tls.Config{}, DialTimeout: 500 * time.Millisecond}, false, srv.Addr(), "REDIS_TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			bad, err := problems(t, c.cfg, "shop")
			if err == nil || Denied(err) != c.denied || len(bad) != 1 || bad[0].Check != "connect" || bad[0].Server == "" ||
				!strings.Contains(bad[0].Text, c.text) || !strings.Contains(bad[0].Advice, c.advice) {
				t.Errorf("found %+v, %v", bad, err)
			}
		})
	}
	if list, err := Doctor(testContext(t), Config{Network: "udp"}, "shop"); err == nil || list != nil {
		t.Errorf("a bad configuration: %+v, %v", list, err)
	}
}

func TestDoctorOfACluster(t *testing.T) {
	t.Parallel()
	cluster := lardertest.StartCluster(t, lardertest.RedisOptions{AllRights: true, Args: sound})
	cfg := Config{Topology: Cluster, Addresses: cluster.Addrs()}
	if bad, err := problems(t, cfg, "shop"); len(bad) > 0 || err != nil {
		t.Errorf("found %+v, %v", bad, err)
	}
	command(t, cluster.Servers[0], "CONFIG", "SET", "cluster-node-timeout", "60000")
	bad, err := problems(t, cfg, "shop")
	if err != nil || len(bad) != 1 || bad[0].Check != "cluster" || bad[0].Server != cluster.Servers[0].Addr() || !strings.Contains(bad[0].Text, "1m0s") {
		t.Errorf("found %+v, %v", bad, err)
	}
}

// rewritten returns a configuration with a proxy between that changes what the
// server answers, without changing its length.
func rewritten(pattern string, change func(string) string) func(*testing.T, *lardertest.RedisServer) Config {
	return func(t *testing.T, srv *lardertest.RedisServer) Config {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		t.Cleanup(running.Wait)
		t.Cleanup(func() { listener.Close() })
		running.Go(func() {
			for {
				client, err := listener.Accept()
				if err != nil {
					return
				}
				running.Go(func() { forward(client, srv.Addr(), regexp.MustCompile(pattern), change) })
			}
		})
		return Config{Address: listener.Addr().String()}
	}
}

func forward(client net.Conn, address string, pattern *regexp.Regexp, change func(string) string) {
	defer client.Close()
	server, err := net.Dial("tcp4", address)
	if err != nil {
		return
	}
	var requests sync.WaitGroup
	requests.Go(func() { io.Copy(server, client); server.Close() })
	defer requests.Wait()
	defer client.Close()
	buffer := make([]byte, 1<<20) // an answer comes in one piece
	for {
		n, err := server.Read(buffer)
		if _, e := client.Write([]byte(pattern.ReplaceAllStringFunc(string(buffer[:n]), change))); err != nil || e != nil {
			return
		}
	}
}
