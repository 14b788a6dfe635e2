package main

import (
	"fmt"
	"strings"
)

// machine tells where and with what the run was made.
func (m *measurements) machine() string {
	var b strings.Builder
	b.WriteString(m.run())
	b.WriteString("\n| module | version |\n|---|---|\n")
	for _, pair := range strings.Fields(m.config["versions"]) {
		if path, version, ok := strings.Cut(pair, "@"); ok {
			fmt.Fprintf(&b, "| %s | %s |\n", path, version)
		}
	}
	b.WriteString("\n")
	return b.String()
}

// run says it in a sentence, with what who made the run had to remark.
func (m *measurements) run() string {
	text := fmt.Sprintf("Measured on %s at commit %s: %s, %s cores, %s, Redis %s; interleaved rounds: %s; load of the machine when it began: %s.\n",
		m.config["date"], m.config["commit"], m.config["cpu"], m.config["cores"], m.config["goversion"], m.config["redis"], m.config["rounds"], m.config["load"])
	if note := m.config["note"]; note != "" {
		text += "\n" + note + "\n"
	}
	return text
}
