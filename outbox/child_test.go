package outbox_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	process "os/exec"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/outbox"
	"github.com/larder-go/larder/redistier"
)

// job is what a child process is told to do.
type job struct {
	Dialect     outbox.Dialect
	Driver, DSN string
	Redis       string
	// Does is "change once", "change", "change without outbox" or "relay".
	Does string
}

// things is the number of things that services change.
const things = 8

// service is a process of the service under test: this one or a child.
type service struct {
	job
	db    *sql.DB
	cache *larder.Cache
	box   *outbox.Box
	space *larder.Keyspace[int64, int64]
}

func (j job) open(ctx context.Context) (*service, error) {
	s := &service{job: j}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	if s.db, err = sql.Open(j.Driver, j.DSN); err != nil {
		return nil, err
	}
	if s.cache, err = redistier.Open(ctx, redistier.Config{Address: j.Redis}, larder.Options{Namespace: "shop", Logger: quiet}); err != nil {
		return nil, err
	}
	if s.space, err = larder.NewKeyspace[int64, int64](s.cache, "thing", larder.KeyspaceOptions[int64, int64]{TTL: larder.LongTTL}); err != nil {
		return nil, err
	}
	s.box, err = outbox.New(s.db, s.cache, outbox.Options{Dialect: j.Dialect, PollInterval: 20 * time.Millisecond, Logger: quiet})
	return s, err
}

// load reads a thing's version from the database.
func (s *service) load(ctx context.Context, id int64) (version int64, err error) {
	err = s.db.QueryRowContext(ctx, fmt.Sprint("SELECT version FROM things WHERE id = ", id)).Scan(&version)
	return version, err
}

// change raises the version of a thing and invalidates it, after a pause. Now and
// then it rolls back instead.
func (s *service) change(ctx context.Context, id int64, pause func()) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, fmt.Sprint("UPDATE things SET version = version + 1 WHERE id = ", id)); err != nil {
		return err
	}
	if s.Does == "change without outbox" {
		if err := tx.Commit(); err != nil {
			return err
		}
		pause()
		return s.cache.Invalidate(ctx, s.space.Key(id))
	}
	pending, err := s.box.Add(ctx, tx, s.space.Key(id))
	if err != nil {
		return err
	}
	if rand.IntN(10) == 0 && s.Does == "change" {
		return tx.Rollback()
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	pause()
	return pending.Done(ctx)
}

// child is the main function of a child process.
func child(text string) int {
	var j job
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		err = j.run(context.Background())
	}
	fmt.Fprintln(os.Stderr, "child:", err)
	return 1
}

// run does what the job says until the process is killed.
func (j job) run(ctx context.Context) error {
	s, err := j.open(ctx)
	if err != nil {
		return err
	}
	switch j.Does {
	case "change once":
		return s.change(ctx, 1, func() {
			fmt.Println("committed")
			_, _ = io.Copy(io.Discard, os.Stdin) // until this process is killed
		})
	case "relay":
		fmt.Println("ready")
		return s.box.Run(ctx)
	}
	go func() { _ = s.box.Run(ctx) }()
	fmt.Println("ready")
	for {
		pause := func() { time.Sleep(rand.N(3 * time.Millisecond)) }
		if err := s.change(ctx, 1+rand.Int64N(things), pause); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err) // a lock that was not to be had: the next one
		}
	}
}

// spawn starts a child and returns when it has said its first line. The
// returned function kills it with SIGKILL.
func (j job) spawn(t testing.TB, does string) (kill func()) {
	t.Helper()
	j.Does = does
	text, err := json.Marshal(j)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	cmd := process.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			_ = in.Close()
		}
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
	return kill
}

// shop prepares a database with things, a Redis, and this process's service.
func shop(t testing.TB, p place) (*service, *lardertest.RedisServer) {
	t.Helper()
	redis := lardertest.StartRedis(t)
	db := p.create(t)
	for id := range things {
		exec(t, db, fmt.Sprintf("INSERT INTO things VALUES (%d, 1)", id+1))
	}
	s, err := job{Dialect: p.dialect, Driver: p.driver, DSN: p.dsn, Redis: redis.Addr()}.open(t.Context())
	must(t, err)
	t.Cleanup(func() { _ = s.cache.Close(); _ = s.db.Close() })
	return s, redis
}
