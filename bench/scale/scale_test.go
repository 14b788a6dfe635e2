package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/lardertest"
	"github.com/larder-go/larder/redistier"
)

// BenchmarkCosts measures what one server spends on the operations of the
// protocol: its own CPU time and memory, not the time of whoever waits.
func BenchmarkCosts(b *testing.B) {
	s := lardertest.StartRedis(b, lardertest.RedisOptions{AllRights: true})
	tier := openTier(b, s)
	op := func(name string, of func(key string) larder.Op, prepare ...func(key string) larder.Op) {
		b.Run("of="+name, func(b *testing.B) { operations(b, s, tier, name, of, prepare) })
	}
	value := make([]byte, 224)
	set := func(key string) larder.Op {
		return larder.Op{Kind: larder.OpSet, Key: key, Value: value, TTL: time.Hour}
	}
	lease := func(key string) larder.Op { return larder.Op{Kind: larder.OpAcquire, Key: key, TTL: time.Hour} }
	op(costGet, func(key string) larder.Op { return larder.Op{Kind: larder.OpGet, Key: key} }, set)
	op(costAcquire, lease)
	op(costFill, func(key string) larder.Op {
		return larder.Op{Kind: larder.OpFill, Key: key, Value: value, TTL: time.Hour}
	}, lease)
	op(costDelete, func(key string) larder.Op { return larder.Op{Kind: larder.OpDelete, Key: key} }, set)
	b.Run("of="+costBeat, func(b *testing.B) {
		before := cpu(b, s)
		for range b.N {
			if err := tier.Beat(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric((cpu(b, s)-before)/float64(b.N), "server-µs")
	})
	readers(b, s)
}

// operations measures an op on b.N keys of its own, 100 in a pipeline.
func operations(b *testing.B, s *lardertest.RedisServer, tier *redistier.Tier, name string, op func(string) larder.Op, prepare []func(string) larder.Op) {
	keys := make([]string, b.N)
	for i := range keys {
		keys[i] = tier.EntryKey(name + ":" + strconv.Itoa(b.N) + ":" + strconv.Itoa(i))
	}
	all := func(op func(string) larder.Op) {
		ops, replies := make([]larder.Op, 0, 100), make([]larder.Reply, 100)
		for i, key := range keys {
			ops = append(ops, op(key))
			if len(ops) < 100 && i+1 < len(keys) {
				continue
			}
			tier.Do(context.Background(), ops, replies[:len(ops)])
			for _, r := range replies[:len(ops)] {
				if r.Err != nil {
					b.Fatal(r.Err)
				}
			}
			ops = ops[:0]
		}
	}
	for _, p := range prepare {
		all(p)
	}
	before := cpu(b, s)
	all(op)
	b.ReportMetric((cpu(b, s)-before)/float64(b.N), "server-µs")
}

// readers measures what the server keeps about nodes and what they have read,
// and what it spends on telling them.
func readers(b *testing.B, s *lardertest.RedisServer) {
	const nodes, keys = 50, 4000
	empty := memory(b, s)
	tiers := make([]*redistier.Tier, nodes)
	for i := range tiers {
		tiers[i] = openTier(b, s)
	}
	joined := memory(b, s)
	report := func(name, unit string, value float64) {
		b.Run("of="+name, func(b *testing.B) { b.ReportMetric(value, unit) })
	}
	report(costNode, "server-B", (joined-empty)/nodes)

	names := make([]string, keys)
	sets, gets := make([]larder.Op, keys), make([]larder.Op, keys)
	deletes, replies := make([]larder.Op, keys), make([]larder.Reply, keys)
	for i := range names {
		names[i] = tiers[0].EntryKey("shared:" + strconv.Itoa(i))
		sets[i] = larder.Op{Kind: larder.OpSet, Key: names[i], Value: make([]byte, 224), TTL: time.Hour}
		gets[i] = larder.Op{Kind: larder.OpGet, Key: names[i]}
		deletes[i] = larder.Op{Kind: larder.OpDelete, Key: names[i]}
	}
	do := func(tier *redistier.Tier, ops []larder.Op) {
		tier.Do(context.Background(), ops, replies)
		for _, r := range replies {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	}
	writer := openTier(b, s)
	do(writer, sets)
	written := memory(b, s)
	do(tiers[0], gets)
	one := memory(b, s)
	for _, tier := range tiers[1:] {
		do(tier, gets)
	}
	all := memory(b, s)
	pair := (all - one) / (nodes - 1) / keys
	report(costPair, "server-B", pair)
	report(costKey, "server-B", max(1, (one-written)/keys-pair))

	before := cpu(b, s)
	do(writer, deletes)
	told := cpu(b, s) - before
	do(writer, sets)
	before = cpu(b, s)
	do(writer, deletes) // nobody has read them since
	report(costPush, "server-µs", max(0.001, told-(cpu(b, s)-before))/nodes/keys)
}

// openTier joins a namespace as a node does, and enrols in its registry.
func openTier(tb testing.TB, s *lardertest.RedisServer) *redistier.Tier {
	tb.Helper()
	tier, err := redistier.New(redistier.Config{Address: s.Addr()}, "scale")
	if err != nil {
		tb.Fatal(err)
	}
	tier.Start(context.Background(), silent{})
	tb.Cleanup(func() { _ = tier.Close() })
	if err := tier.Beat(context.Background()); err != nil {
		tb.Fatal(err)
	}
	return tier
}

type silent struct{}

func (silent) Invalidated([]string) {}
func (silent) Flushed()             {}
func (silent) Connected()           {}
func (silent) Confirming()          {}
func (silent) Disconnected(error)   {}

// cpu returns the microseconds that the server's process has used.
func cpu(tb testing.TB, s *lardertest.RedisServer) (micros float64) {
	tb.Helper()
	for _, field := range []string{"used_cpu_sys", "used_cpu_user"} {
		micros += 1e6 * info(tb, s, "cpu", field)
	}
	return micros
}

func memory(tb testing.TB, s *lardertest.RedisServer) float64 {
	tb.Helper()
	return info(tb, s, "memory", "used_memory")
}

func info(tb testing.TB, s *lardertest.RedisServer, section, field string) float64 {
	tb.Helper()
	text, err := s.Command("INFO", section)
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, ok := strings.Cut(text, "\n"+field+":")
	digits, _, _ := strings.Cut(rest, "\r\n")
	value, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil {
		tb.Fatalf("INFO %s has no %s: %v", section, field, err)
	}
	return value
}

// TestEveryReadIsCounted holds the simulation's equations: every read is a hit
// in memory or a GET, every pair in the tracking table is a GET that no push has
// ended, and nobody is told who has not read.
func TestEveryReadIsCounted(t *testing.T) {
	f := fleet{nodes: 70, reads: 20, keys: 500, invalidations: 10, ttl: 10 * time.Second, staleness: time.Second}
	s := newShard(f, 1)
	var l load
	reads := 0
	for step := range 5000 {
		now := time.Duration(step) * 10 * time.Millisecond
		s.expire(now, &l)
		s.read(s.random.IntN(f.nodes), s.draw(), now, &l)
		reads++
		if step%10 == 0 {
			s.forget(s.draw(), &l)
		}
	}
	pairs := 0
	for key := range f.keys {
		pairs += s.count(key)
		if s.count(key) > 0 && s.until[key] == 0 {
			t.Errorf("key %d is held and not in Redis", key)
		}
	}
	if l.hits+l.gets != float64(reads) || l.gets-l.pushes != float64(pairs) || l.fills > l.gets || l.hits == 0 || l.pushes == 0 || l.watchers > f.nodes {
		t.Errorf("%d reads, %d pairs: %+v", reads, pairs, l)
	}
}

// TestFleetKeepsItsRates holds that rates are per second, whatever the length,
// and heartbeats four to a T.
func TestFleetKeepsItsRates(t *testing.T) {
	f := fleet{nodes: 10, reads: 100, keys: 1000, invalidations: 20, ttl: 5 * time.Second, staleness: 2 * time.Second}
	l := f.run(1)
	if l.hits+l.gets < 999 || l.hits+l.gets > 1001 || l.deletes != 20 || l.beats != 20 || l.pairs > 10*l.tracked || l.tracked == 0 {
		t.Errorf("%+v", l)
	}
}

// TestPage holds that the command needs every cost, names the one that is
// missing, and puts its tables between the markers alone.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	raw, doc := filepath.Join(dir, "raw"), filepath.Join(dir, "scale.md")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var lines strings.Builder
	for _, name := range []string{costGet, costAcquire, costFill, costDelete, costPush, costBeat} {
		fmt.Fprintf(&lines, "BenchmarkCosts/of=%s-2 1 2.0 server-µs\n", name)
	}
	write(raw, lines.String())
	write(doc, "before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
	if err := run([]string{raw, doc}); err == nil || !strings.Contains(err.Error(), "no cost of a pair") {
		t.Errorf("incomplete costs: %v", err)
	}
	for _, name := range []string{costPair, costKey, costNode} {
		fmt.Fprintf(&lines, "BenchmarkCosts/of=%s-2 1 50.0 server-B\n", name)
	}
	write(raw, lines.String())
	c, err := readCosts(raw)
	if err != nil {
		t.Fatal(err)
	}
	f := fleet{nodes: 10, reads: 100, keys: 1000, invalidations: 20, ttl: time.Second, staleness: time.Second}
	if err := replace(doc, c.page([]fleet{f})); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(data); !strings.HasPrefix(text, "before\n<!-- results -->\n| one |") || !strings.HasSuffix(text, "<!-- /results -->\nafter\n") ||
		strings.Contains(text, "old") || !strings.Contains(text, "| 10 | 20 | 1s |") {
		t.Error(text)
	}
	if err := run([]string{raw}); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Error("no usage")
	}
}
