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

// ailment is a way in which a Redis is broken, and what Doctor says of it.
type ailment struct {
	name   string
	args   []string                                               // of the server, after those of a sound one
	ruin   func(t *testing.T, srv *lardertest.RedisServer)        // may be nil
	cfg    func(t *testing.T, srv *lardertest.RedisServer) Config // nil: the server's address
	check  string
	level  Level
	text   string
	advice string
}

// isFound breaks a server of its own and expects one finding.
func (c *ailment) isFound(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{AllRights: true, Args: append(slices.Clone(sound), c.args...)})
	cfg := Config{Address: srv.Addr()}
	if c.ruin != nil {
		c.ruin(t, srv)
	}
	if c.cfg != nil {
		cfg = c.cfg(t, srv)
	}
	bad, err := problems(t, cfg, "shop")
	if err != nil || len(bad) != 1 || !c.is(bad[0]) {
		t.Errorf("found %+v, %v\nwant %s %s %q, %q", bad, err, c.check, c.level, c.text, c.advice)
	}
}

func (c *ailment) is(f Finding) bool {
	return f.Check == c.check && f.Level == c.level && strings.Contains(f.Text, c.text) && strings.Contains(f.Advice, c.advice)
}

// TestDoctorNamesWhatIsBroken breaks a sound Redis in one way at a time: that,
// and nothing else, is what Doctor finds.
func TestDoctorNamesWhatIsBroken(t *testing.T) {
	t.Parallel()
	for _, c := range []ailment{
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
		{name: "pushes that get lost", cfg: rewritten(`\$10\r\ninvalidate`, func(string) string { return "$10\r\ninvalidatx" }),
			check: "pushes", level: LevelFailed, text: "was changed and nobody told", advice: "without the proxy"},
		{name: "a push table that fills", args: []string{"--tracking-table-max-keys", "10000"}, ruin: func(t *testing.T, srv *lardertest.RedisServer) {
			command(t, srv, "EVAL", "for i = 1, 10001 do redis.call('SET', 'other:' .. i, 'x') end", "0")
		}, check: "push table", level: LevelWarning, text: "10001 stored", advice: "raise tracking-table-max-keys"},
		{name: "a push table that is full", cfg: rewritten(`tracking_total_keys:\d+\r\ntracking_total_items:\d+`, func(s string) string {
			return padded("tracking_total_keys:950000\r\nx:", s)
		}), check: "push table", level: LevelFailed, text: "950000 of at most 1000000 keys are tracked", advice: "raise tracking-table-max-keys"},
		{name: "an append-only file that cannot be written", cfg: rewritten(`aof_[a-z_]+:\w+\r\naof_last_write_status:ok`, func(s string) string {
			return padded("aof_last_write_status:err\r\nx:", s)
		}), check: "persistence", level: LevelFailed, text: "append-only file failed", advice: "disk"},
		{name: "replicas that are away", args: []string{"--min-replicas-to-write", "1"},
			check: "replicas", level: LevelFailed, text: "NOREPLICAS", advice: "bring the replicas back"},
		{name: "another bound than the namespace's", cfg: func(t *testing.T, srv *lardertest.RedisServer) Config {
			program(t, Config{Address: srv.Addr()})
			return Config{Address: srv.Addr(), MaxStaleness: 5 * time.Second}
		}, check: "settings", level: LevelWarning, text: "the namespace has agreed on 300ms", advice: "the same"},
		{name: "more processes than the bound allows", ruin: func(t *testing.T, srv *lardertest.RedisServer) {
			program(t, Config{Address: srv.Addr()})
			command(t, srv, "EVAL", "for i = 1, 300 do redis.call('HSET', KEYS[1], i, 1) end", "1", "#larder:m:shop")
		}, check: "settings", level: LevelWarning, text: "301 processes with a MaxStaleness of 300ms", advice: "4 ms per process"},
	} {
		t.Run(c.name, c.isFound)
	}
}

// Who may not be told of changes lacks a right, and that is why pushes do not come.
func TestDoctorWithoutTheRightToTrack(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{AllRights: true, Args: sound})
	command(t, srv, append(documentedRights(t), "-client|tracking")...)
	bad, err := problems(t, asApp(t, srv), "shop")
	want := []ailment{
		{check: "pushes", level: LevelFailed, text: "lacks a right that pushes need", advice: "+client|tracking"},
		{check: "rights", level: LevelFailed, text: "lacks +client|tracking", advice: "ACL SETUSER app +client|tracking"},
	}
	if err != nil || len(bad) != len(want) || !want[0].is(bad[0]) || !want[1].is(bad[1]) {
		t.Errorf("found %+v, %v", bad, err)
	}
}

// Who reaches a server over the network may read and change everything where there
// is no password.
func TestDoctorOfAnOpenServer(t *testing.T) {
	for _, c := range []struct {
		address string
		cfg     Config
		level   Level
		text    string
	}{
		{"192.0.2.1:6379", Config{}, LevelWarning, "there is no password"},
		{"redis.example:6379", Config{TLS: &tls.Config{}}, LevelWarning, "there is no password"},
		{"192.0.2.1:6379", Config{Password: "s3cret"}, LevelNote, "not encrypted"},
		{"192.0.2.1:6379", Config{Password: "s3cret", TLS: &tls.Config{}}, LevelOK, "TLS and a password"},
		{"127.0.0.1:6379", Config{}, LevelOK, "on this machine"},
	} {
		e := &exam{Server: Server{Address: c.address}, conn: &conn{cfg: c.cfg}}
		if f := checkSecurity(t.Context(), e); len(f) != 1 || f[0].Level != c.level || !strings.Contains(f[0].Text, c.text) || f[0].Problem() != (f[0].Advice != "") {
			t.Errorf("%s, TLS %v: %+v", c.address, c.cfg.TLS != nil, f)
		}
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

// padded lengthens text to the length of another.
func padded(text, like string) string { return text + strings.Repeat("0", len(like)-len(text)) }

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
