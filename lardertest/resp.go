package lardertest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// respConn speaks just enough of the Redis protocol, version 2, to set up and
// inspect servers without a client library.
type respConn struct {
	conn    net.Conn
	r       *bufio.Reader
	timeout time.Duration
}

func dialRESP(addr string, timeout time.Duration) (*respConn, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, err
	}
	return newRESP(conn, timeout), nil
}

func newRESP(conn net.Conn, timeout time.Duration) *respConn {
	return &respConn{conn: conn, r: bufio.NewReader(conn), timeout: timeout}
}

func (c *respConn) close() { _ = c.conn.Close() }

// do sends one command and reads its reply.
func (c *respConn) do(args ...string) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return "", err
	}
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := c.conn.Write(b); err != nil {
		return "", err
	}
	return c.reply()
}

func (c *respConn) reply() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", errors.New("lardertest: empty reply line")
	}
	switch rest := line[1:]; line[0] {
	case '+', ':':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	case '$':
		return c.bulk(rest)
	case '*':
		return c.array(rest)
	}
	return "", fmt.Errorf("lardertest: unknown reply %q", line)
}

func (c *respConn) bulk(length string) (string, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 {
		return "(nil)", err
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

func (c *respConn) array(length string) (string, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 {
		return "(nil)", err
	}
	lines := make([]string, n)
	var first error
	for i := range lines {
		if lines[i], err = c.reply(); err != nil {
			first = errors.Join(first, err)
		}
	}
	return strings.Join(lines, "\n"), first
}
