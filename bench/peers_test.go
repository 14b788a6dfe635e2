package bench

import (
	"context"
	"encoding/json"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// Every store does what its figures claim: the second read loads nothing, and
// after a delete the new value is loaded.
func TestStores(t *testing.T) {
	for _, group := range [][]Opener{RemoteStores, FleetStores, FreshStores} {
		for _, o := range group {
			t.Run(o.Name, func(t *testing.T) { testStore(t, o) })
		}
	}
}

// late are those that may serve the old value for a moment after a delete:
// while they load, until the client's own cache is told, or until what they
// store in the background is out of their hands.
var late = map[string]bool{"gocache": true, "rockscache": true, "rueidisaside": true, "go-redis-csc": true, "rueidis-csc": true}

func testStore(t *testing.T, o Opener) {
	s := startRedis(t)
	var loads atomic.Int64
	store, _ := openStore(t, o, Config{Addr: s.Addr(), Patient: true, Load: func(_ context.Context, key string) (string, error) {
		return key + strconv.FormatInt(loads.Add(1), 10), nil
	}})
	get := func() string {
		t.Helper()
		value, err := store.Get(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	// Some store in the background, or believe for a moment that nothing was.
	hit := func() bool { before := loads.Load(); get(); return loads.Load() == before }
	get()
	stored(t, s.Command)
	until(t, hit)
	old := get()
	if err := store.Delete(t.Context(), "key"); err != nil {
		t.Fatal(err)
	}
	if value := get(); value == old && !late[o.Name] {
		t.Errorf("%q after it was deleted", value)
	}
	until(t, func() bool { return get() != old })
	until(t, hit)
}

// until waits for a condition that something in the background brings about.
func until(t *testing.T, done func() bool) {
	t.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatal("waited for 10 s in vain")
		case <-tick.C:
		}
	}
}

// stored waits until the server has a value: some peers store in the
// background.
func stored(t *testing.T, command func(...string) (string, error)) {
	t.Helper()
	until(t, func() bool {
		reply, err := command("EVAL", "return #redis.call('KEYS', '*key*')", "0")
		return err == nil && reply != "0"
	})
}

// What is asked for at once is found at once, with nothing loaded.
func TestGetManyFinds(t *testing.T) {
	s := startRedis(t)
	keys := names(100)
	for _, o := range append(Clients[:1:1], RemoteStores...) {
		var loads atomic.Int64
		load := func(context.Context, string) (string, error) { loads.Add(1); return "value", nil }
		store, _ := openStore(t, o, Config{Addr: s.Addr(), Load: load, Patient: true})
		many, ok := store.(batcher)
		if !ok {
			continue
		}
		if _, err := s.Command("FLUSHALL"); err != nil {
			t.Fatal(err)
		}
		warm(t, store, keys)
		loads.Store(0)
		if n, err := many.GetMany(t.Context(), keys); err != nil || n != 100 || loads.Load() != 0 {
			t.Errorf("%s: %d values, %d loads, %v", o.Name, n, loads.Load(), err)
		}
	}
}

// warm reads until everything is stored.
func warm(tb testing.TB, s Store, keys []string) {
	tb.Helper()
	for range 2 {
		for _, key := range keys {
			if _, err := s.Get(context.Background(), key); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// Every cache in this process returns the row it was asked for and keeps
// what fits.
func TestMemories(t *testing.T) {
	addr := startRedis(t).Addr()
	for _, m := range Memories[int64](addr) {
		t.Run(m.Name+"/int64", func(t *testing.T) { testMemory(t, m, zipf(100, 100), func(k int64) int64 { return k }) })
	}
	for _, m := range Memories[string](addr) {
		t.Run(m.Name+"/string", func(t *testing.T) {
			testMemory(t, m, asText(zipf(100, 100)), func(k string) int64 { return number(k) })
		})
	}
}

func testMemory[K interface{ int64 | string }](t *testing.T, m Memory[K], keys []K, id func(K) int64) {
	var loads atomic.Int64
	get, closeCache, err := m.Open(1024, func(_ context.Context, key K) (*Row, error) {
		loads.Add(1)
		return &Row{ID: id(key)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeCache()
	until(t, func() bool { // some accept new entries later, or reluctantly
		loads.Store(0)
		for _, key := range keys {
			if row, err := get(t.Context(), key); err != nil || row.ID != id(key) {
				t.Fatalf("Get %v: %+v, %v", key, row, err)
			}
		}
		return loads.Load() == 0
	})
}

func asText(keys []int64) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = text(key)
	}
	return names
}

func number(key string) int64 { return rowKey[int64](key) }

// The documents have the size that the reports name, and come back whole.
func TestDocs(t *testing.T) {
	data, err := json.Marshal(newDoc(1))
	if err != nil || len(data) < 560 || len(data) > 600 {
		t.Errorf("a document of %d bytes, %v; the reports say 580", len(data), err)
	}
	addr := startRedis(t).Addr()
	for _, c := range DocCaches {
		get, closeCache, err := c.Open(addr)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			doc, err := get(t.Context(), 7)
			if err != nil || doc.ID != newDoc(7).ID || doc.Summary != newDoc(7).Summary || !doc.Updated.Equal(newDoc(7).Updated) {
				t.Errorf("%s: %+v, %v", c.Name, doc, err)
			}
		}
		closeCache()
	}
}
