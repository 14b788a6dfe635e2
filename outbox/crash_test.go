package outbox_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// The case that the package exists for: a process is killed between its commit
// and its invalidation. The others serve the old value, from Redis too, until
// the relay of one of them carries the invalidation out.
func TestKilledBetweenCommitAndInvalidation(t *testing.T) {
	eachDatabase(t, func(t *testing.T, p place) {
		s, _ := shop(t, p)
		for range 2 { // loaded, then from the cache
			if v, err := s.space.Get(t.Context(), 1, s.load, larder.Exact); v != 1 || err != nil {
				t.Fatal(v, err)
			}
		}
		kill := s.spawn(t, "change once")
		kill()
		if v, err := s.load(t.Context(), 1); v != 2 || err != nil {
			t.Fatalf("the database has version %d, %v", v, err)
		}
		if v, err := s.space.Get(t.Context(), 1, s.load, larder.Exact); v != 1 || err != nil {
			t.Fatalf("before the relay: version %d, %v; then this test shows nothing", v, err)
		}
		relayed := time.Now()
		s.spawn(t, "relay") // neither this process nor the one that died
		eventually(t, "the new version", func() bool {
			v, err := s.space.Get(t.Context(), 1, s.load)
			must(t, err)
			return v == 2
		})
		t.Logf("read %v after the start of a relay", time.Since(relayed))
		eventually(t, "an empty outbox", func() bool { return len(stored(t, s.db)) == 0 })
	})
}

// While Redis is away Done says so and the row stays; when it is back, the row
// goes and the new value is read everywhere.
func TestRedisIsAway(t *testing.T) {
	s, redis := shop(t, sqlitePlace(t))
	start(t, s.box)
	if v, err := s.space.Get(t.Context(), 1, s.load); v != 1 || err != nil {
		t.Fatal(v, err)
	}
	must(t, redis.Stop()) // it hangs, and keeps the old value
	err := s.change(t.Context(), 1, func() {})
	if !errors.Is(err, larder.ErrPending) {
		t.Fatalf("Done: %v", err)
	}
	if v, err := s.space.Get(t.Context(), 1, s.load); v != 2 || err != nil {
		t.Fatalf("this process reads version %d, %v", v, err)
	}
	eventually(t, "an attempt of the relay", func() bool { return s.box.Stats().Waiting == 1 })
	if got := stored(t, s.db); len(got) != 1 {
		t.Fatalf("the outbox has %v", got)
	}
	must(t, redis.Cont())
	eventually(t, "an empty outbox", func() bool { return len(stored(t, s.db)) == 0 })
	other, err := s.job.open(t.Context())
	must(t, err)
	defer other.db.Close()
	defer other.cache.Close()
	if v, err := other.space.Get(t.Context(), 1, other.load, larder.Exact); v != 2 || err != nil {
		t.Fatalf("another process reads version %d, %v", v, err)
	}
}

// No committed invalidation is lost, whenever processes are killed: after every
// massacre the cache equals the database. Without the outbox the same massacre
// leaves old values in the cache, or it proves nothing.
func TestNoInvalidationIsLostInCrashes(t *testing.T) {
	t.Run("without outbox", func(t *testing.T) {
		s, _ := shop(t, sqlitePlace(t))
		stale := massacres(t, s, "change without outbox", 0)
		t.Logf("%d old values", stale)
		if stale == 0 {
			t.Error("a service that can lose invalidations lost none: the test sees nothing")
		}
	})
	t.Run("with outbox", func(t *testing.T) {
		eachDatabase(t, func(t *testing.T, p place) {
			s, _ := shop(t, p)
			s.spawn(t, "relay") // survives them all
			if stale := massacres(t, s, "change", 20*time.Second); stale > 0 {
				t.Errorf("%d old values", stale)
			}
		})
	})
}

// massacres lets children change things, kills them all at once, and counts the
// things that the cache gives in another version than the database, patience
// later at the latest. That, some times over.
func massacres(t *testing.T, s *service, does string, patience time.Duration) (stale int) {
	for range 12 {
		var kills []func()
		for range 3 {
			kills = append(kills, s.spawn(t, does))
		}
		readFor(t, s, 20*time.Millisecond+rand.N(60*time.Millisecond))
		var wg sync.WaitGroup
		for _, kill := range kills {
			wg.Go(kill)
		}
		wg.Wait()
		deadline := time.Now().Add(patience)
		n := oldValues(t, s)
		for n > 0 && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
			n = oldValues(t, s)
		}
		stale += n
		must(t, s.cache.Clear(t.Context())) // the next massacre counts its own
	}
	return stale
}

// readFor fills the cache with what is there, again and again.
func readFor(t *testing.T, s *service, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		for id := range int64(things) {
			_, err := s.space.Get(t.Context(), id+1, s.load)
			must(t, err)
		}
	}
}

func oldValues(t *testing.T, s *service) (n int) {
	for id := range int64(things) {
		cached, err := s.space.Get(t.Context(), id+1, s.load, larder.Exact)
		must(t, err)
		version, err := s.load(t.Context(), id+1)
		must(t, err)
		if cached != version {
			n++
		}
	}
	return n
}
