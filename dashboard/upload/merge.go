package upload

import (
	"fmt"
	"strings"

	"github.com/larder-go/larder/dashboard"
)

// maxWarnings is what a merged report keeps of the warnings of its parts.
const maxWarnings = 20

// merge makes one report of the files of one run, as Surefire writes a file per
// class. Names that appear in several files get a number, as repeated names
// within a file do.
func merge(reports []dashboard.Report) dashboard.Report {
	if len(reports) == 1 {
		return reports[0]
	}
	out := dashboard.Report{Format: reports[0].Format}
	used := names{}
	for _, r := range reports {
		out.Suites += r.Suites
		out.DurationMS += r.DurationMS
		if r.StartedAt != nil && (out.StartedAt == nil || r.StartedAt.Before(*out.StartedAt)) {
			out.StartedAt = r.StartedAt
		}
		if r.Failure != "" {
			out.Failure = dashboard.CutText(strings.TrimSpace(out.Failure+"\n"+r.Failure), dashboard.MaxMessage)
		}
		for _, c := range r.Cases {
			c.Name = used.take(c.Name)
			out.Cases = append(out.Cases, c)
		}
		for _, w := range r.Warnings {
			if len(out.Warnings) < maxWarnings {
				out.Warnings = append(out.Warnings, w)
			}
		}
	}
	return out
}

// names remembers for each name the number from which to look for a free one,
// so that thousands of equal names stay cheap.
type names map[string]int

func (n names) take(name string) string {
	if n[name] == 0 {
		n[name] = 1
		return name
	}
	for {
		n[name]++
		candidate := dashboard.FitName(fmt.Sprintf("%s #%d", name, n[name]))
		if n[candidate] == 0 {
			n[candidate] = 1
			return candidate
		}
	}
}
