package lardertest

import (
	"net"
	"sync"
	"time"
)

// proxyConn is one forwarded connection.
type proxyConn struct {
	proxy  *Proxy
	client net.Conn
	closed chan struct{}
	once   sync.Once

	mu     sync.Mutex
	server net.Conn // nil until dialled
}

// chunk is what was read at once and when it may leave.
type chunk struct {
	bytes []byte
	due   time.Time
}

func (c *proxyConn) serve() {
	defer c.proxy.forget(c)
	defer c.close()
	if !c.waitForwarding() || !c.dial() {
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { c.pump(c.server, c.client) })
	pumps.Go(func() { c.pump(c.client, c.server) })
	pumps.Wait()
}

func (c *proxyConn) dial() bool {
	server, err := net.DialTimeout("tcp", c.proxy.target, 5*time.Second)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		_ = server.Close()
		return false
	default:
	}
	c.server = server
	return true
}

// close ends both sides; the pumps notice. It may be called at any time.
func (c *proxyConn) close() {
	c.once.Do(func() {
		close(c.closed)
		_ = c.client.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.server != nil {
			_ = c.server.Close()
		}
	})
}

// pump reads chunks from src while another goroutine writes them to dst, so
// that a delay does not limit the throughput.
func (c *proxyConn) pump(dst, src net.Conn) {
	queue := make(chan chunk, 1024)
	var writer sync.WaitGroup
	writer.Go(func() { c.write(dst, queue) })
	defer writer.Wait()
	defer close(queue)
	for {
		buf := make([]byte, 16<<10)
		n, err := src.Read(buf)
		if n > 0 {
			_, delay, _ := c.proxy.now()
			select {
			case queue <- chunk{buf[:n], time.Now().Add(delay)}:
			case <-c.closed:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// write passes chunks on until the queue ends, then closes the connection.
func (c *proxyConn) write(dst net.Conn, queue <-chan chunk) {
	defer c.close()
	for ch := range queue {
		if !c.waitUntil(ch.due) || !c.waitForwarding() {
			return
		}
		if _, err := dst.Write(ch.bytes); err != nil {
			return
		}
	}
}

func (c *proxyConn) waitUntil(due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.closed:
		return false
	}
}

func (c *proxyConn) waitForwarding() bool {
	for {
		state, _, change := c.proxy.now()
		if state == forwarding {
			return true
		}
		select {
		case <-change:
		case <-c.closed:
			return false
		}
	}
}
