package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

const strictHelp = "return when memory everywhere sees it too: after MaxStaleness"

func (a *app) delCommand() *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use: "del NAME…", Short: "invalidate the named entries", Args: cobra.MinimumNArgs(1),
		Long: "Removes exactly what is named, without asking, also what only the memory of programs has. What is not there is not\n" +
			"an error. What Redis does not confirm is named, with exit code 1. Entries that are held off stay so.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error { return a.del(cmd.Context(), i, args, strict) })
		},
	}
	c.Flags().BoolVar(&strict, "strict", false, strictHelp)
	return c
}

func (a *app) del(ctx context.Context, i *redistier.Inspector, names []string, strict bool) error {
	list, err := explainAll(ctx, i, names)
	if err != nil {
		return err
	}
	var targets []larder.Target
	for n := range list {
		if list[n].State == larder.StateHeld {
			continue // a hold-off refuses reads and fills already, and outlasts lagging replicas
		}
		two, err := redistier.Targets(names[n])
		if err != nil {
			return err
		}
		targets = append(targets, two...)
	}
	if err := a.confirmed(i.Invalidate(ctx, withStrict(targets, strict)...)); err != nil {
		return err
	}
	for n := range list {
		what := "deleted"
		switch list[n].State {
		case larder.StateAbsent:
			what = "absent"
		case larder.StateHeld:
			what = "held off"
		}
		if a.flags.json {
			err = a.document(map[string]string{"name": names[n], "was": string(list[n].State), "result": what})
		} else {
			_, err = fmt.Fprintf(a.out, "%s %s\n", what, names[n])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func withStrict(targets []larder.Target, strict bool) []larder.Target {
	if strict {
		return append(targets, larder.Strict)
	}
	return targets
}

// confirmed names what an invalidation left unconfirmed.
func (a *app) confirmed(err error) error {
	var pending *larder.PendingError
	if !errors.As(err, &pending) {
		return err
	}
	for _, key := range pending.Keys {
		a.say("not confirmed: %s", key)
	}
	return &exitError{exitFailed, fmt.Errorf("%d keys may still be served; try again: %w", len(pending.Keys), pending.Err)}
}

// order is what to invalidate.
type order struct {
	tags, prefixes []string
	pattern        string
	strict, dryRun bool
}

func (a *app) invalidateCommand() *cobra.Command {
	var o order
	c := &cobra.Command{
		Use: "invalidate", Short: "invalidate by tag, prefix or pattern", Args: cobra.NoArgs,
		Long: "Tags and declared prefixes take one round trip, whatever the number of entries. A pattern reads the whole key space\n" +
			"in pages and unlinks what matches. Shows first what would go, and asks.",
		Example: "  larder invalidate --tag suites --dry-run\n  larder invalidate --pattern 'suites:list:*' --yes",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.tags)+len(o.prefixes) == 0 && o.pattern == "" {
				return usage("nothing to invalidate: give --tag, --prefix or --pattern")
			}
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error { return a.invalidate(cmd.Context(), i, o) })
		},
	}
	c.Flags().StringArrayVar(&o.tags, "tag", nil, "entries that depend on this tag; may be given more than once")
	c.Flags().StringArrayVar(&o.prefixes, "prefix", nil, "entries whose names begin so, of keyspaces that declare this prefix")
	c.Flags().StringVar(&o.pattern, "pattern", "", "entries whose names match this glob")
	c.Flags().BoolVar(&o.strict, "strict", false, strictHelp)
	return a.confirming(c, &o.dryRun)
}

func (a *app) invalidate(ctx context.Context, i *redistier.Inspector, o order) error {
	p, err := a.preview(ctx, i, o)
	if err != nil {
		return err
	}
	if err := a.showPreview(p, o); err != nil || o.dryRun {
		return err
	}
	if err := a.confirm("Invalidate them?"); err != nil {
		return err
	}
	var targets []larder.Target
	for _, tag := range o.tags {
		targets = append(targets, larder.Tag(tag))
	}
	if len(targets) > 0 {
		if err := a.confirmed(i.Invalidate(ctx, withStrict(targets, o.strict)...)); err != nil {
			return err
		}
	}
	for _, prefix := range o.prefixes {
		declared, err := i.InvalidatePrefix(ctx, prefix, withStrict(nil, o.strict)...)
		if err := a.confirmed(err); err != nil {
			return err
		}
		if !declared {
			return notFound("prefix %q has no generation: no keyspace declares it, or nothing was filled under it. Entries that begin so are reached by --pattern '%s*'", prefix, prefix)
		}
	}
	if o.pattern != "" {
		if err := a.deletePattern(ctx, i, o); err != nil {
			return err
		}
	}
	a.say("done")
	return nil
}

func (a *app) deletePattern(ctx context.Context, i *redistier.Inspector, o order) error {
	n, err := i.DeletePattern(ctx, o.pattern)
	if err != nil {
		return &exitError{exitFailed, fmt.Errorf("%d entries were deleted, others that match may still be served; try again: %w", n, err)}
	}
	a.say("%d entries deleted", n)
	if o.strict {
		return i.Invalidate(ctx, larder.Tag("larder-cli-strict"), larder.Strict) // a tag of nobody: to wait
	}
	return nil
}

const (
	// previewEntries is how many entries a preview looks into for tags.
	previewEntries = 1000
	// previewNames is how many names it shows.
	previewNames = 10
)

// preview is what an order would reach.
type preview struct {
	Target  string   `json:"target"`
	Entries int      `json:"entries"`            // that would go
	Looked  int      `json:"looked_at"`          // that were looked at
	All     bool     `json:"all_were_looked_at"` // so Entries is the whole number
	Names   []string `json:"names"`
}

// preview finds out what an order would reach; for tags from a part of the
// entries.
func (a *app) preview(ctx context.Context, i *redistier.Inspector, o order) ([]preview, error) {
	var list []preview
	if len(o.tags) > 0 {
		sample, all, err := a.sample(ctx, i, "*", previewEntries)
		if err != nil {
			return nil, err
		}
		entries, err := explainAll(ctx, i, sample)
		if err != nil {
			return nil, err
		}
		for _, tag := range o.tags {
			p := preview{Target: "tag " + tag, Looked: len(sample), All: all, Names: []string{}}
			for n := range entries {
				if slices.ContainsFunc(entries[n].Tags, func(t larder.TagState) bool { return t.Kind == "tag" && t.Name == tag && t.Current }) {
					p.add(sample[n])
				}
			}
			list = append(list, p)
		}
	}
	for _, prefix := range o.prefixes {
		p, err := a.previewPattern(ctx, i, literal(prefix)+"*", "prefix "+prefix)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if o.pattern == "" {
		return list, nil
	}
	p, err := a.previewPattern(ctx, i, o.pattern, "pattern "+o.pattern)
	return append(list, p), err
}

func (p *preview) add(name string) {
	p.Entries++
	if len(p.Names) < previewNames {
		p.Names = append(p.Names, name)
	}
}

func (a *app) previewPattern(ctx context.Context, i *redistier.Inspector, pattern, target string) (preview, error) {
	p := preview{Target: target, All: true, Names: []string{}}
	err := a.eachPage(ctx, i.Scan, pattern, 0, func(names []string) error {
		for _, name := range names {
			p.add(name)
		}
		return nil
	})
	p.Looked = p.Entries
	return p, err
}

// literal escapes what means something in a pattern.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

// sample lists up to limit names, and whether these are all.
func (a *app) sample(ctx context.Context, i *redistier.Inspector, pattern string, limit int) (names []string, all bool, err error) {
	err = a.eachPage(ctx, i.Scan, pattern, limit+1, func(page []string) error {
		names = append(names, page...)
		return nil
	})
	if len(names) > limit {
		return names[:limit], false, err
	}
	return names, true, err
}

// showPreview prints what would go: as data for a dry run, else as talk.
func (a *app) showPreview(list []preview, o order) error {
	for _, p := range list {
		if o.dryRun && a.flags.json {
			if err := a.document(p); err != nil {
				return err
			}
			continue
		}
		out := a.err
		if o.dryRun {
			out = a.out
		}
		scope := ""
		if !p.All {
			scope = fmt.Sprintf(" of the first %d looked at; there are more", p.Looked)
		}
		fmt.Fprintf(out, "%s: %d entries%s\n", p.Target, p.Entries, scope)
		for _, name := range p.Names {
			fmt.Fprintf(out, "  %s\n", name)
		}
		if p.Entries > len(p.Names) {
			fmt.Fprintf(out, "  and %d more\n", p.Entries-len(p.Names))
		}
	}
	return nil
}

func (a *app) clearCommand() *cobra.Command {
	var o order
	c := &cobra.Command{
		Use: "clear", Short: "invalidate every entry of the namespace at once", Args: cobra.NoArgs,
		Long: "Deletes the generation of the namespace, which outdates all its entries, whatever their number; they leave Redis as\n" +
			"they expire or are read. Values of other programs stay. Asks first.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error { return a.clear(cmd.Context(), i, o) })
		},
	}
	c.Flags().BoolVar(&o.strict, "strict", false, strictHelp)
	return a.confirming(c, &o.dryRun)
}

func (a *app) clear(ctx context.Context, i *redistier.Inspector, o order) error {
	names, all, err := a.sample(ctx, i, "*", previewEntries)
	if err != nil {
		return err
	}
	p := preview{Target: fmt.Sprintf("namespace %q", a.namespace()), Looked: len(names), All: all, Names: []string{}}
	for _, name := range names {
		p.add(name)
	}
	if err := a.showPreview([]preview{p}, o); err != nil || o.dryRun {
		return err
	}
	if err := a.confirm("Invalidate all of them?"); err != nil {
		return err
	}
	if err := a.confirmed(i.Invalidate(ctx, withStrict([]larder.Target{larder.All()}, o.strict)...)); err != nil {
		return err
	}
	a.say("done")
	return nil
}
