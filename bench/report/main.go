// Command report turns the output of benchmarks into the tables of the
// documentation.
//
//	report render RAW DOCS          tables and plots into DOCS/benchmarks.md, DOCS/consistency.md
//	report stored RAW FILE          tables of BenchmarkStored into FILE
//	report place FILE MARKER TEXT   TEXT between the lines of MARKER in FILE
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "render":
		return render(args[1], args[2])
	case len(args) == 3 && args[0] == "stored":
		return renderStored(args[1], args[2])
	case len(args) == 4 && args[0] == "place":
		return replaceIn(args[1], args[2], args[3])
	}
	return errors.New("usage: report render RAW DOCS | stored RAW FILE | place FILE MARKER TEXT")
}

// render writes what RAW says between the markers of the documents in dir.
func render(raw, dir string) error {
	m, err := readFile(raw)
	if err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString(m.machine())
	page.WriteString(m.targets(targets))
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
	return replaceIn(filepath.Join(dir, "consistency.md"), "peers", m.table(freshness)+m.table(underFaults)+m.run())
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
