package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder/redistier"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "examine the Redis of the namespace, and say what to do", Args: cobra.NoArgs,
		Long: "Connection, version, role, RESP3 and pushes, rights, memory and eviction, persistence, clock, latency, replicas,\n" +
			"cluster, clients, other namespaces in the way. Rights are proved by using them on keys of its own. Exit code 6 if\n" +
			"somebody should do something, 4 if Redis refuses the user, 5 if it cannot be reached.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			list, err := redistier.Doctor(cmd.Context(), cfg, a.namespace())
			if len(list) == 0 {
				return usage("%w", err)
			}
			if printing := a.printFindings(list); printing != nil {
				return printing
			}
			return a.diagnosis(list, err)
		},
	}
}

// diagnosis is the exit code of an examination.
func (a *app) diagnosis(list []redistier.Finding, err error) error {
	switch {
	case redistier.Denied(err):
		return &exitError{code: exitDenied}
	case err != nil:
		return &exitError{code: exitUnreachable}
	}
	problems := 0
	for i := range list {
		if list[i].Problem() {
			problems++
		}
	}
	if problems == 0 {
		a.say("nothing to do")
		return nil
	}
	return &exitError{exitProblems, fmt.Errorf("doctor found %d problems", problems)}
}

// finding is the JSON form of [redistier.Finding].
type finding struct {
	Check  string `json:"check"`
	Server string `json:"server,omitempty"`
	Level  string `json:"level"`
	Text   string `json:"text"`
	Advice string `json:"advice,omitempty"`
}

func (a *app) printFindings(list []redistier.Finding) error {
	server := ""
	for _, f := range list {
		if a.flags.json {
			if err := a.document(finding{f.Check, f.Server, string(f.Level), f.Text, f.Advice}); err != nil {
				return err
			}
			continue
		}
		if f.Server != server && f.Server != "" {
			server = f.Server
			fmt.Fprintln(a.out, server)
		}
		fmt.Fprintf(a.out, "  %s %-13s %s\n", a.paint(fmt.Sprintf("%-7s", f.Level)), f.Check, f.Text)
		if f.Advice != "" {
			fmt.Fprintf(a.out, "  %-7s %-13s → %s\n", "", "", f.Advice)
		}
	}
	return nil
}
