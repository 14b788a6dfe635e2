package lardertest

import (
	"context"
	"errors"
	"fmt"
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

// PostgresOptions configure a [PostgresServer]. The zero value is a server on a
// free loopback port that trusts whoever reaches it.
type PostgresOptions struct {
	// BinDir is the folder of the programs initdb and postgres. Default:
	// LARDER_POSTGRES_BIN from the environment, else where a postgres in PATH
	// lies, else the newest /usr/lib/postgresql/*/bin.
	BinDir string
	// Args are further arguments of postgres: "-c", "max_connections=200".
	Args []string
	// CertFile and KeyFile turn encryption on; connections without it are
	// refused then. See [NewCertificate].
	CertFile, KeyFile string
}

// ErrNoPostgres reports that there are no programs to start a PostgreSQL
// server with.
var ErrNoPostgres = errors.New("lardertest: no programs initdb and postgres; install the package postgresql or set LARDER_POSTGRES_BIN")

// PostgresServer is a PostgreSQL server process with data of its own that the
// caller may pause, kill and restart. Methods may be called concurrently,
// except those that change the state of the process.
type PostgresServer struct {
	opts PostgresOptions
	dir  string
	port int
	as   *syscall.Credential // nil: as who runs the test

	mu   sync.Mutex
	proc *process // nil while killed or shut down
}

// StartPostgres starts a server for the test tb and ends it at its end. It
// fails the test when it cannot: an absent server is never a reason to skip.
// PostgreSQL refuses to run as root; for root it runs as postgres or nobody.
// At most one PostgresOptions may be given. It takes about two seconds.
func StartPostgres(tb testing.TB, opts ...PostgresOptions) *PostgresServer {
	tb.Helper()
	var o PostgresOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 6*startTimeout)
	defer cancel()
	s, err := NewPostgres(ctx, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("log of PostgreSQL at %s:\n%s", s.Addr(), s.logTail())
		}
		if err := s.Shutdown(); err != nil {
			tb.Errorf("shutting down PostgreSQL at %s: %v", s.Addr(), err)
		}
	})
	return s
}

// NewPostgres makes a database cluster in a temporary folder, starts a server
// on it and returns when it accepts connections. The caller owes it a
// [PostgresServer.Shutdown].
func NewPostgres(ctx context.Context, o PostgresOptions) (*PostgresServer, error) {
	var err error
	if o.BinDir, err = postgresBinDir(o.BinDir); err != nil {
		return nil, err
	}
	s := &PostgresServer{opts: o}
	if os.Geteuid() == 0 {
		if s.as, err = unprivileged(); err != nil {
			return nil, err
		}
	}
	if s.dir, err = os.MkdirTemp("", "larder-postgres-"); err != nil {
		return nil, err
	}
	if err = s.initialize(ctx); err == nil {
		err = s.startOnFreePort(ctx)
	}
	if err != nil {
		_ = os.RemoveAll(s.dir)
		return nil, err
	}
	return s, nil
}

// Addr returns host:port of the server. It stays the same over restarts.
func (s *PostgresServer) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the connection string of the database postgres, as its superuser.
func (s *PostgresServer) URL() string {
	return "postgres://postgres@" + s.Addr() + "/postgres?sslmode=disable"
}

// Stop pauses the postmaster and every process that serves a connection with
// SIGSTOP, as on a machine that hangs.
func (s *PostgresServer) Stop() error { return s.signalAll(syscall.SIGSTOP) }

// Cont resumes a paused server.
func (s *PostgresServer) Cont() error { return s.signalAll(syscall.SIGCONT) }

// Kill ends all processes of the server with SIGKILL, as a crash does, and
// waits for their end. What was committed survives. Killing a server that does
// not run changes nothing.
func (s *PostgresServer) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	// Paused, so that it starts no more of them.
	if err := s.proc.signal(syscall.SIGSTOP); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	children := childrenOf(s.proc.pid())
	err := s.end(syscall.SIGKILL)
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	// A server does not start on data that one of them still uses.
	for deadline := time.Now().Add(endTimeout); slices.ContainsFunc(children, runs) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return err
}

// Restart ends the server, at once but in order if it still runs, and starts
// it again on the same port and data.
func (s *PostgresServer) Restart(ctx context.Context) error {
	s.mu.Lock()
	err := s.end(syscall.SIGINT) // does not wait for connections to leave
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.start(ctx)
}

// Shutdown ends the server and removes its data. It may be called twice.
func (s *PostgresServer) Shutdown() error {
	_ = s.Cont()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.end(syscall.SIGINT), os.RemoveAll(s.dir))
}

// end stops the postmaster with sig and waits for it. The caller holds s.mu.
func (s *PostgresServer) end(sig syscall.Signal) error {
	if s.proc == nil {
		return nil
	}
	p := s.proc
	s.proc = nil
	return p.end(sig)
}

func (s *PostgresServer) signalAll(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return fmt.Errorf("lardertest: PostgreSQL at %s is not running", s.Addr())
	}
	err := s.proc.signal(sig)
	for _, pid := range childrenOf(s.proc.pid()) {
		_ = syscall.Kill(pid, sig)
	}
	return err
}

// childrenOf returns the processes whose parent is pid, by /proc; none where
// the system has none.
func childrenOf(pid int) (children []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		child, err := strconv.Atoi(filepath.Base(entry))
		if _, parent := statusOf(child); err == nil && parent == pid {
			children = append(children, child)
		}
	}
	return children
}

// runs reports whether a process is there and no zombie.
func runs(pid int) bool {
	state, _ := statusOf(pid)
	return state != "" && state != "Z" && state != "X"
}

// statusOf returns the state of a process, "" if there is none, and its parent.
func statusOf(pid int) (state string, parent int) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", 0
	}
	// "4711 (postgres: writer) S 4710 …": the name may contain anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

func (s *PostgresServer) dataDir() string { return filepath.Join(s.dir, "data") }
func (s *PostgresServer) logPath() string { return filepath.Join(s.dir, "postgres.log") }

func (s *PostgresServer) logTail() string { return tailOf(s.logPath()) }

// tailOf returns the end of a file, or why it cannot be read.
func tailOf(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	const most = 4096
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

func (s *PostgresServer) startOnFreePort(ctx context.Context) error {
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

// postgresPoll is how often a starting server is asked whether it is ready.
const postgresPoll = 10 * time.Millisecond

// command prepares a program of the server to run as its user.
func (s *PostgresServer) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.opts.BinDir, program), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	if s.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	}
	return cmd
}
