package main

import (
	"bufio"
	"strings"

	"github.com/spf13/cobra"
)

// confirming adds the flags of a command that removes more than it names.
func (a *app) confirming(c *cobra.Command, dryRun *bool) *cobra.Command {
	c.Flags().BoolVarP(&a.flags.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(dryRun, "dry-run", false, "show what would go, and change nothing")
	return c
}

// confirm asks a person, or demands --yes where there is none.
func (a *app) confirm(question string) error {
	if a.flags.yes {
		return nil
	}
	if !a.asks {
		return usage("%s nobody can be asked here: give --yes, or --dry-run to look", question)
	}
	a.say("%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return usage("not confirmed: nothing was changed")
	}
	return nil
}
