package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/larder-go/larder/lardertest"
)

// TestDocumentedSession runs the commands of docs/cli.md and holds what they print
// against what the page says, but for what differs each time.
func TestDocumentedSession(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 {
		t.Fatalf("%d sessions, want 1", len(blocks))
	}
	env := map[string]string{"CACHE_NAMESPACE": "shop", "REDIS_URL": "redis://" + lardertest.StartRedis(t).Addr()}
	getenv := func(name string) string { return env[name] }
	p, err := newProgram(getenv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cache.Close() })
	for _, name := range []string{"suite:1", "suite:42", "text:a"} {
		if err := p.load(name); err != nil {
			t.Fatal(err)
		}
	}
	steps := strings.Split(blocks[0][1], "$ ")[1:]
	if len(steps) < 8 {
		t.Fatalf("only %d commands", len(steps))
	}
	for _, step := range steps {
		line, want, _ := strings.Cut(step, "\n")
		var printed bytes.Buffer
		args := strings.Fields(strings.ReplaceAll(line, "'", ""))
		run(t.Context(), args[1:], streams{in: strings.NewReader(""), out: &printed, err: &printed, getenv: getenv})
		if got, want := settled(printed.String()), settled(want); got != want {
			t.Errorf("$ %s\n%s\nwant\n%s", line, got, want)
		}
	}
	if got, want := commandNames(), documentedCommands(string(text)); !slices.Equal(got, want) {
		t.Errorf("commands %q, documented %q", got, want)
	}
}

// settled takes away what differs each time: instants, identities and the order of names.
func settled(text string) string {
	text = regexp.MustCompile(`\b59m[0-9.]+s`).ReplaceAllString(text, "1h0m0s")
	text = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC|\b[0-9a-f]{16}\b|\b[0-9a-f]{12}\b|\b[0-9a-f]{8}\b`).ReplaceAllString(text, "…")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func commandNames() (names []string) {
	for _, c := range new(app).root().Commands() {
		if name := c.Name(); name != "help" && name != "version" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// documentedCommands are the bold ones of the list of commands.
func documentedCommands(text string) (names []string) {
	_, list, _ := strings.Cut(text, "## The commands")
	list, _, _ = strings.Cut(list, "## In Go")
	for _, m := range regexp.MustCompile(`\*\*(.+?)\*\*`).FindAllStringSubmatch(list, -1) {
		for _, code := range regexp.MustCompile("`([a-z]+)[^`]*`").FindAllStringSubmatch(m[1], -1) {
			names = append(names, code[1])
		}
	}
	slices.Sort(names)
	return names
}
