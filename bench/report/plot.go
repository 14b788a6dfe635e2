package main

import (
	"fmt"
	"html"
	"strings"
)

// plotSpec is a chart with a bar for each cache, shorter being better.
type plotSpec struct {
	file, title, unit string
	prefix, suffix    string // of the benchmark's name, around the cache's
}

var plots = []plotSpec{
	{"benchmarks-memory", "Memory hit, integer keys, one core: ns", "ns/op", "MemoryHit/cache=", "/keys=int64"},
	{"benchmarks-redis", "Redis hit, 100 B, 64 goroutines: ns for each", "ns/op", "RedisHit/cache=", "/value=100B/goroutines=64-2"},
}

const (
	barLeft, barWidth, barHeight, barStep = 190, 420, 16, 24
	barTop                                = 40
)

// plot draws the medians; false if there are none.
func (m *measurements) plot(p plotSpec) (string, bool) {
	var caches []string
	var values []float64
	most := 0.0
	for _, name := range m.names {
		rest, ok := strings.CutPrefix(name, p.prefix)
		cache, whole := strings.CutSuffix(rest, p.suffix)
		if v, measured := m.median(name, p.unit); ok && whole && measured && !strings.Contains(cache, "/") {
			caches, values, most = append(caches, cache), append(values, v), max(most, v)
		}
	}
	if len(caches) == 0 {
		return "", false
	}
	var b strings.Builder
	height := barTop + barStep*len(caches) + 10
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 %d" font-family="sans-serif" font-size="13">`+"\n", height)
	fmt.Fprintf(&b, `<rect width="720" height="%d" fill="#fff"/><text x="10" y="22" font-size="15" font-weight="bold">%s</text>`+"\n", height, html.EscapeString(p.title))
	for i, cache := range caches {
		y, color := barTop+i*barStep, "#9aa5b1"
		if strings.HasPrefix(cache, "larder") {
			color = "#2f6f4f"
		}
		width := max(1, barWidth*values[i]/most)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%.1f" y="%d">%s</text>`+"\n",
			barLeft-8, y+barHeight-3, html.EscapeString(cache), barLeft, y, width, barHeight, color, barLeft+width+6, y+barHeight-3, number(values[i]))
	}
	b.WriteString("</svg>\n")
	return b.String(), true
}
