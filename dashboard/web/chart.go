package web

import (
	"math"
	"strconv"
	"strings"
)

// Charts are drawn here, as SVG whose geometry stands in attributes: they are
// there at the first paint, without script, and follow the theme.

// point is a number as short as a chart needs it.
func point(f float64) string {
	return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64)
}

// spark is the line of a sparkline in a box of 120 × 22.
type spark struct {
	Path string // empty: fewer than two values
	Dot  string // the newest value
}

// newSpark scales values between their extremes. A value that is NaN (a day
// without any) breaks the line.
func newSpark(values []float64) spark {
	low, high := extremes(values)
	if len(values) < 2 || math.IsInf(low, 0) {
		return spark{}
	}
	var path strings.Builder
	var dot string
	pen := "M"
	for i, v := range values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		y := 11.0
		if high > low {
			y = 22 - 22*(v-low)/(high-low)
		}
		at := point(120*float64(i)/float64(len(values)-1)) + " " + point(y)
		path.WriteString(pen + at)
		pen, dot = "L", "M"+at+"h0"
	}
	return spark{Path: path.String(), Dot: dot}
}

func extremes(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high
}

// bar is one rectangle of a chart or a meter.
type bar struct {
	Class               string
	X, Y, Width, Height string
}

// area is a part of a chart that tells its figures to a pointer that rests on it.
type area struct{ X, Width, Title string }

// label is a text below a chart.
type label struct{ X, Text string }

// plot is a chart in a box of 800 × 200 with its two axes.
type plot struct {
	Grid   string
	Bars   []bar
	Areas  []area
	Labels []label
	Ticks  []string // from the top down
}

// column is a stack of values, the first at the bottom.
type column struct {
	Label  string
	Title  string // its figures in words
	Values []float64
}

// newColumns draws stacked columns; classes names what the values are.
func newColumns(columns []column, classes []string) plot {
	top := 0.0
	for _, c := range columns {
		top = max(top, sum(c.Values))
	}
	p := newAxes(top)
	top = p.top
	pitch := 800 / float64(max(1, len(columns)))
	for i, c := range columns {
		p.Areas = append(p.Areas, area{X: point(pitch * float64(i)), Width: point(pitch), Title: c.Title})
		base := 0.0
		for k, v := range c.Values {
			if v <= 0 {
				continue
			}
			base += v
			p.Bars = append(p.Bars, bar{
				Class: classes[k], X: point(pitch * (float64(i) + 0.15)), Width: point(pitch * 0.7),
				Y: point(200 - 200*base/top), Height: point(200 * v / top),
			})
		}
	}
	p.Labels = labels(columns)
	return p.plot
}

// labels names about eight columns, evenly spaced.
func labels(columns []column) []label {
	var out []label
	step := max(1, (len(columns)+6)/7)
	if len(columns) == 30 {
		step = 4
	}
	for i := 0; i < len(columns); i += step {
		x := 100 * (float64(i) + 0.5) / float64(len(columns))
		out = append(out, label{X: point(x) + "%", Text: columns[i].Label})
	}
	return out
}

type axes struct {
	plot
	top float64
}

// newAxes chooses four or five equal steps of 1, 1.5, 2, 2.5 or 5 times a power
// of ten, so that every tick is a number one says aloud.
func newAxes(top float64) axes {
	step, steps := 1.0, 4
	if top > 4 {
		step = niceStep(top / 4)
		steps = int(math.Ceil(top / step))
	}
	a := axes{top: step * float64(steps)}
	for i := range steps + 1 {
		a.Grid += "M0 " + point(200*float64(i)/float64(steps)) + "H800"
		a.Ticks = append(a.Ticks, tick(step*float64(steps-i)))
	}
	return a
}

func niceStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 7.5} {
		if step := m * power; step >= least*0.999 && (step == math.Trunc(step) || power < 1) {
			return step
		}
	}
	return 10 * power
}

func tick(f float64) string {
	if f == math.Trunc(f) {
		return count(int64(f))
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}

func sum(values []float64) float64 {
	var s float64
	for _, v := range values {
		s += v
	}
	return s
}

// meter is a bar of shares from left to right; its box is Total × 1.
type meter struct {
	Total string
	Bars  []bar
	Label string
}

// share is one part of a meter.
type share struct {
	Class string
	Value float64
}

// newMeter lays the parts side by side. A total below their sum grows to it.
func newMeter(total float64, label string, parts ...share) meter {
	m := meter{Label: label}
	x := 0.0
	for _, p := range parts {
		if p.Value <= 0 {
			continue
		}
		m.Bars = append(m.Bars, bar{Class: p.Class, X: exact(x), Width: exact(p.Value)})
		x += p.Value
	}
	m.Total = exact(max(total, x, 1e-3))
	return m
}

func exact(f float64) string {
	return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
}
