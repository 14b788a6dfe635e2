package lardertest_test

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/larder-go/larder/lardertest"
)

// line is a row of the table: a scene as the nodes of one promise saw it.
type line struct {
	scene   scene
	promise promise
	report  lardertest.Report
	keys    uint64
	refused uint64 // fills
}

// expected says what is held, as a word of the table.
func (l *line) expected() string {
	class := "0 stale"
	if l.promise.bound > 0 {
		class = "younger than " + l.promise.bound.String()
	}
	if two := l.scene.twoMasters; two > 0 {
		class += fmt.Sprintf("; up to %v older from two masters", two)
	}
	return class
}

var chaosColumns = []string{"topology", "fault", "promise", "reads", "stale", "oldest", "loads per key and version",
	"repeated loads", "refused fills", "unconfirmed", "failed reads", "expected"}

func (l *line) cells() []string {
	r := l.report
	return []string{l.scene.topology, l.scene.fault, l.promise.name,
		fmt.Sprint(r.Reads), fmt.Sprint(r.Stale), r.AgeMax.Round(time.Microsecond).String(),
		fmt.Sprintf("%.2f", float64(r.Loads)/float64(r.Writes+l.keys)), fmt.Sprint(r.Repeated), fmt.Sprint(l.refused),
		fmt.Sprintf("%d of %d", r.Unconfirmed, r.Writes), fmt.Sprint(r.Failed), l.expected()}
}

func sum(lines []line) (reads, confirmed uint64) {
	for _, l := range lines {
		reads += l.report.Reads
		confirmed += l.report.Writes - l.report.Unconfirmed
	}
	return reads, confirmed
}

func plainTable(lines []line) string {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(chaosColumns, "\t"))
	for _, l := range lines {
		fmt.Fprintln(w, strings.Join(l.cells(), "\t"))
	}
	_ = w.Flush()
	return table.String()
}

// The table of the document stands between these.
const chaosBegin, chaosEnd = "<!-- chaos -->\n", "<!-- /chaos -->"

// renderChaos writes the table into a document.
func renderChaos(file string, lines []line) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(document), chaosBegin)
	_, after, closed := strings.Cut(rest, chaosEnd)
	if !found || !closed {
		return fmt.Errorf("%s: no place between %q and %q", file, chaosBegin, chaosEnd)
	}
	return os.WriteFile(file, []byte(before+chaosBegin+markdown(lines)+chaosEnd+after), 0o644)
}

func markdown(lines []line) string {
	var b strings.Builder
	total := map[string]*lardertest.Report{}
	for _, p := range promises {
		total[p.name] = new(lardertest.Report)
	}
	fmt.Fprintf(&b, "| %s |\n|---|---|---|%s---|\n", strings.Join(chaosColumns, " | "), strings.Repeat("---:|", len(chaosColumns)-4))
	for _, l := range lines {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(l.cells(), " | "))
		sum := total[l.promise.name]
		sum.Reads += l.report.Reads
		sum.Stale += l.report.Stale
		sum.AgeMax = max(sum.AgeMax, l.report.AgeMax)
	}
	reads, confirmed := sum(lines)
	fmt.Fprintf(&b, "\n%d reads, %d confirmed invalidations", reads, confirmed)
	for _, p := range promises {
		t := total[p.name]
		fmt.Fprintf(&b, "; %s: %d reads, %d stale, oldest %v", p.name, t.Reads, t.Stale, t.AgeMax.Round(time.Microsecond))
	}
	fmt.Fprintf(&b, ". Measured on %s.\n", time.Now().UTC().Format(time.DateOnly))
	return b.String()
}
