// Command report turns the output of benchmarks into the tables of the
// documentation, and checks a short run against the recorded ratio.
//
//	report render RAW DOCS    tables and plots into DOCS/benchmarks.md, DOCS/consistency.md
//	report smoke RAW RATIO    the memory hit against otter's, as recorded in the file RATIO
//	report ratio RAW          prints the ratio that smoke compares
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) == 3 && args[0] == "render":
		return render(args[1], args[2])
	case len(args) == 3 && args[0] == "smoke":
		return smoke(args[1], args[2], out)
	case len(args) == 2 && args[0] == "ratio":
		m, err := readFile(args[1])
		if err == nil {
			_, err = fmt.Fprintf(out, "%.3f\n", m.bestRatio())
		}
		return err
	}
	return errors.New("usage: report render RAW DOCS | smoke RAW RATIO | ratio RAW")
}

// render writes what RAW says between the markers of the documents in dir.
func render(raw, dir string) error {
	m, err := readFile(raw)
	if err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString(m.machine())
	page.WriteString(m.targets())
	for _, p := range plots {
		if svg, ok := m.plot(p); ok {
			name := p.file + ".svg"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(svg), 0o644); err != nil {
				return err
			}
			fmt.Fprintf(&page, "![%s](%s)\n\n", p.title, name)
		}
	}
	for _, t := range tables {
		page.WriteString(m.table(t))
	}
	if err := replaceIn(filepath.Join(dir, "benchmarks.md"), "results", page.String()); err != nil {
		return err
	}
	return replaceIn(filepath.Join(dir, "consistency.md"), "peers", m.table(freshness)+m.run())
}

// replaceIn puts text between <!-- name --> and <!-- /name --> in a file.
func replaceIn(path, name, text string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: no lines %q and %q", path, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(path, []byte(before+begin+strings.TrimSpace(text)+"\n"+end+after), 0o644)
}

// allowed is how much worse than recorded the ratio may be.
const allowed = 1.30

// smoke fails if the memory hit allocates or has become slower in relation to
// otter's.
func smoke(raw, ratioFile string, out io.Writer) error {
	m, err := readFile(raw)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(ratioFile)
	if err != nil {
		return err
	}
	recorded, err := strconv.ParseFloat(strings.TrimSpace(string(data)), 64)
	if err != nil {
		return fmt.Errorf("%s: %w", ratioFile, err)
	}
	for _, keys := range []string{"int64", "string"} {
		if n, ok := m.best("MemoryHit/cache=larder/keys="+keys, "allocs/op"); !ok || n > 0 {
			return fmt.Errorf("a memory hit with %s keys allocates %v times", keys, n)
		}
	}
	ratio := m.bestRatio()
	fmt.Fprintf(out, "memory hit: %.2f × otter's, recorded %.2f, allowed %.2f; no allocations\n", ratio, recorded, recorded*allowed)
	if !(ratio <= recorded*allowed) { // NaN fails as well
		return fmt.Errorf("the memory hit takes %.2f × otter's time, %.2f was recorded", ratio, recorded)
	}
	return nil
}

// bestRatio is the time of a memory hit in relation to otter's Get with loader
// and expiry, of the best round of each: noise only ever adds.
func (m *measurements) bestRatio() float64 {
	ours, _ := m.best("MemoryHit/cache=larder/keys=int64", "ns/op")
	theirs, _ := m.best("MemoryHit/cache=otter/keys=int64", "ns/op")
	return ours / theirs
}
