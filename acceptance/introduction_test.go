package acceptance

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// expectations are what the reader of docs/introduction.md is told to see after
// a command, by its beginning and how often it was given before.
var expectations = []struct{ command, output string }{
	{"curl -s -F file=@junit.xml", `"total_tests":3`},
	{"curl -s http://127.0.0.1:8000/api/v1/dashboard/stats", `"total_cases":3`},
	{"curl -s http://127.0.0.1:8000/api/v1/dashboard/stats", `"total_cases":3`},
	{"curl -s -F file=@junit.xml", `"total_tests":3`},
	{"curl -s http://127.0.0.1:8000/api/v1/dashboard/stats", `"total_cases":6`},
	{"curl -s http://127.0.0.1:8000/api/v1/cache", `"keyspaces"`},
	{"go run .", "memory 2 redis 0 loads 1"},
	{"go run .", "memory 2 redis 1 loads 0"},
}

// A newcomer who types what docs/introduction.md says, in a fresh clone, sees
// what it says. In make test everything that other tests use is compiled already.
func TestIntroduction(t *testing.T) {
	redis := lardertest.StartRedis(t)
	addr := freeAddr(t)
	clone := filepath.Join(t.TempDir(), "larder")
	run(t, exec.Command("git", "clone", "--quiet", "--shared", root, clone))
	shell := &session{dir: clone, addr: addr, shop: t.TempDir(), env: append(os.Environ(), goFlags(), "ADDR="+addr, "REDIS_URL=redis://"+redis.Addr())}
	defer shell.close(t)

	next := 0
	for _, step := range steps(t, filepath.Join(root, "docs", "introduction.md")) {
		if step.file != "" {
			check(t, os.WriteFile(filepath.Join(shell.dir, step.file), []byte(step.text), 0o600))
			continue
		}
		out := shell.do(t, step.text)
		if next == len(expectations) || !strings.HasPrefix(step.text, expectations[next].command) {
			continue
		}
		if !strings.Contains(out, expectations[next].output) {
			t.Errorf("$ %s\n%s\nlacks %s", step.text, out, expectations[next].output)
		}
		next++
	}
	if next < len(expectations) {
		t.Errorf("the page does not give the command %q (%d)", expectations[next].command, next)
	}
}

// step is a command, or a file to save.
type step struct{ file, text string }

// steps returns what a document asks its reader to do: the commands of console
// blocks, with their here-documents, and whole programs to save as main.go.
func steps(t *testing.T, path string) (all []step) {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		switch {
		case m[1] == "go" && strings.HasPrefix(m[2], "package main"):
			all = append(all, step{file: "main.go", text: m[2]})
		case m[1] == "console":
			for _, command := range regexp.MustCompile(`(?m)^\$ `).Split(m[2], -1)[1:] {
				all = append(all, step{text: strings.TrimSpace(command)})
			}
		}
	}
	return all
}

// patience is for how long a command may take: the first one compiles all there
// is, perhaps beside other tests.
const patience = 10 * time.Minute

// session is the newcomer's terminal, with ports and folders that are free here.
type session struct {
	dir, addr, shop string
	env             []string
	background      *exec.Cmd
}

func (s *session) do(t *testing.T, command string) string {
	t.Helper()
	command = strings.NewReplacer("127.0.0.1:8000", s.addr, "/tmp/shop", s.shop).Replace(command)
	if line, ok := strings.CutSuffix(command, "&"); ok {
		s.start(t, line)
		return ""
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// The folder and what was exported last until the next command.
	c := exec.CommandContext(ctx, "bash", "-ec", command+"\nprintf '\\0%s\\0%s' \"$PWD\" \"${LARDER:-}\"")
	c.Dir, c.Env = s.dir, s.env
	out, err := c.Output()
	if err != nil {
		t.Fatalf("$ %s\n%s%v", command, out, err)
	}
	parts := strings.Split(string(out), "\x00")
	s.dir = parts[1]
	s.env = append(s.env, "LARDER="+parts[2])
	return parts[0]
}

// start runs a command in the background and returns when it listens.
func (s *session) start(t *testing.T, command string) {
	t.Helper()
	s.background = exec.Command("bash", "-c", "exec "+command)
	s.background.Dir, s.background.Env = s.dir, s.env
	s.background.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(t, s.background.Start())
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.addr); err == nil {
			_ = c.Close()
			return
		}
	}
	t.Fatalf("$ %s does not listen at %s", command, s.addr)
}

// close interrupts what runs in the background, as Ctrl-C does.
func (s *session) close(t *testing.T) {
	if s.background == nil {
		return
	}
	check(t, syscall.Kill(-s.background.Process.Pid, syscall.SIGINT))
	_ = s.background.Wait() // make reports that it was interrupted
}

func run(t *testing.T, c *exec.Cmd) {
	t.Helper()
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", c.Args, err, out)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr())
}
