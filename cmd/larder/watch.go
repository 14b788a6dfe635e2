package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder/redistier"
)

func (a *app) watchCommand() *cobra.Command {
	var count int
	var limit time.Duration
	c := &cobra.Command{
		Use: "watch", Short: "print what changes in the namespace, as it happens", Args: cobra.NoArgs,
		Long: "Each line is a key that was written, invalidated, evicted or has expired, and what is there now. Unlike MONITOR it\n" +
			"sends names alone and never slows the server down for us; a busy cache sends a message per write all the same.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error { return a.watch(cmd.Context(), i, count, limit) })
		},
	}
	c.Flags().IntVar(&count, "count", 0, "end after so many changes; 0: never")
	c.Flags().DurationVar(&limit, "for", 0, "end after so long, as 30s; 0: never")
	return c
}

// change is the JSON form of [redistier.Change].
type change struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Name   string    `json:"name"`
	Now    string    `json:"now,omitempty"`
	Server string    `json:"server"`
	Missed int       `json:"missed,omitempty"`
}

func (a *app) watch(ctx context.Context, i *redistier.Inspector, count int, limit time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	a.say("watching namespace %q; end with Ctrl-C", a.namespace())
	seen := 0
	var failed error
	err := i.Watch(ctx, func(c redistier.Change) {
		if count > 0 && seen == count {
			return
		}
		if failed = a.printChange(&c); failed != nil {
			cancel()
		}
		if seen++; seen == count {
			cancel()
		}
	})
	if err != nil {
		return &exitError{exitUnreachable, err}
	}
	return failed
}

func (a *app) printChange(c *redistier.Change) error {
	if c.Missed > 0 {
		a.say("%d changes came too fast and are not shown", c.Missed)
	}
	if a.flags.json {
		return a.document(change{c.At, string(c.Kind), c.Name, c.Now, c.Server, c.Missed})
	}
	now := c.Now
	switch c.Kind {
	case redistier.ChangeTag, redistier.ChangePrefix, redistier.ChangeNamespace:
		now = "invalidated"
		if c.Now != "absent" {
			now = "new generation"
		}
	}
	_, err := fmt.Fprintf(a.out, "%s  %-9s  %-14s  %s\n", c.At.Format("15:04:05.000"), c.Kind, now, cmp.Or(c.Name, "-"))
	return err
}
