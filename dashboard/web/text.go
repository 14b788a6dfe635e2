package web

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/larder-go/larder/dashboard"
)

// codeLine is a line of a stack trace as it is shown.
type codeLine struct {
	Text  string
	Mark  bool // the line that failed
	Faint bool // not of the tested project
}

// codeLines shows what is known of a failure: the stack, or the message when
// there is none, and what was captured. The line that failed is marked where
// the producer marks it, as pytest does with ">". Of a failure that says nothing
// there are no lines.
func codeLines(r dashboard.Result) []codeLine {
	text := r.Stack
	if strings.TrimSpace(text) == "" {
		text = r.Message
	} else if first, _, _ := strings.Cut(r.Message, "\n"); first != "" && !strings.Contains(text, first) {
		text = r.Message + "\n\n" + text
	}
	var lines []codeLine
	if strings.TrimSpace(text) != "" {
		for line := range strings.SplitSeq(strings.TrimRight(Printable(text), "\n"), "\n") {
			line = strings.TrimRight(line, "\r")
			lines = append(lines, codeLine{Text: line, Mark: strings.HasPrefix(line, ">"), Faint: foreign(line)})
		}
	}
	if strings.TrimSpace(r.Output) != "" {
		if len(lines) > 0 {
			lines = append(lines, codeLine{})
		}
		lines = append(lines, codeLine{Text: "captured output:", Faint: true})
		for line := range strings.SplitSeq(strings.TrimRight(Printable(r.Output), "\n"), "\n") {
			lines = append(lines, codeLine{Text: line, Faint: true})
		}
	}
	return lines
}

// foreign reports whether a line of a stack is of a framework or library.
func foreign(line string) bool {
	line = strings.TrimSpace(line)
	for _, mark := range []string{"at java.", "at org.junit.", "at sun.", "at jdk.", "at org.apache.maven.", "at node:internal", "at process.", "site-packages/", "/usr/lib/", "/usr/local/go/src/"} {
		if strings.HasPrefix(line, mark) || strings.Contains(line, "/"+mark) || strings.Contains(line, mark) && strings.HasSuffix(mark, "/") {
			return true
		}
	}
	return strings.Contains(line, "/node_modules/")
}

// firstLine is what a list shows of a message.
func firstLine(text string) string {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			return Printable(line)
		}
	}
	return ""
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// dots are outcomes as a strip shows them, the oldest first.
func dots(outcomes []dashboard.Outcome) []dashboard.Dot {
	out := make([]dashboard.Dot, len(outcomes))
	for i, o := range outcomes {
		out[len(outcomes)-1-i] = dashboard.Dot{ExecutionID: o.ExecutionID, Status: o.Status, Flaky: o.Flaky}
	}
	return out
}

// stripLabel puts a strip into words.
func stripLabel(strip []dashboard.Dot) string {
	counts := map[dashboard.Status]int64{}
	for _, d := range strip {
		counts[d.Status]++
	}
	text := "Last " + plural(int64(len(strip)), "run", "runs") + ", oldest first:"
	sep := " "
	for _, s := range []dashboard.Status{dashboard.StatusPassed, dashboard.StatusFailed, dashboard.StatusError, dashboard.StatusSkipped} {
		if counts[s] > 0 {
			text += sep + count(counts[s]) + " " + string(s)
			sep = ", "
		}
	}
	return text
}
