package acceptance

import (
	"bytes"
	"encoding/json"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
)

// process is a running node as the test sees it.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	rpc  *rpc.Client
	log  *syncBuffer
	once sync.Once
}

// startNode starts this program again as a node and returns when it answers.
func startNode(t *testing.T, config NodeConfig) *process {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(os.Args[0]), log: new(syncBuffer)}
	p.cmd.Env = append(os.Environ(), nodeVariable+"="+string(text))
	p.cmd.Stderr = p.log
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.rpc = rpc.NewClient(stdio{out, in})
	t.Cleanup(p.end)
	p.state()
	return p
}

// startNodes starts n nodes at the same time.
func startNodes(t *testing.T, n int, config NodeConfig) []*process {
	t.Helper()
	nodes := make([]*process, n)
	for i := range nodes {
		nodes[i] = startNode(t, config)
	}
	return nodes
}

// end closes the connection, upon which the node closes its cache and ends.
func (p *process) end() {
	p.once.Do(func() {
		_ = p.rpc.Close()
		err := p.cmd.Wait()
		if err != nil && p.cmd.ProcessState.Exited() {
			p.t.Errorf("node %d: %v", p.cmd.Process.Pid, err)
		}
		if p.t.Failed() {
			p.t.Logf("log of node %d:\n%s", p.cmd.Process.Pid, p.log)
		}
	})
}

// call gives an order and waits for its result.
func call[R any](p *process, order string, in any) (out R) {
	p.t.Helper()
	if err := p.rpc.Call("Node."+order, in, &out); err != nil {
		p.t.Fatalf("%s: %v\n%s", order, err, p.log)
	}
	return out
}

func (p *process) state() State { return call[State](p, "State", struct{}{}) }

func (p *process) read(key int64, exact bool) Read {
	return call[Read](p, "Read", ReadOrder{Key: key, Exact: exact})
}

// begin gives an order and returns the call under way.
func (p *process) begin(order string, in, out any) *rpc.Call {
	return p.rpc.Go("Node."+order, in, out, make(chan *rpc.Call, 1))
}

// until asks again and again until it holds; it fails the test after limit. It
// returns how long it took.
func until(t *testing.T, limit time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > limit {
			t.Fatalf("%s: not within %v", what, limit)
		}
		<-time.After(time.Millisecond)
	}
	return time.Since(begun)
}

// percentile returns the p-th percentile of how long reads took.
func percentile(reads []Read, p float64) time.Duration {
	if len(reads) == 0 {
		return 0
	}
	took := make([]time.Duration, len(reads))
	for i, r := range reads {
		took[i] = r.Took
	}
	slices.Sort(took)
	return took[min(int(p/100*float64(len(took))), len(took)-1)]
}

// failures returns the errors among reads.
func failures(reads []Read) (errs []string) {
	for _, r := range reads {
		if r.Err != "" {
			errs = append(errs, r.Err)
		}
	}
	return errs
}

// syncBuffer collects the log of a process while the test may read it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var _ io.Writer = (*syncBuffer)(nil)
