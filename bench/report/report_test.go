package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const raw = `commit: abc
cpu: x
versions: a/b@v1 c@v2
BenchmarkMemoryHit/cache=larder/keys=int64 100 80 ns/op 100 hit% 0 B/op 0 allocs/op
BenchmarkMemoryHit/cache=larder/keys=int64 100 90 ns/op 100 hit% 0 B/op 0 allocs/op
BenchmarkMemoryHit/cache=larder/keys=int64 100 300 ns/op 100 hit% 0 B/op 0 allocs/op
BenchmarkMemoryHit/cache=larder/keys=string 100 99 ns/op 100 hit% 0 B/op 0 allocs/op
BenchmarkMemoryHit/cache=otter/keys=int64 100 100 ns/op 100 hit% 0 B/op 0 allocs/op
BenchmarkMemoryHit/cache=otter/keys=int64-2 100 60 ns/op 100 hit% 0 B/op 0 allocs/op
BenchmarkFreshness/cache=larder-exact-2 1000 5 ns/op 1000 reads 0 stale 0 stale%
BenchmarkFreshness/cache=naive-2 1000 5 ns/op 1000 reads 72 stale 7.2 stale%
BenchmarkFreshnessUnderFaults/cache=naive-2 1000 5 ns/op 2000000 reads 72 stale 3.6 stale% 4.5 failed%
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The documents keep what stands around the markers and get medians between
// them, losses included.
func TestRender(t *testing.T) {
	source := write(t, "raw.txt", raw)
	dir := t.TempDir()
	for file, marker := range map[string]string{"benchmarks.md": "results", "consistency.md": "peers"} {
		text := "before\n<!-- " + marker + " -->\nold\n<!-- /" + marker + " -->\nafter\n"
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second run replaces the first
		if err := run([]string{"render", source, dir}); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string][]string{
		"benchmarks.md": {"before\n", "\nafter\n", "| a/b | v1 |", "| otter | 100 (1.11×) |  | 60 |",
			"| memory hit / otter Get(loader) with expiry | 0.900 | ≤ 0.950 | kept |", "| larder | 90 | 99 |"},
		"consistency.md": {"| naive | 1000 | 72 | 7.20 |", "| larder-exact | 1000 | 0 | 0 |", "| naive | 2,000,000 | 72 | 3.60 | 4.50 |"},
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if strings.Count(string(data), w) != 1 {
				t.Errorf("%s has %d of %q:\n%s", file, strings.Count(string(data), w), w, data)
			}
		}
		if strings.Contains(string(data), "\nold\n") {
			t.Errorf("%s still has what it had", file)
		}
	}
}

// What is placed replaces what was there; a page without the marker is refused.
func TestPlace(t *testing.T) {
	page := write(t, "page.md", "a\n<!-- x -->\nold\n<!-- /x -->\nb\n")
	if err := run([]string{"place", page, "x", "new"}); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(page); err != nil || string(data) != "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n" {
		t.Errorf("%q, %v", data, err)
	}
	if err := run([]string{"place", page, "y", "new"}); err == nil {
		t.Error("placed without a marker")
	}
}

// The page of codecs gets what is stored, and how S2 compares with plain.
func TestRenderStored(t *testing.T) {
	source := write(t, "raw.txt", `commit: abc
BenchmarkStored/what=read-documents/form=plain/size=10KiB-2 10 100 ns/op 40 cpu-ns/op 10300 stored-B
BenchmarkStored/what=read-documents/form=s2/size=10KiB-2 10 90 ns/op 50 cpu-ns/op 3300 stored-B
`)
	page := write(t, "page.md", "a\n<!-- stored -->\nold\n<!-- /stored -->\nb\n")
	if err := run([]string{"stored", source, page}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| s2 | 3300 | 90 | 50 |", "| S2 / plain, decoded hit, CPU, 10 KiB | 1.25 | ≤ 1.05 | **missed** |",
		"| S2 / plain, decoded hit, latency, 10 KiB | 0.900 | ≤ 1.05 | kept |", "| S2 / plain, decoded hit, CPU, 1 KiB | — | ≤ 1.05 | not measured |"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %q in\n%s", want, data)
		}
	}
}
