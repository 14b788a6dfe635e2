package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

func (a *app) keysCommand() *cobra.Command {
	var long, tags bool
	var limit int
	c := &cobra.Command{
		Use: "keys [PATTERN]", Short: "list the names of entries, by SCAN", Args: cobra.MaximumNArgs(1),
		Long: "PATTERN is a glob as in redis-cli, * by default. Pages of 1000 keys are read of each master; the server is never\n" +
			"blocked. Names appear once and in no order.",
		Example: "  larder keys 'suite:*'\n  larder keys -l --limit 20",
		RunE: func(cmd *cobra.Command, args []string) error {
			pattern := "*"
			if len(args) > 0 {
				pattern = args[0]
			}
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error {
				show := func(names []string) error { return a.printNames(names) }
				if long {
					show = func(names []string) error { return a.printLong(cmd.Context(), i, names) }
				}
				list := i.Scan
				if tags {
					list = i.ScanTags
				}
				return a.eachPage(cmd.Context(), list, pattern, limit, show)
			})
		},
	}
	c.Flags().BoolVarP(&long, "long", "l", false, "with state, size and life of each; two round trips more for each name")
	c.Flags().BoolVar(&tags, "tags", false, "list tags that have a generation; ^ stands for a prefix, = for an entry kept in memory alone")
	c.Flags().IntVar(&limit, "limit", 0, "end after so many names; 0: all")
	c.MarkFlagsMutuallyExclusive("long", "tags")
	return c
}

type lister func(ctx context.Context, pattern, cursor string, count int) (redistier.Page, error)

// eachPage gives every name that matches to f once, page by page.
func (a *app) eachPage(ctx context.Context, list lister, pattern string, limit int, f func(names []string) error) error {
	seen := map[string]bool{}
	n := a.count("names")
	defer n.end()
	for cursor := ""; ; {
		page, err := list(ctx, pattern, cursor, 0)
		if err != nil {
			return err
		}
		fresh := page.Names[:0]
		for _, name := range page.Names {
			if !seen[name] && (limit <= 0 || len(seen) < limit) {
				seen[name] = true
				fresh = append(fresh, name)
			}
		}
		n.add(len(fresh))
		if err := f(fresh); err != nil {
			return err
		}
		if cursor = page.Next; cursor == "" || limit > 0 && len(seen) >= limit {
			return nil
		}
	}
}

func (a *app) printNames(names []string) error {
	if a.flags.json {
		for _, name := range names {
			if err := a.document(map[string]string{"name": name}); err != nil {
				return err
			}
		}
		return nil
	}
	if len(names) == 0 {
		return nil
	}
	_, err := fmt.Fprintln(a.out, strings.Join(names, "\n"))
	return err
}

func (a *app) printLong(ctx context.Context, i *redistier.Inspector, names []string) error {
	list, err := explainAll(ctx, i, names)
	if err != nil {
		return err
	}
	var rows [][]string
	for n := range list {
		x := &list[n]
		if a.flags.json {
			if err := a.document(describe(x)); err != nil {
				return err
			}
			continue
		}
		rows = append(rows, []string{fmt.Sprintf("%-8s", a.paint(string(x.State))), fmt.Sprintf("%9s", bytesText(int64(len(x.Stored)))), fmt.Sprintf("%8s", lifeText(x)), x.Name})
	}
	return a.table(rows)
}

// explainers is how many entries are asked about at a time.
const explainers = 16

// explainAll explains entries in the order of their names.
func explainAll(ctx context.Context, i *redistier.Inspector, names []string) ([]larder.Explanation, error) {
	list, errs := make([]larder.Explanation, len(names)), make([]error, explainers)
	var workers sync.WaitGroup
	for w := range explainers {
		workers.Go(func() {
			for n := w; n < len(names) && errs[w] == nil; n += explainers {
				list[n], errs[w] = i.Explain(ctx, names[n])
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}
