package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/larder-go/larder/dashboard/internal/browsertest"
)

func TestMain(m *testing.M) {
	testscript.Main(browsertest.Tests{M: m}, map[string]func(){"qadash": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ADDR", "127.0.0.1:0")
			e.Setenv("CACHE_ENABLED", "false")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"server": startServer, "get": getPage},
	})
}

// startServer runs "qadash serve" in this process until the script ends, and
// sets URL for the commands after it.
func startServer(ts *testscript.TestScript, _ bool, args []string) {
	var out, errs lockedBuffer
	env := func(name string) (string, bool) { v := ts.Getenv(name); return v, v != "" }
	ctx, end := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan int, 1)
	reader, writer := io.Pipe()
	go firstLine(reader, ready)
	go func() {
		s := streams{out: io.MultiWriter(&out, writer), err: &errs, env: inside(env, ts)}
		code := run(ctx, append([]string{"serve"}, args...), s)
		_ = writer.Close()
		done <- code
	}()
	ts.Defer(func() {
		end()
		if code := <-done; code != 0 {
			ts.Logf("serve ended with %d: %s", code, errs.String())
		}
	})
	select {
	case line := <-ready:
		ts.Setenv("QADASH_URL", strings.Fields(line)[3])
	case code := <-done:
		done <- code
		ts.Fatalf("serve ended at once with %d: %s", code, errs.String())
	}
}

// inside makes relative database paths those of the script.
func inside(env func(string) (string, bool), ts *testscript.TestScript) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if name == "DATABASE_URL" {
			return "sqlite:" + ts.MkAbs("qadash-data/qadash.db"), true
		}
		return env(name)
	}
}

func firstLine(r io.Reader, to chan<- string) {
	var line []byte
	buffer := make([]byte, 256)
	sent := false
	for {
		n, err := r.Read(buffer)
		if line = append(line, buffer[:n]...); !sent && bytes.ContainsRune(line, '\n') {
			to <- string(line)
			sent = true
		}
		if err != nil {
			return
		}
	}
}

// getPage fetches a path of the server and compares nothing: scripts grep stdout.
func getPage(ts *testscript.TestScript, neg bool, args []string) {
	response, err := http.Get(ts.Getenv("QADASH_URL") + args[0])
	ts.Check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	if ok := response.StatusCode/100 == 2; ok == neg {
		ts.Fatalf("%s: %s", args[0], response.Status)
	}
	ts.Check(os.WriteFile(ts.MkAbs("page"), body, 0o600))
}

// A bad value ends every command that reads it with a code of its own, and names
// the variable, the form and an example.
func TestABadVariableExitsWith2(t *testing.T) {
	for variable, value := range map[string]string{
		"ADDR": "8000", "CACHE_TTL_LONG": "soon", "REDIS_PORT": "many", "REDIS_TLS": "maybe", "REDIS_SENTINEL_MASTER": "m",
		"CACHE_KEY_FILE": "/nowhere", "REDIS_PASSWORD_FILE": "/nowhere", "DATABASE_URL": "mysql://h/db",
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, value) // the cache takes the REDIS_ variables of the process
			for _, name := range []string{"serve", "config"} {
				var errs lockedBuffer
				env := func(name string) (string, bool) {
					v, ok := map[string]string{"ADDR": "127.0.0.1:0", "DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "q.db"), variable: value}[name]
					return v, ok
				}
				code := run(t.Context(), []string{name}, streams{out: io.Discard, err: &errs, env: env})
				if said := errs.String(); code != exitUsage || !strings.Contains(said, variable) || !strings.Contains(said, "example") {
					t.Errorf("%s: %s ends with %d: %s", value, name, code, said)
				}
			}
		})
	}
}

// The first thing on a machine with something else on the port: a clear line,
// not a stack.
func TestAPortInUseIsSaid(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var errs lockedBuffer
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"ADDR": listener.Addr().String(), "DATABASE_URL": "sqlite:" + filepath.Join(t.TempDir(), "q.db"), "CACHE_ENABLED": "false"}[name]
		return v, ok
	}
	code := run(t.Context(), []string{"serve"}, streams{out: io.Discard, err: &errs, env: env})
	if code != exitFailed || !strings.Contains(errs.String(), "address already in use") {
		t.Errorf("got %d: %s", code, errs.String())
	}
}
