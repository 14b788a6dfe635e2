package lardertest

import (
	"errors"
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestRedisAnswers holds that a started server is the one that was configured.
func TestRedisAnswers(t *testing.T) {
	s := StartRedis(t, RedisOptions{Password: "secret", Unix: true, Args: []string{"--maxmemory", "3mb"}})
	got, err := s.Command("CONFIG", "GET", "maxmemory")
	if err != nil || got != "maxmemory\n3145728" {
		t.Fatalf("CONFIG GET = %q, %v", got, err)
	}
	if got, err = s.Command("GET", "nothing"); err != nil || got != "(nil)" {
		t.Fatalf("GET of an absent key = %q, %v", got, err)
	}
	if _, err = s.Command("NOSUCH"); err == nil {
		t.Fatal("an unknown command succeeded")
	}
	if fi, err := os.Stat(s.Socket()); err != nil || fi.Mode()&os.ModeSocket == 0 {
		t.Fatalf("no unix socket: %v", err)
	}
}

// TestRedisPauseKillRestart holds what chaos tests rely on: a paused server
// keeps its connections and answers later, a killed one loses what it did not
// save, and a restart keeps the address.
func TestRedisPauseKillRestart(t *testing.T) {
	s := StartRedis(t, RedisOptions{Persist: PersistAOF})
	addr := s.Addr()
	mustRedis(t, s, "SET", "k", "v")

	must(t, s.Stop())
	c, err := dialRESP(addr, 200*time.Millisecond)
	must(t, err)
	defer c.close()
	var ne net.Error
	if _, err := c.do("PING"); !errors.As(err, &ne) || !ne.Timeout() {
		t.Fatalf("a paused server: %v, want a time-out", err)
	}
	must(t, s.Cont())
	c.timeout = 5 * time.Second
	must(t, c.conn.SetDeadline(time.Now().Add(c.timeout)))
	if got, err := c.reply(); err != nil || got != "PONG" {
		t.Fatalf("after SIGCONT = %q, %v", got, err)
	}

	must(t, s.Kill())
	must(t, s.Kill())
	if _, err := dialRESP(addr, time.Second); err == nil {
		t.Fatal("a killed server accepts connections")
	}
	must(t, s.Restart(t.Context()))
	if s.Addr() != addr {
		t.Fatalf("restarted on %s, was %s", s.Addr(), addr)
	}
	if got := mustRedis(t, s, "GET", "k"); got != "v" {
		t.Fatalf("after a restart with AOF: %q", got)
	}
	must(t, s.Stop())
	must(t, s.Shutdown())
	must(t, s.Shutdown())
	if _, err := os.Stat(s.Dir()); !os.IsNotExist(err) {
		t.Fatalf("the directory is still there: %v", err)
	}
}

// TestRedisPersistence holds which restarts keep data.
func TestRedisPersistence(t *testing.T) {
	tests := []struct {
		name    string
		persist Persistence
		kill    bool
		want    string
	}{
		{"nothing, clean", PersistNothing, false, "(nil)"},
		{"rdb, clean", PersistRDB, false, "new"},
		{"rdb, killed after a save", PersistRDB, true, "old"},
		{"aof, killed", PersistAOF, true, "new"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := StartRedis(t, RedisOptions{Persist: tt.persist})
			mustRedis(t, s, "SET", "k", "old")
			mustRedis(t, s, "SAVE")
			if tt.persist == PersistNothing {
				must(t, os.Remove(s.Dir()+"/dump.rdb"))
			}
			mustRedis(t, s, "SET", "k", "new")
			if tt.kill {
				must(t, s.Kill())
			}
			must(t, s.Restart(t.Context()))
			if got := mustRedis(t, s, "GET", "k"); got != tt.want {
				t.Fatalf("GET = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRedisPortTaken holds that a port lost to another program, even to
// another Redis, is noticed and not mistaken for our server.
func TestRedisPortTaken(t *testing.T) {
	first := StartRedis(t)
	s := &RedisServer{opts: RedisOptions{Binary: "redis-server", Dir: t.TempDir()}, port: first.Port()}
	if err := s.start(t.Context()); !errors.Is(err, errPortTaken) {
		t.Fatalf("start on a taken port: %v", err)
	}
	if first.Addr() != "127.0.0.1:"+strconv.Itoa(first.Port()) {
		t.Fatalf("address %q", first.Addr())
	}
}

// TestRedisAbsent holds that the missing program is named.
func TestRedisAbsent(t *testing.T) {
	if _, err := NewRedis(t.Context(), RedisOptions{Binary: "no-such-redis"}); !errors.Is(err, ErrNoRedis) {
		t.Fatalf("NewRedis without a program: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustRedis(t *testing.T, s *RedisServer, args ...string) string {
	t.Helper()
	got, err := s.Command(args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return got
}
