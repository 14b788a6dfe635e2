package lardertest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strconv"
	"time"
)

// listening returns the directives about the port, each a name, which begins
// with prefix, and a value.
func (s *RedisServer) listening(prefix string) []string {
	port := strconv.Itoa(s.port)
	if s.opts.Certificate == "" {
		return []string{prefix + "port", port}
	}
	args := []string{
		prefix + "port", "0", prefix + "tls-port", port, prefix + "tls-replication", "yes",
		prefix + "tls-cert-file", s.opts.Certificate, prefix + "tls-key-file", s.opts.Key, prefix + "tls-ca-cert-file", s.opts.Certificate,
	}
	if s.opts.sentinel != "" {
		return args
	}
	return append(args, prefix+"tls-cluster", "yes")
}

// connect dials the server as one who trusts it.
func (s *RedisServer) connect(timeout time.Duration) (*respConn, error) {
	if s.opts.Certificate == "" {
		return dialRESP(s.Addr(), timeout)
	}
	cfg, err := s.trust()
	if err != nil {
		return nil, err
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: timeout}, "tcp", s.Addr(), cfg)
	if err != nil {
		return nil, err
	}
	return newRESP(conn, timeout), nil
}

// trust returns what a client needs whom the server serves.
func (s *RedisServer) trust() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.opts.Certificate, s.opts.Key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(s.opts.Certificate)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("lardertest: no certificate in " + s.opts.Certificate)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{pair}}, nil
}
