package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

// document prints v as one line of JSON.
func (a *app) document(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows in columns.
func (a *app) table(rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// counter shows on a terminal how far long work has come.
type counter struct {
	app  *app
	what string
	last time.Time
	n    int
}

func (a *app) count(what string) *counter { return &counter{app: a, what: what, last: time.Now()} }

// add counts and, four times a second, draws.
func (c *counter) add(n int) {
	c.n += n
	if c.app.draws && time.Since(c.last) > 250*time.Millisecond {
		c.last = time.Now()
		draw(c.app.err, "\r\x1b[K%d %s", c.n, c.what)
	}
}

// end takes the drawing away.
func (c *counter) end() {
	if c.app.draws {
		draw(c.app.err, "\r\x1b[K")
	}
}

// paint colors text by how grave it is.
func (a *app) paint(text string) string {
	if !a.colors {
		return text
	}
	var color string
	switch strings.TrimSpace(text) {
	case string(redistier.LevelOK), string(larder.StateFresh):
		color = "\x1b[32m"
	case string(redistier.LevelWarning), string(larder.StateStale), string(larder.StateHeld), string(larder.StateForeign):
		color = "\x1b[33m"
	case string(redistier.LevelFailed), string(larder.StateOutdated), string(larder.StateCorrupt), string(larder.StateWrong):
		color = "\x1b[31m"
	default:
		return text
	}
	return color + text + "\x1b[0m"
}

// short rounds a duration to what a person reads.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "-"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n), "KMGT"
	i := -1
	for value >= unit && i < len(names)-1 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", value, names[i])
}
