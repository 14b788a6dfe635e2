package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/outbox"
)

// What was left behind by a process that died is carried out when a relay
// starts, and what is left behind later within two polls.
func TestRelayCarriesOutWhatIsAbandoned(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		dead := p.box(t, db, &recorder{fail: func([]string) error { panic("the dead do nothing") }}, outbox.Options{})
		add(t, db, dead, larder.Tag("before"), larder.All())
		r := new(recorder)
		b := p.box(t, db, r, outbox.Options{})
		start(t, b)
		eventually(t, "the first", func() bool { return r.confirmed("tag:before") == 1 && r.confirmed("all:") == 1 })
		add(t, db, dead, larder.Tag("later"))
		eventually(t, "the second", func() bool { return r.confirmed("tag:later") == 1 && len(stored(t, db)) == 0 })
		if got, want := b.Stats(), (outbox.Stats{Relayed: 3}); got != want {
			t.Fatalf("stats %+v, want %+v", got, want)
		}
	})
}

// A row gets one poll's time to be carried out by its own process, so that the
// relay costs a service that lives no second invalidation; and an abandoned one
// waits for two polls at most. In virtual time.
func TestRelayLeavesFreshRowsToTheirWriters(t *testing.T) {
	p := sqlitePlace(t)
	p.create(t)
	synctest.Test(t, func(t *testing.T) {
		db := p.open(t)
		r := new(recorder)
		b := p.box(t, db, r, outbox.Options{PollInterval: time.Second})
		stop := start(t, b)
		for range 20 {
			time.Sleep(777 * time.Millisecond)
			pending := add(t, db, b, larder.Tag("mine"))
			time.Sleep(400 * time.Millisecond)
			must(t, pending.Done(t.Context()))
		}
		if n := r.confirmed("tag:mine"); n != 20 {
			t.Fatalf("20 changes, invalidated %d times", n)
		}
		begun := time.Now()
		add(t, db, b, larder.Tag("abandoned"))
		for r.confirmed("tag:abandoned") == 0 {
			if waited := time.Since(begun); waited > 2200*time.Millisecond {
				t.Fatalf("not carried out after %v", waited)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if waited := time.Since(begun); waited < 400*time.Millisecond {
			t.Fatalf("taken from its writer after %v", waited)
		}
		stop()
		if got := stored(t, db); len(got) != 0 {
			t.Fatalf("left %v", got)
		}
		must(t, db.Close())
	})
}

// The end of Run deletes what is carried out, and another Run may follow.
func TestRunEndsAndRunsAgain(t *testing.T) {
	p := sqlitePlace(t)
	db := p.create(t)
	running := make(chan struct{})
	b := p.box(t, db, new(recorder), outbox.Options{PollInterval: time.Hour, Listen: func(ctx context.Context, _ func()) error {
		running <- struct{}{}
		<-ctx.Done()
		return nil
	}})
	for range 2 {
		add(t, db, b, larder.Tag("abandoned"))
		stop := start(t, b)
		<-running
		eventually(t, "the first poll, for long the only one", func() bool { return len(stored(t, db)) == 0 })
		if err := b.Run(t.Context()); !errors.Is(err, outbox.ErrRunning) {
			t.Fatalf("a second Run: %v", err)
		}
		must(t, add(t, db, b, larder.Tag("a")).Done(t.Context()))
		if got := stored(t, db); len(got) != 1 {
			t.Fatalf("the relay's rows are %v", got)
		}
		stop()
		if got := stored(t, db); len(got) != 0 {
			t.Fatalf("left %v", got)
		}
	}
}

// Two relays, many writers, half of which die: everything is carried out, what
// its writer has carried out is hardly done again, and nothing is left.
func TestTwoRelaysAndManyWriters(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		r := new(recorder)
		var boxes []*outbox.Box
		for range 2 {
			b := p.box(t, db, r, outbox.Options{BatchSize: 7, PollInterval: 50 * time.Millisecond})
			start(t, b)
			boxes = append(boxes, b)
		}
		const writers, each = 8, 50
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					pending := add(t, db, boxes[w%2], larder.Tag(fmt.Sprint(w, ".", i)), larder.Tag("all of them"))
					if i%2 == 0 {
						if err := pending.Done(t.Context()); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "an empty outbox", func() bool { return len(stored(t, db)) == 0 })
		twice := 0
		for w := range writers {
			for i := range each {
				n := r.confirmed(fmt.Sprintf("tag:%d.%d", w, i))
				if n == 0 {
					t.Errorf("%d.%d was lost", w, i)
				}
				if n > 1 {
					twice++
				}
			}
		}
		t.Logf("%d of %d carried out more than once, in %d calls", twice, writers*each, r.numCalls())
	})
}

// One target that fails keeps its own rows only, and is retried.
func TestPartialFailureKeepsItsRows(t *testing.T) {
	p := sqlitePlace(t)
	db := p.create(t)
	r := new(recorder)
	b := p.box(t, db, r, outbox.Options{})
	for i := range 5 {
		add(t, db, b, larder.Tag("bad"), larder.Tag(fmt.Sprint("good", i)))
	}
	r.setFail(func(texts []string) error {
		if slices.Contains(texts, "tag:bad") {
			return away(1)
		}
		return nil
	})
	if err := b.Flush(t.Context()); !errors.Is(err, larder.ErrPending) {
		t.Fatalf("Flush: %v", err)
	}
	if got := stored(t, db); strings.Join(got, " ") != strings.TrimSpace(strings.Repeat("tag:bad ", 5)) {
		t.Fatalf("left %v", got)
	}
	if got, want := b.Stats(), (outbox.Stats{Added: 10, Relayed: 5, Waiting: 5}); got != want {
		t.Fatalf("stats %+v, want %+v", got, want)
	}
	r.setFail(nil)
	must(t, b.Flush(t.Context()))
	if got := stored(t, db); len(got) != 0 {
		t.Fatalf("left %v", got)
	}
}

// While nothing is confirmed the relay asks for one batch and no more, goes on
// with the next one later, and says so once; then it says that it works.
func TestTotalFailureIsToldOnce(t *testing.T) {
	p := sqlitePlace(t)
	db := p.create(t)
	r := &recorder{fail: func(texts []string) error { return away(len(texts)) }}
	log := new(logbook)
	b := p.box(t, db, r, outbox.Options{BatchSize: 2, Logger: log.logger(), PollInterval: time.Millisecond})
	for i := range 6 {
		add(t, db, b, larder.Tag(fmt.Sprint(i)))
	}
	start(t, b)
	eventually(t, "attempts", func() bool { return r.numCalls() >= 5 })
	r.mu.Lock()
	for i, call := range r.calls {
		if first := (2 * i) % 6; call[0] != fmt.Sprint("tag:", first) || len(call) != 2 {
			t.Errorf("call %d was %v", i, call)
		}
		if i == 2 {
			break
		}
	}
	r.mu.Unlock()
	if n := log.countLines("level=WARN"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, log.lines.String())
	}
	if got := stored(t, db); len(got) != 6 {
		t.Fatalf("left %v", got)
	}
	r.setFail(nil)
	eventually(t, "an empty outbox", func() bool { return len(stored(t, db)) == 0 })
	eventually(t, "the log", func() bool { return log.countLines("confirmed again") == 1 })
	if n := log.countLines("level="); n != 2 {
		t.Errorf("%d lines:\n%s", n, log.lines.String())
	}
}

// Rows that name nothing stay and are told once; they do not keep others back.
func TestNonsenseInTheTableStays(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		db := p.create(t)
		log := new(logbook)
		r := new(recorder)
		r.setFail(func(texts []string) error {
			if slices.Contains(texts, "prefix:undeclared:") {
				return larder.ErrInvalidKey
			}
			return nil
		})
		b := p.box(t, db, r, outbox.Options{BatchSize: 2, Logger: log.logger(), PollInterval: time.Millisecond})
		for _, text := range []string{"", "nonsense", `"\q"`, "tag:", "all:x", "prefix:undeclared:", "tag:good"} {
			exec(t, db, "INSERT INTO larder_outbox (target) VALUES ('"+text+"')")
		}
		if err := b.Flush(t.Context()); !errors.Is(err, larder.ErrInvalidKey) {
			t.Fatalf("Flush: %v", err)
		}
		if r.confirmed("tag:good") != 1 {
			t.Fatal("the good one was not carried out")
		}
		start(t, b)
		calls := r.numCalls()
		eventually(t, "more polls", func() bool { return r.numCalls() > calls+5 })
		add(t, db, b, larder.Tag("better"))
		eventually(t, "the next one", func() bool { return r.confirmed("tag:better") == 1 && len(stored(t, db)) == 6 })
		if got := stored(t, db); len(got) != 6 || b.Stats().Refused != 6 {
			t.Fatalf("left %q, stats %+v", got, b.Stats())
		}
		if n := log.countLines("level="); n != 1 {
			t.Errorf("%d lines:\n%s", n, log.lines.String())
		}
	})
}

// While somebody holds SQLite's write lock rows cannot be deleted: they stay,
// and go when it is free.
func TestRelaySurvivesALockedDatabase(t *testing.T) {
	p := sqlitePlace(t)
	p.dsn = strings.Replace(p.dsn, "busy_timeout%285000%29", "busy_timeout%281%29", 1)
	db := p.create(t)
	log := new(logbook)
	r := new(recorder)
	b := p.box(t, db, r, outbox.Options{Logger: log.logger(), PollInterval: time.Millisecond})
	add(t, db, b, larder.Tag("a"))
	lock, err := p.open(t).Begin() // immediate: it has the lock
	must(t, err)
	start(t, b)
	eventually(t, "two attempts", func() bool { return r.confirmed("tag:a") >= 2 })
	if got := stored(t, db); len(got) != 1 {
		t.Fatalf("left %v", got)
	}
	must(t, lock.Rollback())
	eventually(t, "an empty outbox", func() bool { return len(stored(t, db)) == 0 })
	eventually(t, "the log", func() bool { return log.countLines("database again") == 1 })
	if n := log.countLines("level="); n != 2 {
		t.Errorf("%d lines:\n%s", n, log.lines.String())
	}
}

// A database server that is killed and comes back has lost nothing that was
// committed.
func TestRelaySurvivesAKilledDatabase(t *testing.T) {
	server := lardertest.StartPostgres(t)
	p := schemaOf(t, server)
	db := p.create(t)
	log := new(logbook)
	r := new(recorder)
	b := p.box(t, db, r, outbox.Options{Logger: log.logger()})
	add(t, db, b, larder.Tag("a"))
	must(t, server.Kill())
	start(t, b)
	eventually(t, "a warning", func() bool { return log.countLines("cannot use its database") == 1 })
	must(t, server.Restart(t.Context()))
	eventually(t, "the row", func() bool { return r.confirmed("tag:a") >= 1 })
	eventually(t, "the log", func() bool { return log.countLines("database again") == 1 })
}

// A notification of PostgreSQL wakes a relay that polls once an hour.
func TestListenWakesTheRelay(t *testing.T) {
	p := postgresPlace(t)
	db := p.create(t)
	statements, err := outbox.Triggers(outbox.Options{Dialect: p.dialect}, outbox.Watch{Table: "things", Targets: []string{"key:thing:{id}"}})
	must(t, err)
	exec(t, db, statements...)
	r := new(recorder)
	listening := make(chan struct{}, 1)
	b := p.box(t, db, r, outbox.Options{PollInterval: time.Hour, Listen: func(ctx context.Context, wake func()) error {
		conn, err := pgx.Connect(ctx, p.dsn)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{outbox.Channel("")}.Sanitize()); err != nil {
			return err
		}
		listening <- struct{}{}
		for {
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return err
			}
			wake()
		}
	}})
	start(t, b)
	<-listening
	exec(t, db, "INSERT INTO things VALUES (7, 1)")
	eventually(t, "the row", func() bool { return r.confirmed("key:thing:7") == 1 })
}
