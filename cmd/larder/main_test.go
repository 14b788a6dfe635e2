package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/larderhttp"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/msgpack"
	"github.com/larder-go/larder/redistier"
)

func TestMain(m *testing.M) { testscript.Main(leakless{m}, map[string]func(){"larder": main}) }

// leakless looks for goroutines that the tests have left.
type leakless struct{ m *testing.M }

// Run implements what testscript takes for a *testing.M.
func (l leakless) Run() int {
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// TestScripts runs every script against servers of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: setup, Cmds: commands})
}

// TestEveryCommandHasAScript: none is left to be tried by its users first.
func TestEveryCommandHasAScript(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^(?:exec|exits 0) larder ([a-z]+)`).FindAllSubmatch(text, -1) {
			run[string(m[1])] = true
		}
	}
	for _, c := range new(app).root().Commands() {
		if !run[c.Name()] {
			t.Errorf("no script runs larder %s to a success", c.Name())
		}
	}
}

// TestTopologies runs the scripts that hold on every arrangement of servers.
func TestTopologies(t *testing.T) {
	urls := map[string]func() string{
		"standalone": func() string { return "redis://" + lardertest.StartRedis(t).Addr() },
		"sentinel": func() string {
			return "redis+sentinel://" + strings.Join(lardertest.StartSentinel(t).Addrs(), ",") + "/" + lardertest.SentinelMaster
		},
		"cluster": func() string { return "redis+cluster://" + strings.Join(lardertest.StartCluster(t).Addrs(), ",") },
	}
	for name, start := range urls {
		t.Run(name, func(t *testing.T) {
			url := start()
			testscript.Run(t, testscript.Params{Dir: "testdata/topology", Cmds: commands, Setup: func(e *testscript.Env) error {
				e.Setenv("REDIS_URL", url)
				e.Setenv("MASTERS", map[string]string{"standalone": "1", "sentinel": "1", "cluster": "3"}[name])
				return setup(e)
			}})
		})
	}
}

func setup(e *testscript.Env) error {
	e.Setenv("CACHE_NAMESPACE", "shop")
	e.Values["redis"] = new(*lardertest.RedisServer)
	e.Values["program"] = new(*program)
	return nil
}

var commands = map[string]func(*testscript.TestScript, bool, []string){
	"redis": startRedis, "redis-cli": redisCLI, "crash": crashRedis, "exits": exits, "program": startProgram, "await": await, "until": until, "site": startSite, "rank": publishRanking, "keyfile": keyFile,
}

func server(ts *testscript.TestScript) *lardertest.RedisServer {
	return *ts.Value("redis").(**lardertest.RedisServer)
}

// startRedis starts a server until the end of the script and sets REDIS_URL.
// Arguments are directives; the words rights and password=… are options.
func startRedis(ts *testscript.TestScript, _ bool, args []string) {
	var o lardertest.RedisOptions
	for _, arg := range args {
		if password, ok := strings.CutPrefix(arg, "password="); ok {
			o.Password = password
		} else if arg == "rights" {
			o.AllRights = true
		} else {
			o.Args = append(o.Args, arg)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	srv, err := lardertest.NewRedis(ctx, o)
	ts.Check(err)
	*ts.Value("redis").(**lardertest.RedisServer) = srv
	ts.Defer(func() { srv.Shutdown() })
	ts.Setenv("REDIS_URL", "redis://"+srv.Addr())
	ts.Setenv("REDIS_ADDR", srv.Addr())
}

// redisCLI sends a command as another client; its reply is in the file reply.
func redisCLI(ts *testscript.TestScript, neg bool, args []string) {
	reply, err := server(ts).Command(args...)
	if (err != nil) != neg {
		ts.Fatalf("%q: %q, %v", args, reply, err)
	}
	ts.Check(os.WriteFile(ts.MkAbs("reply"), []byte(reply), 0o600))
}

func crashRedis(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(server(ts).Kill()) }

// exits runs a command that must end with a code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exited, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exited.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// await waits until a client of the server has a name, or a command's reply
// matches: await PATTERN COMMAND…
func await(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		reply, err := server(ts).Command(args[1:]...)
		if err == nil && pattern.MatchString(reply) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%q: %q, %v", args, reply, err)
		}
	}
}

// until repeats a command that must succeed until what it prints matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%q prints %q", args, ts.ReadFile("stdout"))
		}
	}
}

// program is a user of the namespace shop.
type program struct {
	cache  *larder.Cache
	spaces map[string]func(key string) error // load a key
}

type suite struct {
	ID   int64  `json:"id" msgpack:"id"`
	Name string `json:"name" msgpack:"name"`
}

// startProgram opens a cache until the end of the script, and loads the entries
// that are named.
func startProgram(ts *testscript.TestScript, _ bool, names []string) {
	at := ts.Value("program").(**program)
	if *at == nil {
		p, err := newProgram(ts.Getenv)
		ts.Check(err)
		ts.Defer(func() { p.cache.Close() })
		*at = p
	}
	for _, name := range names {
		ts.Check((*at).load(name))
	}
}

func (p *program) load(name string) error {
	space, key, _ := strings.Cut(name, ":")
	load := p.spaces[space]
	if load == nil {
		return fmt.Errorf("no keyspace %q", space)
	}
	// On a busy machine heartbeats are late, and then nothing is stored.
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if err := load(key); err != nil {
			return err
		}
		x, err := p.cache.Explain(context.Background(), name)
		if x.State == larder.StateFresh || x.State == larder.StateMemory || time.Now().After(end) {
			return err
		}
	}
}

func newProgram(getenv func(string) string) (*program, error) {
	o := larder.Options{Namespace: "shop", MaxStaleness: 500 * time.Millisecond, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler)}
	if path := getenv("CACHE_KEY_FILE"); path != "" {
		ring, err := larder.ReadKeyFile(path)
		if err != nil {
			return nil, err
		}
		o.Keys = ring
	}
	cache, err := redistier.Open(context.Background(), redistier.FromGetenv(getenv), o)
	if err != nil {
		return nil, err
	}
	p := &program{cache: cache, spaces: map[string]func(string) error{}}
	never := larder.EncryptNever
	err = errors.Join(
		add(p, "suite", larder.KeyspaceOptions[string, suite]{Encryption: never, TTL: time.Hour, Tags: func(string) []string { return []string{"suites"} }, Prefixes: []string{"suite:1"}},
			func(key string) (suite, error) {
				id, err := strconv.ParseInt(key, 10, 64)
				return suite{id, "suite number " + key}, err
			}),
		add(p, "text", larder.KeyspaceOptions[string, string]{Encryption: never, Codec: larder.Text}, func(key string) (string, error) { return "text of " + key, nil }),
		add(p, "blob", larder.KeyspaceOptions[string, []byte]{Encryption: never, Codec: larder.Bytes}, func(string) ([]byte, error) { return []byte{0xff, 0, 1}, nil }),
		add(p, "packed", larder.KeyspaceOptions[string, suite]{Encryption: never, Codec: msgpack.Codec[suite]()}, func(string) (suite, error) { return suite{7, "packed"}, nil }),
		add(p, "large", larder.KeyspaceOptions[string, string]{Encryption: never}, func(string) (string, error) { return strings.Repeat("large ", 1000), nil }),
		add(p, "secret", larder.KeyspaceOptions[string, string]{}, func(key string) (string, error) { return "secret of " + key, nil }),
		add(p, "local", larder.KeyspaceOptions[string, string]{Encryption: never, Tiers: larder.MemoryOnly}, func(key string) (string, error) { return key, nil }),
		add(p, "aged", larder.KeyspaceOptions[string, string]{Encryption: never, TTL: 2 * time.Second, Grace: time.Hour, EarlyRefresh: -1}, func(key string) (string, error) { return key, nil }),
		add(p, "nothing", larder.KeyspaceOptions[string, string]{Encryption: never, NegativeTTL: time.Hour}, func(string) (string, error) { return "", larder.ErrNotFound }),
	)
	return p, err
}

func add[V any](p *program, name string, o larder.KeyspaceOptions[string, V], load func(string) (V, error)) error {
	space, err := larder.NewKeyspace(p.cache, name, o)
	p.spaces[name] = func(key string) error {
		_, err := space.Get(context.Background(), key, func(_ context.Context, key string) (V, error) { return load(key) }, larder.Exact)
		if errors.Is(err, larder.ErrNotFound) {
			return nil
		}
		return err
	}
	return err
}

// startSite serves the program's warm handler, behind a token, and sets SITE.
func startSite(ts *testscript.TestScript, _ bool, _ []string) {
	p := *ts.Value("program").(**program)
	warm := larderhttp.WarmHandler(func(_ context.Context, name string) error { return p.load(name) })
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer let me":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path != "/warm":
			http.NotFound(w, r)
		default:
			warm.ServeHTTP(w, r)
		}
	}))
	ts.Defer(site.Close)
	ts.Setenv("SITE", site.URL)
}

// publishRanking has the program tell Redis what it loaded.
func publishRanking(ts *testscript.TestScript, _ bool, _ []string) {
	_, err := (*ts.Value("program").(**program)).cache.LoadedKeys(context.Background())
	ts.Check(err)
}

func keyFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("k1:"+strings.Repeat("A", 43)+"=\n"), 0o600))
}
