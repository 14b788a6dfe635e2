package web

import (
	"math"
	"strings"
	"testing"
)

func TestASparklineFillsItsBoxAndEndsInADot(t *testing.T) {
	s := newSpark([]float64{0, 5, 10})
	if s.Path != "M0 22L60 11L120 0" || s.Dot != "M120 0h0" {
		t.Errorf("got %+v", s)
	}
	if s := newSpark([]float64{3, 3, 3}); s.Path != "M0 11L60 11L120 11" {
		t.Errorf("constant values: got %q", s.Path)
	}
	if s := newSpark([]float64{1}); s.Path != "" {
		t.Errorf("one value: got %q", s.Path)
	}
	if s := newSpark([]float64{math.NaN(), math.NaN()}); s.Path != "" {
		t.Errorf("no values: got %q", s.Path)
	}
	if s := newSpark([]float64{0, math.NaN(), 1}); s.Path != "M0 22M120 0" {
		t.Errorf("a gap: got %q", s.Path)
	}
}

func TestTicksAreRoundAndCoverTheHighestColumn(t *testing.T) {
	for top, want := range map[float64]string{
		0: "4 3 2 1 0", 3: "4 3 2 1 0", 4: "4 3 2 1 0", 5: "6 4 2 0", 59: "60 45 30 15 0", 60: "60 45 30 15 0", 61: "80 60 40 20 0",
		1046: "1,200 900 600 300 0", 9: "9 6 3 0",
	} {
		if got := strings.Join(newAxes(top).Ticks, " "); got != want {
			t.Errorf("%v: got %s, want %s", top, got, want)
		}
	}
	for top := 1.0; top < 1e6; top *= 1.07 {
		if a := newAxes(top); a.top < top || len(a.Ticks) < 3 || len(a.Ticks) > 6 {
			t.Fatalf("%v: top %v, ticks %v", top, a.top, a.Ticks)
		}
	}
}

func TestColumnsStackFromTheBottom(t *testing.T) {
	p := newColumns([]column{{Label: "1 Nov", Title: "1 Nov: 2 passed", Values: []float64{2, 1, 1}}, {Label: "2 Nov", Values: []float64{0, 0, 0}}}, []string{"passed", "failed", "error"})
	if len(p.Bars) != 3 || p.Bars[0] != (bar{"passed", "60", "100", "280", "100"}) || p.Bars[2] != (bar{"error", "60", "0", "280", "50"}) {
		t.Errorf("got %+v", p.Bars)
	}
	if len(p.Areas) != 2 || p.Areas[0] != (area{"0", "400", "1 Nov: 2 passed"}) {
		t.Errorf("got %+v", p.Areas)
	}
}

func TestAMeterHoldsItsParts(t *testing.T) {
	m := newMeter(412, "", share{"failed", 6}, share{"error", 0}, share{"passed", 271})
	if m.Total != "412" || len(m.Bars) != 2 || m.Bars[1].X != "6" {
		t.Errorf("got %+v", m)
	}
	if m := newMeter(1, "", share{"passed", 5}); m.Total != "5" {
		t.Errorf("parts above the total: got %+v", m)
	}
}
