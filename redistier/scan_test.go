package redistier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
)

// write sets keys as another client, by one command.
func write(t *testing.T, srv *lardertest.RedisServer, keys ...string) {
	t.Helper()
	args := []string{"MSET"}
	for _, key := range keys {
		args = append(args, key, "v")
	}
	command(t, srv, args...)
}

// left returns all keys of the server, sorted.
func left(t *testing.T, srv *lardertest.RedisServer) []string {
	t.Helper()
	found := map[string]bool{}
	for _, key := range strings.Split(command(t, srv, "KEYS", "*"), "\n") {
		found[key] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// TestDeleteMatching removes exactly the entries of its namespace whose names
// match, whatever special characters are about, and never a control key.
func TestDeleteMatching(t *testing.T) {
	srv := lardertest.StartRedis(t)
	for _, c := range []struct {
		namespace, pattern string
		gone, stay         []string
	}{
		{"shop", "suites:*", []string{"shop:suites:1", "shop:suites:list:2"}, []string{"suites:3", "shop:suite:4", "shop2:suites:5", "xshop:suites:6"}},
		{"shop", "*", []string{"shop:a", "shop:b"}, []string{"a", "shop2:a", "#larder:g:shop#a"}},
		{"sh*p", "?[ab]", []string{"sh*p:1a", "sh*p:2b"}, []string{"shop:1a", "sh*p:1c"}},
		{`s[h]o?p\`, "*", []string{`s[h]o?p\:x`}, []string{"sho?p:x", "shoop:x"}},
		{"", "*", []string{"a", "b:c"}, []string{"#larder:g:#a", "#larder:n:"}},
		{"", "#*", nil, []string{"#larder:g:#a", "#larder:n:"}},
		{"shop", `a\*`, []string{"shop:a*"}, []string{"shop:ab"}},
	} {
		t.Run(c.namespace+"/"+c.pattern, func(t *testing.T) {
			command(t, srv, "FLUSHALL")
			tier, events := openTier(t, Config{Address: srv.Addr()}, c.namespace)
			events.await(t, 0, "connected")
			stay := append(left(t, srv), c.stay...) // with what the tier keeps for itself
			write(t, srv, append(slices.Clone(c.gone), c.stay...)...)
			var removed []string
			n, err := tier.DeleteMatching(testContext(t), c.pattern, func(keys []string) { removed = append(removed, keys...) })
			if err != nil || n != len(c.gone) {
				t.Errorf("removed %d: %v", n, err)
			}
			slices.Sort(removed)
			if !slices.Equal(slices.Compact(removed), slices.Sorted(slices.Values(c.gone))) {
				t.Errorf("told %q", removed)
			}
			if got := left(t, srv); !slices.Equal(got, slices.Sorted(slices.Values(stay))) {
				t.Errorf("left %q", got)
			}
		})
	}
}

// TestDeleteMatchingPages: a large key space is read in pages, everything that
// was there is found while other keys come and go, and nobody is blocked.
func TestDeleteMatchingPages(t *testing.T) {
	tier, _, srv := connected(t)
	const total = 20000
	for first := 0; first < total; first += 1000 {
		var keys []string
		for i := range 1000 {
			keys = append(keys, fmt.Sprint("shop:doomed:", first+i), fmt.Sprint("shop:other:", first+i))
		}
		write(t, srv, keys...)
	}
	command(t, srv, "CONFIG", "RESETSTAT")
	batches := 0
	n, err := tier.DeleteMatching(testContext(t), "doomed:*", func(keys []string) {
		if batches++; batches%5 == 0 {
			write(t, srv, fmt.Sprint("shop:new:", batches))
		}
	})
	if err != nil || n != total {
		t.Errorf("removed %d: %v", n, err)
	}
	if batches < total/2/page {
		t.Errorf("%d batches", batches)
	}
	stats := command(t, srv, "INFO", "commandstats")
	for _, banned := range []string{"cmdstat_keys", "cmdstat_flush", "cmdstat_monitor"} {
		if strings.Contains(stats, banned) {
			t.Errorf("%s was used", banned)
		}
	}
}

// TestDeleteMatchingEnds: a cancelled context ends it between two pages.
func TestDeleteMatchingEnds(t *testing.T) {
	tier, _, srv := connected(t)
	for first := range 5 {
		var keys []string
		for i := range 1000 {
			keys = append(keys, fmt.Sprint("shop:", first, i))
		}
		write(t, srv, keys...)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	n, err := tier.DeleteMatching(ctx, "*", func([]string) { cancel() })
	if !errors.Is(err, context.Canceled) || n == 0 || n > 2000 {
		t.Errorf("removed %d: %v", n, err)
	}
}

// TestDeleteMatchingAfterRestart: a server that restarts from a snapshot brings
// deleted keys back; the scan starts over.
func TestDeleteMatchingAfterRestart(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Persist: lardertest.PersistRDB})
	tier, events := openTier(t, Config{Address: srv.Addr()}, "shop")
	mark := events.await(t, 0, "connected")
	var keys []string
	for i := range 5000 {
		keys = append(keys, fmt.Sprint("shop:", i))
	}
	write(t, srv, keys...)
	command(t, srv, "SAVE")
	restarted := false
	_, err := tier.DeleteMatching(testContext(t), "*", func([]string) {
		if restarted {
			return
		}
		restarted = true
		if err := errors.Join(srv.Kill(), srv.Restart(testContext(t))); err != nil {
			t.Fatal(err)
		}
		events.await(t, mark, "connected")
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.DeleteFunc(left(t, srv), func(key string) bool { return strings.HasPrefix(key, reserved) }); len(got) != 0 {
		t.Errorf("%d keys came back", len(got))
	}
}

// TestDeleteMatchingReportsErrors: what the server refuses is an error, and
// nothing is reported as removed.
func TestDeleteMatchingReportsErrors(t *testing.T) {
	srv := lardertest.StartRedis(t, lardertest.RedisOptions{Args: []string{"--rename-command", "UNLINK", ""}})
	tier, events := openTier(t, Config{Address: srv.Addr()}, "shop")
	events.await(t, 0, "connected")
	write(t, srv, "shop:a")
	n, err := tier.DeleteMatching(testContext(t), "*", func(keys []string) { t.Errorf("told %q", keys) })
	if err == nil || n != 0 || !strings.Contains(err.Error(), "UNLINK") {
		t.Errorf("removed %d: %v", n, err)
	}
	if r := tier.Get(testContext(t), "shop:a"); r.State != larder.Present {
		t.Errorf("get: %+v", r)
	}
}
