package redistier

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
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
	_, _, secure := startTLS(t)
	for name, c := range map[string]struct {
		cfg          Config
		denied       bool
		text, advice string
	}{
		"password":    {Config{Address: srv.Addr(), Password: "x"}, true, "WRONGPASS", "REDIS_PASSWORD"},
		"nobody":      {Config{Address: "127.0.0.1:1"}, false, "refused", "nobody listens"},
		"no name":     {Config{Address: "no.such.host.invalid:6379"}, false, "no.such.host.invalid", "host name"},
		"hung":        {Config{Address: hung.Addr(), DialTimeout: 200 * time.Millisecond}, false, hung.Addr(), "firewall"},
		"no TLS":      {Config{Address: srv.Addr(), TLS: &tls.Config{}, DialTimeout: 500 * time.Millisecond}, false, srv.Addr(), "REDIS_TLS"},
		"other CA":    {Config{Address: secure, TLS: &tls.Config{}}, false, "certificate", "REDIS_TLS"},
		"no Sentinel": {Config{Topology: Sentinel, Addresses: []string{"127.0.0.1:1"}, MasterName: "m"}, false, "no Sentinel names the master", "REDIS_SENTINEL_MASTER"},
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
	command(t, cluster.Servers[0], "CONFIG", "SET", "cluster-node-timeout", "1000")
	t.Run("with a slot that nobody has", func(t *testing.T) { doctorMissesASlot(t, cluster, cfg) })
	if err := cluster.Servers[3].Kill(); err != nil {
		t.Fatal(err)
	}
	awaitInfo(t, cluster.Servers[0], "replication", "connected_slaves:0")
	bad, err = problems(t, cfg, "shop")
	if err != nil || len(bad) != 1 || bad[0].Check != "cluster" || bad[0].Server != cluster.Servers[0].Addr() || !strings.Contains(bad[0].Text, "no replica") {
		t.Errorf("found %+v, %v", bad, err)
	}
	if err := cluster.Servers[0].Kill(); err != nil { // and nobody takes its place
		t.Fatal(err)
	}
	bad, err = problems(t, cfg, "shop")
	if err == nil || len(bad) != 1 || bad[0].Check != "connect" || !strings.Contains(bad[0].Text, "connect to "+cluster.Servers[0].Addr()) {
		t.Errorf("found %+v, %v", bad, err)
	}
}

// doctorMissesASlot: a slot without a master takes the whole cluster down, or its
// keys alone where the servers are told to go on without it; then they call their
// state good.
func doctorMissesASlot(t *testing.T, cluster *lardertest.Cluster, cfg Config) {
	const slot = "100"
	owner := cluster.Owner(100)
	all := func(args ...string) {
		for _, srv := range cluster.Servers {
			command(t, srv, args...)
		}
	}
	await := func(field string) {
		t.Helper()
		eventually(t, field, func() bool {
			return !slices.ContainsFunc(cluster.Servers, func(srv *lardertest.RedisServer) bool {
				return !strings.Contains(command(t, srv, "CLUSTER", "INFO"), field+"\r\n")
			})
		})
	}
	told := func(text string) {
		t.Helper()
		bad, err := problems(t, cfg, "shop")
		if err != nil || len(bad) != 3 {
			t.Errorf("found %+v, %v", bad, err)
		}
		for _, f := range bad {
			if f.Check != "cluster" || f.Level != LevelFailed || !strings.Contains(f.Text, text) || !strings.Contains(f.Advice, "--cluster fix") {
				t.Errorf("found %+v", f)
			}
		}
	}
	all("CLUSTER", "DELSLOTS", slot)
	await("cluster_state:fail")
	told("1 of 16384 slots have no master, and so the servers refuse all keys")
	all("CONFIG", "SET", "cluster-require-full-coverage", "no")
	await("cluster_state:ok")
	told("1 of 16384 slots have no master: their keys are refused")
	all("CONFIG", "SET", "cluster-require-full-coverage", "yes")
	command(t, owner, "CLUSTER", "ADDSLOTS", slot)
	await("cluster_slots_ok:16384")
	await("cluster_state:ok")
	if bad, err := problems(t, cfg, "shop"); len(bad) > 0 || err != nil {
		t.Errorf("in a cluster that was mended %+v, %v", bad, err)
	}
}
