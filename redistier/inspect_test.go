package redistier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

func inspect(t testing.TB, cfg Config, namespace string) *Inspector {
	t.Helper()
	i, err := Inspect(testContext(t), cfg, namespace)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

// program is a process that uses the namespace shop: a keyspace in both tiers
// and one in memory, filled.
func program(t testing.TB, cfg Config, names ...string) (*larder.Cache, *larder.Keyspace[string, string]) {
	t.Helper()
	cache, err := Open(testContext(t), cfg, larder.Options{Namespace: "shop", Logger: quiet(), MaxStaleness: 300 * time.Millisecond,
		ReadTimeout: 5 * time.Second}) // or a busy machine makes Gets that store nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close() })
	suites, err := larder.NewKeyspace(cache, "suite", larder.KeyspaceOptions[string, string]{
		Tags: func(string) []string { return []string{"suites"} }, Prefixes: []string{"suite:a"},
	})
	if err != nil {
		t.Fatal(err)
	}
	local, err := larder.NewKeyspace(cache, "local", larder.KeyspaceOptions[string, string]{Tiers: larder.MemoryOnly})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		for _, k := range []*larder.Keyspace[string, string]{suites, local} {
			eventually(t, "entry of "+name, func() bool { // a late heartbeat makes Gets that store nothing
				if _, err := k.Get(testContext(t), name, echo); err != nil {
					t.Fatal(err)
				}
				_, err := k.Lookup(testContext(t), name, larder.Exact)
				return err == nil
			})
		}
	}
	return cache, suites
}

func echo(_ context.Context, key string) (string, error) { return "value of " + key, nil }

// everything lists all pages and holds that none is larger than was asked for.
func everything(t testing.TB, list func(ctx context.Context, pattern, cursor string, count int) (Page, error), pattern string) []string {
	t.Helper()
	var names []string
	for cursor := ""; ; {
		p, err := list(testContext(t), pattern, cursor, 10)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, p.Names...)
		if cursor = p.Next; cursor == "" {
			slices.Sort(names)
			return slices.Compact(names)
		}
	}
}

// An Inspector leaves no trace: neither a member nor a mark, a generation or a
// setting, however long it looks.
func TestInspectorTakesPartInNothing(t *testing.T) {
	srv := lardertest.StartRedis(t)
	i := inspect(t, Config{Address: srv.Addr()}, "shop")
	if x, err := i.Explain(testContext(t), "suite:a1"); err != nil || x.State != larder.StateAbsent {
		t.Errorf("explained %+v, %v", x, err)
	}
	if _, err := i.DeletePattern(testContext(t), "*"); err != nil {
		t.Error(err)
	}
	for range 3 {
		if err := i.tier.Beat(testContext(t)); err != nil {
			t.Error(err)
		}
	}
	if keys := command(t, srv, "DBSIZE"); keys != "0" {
		t.Errorf("left %s", command(t, srv, "KEYS", "*"))
	}
	if i.MaxStaleness() != 0 {
		t.Errorf("MaxStaleness %v of an unused namespace", i.MaxStaleness())
	}
}

// An Inspector that comes after a failover clears nothing: that is for those who serve.
func TestInspectorKeepsTheNamespace(t *testing.T) {
	srv := lardertest.StartRedis(t)
	program(t, Config{Address: srv.Addr()}, "a1")
	command(t, srv, "SET", "#larder:i:shop", "another life")
	i := inspect(t, Config{Address: srv.Addr()}, "shop")
	if x, err := i.Explain(testContext(t), "suite:a1"); err != nil || x.State != larder.StateFresh {
		t.Errorf("explained %+v, %v", x, err)
	}
}

func TestInspectorListsAndExplains(t *testing.T) {
	t.Parallel()
	for name, cfg := range topologies(t) {
		t.Run(name, func(t *testing.T) {
			var names, want []string
			for n := range 40 {
				names = append(names, fmt.Sprint("a", n))
				want = append(want, fmt.Sprint("suite:a", n))
			}
			slices.Sort(want)
			program(t, cfg, names...)
			i := inspect(t, cfg, "shop")
			if got := everything(t, i.Scan, "*"); !slices.Equal(got, want) {
				t.Errorf("listed %q", got)
			}
			if got := everything(t, i.Scan, "suite:a1?"); len(got) != 10 {
				t.Errorf("suite:a1?: listed %q", got)
			}
			tags := everything(t, i.ScanTags, "*")
			if len(tags) != 42 || !slices.Contains(tags, "suites") || !slices.Contains(tags, "^suite:a") || !slices.Contains(tags, "=local:a7") {
				t.Errorf("%d tags: %q", len(tags), tags)
			}
			x, err := i.Explain(testContext(t), "suite:a7")
			if err != nil || x.State != larder.StateFresh || x.Payload != `"value of a7"` || len(x.Tags) != 3 {
				t.Errorf("explained %+v, %v", x, err)
			}
			if x, err := i.Explain(testContext(t), "local:a7"); err != nil || x.State != larder.StateMemory {
				t.Errorf("explained %+v, %v", x, err)
			}
			for _, cursor := range []string{"x", "1@nowhere:1", "@"} {
				if _, err := i.Scan(testContext(t), "*", cursor, 10); !errors.Is(err, ErrCursor) {
					t.Errorf("cursor %q: %v", cursor, err)
				}
			}
		})
	}
}

// topologies returns a configuration of each kind.
func topologies(t *testing.T) map[string]Config {
	sentinel, cluster := lardertest.StartSentinel(t), lardertest.StartCluster(t)
	return map[string]Config{
		"standalone": {Address: lardertest.StartRedis(t).Addr()},
		"sentinel":   {Topology: Sentinel, Addresses: sentinel.Addrs(), MasterName: lardertest.SentinelMaster},
		"cluster":    {Topology: Cluster, Addresses: cluster.Addrs()},
	}
}

// What an Inspector invalidates is gone for everybody, also where only
// processes' memories have it.
func TestInspectorInvalidates(t *testing.T) {
	srv := lardertest.StartRedis(t)
	cfg := Config{Address: srv.Addr()}
	_, suites := program(t, cfg, "a1", "b1")
	i := inspect(t, cfg, "shop")
	state := func(name string) larder.EntryState {
		t.Helper()
		x, err := i.Explain(testContext(t), name)
		if err != nil {
			t.Fatal(err)
		}
		return x.State
	}
	refill := func() {
		t.Helper()
		for _, key := range []string{"a1", "b1"} {
			if _, err := suites.Get(testContext(t), key, echo, larder.Exact); err != nil {
				t.Fatal(err)
			}
			if s := state("suite:" + key); s != larder.StateFresh {
				t.Fatalf("suite:%s is %s after a read", key, s)
			}
		}
	}
	for _, name := range []string{"suite:a1", "local:a1"} {
		targets, err := Targets(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := i.Invalidate(testContext(t), targets...); err != nil || state(name) != larder.StateAbsent {
			t.Errorf("%s is %s, %v", name, state(name), err)
		}
	}
	refill()
	began := time.Now()
	if err := i.Invalidate(testContext(t), larder.Tag("suites"), larder.Strict); err != nil || state("suite:a1") != larder.StateOutdated {
		t.Errorf("after the tag %s, %v", state("suite:a1"), err)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("a strict invalidation took %v, less than MaxStaleness", took)
	}
	refill()
	if declared, err := i.InvalidatePrefix(testContext(t), "suite:a"); err != nil || !declared || state("suite:a1") != larder.StateOutdated || state("suite:b1") != larder.StateFresh {
		t.Errorf("after the prefix %v, %v: %s, %s", declared, err, state("suite:a1"), state("suite:b1"))
	}
	if declared, err := i.InvalidatePrefix(testContext(t), "suite:b"); err != nil || declared || state("suite:b1") != larder.StateFresh {
		t.Errorf("a prefix that nobody declares: %v, %v", declared, err)
	}
	refill()
	if err := i.Invalidate(testContext(t), larder.All()); err != nil || state("suite:b1") != larder.StateOutdated {
		t.Errorf("after a clear %s, %v", state("suite:b1"), err)
	}
	refill()
	if n, err := i.DeletePattern(testContext(t), "suite:b*"); n != 1 || err != nil || state("suite:b1") != larder.StateAbsent || state("suite:a1") != larder.StateFresh {
		t.Errorf("deleted %d, %v", n, err)
	}
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(testContext(t), time.Second)
	defer cancel()
	err := i.Invalidate(ctx, larder.Tag("suites"))
	var pending *larder.PendingError
	if !errors.As(err, &pending) || len(pending.Keys) != 1 {
		t.Errorf("without Redis: %v", err)
	}
}

func TestInspectSaysWhyNot(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Password: "secret"})
	for name, c := range map[string]struct {
		cfg    Config
		denied bool
		text   string
	}{
		"no password":    {Config{Address: srv.Addr()}, true, "NOAUTH"},
		"wrong password": {Config{Address: srv.Addr(), Password: "sesame"}, true, "WRONGPASS"},
		"nobody there":   {Config{Address: "127.0.0.1:1"}, false, "connection refused"},
		"no Sentinel":    {Config{Topology: Sentinel, Addresses: []string{"127.0.0.1:1"}, MasterName: "m"}, false, "no Sentinel names the master"},
		"no cluster":     {Config{Topology: Cluster, Addresses: []string{"127.0.0.1:1"}}, false, "tells the layout"},
	} {
		_, err := Inspect(testContext(t), c.cfg, "shop")
		if !errors.Is(err, larder.ErrUnavailable) || Denied(err) != c.denied || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: denied %v, %v", name, Denied(err), err)
		}
	}
	if _, err := Inspect(testContext(t), Config{}, "a#b"); err == nil || errors.Is(err, larder.ErrUnavailable) {
		t.Errorf("a bad namespace: %v", err)
	}
	if _, err := Targets(""); err == nil {
		t.Error("an empty name was accepted")
	}
}

// Facts and members are those of the server and of the programs that live.
func TestInspectorFacts(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Args: []string{"--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lfu"}})
	cfg := Config{Address: srv.Addr()}
	program(t, cfg, "a1")
	gone, _ := program(t, cfg)
	i := inspect(t, cfg, "shop")
	servers, err := i.Servers(testContext(t))
	if err != nil || len(servers) != 1 {
		t.Fatal(servers, err)
	}
	s := servers[0]
	if s.Address != srv.Addr() || s.MaxBytes != 50<<20 || s.Policy != "allkeys-lfu" || s.Role != "master" || s.Version == "" ||
		s.Keys < 5 || s.UsedBytes == 0 || s.TrackedKeys == 0 || s.TrackingClients != 2 || s.RoundTrip <= 0 || s.Offset.Abs() > time.Second {
		t.Errorf("facts %+v", s)
	}
	members, err := i.Members(testContext(t), 300*time.Millisecond)
	if err != nil || len(members) != 2 || !members[0].Replies || !members[1].Replies {
		t.Errorf("members %+v, %v", members, err)
	}
	gone.Close()
	if members, err = i.Members(testContext(t), 0); err != nil || len(members) != 1 || members[0].Beats == 0 {
		t.Errorf("members %+v, %v", members, err)
	}
	if i.MaxStaleness() != 300*time.Millisecond {
		t.Errorf("MaxStaleness %v", i.MaxStaleness())
	}
}

// A watcher hears of every kind of change in its namespace and of none in another.
func TestWatch(t *testing.T) {
	srv := lardertest.StartRedis(t)
	cfg := Config{Address: srv.Addr()}
	cache, suites := program(t, cfg, "a1")
	i := inspect(t, cfg, "shop")
	heard := make(chan Change, 1000)
	ctx, cancel := context.WithCancel(testContext(t))
	ended := make(chan error, 1)
	go func() { ended <- i.Watch(ctx, func(c Change) { heard <- c }) }()
	await := func(kind ChangeKind, name, now string) {
		t.Helper()
		for {
			select {
			case c := <-heard:
				if strings.Contains(c.Name, "elsewhere") {
					t.Errorf("heard of %+v", c)
				}
				if c.Kind == kind && c.Name == name && (now == "" || c.Now == now) {
					return
				}
			case <-testContext(t).Done():
				t.Fatalf("heard nothing of %s %q %s", kind, name, now)
			}
		}
	}
	for len(heard) == 0 { // until the watcher listens
		command(t, srv, "SET", "shop2:elsewhere", "x")
		command(t, srv, "SET", "shop:first", "x")
		time.Sleep(time.Millisecond)
	}
	await(ChangeEntry, "first", "foreign")
	cache.Invalidate(testContext(t), suites.Key("a1"))
	await(ChangeEntry, "suite:a1", "absent")
	if _, err := suites.Get(testContext(t), "a1", echo); err != nil {
		t.Fatal(err)
	}
	await(ChangeEntry, "suite:a1", "stored")
	cache.Invalidate(testContext(t), larder.Tag("suites"))
	await(ChangeTag, "suites", "")
	cache.Invalidate(testContext(t), larder.Prefix("suite:a"))
	await(ChangePrefix, "suite:a", "")
	cache.Clear(testContext(t))
	await(ChangeNamespace, "", "")
	command(t, srv, "FLUSHALL")
	await(ChangeFlush, "", "")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	listens := func() bool { return strings.Contains(command(t, srv, "CLIENT", "LIST"), "name=larder-watch") }
	eventually(t, "end of the first one's socket", func() bool { return !listens() })
	go func() { ended <- i.Watch(testContext(t), func(Change) {}) }()
	eventually(t, "socket of the second", listens)
	srv.Kill()
	if err := <-ended; !errors.Is(err, errWatchEnded) {
		t.Errorf("after the server's death: %v", err)
	}
}
