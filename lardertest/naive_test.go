package lardertest

import (
	"context"
	"strconv"
	"testing"
	"time"
)

// Naive is what most services write: get, else load and set; delete after a
// change. It is what the harness must find stale reads in.
type Naive struct {
	checker *Checker
	conns   chan *respConn
}

// NewNaive returns a naive cache on a real server with that many connections.
func NewNaive(tb testing.TB, c *Checker, s *RedisServer, conns int) *Naive {
	tb.Helper()
	n := &Naive{checker: c, conns: make(chan *respConn, conns)}
	for range conns {
		conn, err := s.dial(10 * time.Second)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(conn.close)
		n.conns <- conn
	}
	return n
}

func (n *Naive) do(args ...string) (string, error) {
	conn := <-n.conns
	defer func() { n.conns <- conn }()
	return conn.do(args...)
}

// Get implements Subject.
func (n *Naive) Get(ctx context.Context, key int) (uint64, error) {
	name := strconv.Itoa(key)
	if v, err := n.do("GET", name); err != nil || v != "(nil)" {
		version, _ := strconv.ParseUint(v, 10, 64)
		return version, err
	}
	version, err := n.checker.Load(ctx, key)
	if err != nil {
		return 0, err
	}
	_, err = n.do("SET", name, strconv.FormatUint(version, 10), "PX", "60000")
	return version, err
}

// Invalidate implements Subject.
func (n *Naive) Invalidate(_ context.Context, key int) error {
	_, err := n.do("DEL", strconv.Itoa(key))
	return err
}
