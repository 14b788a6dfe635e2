package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

const loadPreface = `# Performance of the dashboard

Written by ` + "`make bench-dashboard`" + `: one ` + "`qadash`" + ` process on one core (` + "`GOMAXPROCS=1`" + `), the load generator beside it on the same machine, over
loopback. Times are those of whole HTTP requests, and server and generator share the machine.

`

// Targets of the published run.
const (
	targetCachedP99  = 2 * time.Millisecond
	targetHangingP99 = 250 * time.Millisecond
	targetPage       = 50 * time.Millisecond
	targetRatio      = 50
)

// renderLoad makes the document.
func renderLoad(results []loadResult) string {
	var b strings.Builder
	b.WriteString(loadPreface)
	fmt.Fprintf(&b, "%s, %s, %d cores, %s.\n", time.Now().UTC().Format("2 January 2006"), processor(), runtime.NumCPU(), runtime.Version())
	for _, r := range results {
		fmt.Fprintf(&b, "\n## %s, %d results\n", r.database, r.results)
		r.renderLoads(&b)
		r.renderReads(&b, "Reads, one at a time", readPaths)
		r.renderReads(&b, "Pages, one at a time", pagePaths)
		r.renderRow(&b)
	}
	b.WriteString("\n## Targets\n\n| target | measured | |\n|---|---|---|\n")
	for _, r := range results {
		r.renderTargets(&b)
	}
	return b.String()
}

func (r loadResult) renderLoads(b *strings.Builder) {
	m := r.loads[r.names[0]]
	fmt.Fprintf(b, "\n### %d requests per second over all reads\n\n| | answered | p50 | p99 | p99.9 | longest | CPU | allocations | bytes | generator late | its CPU |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
		int(float64(m.asked)/wholeLoad.during.Seconds()+0.5))
	for _, name := range r.names {
		m := r.loads[name]
		fmt.Fprintf(b, "| %s | %.0f %% | %s | %s | %s | %s | %.0f %% | %.0f | %.0f | %s | %.0f %% |\n", name, 100*float64(len(m.took))/float64(m.asked),
			took(m.at(0.5)), took(m.at(0.99)), took(m.at(0.999)), took(m.at(1)), 100*m.cpu.Seconds()/m.wall.Seconds(), m.allocs, m.bytes, took(m.late), 100*m.own.Seconds()/m.wall.Seconds())
	}
	b.WriteString("\nAllocations and bytes are per answered request, those of the server's other work included. A request's time begins when it was due, or when the\n" +
		"generator woke up for it, if that was later. \"Generator late\" is by how much at most for 99 % of them: a generator that waits for a processor says that the server had to, too.\n")
}

func (r loadResult) renderReads(b *strings.Builder, title string, paths []string) {
	fmt.Fprintf(b, "\n### %s\n\n| path | no cache | cached | cached p99 | ratio |\n|---|---:|---:|---:|---:|\n", title)
	for _, path := range paths {
		plain, cached := r.uncached[path], r.cached[path]
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %.1f |\n", path, took(plain.at(0.5)), took(cached.at(0.5)), took(cached.at(0.99)), float64(plain.at(0.5))/float64(cached.at(0.5)))
	}
}

func (r loadResult) renderRow(b *strings.Builder) {
	verdict := "Redis is nearer than the database here, so rows are kept in both tiers."
	if r.redisHit > r.row {
		verdict = fmt.Sprintf("A hit in Redis takes %.1f times what the database itself takes, so a cache of single rows in Redis would make them slower.", float64(r.redisHit)/float64(r.row))
	}
	if r.database == "SQLite" {
		verdict += " `qadash` keeps rows in memory alone when the database is SQLite."
	}
	fmt.Fprintf(b, "\n### One row, in the process\n\nDatabase %s, Redis %s, memory %s. %s\n", took(r.row), took(r.redisHit), took(r.kept), verdict)
}

func (r loadResult) renderTargets(b *strings.Builder) {
	line := func(target, got string, met bool) {
		word := "met"
		if !met {
			word = "**missed**"
		}
		fmt.Fprintf(b, "| %s, %s | %s | %s |\n", r.database, target, got, word)
	}
	p99 := r.loads["with Redis"].at(0.99)
	line("cached reads, p99 at most "+took(targetCachedP99), took(p99), p99 <= targetCachedP99)
	p99 = r.loads["Redis hangs"].at(0.99)
	line("Redis hangs, p99 below "+took(targetHangingP99), took(p99), p99 < targetHangingP99)
	ratio, of := 0.0, ""
	for _, path := range readPaths[:9] {
		if x := float64(r.uncached[path].at(0.5)) / float64(r.cached[path].at(0.5)); x > ratio {
			ratio, of = x, path
		}
	}
	line(fmt.Sprintf("the dearest aggregate at least %d times as fast", targetRatio), fmt.Sprintf("%.0f (`%s`)", ratio, of), ratio >= targetRatio)
	worst, page := time.Duration(0), ""
	for _, path := range pagePaths {
		if d := r.cached[path].at(0.99); d > worst {
			worst, page = d, path
		}
	}
	line("cached pages, p99 below "+took(targetPage), fmt.Sprintf("%s (`%s`)", took(worst), page), worst < targetPage)
}

// took writes a time in three figures.
func took(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.1f µs", d.Seconds()*1e6)
}

func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
