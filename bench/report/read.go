package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// measurements are all values of one run, by benchmark and unit.
type measurements struct {
	names  []string // in the order of their first appearance
	values map[string]map[string][]float64
	config map[string]string
}

func readFile(path string) (*measurements, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &measurements{values: map[string]map[string][]float64{}, config: map[string]string{}}
	r := benchfmt.NewReader(f, path)
	for r.Scan() {
		if result, ok := r.Result().(*benchfmt.Result); ok {
			m.add(result)
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(m.names) == 0 {
		return nil, fmt.Errorf("%s: no benchmarks", path)
	}
	return m, nil
}

func (m *measurements) add(r *benchfmt.Result) {
	name := string(r.Name)
	if m.values[name] == nil {
		m.names, m.values[name] = append(m.names, name), map[string][]float64{}
	}
	for _, v := range r.Values {
		value, unit := v.Value, v.Unit
		if v.OrigUnit != "" {
			value, unit = v.OrigValue, v.OrigUnit
		}
		m.values[name][unit] = append(m.values[name][unit], value)
	}
	m.values[name]["runs"] = append(m.values[name]["runs"], float64(r.Iters))
	for _, c := range r.Config {
		m.config[c.Key] = string(c.Value)
	}
}

// of returns the values of a benchmark whatever the suffix of its number of
// cores; name may carry one.
func (m *measurements) of(name, unit string) []float64 { return m.values[name][unit] }

// median returns the median of all rounds.
func (m *measurements) median(name, unit string) (float64, bool) {
	values := slices.Sorted(slices.Values(m.of(name, unit)))
	if len(values) == 0 {
		return math.NaN(), false
	}
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2, true
}

// parts splits "Bench/a=1/b=2-2" into its name and its dimensions, the number
// of cores being one if it is not 1.
func parts(name string) (bench string, dims []string) {
	bench, rest, _ := strings.Cut(name, "/")
	if i := strings.LastIndexByte(rest, '-'); i >= 0 && isNumber(rest[i+1:]) {
		return bench, append(strings.Split(rest[:i], "/"), "cores="+rest[i+1:])
	}
	if rest == "" {
		return bench, nil
	}
	return bench, strings.Split(rest, "/")
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
