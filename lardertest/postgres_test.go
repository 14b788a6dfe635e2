package lardertest

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// greets reports whether the server answers a request for encryption, the
// first thing a client may say, within d.
func greets(addr string, d time.Duration) bool {
	c, err := net.DialTimeout("tcp", addr, d)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(d))
	if _, err := c.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		return false
	}
	var answer [1]byte
	n, _ := c.Read(answer[:])
	return n == 1 && answer[0] == 'N'
}

// TestPostgresPauseKillRestart holds what tests with a database rely on: a
// paused server is silent, a killed one is gone, a restart keeps the address,
// and nothing is left behind.
func TestPostgresPauseKillRestart(t *testing.T) {
	s := StartPostgres(t)
	addr := s.Addr()
	if !greets(addr, 5*time.Second) {
		t.Fatal("a started server does not answer")
	}
	must(t, s.Stop())
	if greets(addr, 200*time.Millisecond) {
		t.Fatal("a paused server answers")
	}
	must(t, s.Cont())
	if !greets(addr, 5*time.Second) {
		t.Fatal("a resumed server does not answer")
	}
	must(t, s.Kill())
	must(t, s.Kill())
	if greets(addr, time.Second) {
		t.Fatal("a killed server answers")
	}
	must(t, s.Restart(t.Context()))
	if s.Addr() != addr || !greets(addr, 5*time.Second) {
		t.Fatalf("restarted on %s, was %s", s.Addr(), addr)
	}
	must(t, s.Shutdown())
	must(t, s.Shutdown())
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the data is still there: %v", err)
	}
}

// TestPostgresAbsent holds that a missing program is named, not skipped.
func TestPostgresAbsent(t *testing.T) {
	if _, err := NewPostgres(t.Context(), PostgresOptions{BinDir: t.TempDir()}); !errors.Is(err, ErrNoPostgres) {
		t.Fatalf("error is %v", err)
	}
}
