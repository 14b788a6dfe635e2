package lardertest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// processNode is a node in a process of its own, which can be paused. Both sides
// send lines of words over its standard streams:
//
//	get 7 12 · invalidate 8 12    to the process: number of the call and key
//	load 3 12                     from it: number of the load and key
//	loaded 3 5 · failed 3         the version that the source has, or not
//	done 7 5 · error 7 text       the end of a call
type processNode struct {
	checker *lardertest.Checker
	cmd     *exec.Cmd
	in      io.WriteCloser
	ended   chan struct{}

	mu    sync.Mutex
	calls map[int]chan reply
	last  int
}

type reply struct {
	version uint64
	err     error
}

// startNode runs this test program as a node of a promise.
func startNode(t *testing.T, c *lardertest.Checker, address, namespace, promise string) *processNode {
	t.Helper()
	n := &processNode{checker: c, calls: map[int]chan reply{}, ended: make(chan struct{})}
	n.cmd = exec.Command(os.Args[0], "-test.run=^TestChaosNode$", "-test.timeout=0")
	n.cmd.Env = append(os.Environ(), "LARDER_CHAOS_NODE="+strings.Join([]string{address, namespace, promise}, " "))
	n.cmd.Stderr = os.Stderr
	var err error
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go n.listen(out)
	return n
}

func (n *processNode) send(words ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = fmt.Fprintln(n.in, words...) // its end is noticed by listen
}

// listen serves the process until it ends, and waits for it.
func (n *processNode) listen(out io.Reader) {
	defer close(n.ended)
	lines := bufio.NewScanner(out)
	var loads sync.WaitGroup
	for lines.Scan() {
		words := strings.SplitN(lines.Text(), " ", 3)
		if len(words) < 3 {
			continue
		}
		id, _ := strconv.Atoi(words[1])
		value, _ := strconv.ParseUint(words[2], 10, 64)
		switch words[0] {
		case "load":
			loads.Go(func() { n.load(id, int(value)) })
		case "done":
			n.finish(id, reply{version: value})
		case "error":
			n.finish(id, reply{err: errors.New(words[2])})
		}
	}
	loads.Wait()
	_ = n.cmd.Wait()
}

func (n *processNode) load(id, key int) {
	version, err := n.checker.Load(context.Background(), key)
	if err != nil {
		n.send("failed", id)
		return
	}
	n.send("loaded", id, version)
}

func (n *processNode) finish(id int, r reply) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if call := n.calls[id]; call != nil {
		call <- r
		delete(n.calls, id)
	}
}

func (n *processNode) call(ctx context.Context, verb string, key int) (uint64, error) {
	n.mu.Lock()
	n.last++
	id, done := n.last, make(chan reply, 1)
	n.calls[id] = done
	n.mu.Unlock()
	n.send(verb, id, key)
	select {
	case r := <-done:
		return r.version, r.err
	case <-n.ended:
		return 0, errors.New("the process ended")
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Get implements lardertest.Subject.
func (n *processNode) Get(ctx context.Context, key int) (uint64, error) {
	return n.call(ctx, "get", key)
}

// Invalidate implements lardertest.Subject.
func (n *processNode) Invalidate(ctx context.Context, key int) error {
	_, err := n.call(ctx, "invalidate", key)
	return err
}

func (n *processNode) signal(s syscall.Signal) { _ = n.cmd.Process.Signal(s) }

// Close ends the process and waits for it.
func (n *processNode) Close() error {
	n.signal(syscall.SIGCONT)
	err := n.in.Close()
	<-n.ended
	return err
}

// TestChaosNode is the process of a processNode; without its variable there is
// nothing to do.
func TestChaosNode(t *testing.T) {
	words := strings.Fields(os.Getenv("LARDER_CHAOS_NODE"))
	if len(words) != 3 {
		return
	}
	countCycles(t)
	var p promise
	for _, p = range promises {
		if p.name == words[2] {
			break
		}
	}
	s := &nodeServer{waiting: map[int]chan reply{}}
	n, err := openNode(t.Context(), redistier.Config{Address: words[0]}, words[1], p, s.load)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	s.serve(t.Context(), n)
}

// nodeServer is the inner side of a processNode.
type nodeServer struct {
	mu      sync.Mutex
	waiting map[int]chan reply
	last    int
}

func (s *nodeServer) send(words ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Println(words...)
}

func (s *nodeServer) load(ctx context.Context, key int64) (uint64, error) {
	s.mu.Lock()
	s.last++
	id, done := s.last, make(chan reply, 1)
	s.waiting[id] = done
	s.mu.Unlock()
	s.send("load", id, key)
	select {
	case r := <-done:
		return r.version, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// serve carries out calls until the standard input ends.
func (s *nodeServer) serve(ctx context.Context, n *chaosNode) {
	lines := bufio.NewScanner(os.Stdin)
	var calls sync.WaitGroup
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		id, _ := strconv.Atoi(words[1])
		value := uint64(0)
		if len(words) > 2 {
			value, _ = strconv.ParseUint(words[2], 10, 64)
		}
		switch words[0] {
		case "loaded":
			s.loaded(id, reply{version: value})
		case "failed":
			s.loaded(id, reply{err: errors.New("load failed")})
		default:
			calls.Go(func() { s.carryOut(ctx, n, words[0], id, int(value)) })
		}
	}
	calls.Wait()
}

func (s *nodeServer) loaded(id int, r reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done := s.waiting[id]; done != nil {
		done <- r
		delete(s.waiting, id)
	}
}

func (s *nodeServer) carryOut(ctx context.Context, n *chaosNode, verb string, id, key int) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var version uint64
	var err error
	if verb == "get" {
		version, err = n.Get(ctx, key)
	} else {
		err = n.Invalidate(ctx, key)
	}
	if err != nil {
		s.send("error", id, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	s.send("done", id, version)
}

// openNode opens a cache that is held to a promise.
func openNode(ctx context.Context, cfg redistier.Config, namespace string, p promise, load larder.Loader[int64, uint64]) (*chaosNode, error) {
	cache, err := redistier.Open(ctx, cfg, larder.Options{Namespace: namespace, MaxStaleness: chaosT, AcknowledgedStrict: true, Logger: silent})
	if err != nil {
		return nil, err
	}
	values, err := larder.NewKeyspace(cache, "register", larder.KeyspaceOptions[int64, uint64]{
		Tags: func(key int64) []string { return []string{tagOf(key)} },
	})
	if err != nil {
		return nil, err
	}
	return &chaosNode{&node{Cache: cache, values: values, load: load, opts: p.opts}, p.strict}, nil
}
