package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/larderhttp"
	"github.com/larder-go/larder/redistier"
)

func (a *app) warmCommand() *cobra.Command {
	var w warming
	c := &cobra.Command{
		Use: "warm --to URL [NAME…]", Short: "have a program load entries", Args: cobra.ArbitraryArgs,
		Long: "Loaders live in programs, so a program warms: its larderhttp.WarmHandler at URL is given the names, in batches of\n" +
			"100. Names come from the command line, from --from, or else from Redis: the entries that match --pattern and would\n" +
			"be loaded by their next read anyway; with --loaded, those that programs loaded most today and yesterday. A token for the program is read from LARDER_WARM_TOKEN.",
		Example: "  larder warm --to https://shop.internal/admin/warm suite:42 suite:43\n  larder warm --to https://shop.internal/admin/warm --pattern 'suite:*'\n" +
			"  larder keys 'suite:*' > hot; …; larder warm --to https://shop.internal/admin/warm --from hot",
		RunE: func(cmd *cobra.Command, args []string) error { return a.warm(cmd.Context(), w, args) },
	}
	c.Flags().StringVar(&w.to, "to", "", "address of the program's handler")
	c.Flags().StringVar(&w.from, "from", "", "a file with a name a line; - is stdin")
	c.Flags().StringVar(&w.pattern, "pattern", "*", "which entries of Redis, if no names are given")
	c.Flags().BoolVar(&w.loaded, "loaded", false, "what was loaded most today and yesterday, for a start from cold")
	c.Flags().BoolVar(&w.dryRun, "dry-run", false, "print the names, and warm nothing")
	return c
}

type warming struct {
	to, from, pattern string
	loaded, dryRun    bool
}

// warmBatch is how many names go into one request.
const warmBatch = 100

func (a *app) warm(ctx context.Context, w warming, names []string) error {
	if !w.dryRun && !strings.HasPrefix(w.to, "http://") && !strings.HasPrefix(w.to, "https://") {
		return usage("--to %q is not the http:// or https:// address of a program", w.to)
	}
	names, err := a.warmNames(ctx, w, names)
	if err != nil {
		return err
	}
	if w.dryRun {
		return a.printNames(names)
	}
	n := a.count(fmt.Sprintf("of %d", len(names)))
	warmed, failed := 0, 0
	for batch := range slices.Chunk(names, warmBatch) {
		answer, err := a.send(ctx, w.to, batch)
		if err != nil {
			n.end()
			return fmt.Errorf("%d entries warmed, then: %w", warmed, err)
		}
		warmed, failed = warmed+answer.Warmed, failed+len(answer.Failed)
		n.add(len(batch))
		for _, name := range batch {
			if why, ok := answer.Failed[name]; ok {
				a.say("%s: %s", name, why)
			}
		}
	}
	n.end()
	if a.flags.json {
		err = a.document(map[string]int{"warmed": warmed, "failed": failed})
	} else {
		_, err = fmt.Fprintf(a.out, "%d warmed, %d failed\n", warmed, failed)
	}
	if err == nil && failed > 0 {
		return &exitError{exitFailed, fmt.Errorf("%d entries could not be warmed", failed)}
	}
	return err
}

// warmNames finds out what to warm.
func (a *app) warmNames(ctx context.Context, w warming, names []string) ([]string, error) {
	switch {
	case w.from != "":
		more, err := a.readNames(w.from)
		return append(names, more...), err
	case len(names) > 0:
		return names, nil
	}
	err := a.inspect(ctx, func(i *redistier.Inspector) error {
		if w.loaded {
			list, err := i.LoadedKeys(ctx)
			for _, k := range list {
				names = append(names, k.Name)
			}
			return err
		}
		return a.eachPage(ctx, i.Scan, w.pattern, 0, func(page []string) error {
			list, err := explainAll(ctx, i, page)
			for n := range list {
				switch list[n].State {
				case larder.StateOutdated, larder.StateStale, larder.StateExpired, larder.StateCorrupt:
					names = append(names, page[n])
				}
			}
			return err
		})
	})
	return names, err
}

func (a *app) readNames(path string) (names []string, err error) {
	in := a.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, usage("--from: %v", err)
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if name := strings.TrimSpace(lines.Text()); name != "" {
			names = append(names, name)
		}
	}
	return names, lines.Err()
}

// send has a program warm a batch.
func (a *app) send(ctx context.Context, to string, names []string) (answer larderhttp.Warmed, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(strings.Join(names, "\n")))
	if err != nil {
		return answer, usage("--to: %v", err)
	}
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	if token := a.getenv("LARDER_WARM_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer, err
	}
	defer response.Body.Close()
	const most = 1 << 20
	body, err := io.ReadAll(io.LimitReader(response.Body, most))
	if err != nil {
		return answer, err
	}
	switch {
	case response.StatusCode == http.StatusUnauthorized, response.StatusCode == http.StatusForbidden:
		return answer, &exitError{exitDenied, fmt.Errorf("%s answered %s: LARDER_WARM_TOKEN is missing or not accepted", to, response.Status)}
	case response.StatusCode != http.StatusOK:
		return answer, fmt.Errorf("%s answered %s: %.200s", to, response.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, fmt.Errorf("%s is no WarmHandler: %w", to, err)
	}
	return answer, nil
}
