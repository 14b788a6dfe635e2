package lardertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder"
)

// testDeleteMatching holds which keys a pattern deletes: entries and leases
// whose names match, nothing of another kind, and what is told about them.
func testDeleteMatching(t *testing.T, f *fixture) {
	f.start()
	names := []string{
		"suite:1", "suite:2", "suite:10", "suites:list:skip:0", "Suite:1", "other:1", "a*b", "a-b", "a[b]", `a\b`,
		"café:1", "with space",
	}
	tests := []struct {
		pattern string
		want    []string
	}{
		{"suite:1", []string{"suite:1"}},
		{"suite:?", []string{"suite:1", "suite:2"}},
		{"suite:[2-9]", []string{"suite:2"}},
		{"suite:[^2]", []string{"suite:1"}},
		{"suite:[21]*", []string{"suite:1", "suite:2", "suite:10"}},
		{"suites:*", []string{"suites:list:skip:0"}},
		{"*uite:1*", []string{"suite:1", "suite:10", "Suite:1"}},
		{`a\*b`, []string{"a*b"}},
		{`a\[b\]`, []string{"a[b]"}},
		{`a\\b`, []string{`a\b`}},
		{"a?b", []string{"a*b", "a-b", `a\b`}},
		{"café:*", []string{"café:1"}},
		{"nothing*", nil},
		{"", nil},
		{"*", names},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) { f.deleteMatching(t, names, tt.pattern, tt.want) })
	}
}

func (f *fixture) deleteMatching(t *testing.T, names []string, pattern string, want []string) {
	for i, name := range names {
		key := f.A.EntryKey(name)
		if i%2 == 0 {
			f.set(f.B, key, "v")
		} else {
			f.do(f.B, larder.Op{Kind: larder.OpDelete, Key: key})
			f.do(f.B, larder.Op{Kind: larder.OpAcquire, Key: key, Token: f.token()})
		}
	}
	control := append(f.A.NamespaceKeys(), f.A.TagKey("suite:1"), f.A.TagKey("*"))
	for _, key := range control {
		f.do(f.A, larder.Op{Kind: larder.OpGeneration, Key: key, Value: []byte("genchars"), TTL: time.Hour})
	}
	var told []string
	n, err := f.A.DeleteMatching(f.ctx, pattern, func(keys []string) {
		told = append(told, keys...)
		for _, key := range keys {
			if r := f.do(f.B, larder.Op{Kind: larder.OpInspect, Key: key}); r.State != larder.Absent {
				t.Errorf("%q was told before it was removed", key)
			}
		}
	})
	if err != nil || n != len(want) {
		t.Errorf("DeleteMatching(%q) = %d, %v, want %d", pattern, n, err, len(want))
	}
	for _, name := range names {
		key := f.A.EntryKey(name)
		gone := f.do(f.B, larder.Op{Kind: larder.OpInspect, Key: key}).State == larder.Absent
		if hit := slices.Contains(want, name); gone != hit || hit && !slices.Contains(told, key) {
			t.Errorf("pattern %q, name %q: removed %v, told %v, want %v", pattern, name, gone, slices.Contains(told, key), hit)
		}
	}
	for _, key := range control {
		if f.do(f.B, larder.Op{Kind: larder.OpInspect, Key: key}).State == larder.Absent {
			t.Errorf("pattern %q removed the control key %q", pattern, key)
		}
	}
}

// testDeleteMatchingPages holds that many keys go completely, that readers
// elsewhere hear of each, and that the deleting node does not.
func testDeleteMatchingPages(t *testing.T, f *fixture) {
	f.start()
	const n = 2500
	ops, replies := make([]larder.Op, n), make([]larder.Reply, n)
	for i := range ops {
		ops[i] = larder.Op{Kind: larder.OpSet, Key: f.A.EntryKey(fmt.Sprintf("many:%d", i)), Value: []byte("v"), TTL: time.Minute}
	}
	f.A.Do(f.ctx, ops, replies)
	f.set(f.A, f.A.EntryKey("few:1"), "v")
	for i := range ops {
		ops[i] = larder.Op{Kind: larder.OpGet, Key: ops[i].Key}
	}
	f.B.Do(f.ctx, ops, replies)
	told, batches := map[string]bool{}, 0
	got, err := f.A.DeleteMatching(f.ctx, "many:*", func(keys []string) {
		batches++
		for _, key := range keys {
			told[key] = true
		}
	})
	if err != nil || got != n || len(told) != n || batches < 2 {
		t.Fatalf("DeleteMatching = %d, %v, told of %d keys in %d batches, want %d", got, err, len(told), batches, n)
	}
	f.waitFor("push for each key", f.logB, func() bool { return len(f.logB.pushed) >= n })
	f.barrier()
	f.logA.wait(func() bool {
		if len(f.logA.pushed) > 0 {
			t.Errorf("%d pushes for own deletions", len(f.logA.pushed))
		}
		return true
	})
	f.expect(f.A.Get(f.ctx, f.A.EntryKey("few:1")), larder.Present, "v")
}
