// Command scale computes what a fleet of processes costs one master of Redis,
// from the costs of single operations as BenchmarkCosts of this package measures
// them, and a simulation of who reads, changes and forgets what.
//
//	go test -run '^$' -bench Costs ./bench/scale >RAW
//	go run ./bench/scale RAW docs/scale.md
//
// or, for both, make scale.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: scale RAW DOCUMENT")
	}
	c, err := readCosts(args[0])
	if err != nil {
		return err
	}
	return replace(args[1], c.page(fleets()))
}

// costs are what the server spends on one of each: microseconds of its thread,
// and bytes.
type costs map[string]float64

// names of costs, as the benchmark has them.
const (
	costGet     = "get"
	costAcquire = "acquire"
	costFill    = "fill"
	costDelete  = "delete"
	costPush    = "push"
	costBeat    = "beat"
	costPair    = "pair"
	costKey     = "key"
	costNode    = "node"
)

func readCosts(path string) (costs, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := costs{}
	r := benchfmt.NewReader(f, path)
	for r.Scan() {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		_, name, _ := strings.Cut(string(result.Name.Full()), "/of=")
		name, _, _ = strings.Cut(name, "-")
		for _, v := range result.Values {
			if v.Unit == "server-µs" || v.Unit == "server-B" {
				c[name] = v.Value
			}
		}
	}
	for _, name := range []string{costGet, costAcquire, costFill, costDelete, costPush, costBeat, costPair, costKey, costNode} {
		if !(c[name] > 0) {
			return nil, fmt.Errorf("%s: no cost of a %s; is it the output of BenchmarkCosts?", path, name)
		}
	}
	return c, r.Err()
}

// fleets are what the page shows.
func fleets() (list []fleet) {
	for _, changes := range []int{20, 200} {
		for _, n := range []int{10, 100, 1000} {
			list = append(list, fleet{nodes: n, reads: 200, keys: 100_000, invalidations: changes,
				ttl: 5 * time.Minute, staleness: staleness(n)})
		}
	}
	return list
}

// busy returns the share of one core that l takes, in percent.
func (c costs) busy(l load) float64 {
	return c.commands(l) + c.beats(l)
}

func (c costs) beats(l load) float64 { return l.beats * c[costBeat] / 1e4 }

func (c costs) commands(l load) float64 {
	micros := l.gets*c[costGet] + l.fills*(c[costAcquire]+c[costFill]) + l.deletes*c[costDelete] + l.pushes*c[costPush]
	return micros / 1e4
}

// megabytes returns what the server keeps for the readers of f.
func (c costs) megabytes(f fleet, l load) float64 {
	return (float64(l.tracked)*c[costKey] + float64(l.pairs)*c[costPair] + float64(f.nodes)*c[costNode]) / (1 << 20)
}

// page renders the tables.
func (c costs) page(list []fleet) string {
	var b strings.Builder
	b.WriteString("| one | costs the server |\n|---|---:|\n")
	for _, row := range []struct{ what, name, unit string }{
		{"GET of an entry", costGet, "µs"}, {"lease", costAcquire, "µs"}, {"fill", costFill, "µs"}, {"invalidation nobody hears of", costDelete, "µs"},
		{"push of it to a node", costPush, "µs"}, {"heartbeat", costBeat, "µs"},
		{"key in the tracking table", costKey, "B"}, {"node that has read it", costPair, "B"}, {"connected node", costNode, "B"},
	} {
		digits := 0
		if c[row.name] < 100 {
			digits = 2
		}
		fmt.Fprintf(&b, "| %s | %.*f %s |\n", row.what, digits, c[row.name], row.unit)
	}
	b.WriteString("\n| nodes | changes/s | T | hits in memory/s | GET/s | loads/s | pushes/s | to at most | heartbeats/s | one core busy | of it heartbeats | keys tracked | pairs | memory for readers |\n" +
		"|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for i, f := range list {
		l := f.run(uint64(i + 1))
		fmt.Fprintf(&b, "| %d | %d | %v | %.0f | %.0f | %.0f | %.0f | %d | %.0f | %.2g %% | %.2g %% | %d | %d | %.1f MiB |\n",
			f.nodes, f.invalidations, f.staleness, l.hits, l.gets, l.fills, l.pushes, l.watchers, l.beats, c.busy(l), c.beats(l), l.tracked, l.pairs, c.megabytes(f, l))
	}
	b.WriteString("\n" + c.limits())
	return b.String()
}

// limits says where single causes alone would take a tenth of the core, or a
// gigabyte.
func (c costs) limits() string {
	var b strings.Builder
	b.WriteString("| alone this takes a tenth of the server's core, or 1 GiB | setting that moves it |\n|---|---|\n")
	perSecond := 1e5 / c[costBeat] // heartbeats
	fmt.Fprintf(&b, "| heartbeats of %.0f nodes at a T of 1 s, of %.0f at 4 s | `MaxStaleness`: in proportion; more masters do not help, each node beats on each |\n", perSecond/4, perSecond)
	fmt.Fprintf(&b, "| %.0f pushes in a second, for example %.0f changes that 1000 nodes hear of | what is read by all and changes often: `RemoteOnly` does not help, a GET is tracked too; fewer nodes or larger values that change less often do |\n",
		1e5/c[costPush], 1e5/(1000*c[costPush]+c[costDelete]))
	fmt.Fprintf(&b, "| %.0f loads in a second | `TTL`, `Grace`; more masters divide it |\n", 1e5/(c[costAcquire]+c[costFill]+c[costGet]))
	fmt.Fprintf(&b, "| %.1f million pairs of key and node | `TTL` (a pair lives until its key changes or expires); `tracking-table-max-keys` (below); more masters divide it |\n", (1<<30)/c[costPair]/1e6)
	fmt.Fprintf(&b, "| %.0f connected nodes | one connection for each process and master; `client-output-buffer-limit` bounds what a slow one takes |\n", (1<<30)/c[costNode])
	return b.String()
}

// replace puts text between the markers of a document.
func replace(path, text string) error {
	const begin, end = "<!-- results -->\n", "<!-- /results -->"
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: no lines %q and %q", path, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(path, []byte(before+begin+strings.TrimSpace(text)+"\n"+end+after), 0o644)
}
