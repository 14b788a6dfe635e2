package redistier

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

// errRedial is what a client gets that tries to connect a second time: its
// replies would no longer belong to one epoch.
var errRedial = errors.New("redistier: the connection is gone")

// wire is the socket of one connection. The first failure of any kind, closing
// included, is reported to down before the caller sees it; down is called at
// least once and must not block.
type wire struct {
	net.Conn          // what is read and written; TLS where configured
	raw      net.Conn // the socket underneath
	down     func(error)
}

// dial connects and, where configured, shakes hands for TLS, all within
// DialTimeout.
func dial(ctx context.Context, cfg *Config, down func(error)) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, cfg.Network, cfg.Address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: raw, raw: raw, down: down}
	if cfg.TLS == nil {
		return w, nil
	}
	conn := tls.Client(raw, cfg.TLS)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	w.Conn = conn
	return w, nil
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.down(err)
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.down(err)
	}
	return n, err
}

// Close closes the socket without a parting word of TLS, which could block.
func (w *wire) Close() error {
	w.down(net.ErrClosed)
	return w.raw.Close()
}
