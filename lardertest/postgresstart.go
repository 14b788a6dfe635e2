package lardertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postgresBinDir returns the folder that holds the server's programs.
func postgresBinDir(dir string) (string, error) {
	candidates := []string{dir}
	if dir == "" {
		candidates = []string{os.Getenv("LARDER_POSTGRES_BIN")}
		if path, err := exec.LookPath("postgres"); err == nil {
			if path, err = filepath.EvalSymlinks(path); err == nil {
				candidates = append(candidates, filepath.Dir(path))
			}
		}
		installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // where Debian keeps them, outside of PATH
		slices.Reverse(installed)
		candidates = append(candidates, installed...)
	}
	for _, dir := range candidates {
		if dir != "" && isProgram(filepath.Join(dir, "initdb")) && isProgram(filepath.Join(dir, "postgres")) {
			return dir, nil
		}
	}
	return "", ErrNoPostgres
}

func isProgram(path string) bool {
	_, err := exec.LookPath(path)
	return err == nil
}

// unprivileged returns a user that root can run a server as.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("lardertest: PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// initialize makes the cluster: about a second.
func (s *PostgresServer) initialize(ctx context.Context) error {
	if s.as != nil {
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 3*startTimeout)
	defer cancel()
	cmd := s.command(ctx, "initdb", "-D", s.dataDir(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("lardertest: initdb: %w\n%s", err, out)
	}
	if s.opts.CertFile == "" {
		return nil
	}
	return s.encrypt()
}

// encrypt gives the server its certificate, with the key as its user's own, and
// admits encrypted connections alone.
func (s *PostgresServer) encrypt() error {
	for from, name := range map[string]string{s.opts.CertFile: "server.crt", s.opts.KeyFile: "server.key"} {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		to := filepath.Join(s.dataDir(), name)
		if err := os.WriteFile(to, data, 0o600); err != nil {
			return err
		}
		if s.as != nil {
			if err := os.Chown(to, int(s.as.Uid), int(s.as.Gid)); err != nil {
				return err
			}
		}
	}
	s.opts.Args = append([]string{"-c", "ssl=on"}, s.opts.Args...)
	return os.WriteFile(filepath.Join(s.dataDir(), "pg_hba.conf"), []byte("hostssl all all 127.0.0.1/32 trust\n"), 0o644)
}

// start starts the server and waits until it accepts connections. Its data is
// not synced to disk: it has to survive a killed process, not a power failure.
func (s *PostgresServer) start(ctx context.Context) error {
	log, err := os.Create(s.logPath())
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{
		"-D", s.dataDir(), "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "shared_buffers=16MB",
	}, s.opts.Args...)
	cmd := s.command(context.Background(), "postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("lardertest: starting postgres: %w", err)
	}
	if err := s.waitReady(ctx, p); err != nil {
		_ = p.end(syscall.SIGINT)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = p
	return nil
}

func (s *PostgresServer) waitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, 2*startTimeout)
	defer cancel()
	tick := time.NewTicker(postgresPoll)
	defer tick.Stop()
	for {
		if s.ready(p) {
			return nil
		}
		select {
		case <-p.done:
			return s.startError()
		case <-ctx.Done():
			return fmt.Errorf("lardertest: PostgreSQL at %s does not get ready: %w\n%s", s.Addr(), ctx.Err(), s.logTail())
		case <-tick.C:
		}
	}
}

// ready reads the lock file, in which the server itself writes its process and
// its state.
func (s *PostgresServer) ready(p *process) bool {
	b, err := os.ReadFile(filepath.Join(s.dataDir(), "postmaster.pid"))
	lines := strings.Split(string(b), "\n")
	return err == nil && len(lines) >= 8 && lines[0] == strconv.Itoa(p.pid()) && strings.TrimSpace(lines[7]) == "ready"
}

func (s *PostgresServer) startError() error {
	tail := s.logTail()
	if strings.Contains(tail, "Address already in use") {
		return fmt.Errorf("%w: %s", errPortTaken, s.Addr())
	}
	return fmt.Errorf("lardertest: PostgreSQL at %s ended at its start:\n%s", s.Addr(), tail)
}
