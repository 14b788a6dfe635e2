package lardertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errPortTaken reports that somebody else listens on the chosen port.
var errPortTaken = errors.New("lardertest: port taken by another process")

// endTimeout is how long a process may take to end cleanly before it is killed.
const endTimeout = 10 * time.Second

// process is one life of a child process. Its goroutine waits for the end.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed at the end of the process
}

// startProcess starts cmd so that it ends with this program where the system
// offers that: a test that dies by its time-out leaves no server behind.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel ties the child to the thread that started it, so that
		// thread has to live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		dieWithParent(cmd)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.done)
		}
	}()
	return p, <-started
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// end sends sig and waits for the end of the process; one that is paused gets
// to see the signal, one that ignores it for too long is killed.
func (p *process) end(sig syscall.Signal) error {
	for _, s := range []syscall.Signal{sig, syscall.SIGCONT} {
		if err := p.signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(endTimeout):
	}
	if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// start starts the process and waits until it answers.
func (s *RedisServer) start(ctx context.Context) error {
	if err := s.configure(); err != nil {
		return err
	}
	log, err := os.Create(s.logPath())
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.opts.Binary, s.args()...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.opts.Dir, log, log
	p, err := startProcess(cmd)
	if err != nil {
		return fmt.Errorf("lardertest: starting %s: %w", s.opts.Binary, err)
	}
	if err := s.waitReady(ctx, p); err != nil {
		_ = p.end(syscall.SIGKILL)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = p
	return nil
}

// waitReady returns when the process itself, not somebody else on its port,
// answers and has loaded its data.
func (s *RedisServer) waitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if s.answers(p) {
			return nil
		}
		select {
		case <-p.done:
			return s.startError()
		case <-ctx.Done():
			return fmt.Errorf("lardertest: redis %s does not answer: %w\n%s", s.Addr(), ctx.Err(), s.logTail())
		case <-tick.C:
		}
	}
}

func (s *RedisServer) answers(p *process) bool {
	c, err := s.dial(time.Second)
	if err != nil {
		return false
	}
	defer c.close()
	if pong, err := c.do("PING"); err != nil || pong != "PONG" {
		return false
	}
	info, err := c.do("INFO", "server")
	return err == nil && strings.Contains(info, "\r\nprocess_id:"+strconv.Itoa(p.pid())+"\r\n")
}

func (s *RedisServer) startError() error {
	tail := s.logTail()
	if strings.Contains(tail, "Address already in use") || strings.Contains(tail, "Failed listening") {
		return fmt.Errorf("%w: %s", errPortTaken, s.Addr())
	}
	return fmt.Errorf("lardertest: redis %s ended at its start:\n%s", s.Addr(), tail)
}
