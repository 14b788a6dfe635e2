package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/rpc"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

// NodeConfig is what a node is started with.
type NodeConfig struct {
	Redis   string // host:port
	Source  string // URL of the source of truth
	Options larder.Options
	// LoadLimit and LoadQueue are those of the keyspace.
	LoadLimit, LoadQueue int
}

// Doc is the value that nodes cache. Its version tells how old it is.
type Doc struct {
	Key     int64
	Version int64
}

// Node is one process: a cache over a source that is asked over HTTP.
// Its methods are called by RPC from the test.
type Node struct {
	source string
	client http.Client
	cache  *larder.Cache
	docs   *larder.Keyspace[int64, Doc]
	lock   *larder.Lock // nil: none was asked for
}

// stdio is the connection to the test.
type stdio struct {
	io.Reader
	io.WriteCloser
}

// runNode serves orders until the test closes the connection.
func runNode(config string) error {
	var c NodeConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	n, err := newNode(c)
	if err != nil {
		return err
	}
	server := rpc.NewServer()
	if err := server.Register(n); err != nil {
		return err
	}
	server.ServeConn(stdio{os.Stdin, os.Stdout})
	return n.cache.Close()
}

func newNode(c NodeConfig) (*Node, error) {
	c.Options.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", os.Getpid())
	cache, err := redistier.Open(context.Background(), redistier.Config{Address: c.Redis}, c.Options)
	if err != nil {
		return nil, err
	}
	docs, err := larder.NewKeyspace(cache, "doc", larder.KeyspaceOptions[int64, Doc]{TTL: larder.MediumTTL, LoadLimit: c.LoadLimit, LoadQueue: c.LoadQueue})
	return &Node{source: c.Source, cache: cache, docs: docs}, err
}

// load asks the source, and says who asks.
func (n *Node) load(ctx context.Context, key int64) (d Doc, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/%d", n.source, key), nil)
	if err != nil {
		return d, err
	}
	request.Header.Set("Node", strconv.Itoa(os.Getpid()))
	response, err := n.client.Do(request)
	if err != nil {
		return d, err
	}
	defer response.Body.Close()
	return d, json.NewDecoder(response.Body).Decode(&d)
}

// Read is one read as the node saw it.
type Read struct {
	Began time.Time
	Took  time.Duration
	Doc   Doc
	Err   string // empty: none
}

func (n *Node) read(key int64, opts ...larder.ReadOption) Read {
	return timed(func() (Doc, error) { return n.docs.Get(context.Background(), key, n.load, opts...) })
}

// ask reads from the source as if there were no cache.
func (n *Node) ask(key int64) Read {
	return timed(func() (Doc, error) { return n.load(context.Background(), key) })
}

func timed(read func() (Doc, error)) Read {
	r := Read{Began: time.Now()}
	var err error
	r.Doc, err = read()
	r.Took = time.Since(r.Began)
	if err != nil {
		r.Err = err.Error()
	}
	return r
}

// ReadOrder asks for one read.
type ReadOrder struct {
	Key   int64
	Exact bool
}

// Read reads a key once.
func (n *Node) Read(in ReadOrder, out *Read) error {
	var opts []larder.ReadOption
	if in.Exact {
		opts = append(opts, larder.Exact)
	}
	*out = n.read(in.Key, opts...)
	return nil
}

// BurstOrder asks for many reads of one key at one moment.
type BurstOrder struct {
	Key     int64
	Readers int
	At      time.Time
}

// Burst starts all readers at the moment that all nodes were told.
func (n *Node) Burst(in BurstOrder, out *[]Read) error {
	reads := make([]Read, in.Readers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range reads {
		wg.Go(func() {
			<-start
			reads[i] = n.read(in.Key)
		})
	}
	<-time.After(time.Until(in.At))
	close(start)
	wg.Wait()
	*out = reads
	return nil
}

// FlowOrder asks for reads at a steady rate, whether or not earlier ones ended.
type FlowOrder struct {
	PerSecond int
	For       time.Duration
	First     int64
	Keys      int64
	Bypass    bool // ask the source, without the cache
}

// Flow reads Keys keys from First on in turn.
func (n *Node) Flow(in FlowOrder, out *[]Read) error {
	reads := make([]Read, int(in.For.Seconds()*float64(in.PerSecond)))
	tick := time.NewTicker(time.Second / time.Duration(in.PerSecond))
	defer tick.Stop()
	var wg sync.WaitGroup
	for i := range reads {
		key := in.First + int64(i)%in.Keys
		wg.Go(func() {
			if in.Bypass {
				reads[i] = n.ask(key)
			} else {
				reads[i] = n.read(key)
			}
		})
		<-tick.C
	}
	wg.Wait()
	*out = reads
	return nil
}

// Invalidate invalidates a key and returns the error as text.
func (n *Node) Invalidate(key int64, out *string) error {
	if err := n.cache.Invalidate(context.Background(), n.docs.Key(key)); err != nil {
		*out = err.Error()
	}
	return nil
}

// State is what a node knows about itself.
type State struct {
	Docs   larder.KeyspaceStats
	Health larder.Health
}

// State reports counters and health.
func (n *Node) State(_ struct{}, out *State) error {
	*out = State{Docs: n.cache.Stats().Keyspaces["doc"], Health: n.cache.Health()}
	return nil
}

// LockOrder asks for a lock.
type LockOrder struct {
	Name string
	TTL  time.Duration
}

// LockState is what a node knows about its lock.
type LockState struct {
	Fence uint64
	Held  bool
	Ended string // why its context ended; empty: it has not
}

// Lock waits for a lock, which the node keeps.
func (n *Node) Lock(in LockOrder, out *LockState) (err error) {
	if n.lock, err = n.cache.Lock(context.Background(), in.Name, larder.LockOptions{TTL: in.TTL}); err != nil {
		return err
	}
	return n.LockState(struct{}{}, out)
}

// LockState reports about the lock.
func (n *Node) LockState(_ struct{}, out *LockState) error {
	*out = LockState{Fence: n.lock.Fence(), Held: n.lock.Held()}
	if cause := context.Cause(n.lock.Context()); cause != nil {
		out.Ended = cause.Error()
	}
	return nil
}
