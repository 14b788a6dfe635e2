package lardertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// tagsOfOneLog returns n tags that one log lists, and its key.
func (f *fixture) tagsOfOneLog(n int) (tags []string, log string) {
	log = f.A.LogKey(f.A.TagKey("t0"))
	for i := 0; len(tags) < n; i++ {
		if key := f.A.TagKey(fmt.Sprint("t", i)); f.A.LogKey(key) == log {
			tags = append(tags, key)
		}
	}
	return tags, log
}

func (f *fixture) bear(r larder.Remote, tag string) string {
	f.t.Helper()
	f.lastName++
	generation := fmt.Sprintf("g%07d", f.lastName)
	f.expect(f.do(r, larder.Op{Kind: larder.OpGeneration, Key: tag, Value: []byte(generation), TTL: time.Hour}), larder.Present, generation)
	return generation
}

func (f *fixture) head(log string) string {
	f.t.Helper()
	r := f.do(f.A, larder.Op{Kind: larder.OpBirths, Key: log})
	if r.State == larder.Present && r.Data == "" {
		f.t.Fatal("a birth without an id")
	}
	return r.Data
}

func (f *fixture) since(log, head string, tags ...string) larder.Reply {
	f.t.Helper()
	return f.do(f.B, larder.Op{Kind: larder.OpTagsSince, Key: log, Keys: tags, Expect: head})
}

// testBirths holds that generations are given to a load which learned of its
// tags late only if none of them can have changed since it began.
func testBirths(t *testing.T, f *fixture) {
	f.start()
	tags, log := f.tagsOfOneLog(140)
	a, b := tags[0], tags[1]
	if !slices.Contains(f.A.LogKeys(), log) {
		t.Errorf("LogKeys lacks %q", log)
	}
	if f.head(log) != "" {
		t.Fatal("a birth before the first")
	}
	refused := func(what, head string, tags ...string) {
		t.Helper()
		if r := f.since(log, head, tags...); r.State != larder.Refused {
			t.Errorf("%s: %s %q", what, replyName(r), r.Data)
		}
	}
	refused("without a log", "", a)
	first := f.head(log)
	if first == "" {
		t.Fatal("no log was begun")
	}
	refused("a tag that was never born", first, a)
	genA, genB := f.bear(f.A, a), f.bear(f.B, b)
	refused("a tag born since", first, a)
	refused("without an id", "", a)
	refused("one of two tags born since", first, b, a)
	second := f.head(log)
	f.expect(f.since(log, second, b, a), larder.Present, genB+genA)
	f.expect(f.since(log, second), larder.Present, "")
	f.do(f.B, larder.Op{Kind: larder.OpGeneration, Key: tags[139], Value: []byte("unlisted"), TTL: time.Hour, Unlisted: true})
	if f.head(log) != second {
		t.Error("a birth was listed that should not be")
	}
	f.do(f.A, larder.Op{Kind: larder.OpGeneration, Key: a, Value: []byte("unwanted"), TTL: time.Hour})
	f.expect(f.since(log, second, a), larder.Present, genA) // nothing was born

	f.do(f.A, larder.Op{Kind: larder.OpDelete, Key: a})
	refused("a missing generation", second, a)
	f.bear(f.A, a)
	refused("a tag born again", second, a)
	f.expect(f.since(log, second, b), larder.Present, genB)
	for _, tag := range tags[2:129] {
		f.bear(f.A, tag)
	}
	refused("an id that left the log", second, b)
	third := f.head(log)
	f.expect(f.since(log, third, b), larder.Present, genB)
	f.Door.Delete(log)
	refused("a lost log", third, b)
	refused("a new log", third, b)
	f.expect(f.since(log, f.head(log), b), larder.Present, genB)
}

// testBirthsPush holds that a node which keeps the newest birth in memory hears
// of the next one, whatever it did to the log itself, and of changes of the
// tags it read with it.
func testBirthsPush(t *testing.T, f *fixture) {
	f.start()
	tags, log := f.tagsOfOneLog(8)
	next := func() string {
		tag := tags[0]
		tags = tags[1:]
		return tag
	}
	hears := func(what string) {
		t.Helper()
		before := f.logA.pushes(log)
		f.bear(f.B, next())
		f.waitFor("push of a birth after "+what, f.logA, func() bool { return f.logA.pushed[log] > before })
	}
	f.head(log)
	hears("reading an empty log")
	f.head(log)
	hears("reading the log")
	f.bear(f.A, next())
	hears("an own birth")
	old := next()
	f.bear(f.B, old)
	read := larder.Op{Kind: larder.OpTagsSince, Key: log, Keys: []string{old}, Expect: f.head(log)}
	f.expect(f.do(f.A, read), larder.Present, f.do(f.B, larder.Op{Kind: larder.OpGet, Key: old}).Data)
	hears("reading tags with the log")
	f.do(f.A, read)
	f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: old})
	f.waitFor("push of a tag read with the log", f.logA, func() bool { return f.logA.pushed[old] > 0 })
	f.Door.Delete(log)
	f.do(f.A, read)
	hears("beginning the log")
}

// testRunID holds that the life of the server has a name that nodes share and a
// restart changes.
func testRunID(t *testing.T, f *fixture) {
	f.start()
	key := f.key()
	first := f.A.RunID(key)
	if first == "" || f.B.RunID(key) != first {
		t.Fatalf("the server is %q to one node and %q to another", first, f.B.RunID(key))
	}
	f.Door.Drop()
	f.waitFor("new connection", f.logA, func() bool { return f.logA.connected > 1 })
	if again := f.A.RunID(key); again != first {
		t.Errorf("over another connection the server is %q, it was %q", again, first)
	}
	f.Door.Kill()
	f.waitFor("report of the loss", f.logA, func() bool { return f.logA.disconnected > 1 })
	if id := f.A.RunID(key); id != "" {
		t.Errorf("without a server it is %q", id)
	}
	connected := 0
	f.logA.note(func() { connected = f.logA.connected })
	f.Door.Restart()
	f.waitFor("connection to the new server", f.logA, func() bool { return f.logA.connected > connected })
	if next := f.A.RunID(key); next == "" || next == first {
		t.Errorf("after a restart the server is %q, it was %q", next, first)
	}
}
