package larder_test

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// The evidence of a tagged entry is the least over the connection of its key
// and those of its tags: when the server of a tag falls silent, the entry may
// be served for T, although the server of its key answers every heartbeat.
func TestP2_SilentServerOfATag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := lardertest.NewServer(), lardertest.NewServer()
		remote := lardertest.NewRemote(lardertest.RemoteOptions{}, one, two)
		cache, err := larder.NewWithRemote(t.Context(), remote, larder.Options{
			MaxStaleness: tolerance, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		key, tag := apart(t, remote)
		k := space(t, cache, "k", larder.KeyspaceOptions[string, int]{Tags: func(string) []string { return []string{tag} }})
		src := newSource()
		if _, err := k.Get(t.Context(), key, src.load); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * tolerance)
		k.Get(t.Context(), key, src.load)
		if n := src.takeLoads(key); n != 1 {
			t.Fatalf("%d loads while both servers answer", n)
		}
		two.Stop()
		want := src.change(key)
		time.Sleep(tolerance + time.Millisecond)
		if v, err := k.Get(t.Context(), key, src.load); v != want || err != nil {
			t.Errorf("version %d, %v; want %d: the tag's server is silent for more than T", v, err, want)
		}
		two.Cont()
		time.Sleep(2 * tolerance)
	})
}

// apart returns a key of the keyspace "k" that the first server holds, and a
// tag that it does not.
func apart(t *testing.T, remote *lardertest.Remote) (key, tag string) {
	t.Helper()
	first := remote.Epoch(remote.NamespaceKeys()[0])
	for i := 0; key == "" || tag == ""; i++ {
		if i == 1000 {
			t.Fatal("the keys do not spread")
		}
		name := fmt.Sprint("x", i)
		if key == "" && remote.Epoch(remote.EntryKey("k:"+name)) == first {
			key = name
		}
		if tag == "" && remote.Epoch(remote.TagKey(name)) != first {
			tag = name
		}
	}
	return key, tag
}
