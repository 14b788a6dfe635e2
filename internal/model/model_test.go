package model

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// configuration is one part of the protocol with its surroundings.
type configuration struct {
	name     string
	promises string
	mutants  []mutant
	run      func(mutant string) outcome
}

// mutant is a variant of the protocol. rule says in which way it differs.
type mutant struct {
	name     string
	rule     string
	harmless bool // must pass
}

var configurations = []configuration{
	tagsInRedis, tagsInMemory, dynamicTags, refresh, mutate, pending, failover, restart, token, strictWait,
	strictAcknowledged, set, pattern, batch, clearing, directLoad, noLoop, severalMasters, holdOff, outbox, locks, suspend, migration, refresher,
}

// full says that nothing is left out.
var full = os.Getenv("LARDER_MODEL") == "full"

// bound returns how often something may happen: the protocol as it is, which
// has to be explored to the end, gets less in short runs; mutants, which end
// when they are caught, do not.
func bound(mutant string, long, short uint8) uint8 {
	if mutant == "" && !full {
		return short
	}
	return long
}

// TestModel holds that the protocol keeps its promises in every interleaving,
// and that each of its rules is needed: without it a promise is broken.
func TestModel(t *testing.T) {
	for _, c := range configurations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, mutant{rule: "the protocol as it is", harmless: true})
			for _, m := range c.mutants {
				c.check(t, m)
			}
		})
	}
}

func (c *configuration) check(t *testing.T, m mutant) {
	start := time.Now()
	o := c.run(m.name)
	t.Logf("%-10s %9d states %9d steps %6.1f s  %s", m.name, o.states, o.edges, time.Since(start).Seconds(), m.rule)
	switch {
	case m.harmless && o.violation != "":
		t.Errorf("%s %q breaks %s\n%s", c.name, m.name, o.violation, number(o.trace))
	case m.harmless && !o.complete:
		t.Errorf("%s %q: more than %d states", c.name, m.name, o.states)
	case !m.harmless && o.violation == "":
		t.Errorf("%s %q is not caught: %s", c.name, m.name, m.rule)
	case !m.harmless && testing.Verbose():
		t.Logf("           %s after %d steps", o.violation, len(o.trace))
	}
}

func number(trace []string) string {
	var b strings.Builder
	for i, step := range trace {
		fmt.Fprintf(&b, "%4d. %s\n", i+1, step)
	}
	return b.String()
}
