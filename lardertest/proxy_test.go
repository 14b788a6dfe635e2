package lardertest

import (
	"errors"
	"net"
	"testing"
	"time"
)

// TestProxyFaults holds each fault the proxy plays: tests that believe in them
// would prove nothing otherwise.
func TestProxyFaults(t *testing.T) {
	s := StartRedis(t)
	p := StartProxy(t, s.Addr())
	c := dialProxy(t, p)
	expectPong(t, c)

	p.Delay(40 * time.Millisecond)
	start := time.Now()
	expectPong(t, c)
	if took := time.Since(start); took < 80*time.Millisecond {
		t.Fatalf("a delay of 40 ms each way took %v", took)
	}
	p.Delay(0)

	p.Hold()
	held := dialProxy(t, p)
	for _, conn := range []*respConn{c, held} {
		conn.timeout = 50 * time.Millisecond
		var ne net.Error
		if _, err := conn.do("PING"); !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("while held: %v, want a time-out", err)
		}
	}
	p.Resume()
	for _, conn := range []*respConn{c, held} {
		must(t, conn.conn.SetDeadline(time.Now().Add(5*time.Second)))
		if got, err := conn.reply(); err != nil || got != "PONG" {
			t.Fatalf("after the hold: %q, %v", got, err)
		}
	}

	p.Cut()
	if _, err := c.do("PING"); err == nil {
		t.Fatal("a cut connection answered")
	}
	cut := dialProxy(t, p)
	if _, err := cut.do("PING"); err == nil {
		t.Fatal("a connection made while cut answered")
	}
	p.Resume()
	again := dialProxy(t, p)
	expectPong(t, again)
	p.Drop()
	if _, err := again.do("PING"); err == nil {
		t.Fatal("a dropped connection answered")
	}
	expectPong(t, dialProxy(t, p))
	p.Close()
	p.Close()
}

func dialProxy(t *testing.T, p *Proxy) *respConn {
	t.Helper()
	c, err := dialRESP(p.Addr(), 5*time.Second)
	must(t, err)
	t.Cleanup(c.close)
	return c
}

func expectPong(t *testing.T, c *respConn) {
	t.Helper()
	if got, err := c.do("PING"); err != nil || got != "PONG" {
		t.Fatalf("PING = %q, %v", got, err)
	}
}
