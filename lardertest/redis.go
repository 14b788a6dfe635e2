package lardertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Persistence says what a [RedisServer] keeps on disk.
type Persistence uint8

// What a server keeps: nothing (the default), snapshots written on SAVE and on
// a clean shutdown, or a log of every write.
const (
	PersistNothing Persistence = iota
	PersistRDB
	PersistAOF
)

// RedisOptions configure a [RedisServer]. The zero value is a server on a free
// loopback port that keeps nothing on disk.
type RedisOptions struct {
	// Binary is the program to start. Default: LARDER_REDIS_SERVER from the
	// environment, else redis-server.
	Binary string
	// Dir is the working directory. Default: a new temporary one that
	// Shutdown removes.
	Dir string
	// Persist says what is kept on disk.
	Persist Persistence
	// Unix makes the server listen on a unix socket as well, see Socket.
	Unix bool
	// Password is the password of the default user, and that of the Sentinels
	// which watch the server; empty: none.
	Password string
	// Certificate and Key are PEM files, see [NewCertificate]. With them the
	// server speaks TLS and nothing else, to its replicas, its cluster and its
	// Sentinels too, and its clients have to show the same certificate.
	Certificate, Key string
	// AllRights lets the default user do everything. By default it may do what
	// the documentation of package redistier says that Larder needs, and no
	// more, so that every test is one of those rights too; Command and what
	// else this package does to a server are not bound by them.
	AllRights bool
	// ACLFile names a file of users to use instead. It must have the user that
	// [OperatorUser] describes.
	ACLFile string
	// Args are further directives: "--maxmemory", "2mb".
	Args []string

	sentinel string // not empty: a Sentinel with this configuration
}

// ErrNoRedis reports that there is no program to start a Redis server with.
var ErrNoRedis = errors.New("lardertest: no redis-server program; install the package redis-server or set LARDER_REDIS_SERVER")

// operator is the user, and its password, by whom this package disturbs servers.
const operator = "lardertest"

// OperatorUser is the line of an ACL file for that user.
const OperatorUser = "user " + operator + " on >" + operator + " ~* &* +@all\n"

// ClientRights returns the commands of the ACL user that Larder needs, as ACL
// rules.
func ClientRights() []string {
	return strings.Fields(`-@all +hello +client|id +client|tracking +client|setname +info +time +ping +select
		+get +mget +set +del +unlink +exists +getrange +pttl +pexpire +scan
		+lindex +lrange +lpush +ltrim +hset +hget +hgetall +hdel +hincrby
		+eval +evalsha +script|load +cluster|slots +cluster|nodes`)
}

// startTimeout is how long a server may take to answer its first PING.
const startTimeout = 20 * time.Second

// RedisServer is a redis-server process that the caller may pause, kill and
// restart. Methods may be called concurrently, except those that change the
// state of the process.
type RedisServer struct {
	opts    RedisOptions
	port    int
	ownsDir bool

	mu   sync.Mutex
	proc *process // nil while killed or shut down
}

// StartRedis starts a server for the test tb and shuts it down at its end. It
// fails the test when it cannot: an absent server is never a reason to skip.
// At most one RedisOptions may be given.
func StartRedis(tb testing.TB, opts ...RedisOptions) *RedisServer {
	tb.Helper()
	var o RedisOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*startTimeout)
	defer cancel()
	s, err := NewRedis(ctx, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("log of %s:\n%s", s.Addr(), s.logTail())
		}
		if err := s.Shutdown(); err != nil {
			tb.Errorf("shutting down %s: %v", s.Addr(), err)
		}
	})
	return s
}

// NewRedis starts a server and returns when it answers. The caller owes it a
// [RedisServer.Shutdown]. A port taken by somebody else meanwhile is given up
// for another one.
func NewRedis(ctx context.Context, o RedisOptions) (*RedisServer, error) {
	if o.Binary == "" {
		o.Binary = os.Getenv("LARDER_REDIS_SERVER")
	}
	if o.Binary == "" {
		o.Binary = "redis-server"
	}
	path, err := exec.LookPath(o.Binary)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNoRedis, err)
	}
	o.Binary = path
	s := &RedisServer{opts: o}
	if o.Dir == "" {
		if s.opts.Dir, err = os.MkdirTemp("", "larder-redis-"); err != nil {
			return nil, err
		}
		s.ownsDir = true
	}
	if err := s.startOnFreePort(ctx); err != nil {
		s.removeDir()
		return nil, err
	}
	return s, nil
}

func (s *RedisServer) startOnFreePort(ctx context.Context) error {
	var err error
	for range 10 {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.start(ctx); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

// freePort returns a loopback port below the range that outgoing connections
// use, so that nobody takes it while its server is down and a client that
// redials it never connects to itself. The bus port of a cluster, 10000
// higher, is below that range too.
func freePort() (int, error) {
	for range 100 {
		port := 12000 + rand.IntN(10000)
		l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("lardertest: no free loopback port between 12000 and 22000")
}

// Addr returns host:port of the server. It stays the same over restarts.
func (s *RedisServer) Addr() string { return net.JoinHostPort(s.Host(), strconv.Itoa(s.port)) }

// Host returns the loopback address the server listens on.
func (s *RedisServer) Host() string { return "127.0.0.1" }

// Port returns the port the server listens on.
func (s *RedisServer) Port() int { return s.port }

// Socket returns the path of the unix socket of a server with the option Unix.
func (s *RedisServer) Socket() string { return filepath.Join(s.opts.Dir, "redis.sock") }

// Dir returns the working directory of the server.
func (s *RedisServer) Dir() string { return s.opts.Dir }

// Stop pauses the process with SIGSTOP: its sockets stay open and nothing is
// answered, as on a machine that hangs.
func (s *RedisServer) Stop() error { return s.signal(syscall.SIGSTOP) }

// Cont resumes a paused process.
func (s *RedisServer) Cont() error { return s.signal(syscall.SIGCONT) }

func (s *RedisServer) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return fmt.Errorf("lardertest: redis %s is not running", s.Addr())
	}
	return s.proc.signal(sig)
}

// Kill ends the process with SIGKILL, as a crash does, and waits for its end.
// Unsaved data is lost. Killing a server that does not run changes nothing.
func (s *RedisServer) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(syscall.SIGKILL)
}

// end stops the process with sig and waits for it. The caller holds s.mu.
func (s *RedisServer) end(sig syscall.Signal) error {
	if s.proc == nil {
		return nil
	}
	p := s.proc
	s.proc = nil
	return p.end(sig)
}

// Restart ends the process, cleanly if it still runs, and starts it again on
// the same port and directory.
func (s *RedisServer) Restart(ctx context.Context) error {
	s.mu.Lock()
	if err := s.end(syscall.SIGTERM); err != nil {
		s.mu.Unlock()
		return err
	}
	s.mu.Unlock()
	return s.start(ctx)
}

// Shutdown ends the process cleanly, paused or not, and removes the directory
// if it was made for this server. It may be called twice.
func (s *RedisServer) Shutdown() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.end(syscall.SIGTERM)
	s.removeDir()
	return err
}

func (s *RedisServer) removeDir() {
	if s.ownsDir {
		_ = os.RemoveAll(s.opts.Dir)
	}
}

// Command sends one command on a connection of its own and returns the reply
// as text: arrays as lines, an absent value as "(nil)". It waits for at most
// five seconds.
func (s *RedisServer) Command(args ...string) (string, error) {
	c, err := s.dial(5 * time.Second)
	if err != nil {
		return "", err
	}
	defer c.close()
	return c.do(args...)
}

func (s *RedisServer) dial(timeout time.Duration) (*respConn, error) {
	c, err := s.connect(timeout)
	if err != nil {
		return nil, err
	}
	login := []string{"AUTH", operator, operator}
	if s.opts.sentinel != "" {
		if s.opts.Password == "" {
			return c, nil
		}
		login = []string{"AUTH", s.opts.Password}
	}
	if _, err := c.do(login...); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (s *RedisServer) args() []string {
	if s.opts.sentinel != "" {
		return []string{s.configPath(), "--sentinel"}
	}
	args := append(s.listening("--"), "--bind", s.Host(), "--dir", s.opts.Dir,
		"--daemonize", "no", "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
	switch s.opts.Persist {
	case PersistRDB: // never by itself, only on SAVE and at a clean end
		args = append(args, "--save", "31536000 1000000000")
	case PersistAOF:
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	if s.opts.Unix {
		args = append(args, "--unixsocket", s.Socket())
	}
	return append(append(args, s.users()...), s.opts.Args...)
}

// users returns the directives about who may do what.
func (s *RedisServer) users() []string {
	args := []string{"--masteruser", operator, "--masterauth", operator}
	if s.opts.ACLFile != "" {
		return append(args, "--aclfile", s.opts.ACLFile)
	}
	args = append(args, "--user", operator, "on", ">"+operator, "~*", "&*", "+@all", "--user", "default", "on", "~*")
	if s.opts.Password != "" {
		args = append(args, ">"+s.opts.Password)
	} else {
		args = append(args, "nopass")
	}
	if s.opts.AllRights {
		return append(args, "&*", "+@all")
	}
	return append(append(args, "resetchannels"), ClientRights()...)
}

func (s *RedisServer) configPath() string { return filepath.Join(s.opts.Dir, "sentinel.conf") }

// configure writes the file in which a Sentinel keeps what it learns, unless it
// has one.
func (s *RedisServer) configure() error {
	if s.opts.sentinel == "" {
		return nil
	}
	if _, err := os.Stat(s.configPath()); err == nil {
		return nil
	}
	text := fmt.Sprintf("bind %s\ndir %s\n%s", s.Host(), s.opts.Dir, s.opts.sentinel)
	for words := range slices.Chunk(s.listening(""), 2) {
		text += strings.Join(words, " ") + "\n"
	}
	return os.WriteFile(s.configPath(), []byte(text), 0o600)
}

func (s *RedisServer) logPath() string { return filepath.Join(s.opts.Dir, "redis.log") }

func (s *RedisServer) logTail() string {
	b, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	const most = 4096
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}
