package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// nodeConfig is what a node is started with.
type nodeConfig struct {
	Store  string // name among FleetStores
	Redis  string
	Source string // URL of the source of truth
	Lease  time.Duration
}

// Node is a process with one of the FleetStores over a source that is asked
// over HTTP. Its methods are called by RPC.
type Node struct {
	source string
	client http.Client
	store  Store
}

// stdio is the connection to the parent.
type stdio struct {
	io.Reader
	io.WriteCloser
}

func runNode(config string) error {
	var c nodeConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	n := &Node{source: c.Source}
	for _, o := range FleetStores {
		if o.Name == c.Store {
			store, err := o.Open(Config{Addr: c.Redis, Load: n.load, Lease: c.Lease, Patient: true})
			if err != nil {
				return err
			}
			n.store = store
		}
	}
	if n.store == nil {
		return fmt.Errorf("no store %q", c.Store)
	}
	server := rpc.NewServer()
	if err := server.Register(n); err != nil {
		return err
	}
	server.ServeConn(stdio{os.Stdin, os.Stdout})
	n.store.Close()
	return nil
}

// load asks the source, and says who asks.
func (n *Node) load(ctx context.Context, key string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.source+"/"+key, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Node", strconv.Itoa(os.Getpid()))
	response, err := n.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	value, err := io.ReadAll(response.Body)
	return string(value), err
}

// Burst asks for many reads of one key at one moment.
type Burst struct {
	Key     string
	Readers int
	At      time.Time
}

// Result is what became of a burst.
type Result struct {
	Took   []time.Duration
	Failed string // the first error; empty: none
}

// Run reads.
func (n *Node) Run(in Burst, out *Result) error {
	took, failed := make([]time.Duration, in.Readers), make([]error, in.Readers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range took {
		wg.Go(func() {
			<-start
			began := time.Now()
			_, failed[i] = n.store.Get(context.Background(), in.Key)
			took[i] = time.Since(began)
		})
	}
	<-time.After(time.Until(in.At))
	close(start)
	wg.Wait()
	out.Took = took
	for _, err := range failed {
		if err != nil {
			out.Failed = err.Error()
		}
	}
	return nil
}

// source answers every key after a delay and notes who asked when.
type source struct {
	url   string
	delay time.Duration
	began chan load // told of each load when it begins

	mu    sync.Mutex
	loads map[string][]load
}

type load struct {
	key  string
	pid  int
	when time.Time
}

func startSource(tb testing.TB, delay time.Duration) *source {
	s := &source{delay: delay, began: make(chan load, 1<<16), loads: map[string][]load{}}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *source) serve(w http.ResponseWriter, r *http.Request) {
	pid, _ := strconv.Atoi(r.Header.Get("Node"))
	l := load{r.URL.Path[1:], pid, time.Now()}
	s.mu.Lock()
	s.loads[l.key] = append(s.loads[l.key], l)
	s.mu.Unlock()
	s.began <- l
	select {
	case <-time.After(s.delay):
		_, _ = io.WriteString(w, "value of "+l.key)
	case <-r.Context().Done():
	}
}

func (s *source) of(key string) []load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]load(nil), s.loads[key]...)
}

// child is a running node.
type child struct {
	cmd *exec.Cmd
	rpc *rpc.Client
}

func startChild(tb testing.TB, c nodeConfig) *child {
	tb.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), nodeVariable+"="+string(text)), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	return &child{cmd: cmd, rpc: rpc.NewClient(stdio{out, in})}
}

// end closes the connection, upon which the node ends.
func (c *child) end() {
	_ = c.rpc.Close()
	_ = c.cmd.Wait()
}
