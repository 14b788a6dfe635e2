package main

import (
	"bytes"
	"context"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// TestCounterIsDrawnOnTerminalsOnly: what a pipe or a log file gets is free of
// control characters.
func TestCounterIsDrawnOnTerminalsOnly(t *testing.T) {
	for _, draws := range []bool{false, true} {
		var talk bytes.Buffer
		a := &app{streams: streams{err: &talk, draws: draws}}
		c := a.count("names")
		c.last = c.last.Add(-time.Second)
		c.add(7)
		c.end()
		if got := talk.String(); strings.Contains(got, "7 names") != draws || strings.Contains(got, "\x1b") != draws {
			t.Errorf("draws %v: %q", draws, got)
		}
	}
}

func TestColors(t *testing.T) {
	with, without := &app{streams: streams{colors: true}}, &app{}
	if got := with.paint("failed"); got != "\x1b[31mfailed\x1b[0m" {
		t.Errorf("painted %q", got)
	}
	for _, a := range []*app{with, without} {
		if got := a.paint("absent"); got != "absent" {
			t.Errorf("painted %q", got)
		}
	}
	if got := without.paint("failed"); got != "failed" {
		t.Errorf("painted %q without colors", got)
	}
	for _, c := range []struct {
		noColor, term string
		want          bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		env := map[string]string{"NO_COLOR": c.noColor, "TERM": c.term}
		if got := wantsColors(func(name string) string { return env[name] }); got != c.want {
			t.Errorf("%+v: colors %v", c, got)
		}
	}
}

// TestTerminalsShowWhatTheyWouldObey: names and values are anybody's text, and what
// it makes a terminal do deceives whoever looks.
func TestTerminalsShowWhatTheyWouldObey(t *testing.T) {
	for text, want := range map[string]string{
		"suite:42\tfresh\nü€😀":            "suite:42\tfresh\nü€😀",
		"\x1b[32mfresh\x1b[0m":            "\x1b[32mfresh\x1b[0m", // colors of this program
		"a\x1b[2Jb\x1b[8mc\x1b]0;title\a": `a\x1b[2Jb\x1b[8mc\x1b]0;title\x07`,
		"over\rwritten\b\x7f":             `over\x0dwritten\x08\x7f`,
		"\u009b2J \x9b2J \xff":            `\xc2\x9b2J \x9b2J \xff`,
		"invoice\u202efdp.exe":            `invoice\xe2\x80\xaefdp.exe`,
	} {
		var shown bytes.Buffer
		if n, err := (harmless{&shown}).Write([]byte(text)); n != len(text) || err != nil || shown.String() != want {
			t.Errorf("%q is shown as %q, want %q; %d, %v", text, shown.String(), want, n, err)
		}
	}
	var drawn bytes.Buffer
	if draw(harmless{&drawn}, "\r\x1b[K%d names", 7); drawn.String() != "\r\x1b[K7 names" {
		t.Errorf("drawn %q", drawn.String())
	}
}

func TestQuantities(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 3 << 50: "3072.0 TiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-1: "-", 1500: "2µs", 1234567: "1ms", 1234567890: "1.2s", 90*time.Second + 400*time.Millisecond: "1m30s"} {
		if got := short(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
	for name, want := range map[string]string{"suite:1": "suite", "a:b:c": "a", "bare": "bare"} {
		if got := keyspaceOf(name, 1); got != want {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
	}
	if got := keyspaceOf("dashboard:trends:7", 2); got != "dashboard:trends" {
		t.Errorf("two words: %q", got)
	}
}

// TestTopWithLateHeartbeats: on a busy machine or a slow link the ranking of what is
// read cannot be dated; the rest is shown all the same, and its rates are those of
// the time that a look takes. Whoever ends top while it waits for an answer ends it
// well.
func TestTopWithLateHeartbeats(t *testing.T) {
	slow := lardertest.StartProxy(t, lardertest.StartRedis(t).Addr())
	env := map[string]string{"CACHE_NAMESPACE": "shop", "REDIS_URL": "redis://" + slow.Addr()}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var shown transcript
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"top", "--interval", "100ms"}, streams{out: &shown, err: &shown, getenv: func(name string) string { return env[name] }})
	}()
	server := regexp.QuoteMeta(slow.Addr())
	shown.await(t, server)
	// No heartbeat is answered within MaxStaleness (1 s) of its start any more,
	// and a look at the server takes longer than that.
	slow.Delay(550 * time.Millisecond)
	shown.await(t, "(?s)what is read most is not known.*"+server+".*READ")
	end()
	_, late, _ := strings.Cut(shown.String(), "what is read most is not known")
	rate, err := strconv.Atoi(regexp.MustCompile(server + ` +(\d+)`).FindStringSubmatch(late)[1])
	if err != nil || rate > 25 { // a look takes 4.4 s and a dozen commands, heartbeats eight per second
		t.Errorf("%d commands per second, %v", rate, err)
	}
	if got := <-code; got != exitOK || strings.Contains(shown.String(), "larder:") {
		t.Errorf("exit code %d\n%s", got, shown.String())
	}
}

// transcript is what a command has written so far.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// await returns when what was written matches pattern.
func (w *transcript) await(t *testing.T, pattern string) {
	t.Helper()
	matches := regexp.MustCompile(pattern)
	for end := time.Now().Add(time.Minute); !matches.MatchString(w.String()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nothing matches %q:\n%s", pattern, w.String())
		}
	}
}
