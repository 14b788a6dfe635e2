package model

import (
	"fmt"
	"hash/maphash"
)

// outcome is what an exploration found.
type outcome struct {
	states, edges int
	complete      bool // all reachable states were seen
	violation     string
	trace         []string // the steps that lead to the violation
}

// edges receives the successors of one state.
type edges[S comparable] struct {
	visit func(next S, violation, label string, args []any)
}

// to adds a successor. The label says what happened on the way.
func (e edges[S]) to(next S, label string, args ...any) { e.visit(next, "", label, args) }

// bad adds a successor that breaks a promise on the way.
func (e edges[S]) bad(next S, violation, label string, args ...any) {
	e.visit(next, violation, label, args)
}

// explore visits every state that steps lead to from init and stops at the
// first violation, of a step or of the invariant, or after limit states.
func explore[S comparable](init S, steps func(S, edges[S]), invariant func(S) string) outcome {
	x := explorer[S]{steps: steps, invariant: invariant, seed: maphash.MakeSeed(), table: make([]int32, 1<<10)}
	x.add(init, -1)
	for x.current = 0; x.current < len(x.states); x.current++ {
		steps(x.states[x.current], edges[S]{x.visit})
		if x.found.violation != "" || len(x.states) > limit {
			x.found.states = len(x.states)
			return x.found
		}
	}
	x.found.states, x.found.complete = len(x.states), true
	return x.found
}

// limit bounds what an exploration may need of memory.
const limit = 40_000_000

type explorer[S comparable] struct {
	steps     func(S, edges[S])
	invariant func(S) string
	states    []S
	parents   []int32
	current   int
	found     outcome

	// The set of states, by open addressing: 1 + index into states, 0: free.
	seed  maphash.Seed
	table []int32
}

// add records a state and reports whether it is new.
func (x *explorer[S]) add(s S, parent int32) bool {
	slot := x.slot(s)
	if x.table[slot] != 0 {
		return false
	}
	x.states = append(x.states, s)
	x.parents = append(x.parents, parent)
	x.table[slot] = int32(len(x.states))
	if 3*len(x.states) > 2*len(x.table) {
		x.table = make([]int32, 2*len(x.table))
		for i, s := range x.states {
			x.table[x.slot(s)] = int32(i + 1)
		}
	}
	return true
}

// slot returns where s is in the table or, if it is not, belongs.
func (x *explorer[S]) slot(s S) uint64 {
	mask := uint64(len(x.table) - 1)
	for i := maphash.Comparable(x.seed, s) & mask; ; i = (i + 1) & mask {
		if n := x.table[i]; n == 0 || x.states[n-1] == s {
			return i
		}
	}
}

func (x *explorer[S]) visit(next S, violation, label string, args []any) {
	if x.found.violation != "" {
		return
	}
	x.found.edges++
	if violation != "" {
		x.fail(violation, label, args)
		return
	}
	if !x.add(next, int32(x.current)) {
		return
	}
	if violation = x.invariant(next); violation != "" {
		x.fail(violation, label, args)
	}
}

func (x *explorer[S]) fail(violation, label string, args []any) {
	x.found.violation = violation
	x.found.trace = append(x.path(), fmt.Sprintf(label, args...))
}

// path returns the labels of the steps to the current state, found by taking
// them again: keeping or formatting them on the way would cost most of the
// time.
func (x *explorer[S]) path() []string {
	var labels []string
	for i := x.current; x.parents[i] >= 0; i = int(x.parents[i]) {
		labels = append(labels, x.label(x.states[x.parents[i]], x.states[i]))
	}
	for a, b := 0, len(labels)-1; a < b; a, b = a+1, b-1 {
		labels[a], labels[b] = labels[b], labels[a]
	}
	return labels
}

func (x *explorer[S]) label(from, to S) (found string) {
	x.steps(from, edges[S]{func(next S, _, label string, args []any) {
		if next == to && found == "" {
			found = fmt.Sprintf(label, args...)
		}
	}})
	return found
}

// holds is the invariant of configurations that judge their steps only.
func holds[S comparable](S) string { return "" }
