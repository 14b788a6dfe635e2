package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

func (a *app) getCommand() *cobra.Command {
	var meta, raw bool
	c := &cobra.Command{
		Use: "get NAME", Short: "print the value of an entry, decoded", Args: cobra.ExactArgs(1),
		Long: "Prints the value as it would be read: decrypted, decompressed, msgpack as JSON. What is outdated is printed all\n" +
			"the same and said on stderr. Nothing is loaded: what is not in Redis is not found (exit code 3).",
		Example: "  larder get suite:42 | jq .name\n  larder get --raw suite:42 | xxd",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error {
				x, err := i.Explain(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.get(&x, meta, raw)
			})
		},
	}
	c.Flags().BoolVar(&meta, "meta", false, "print what the header says instead of the value")
	c.Flags().BoolVar(&raw, "raw", false, "print the stored bytes, header included")
	c.MarkFlagsMutuallyExclusive("meta", "raw")
	return c
}

func (a *app) get(x *larder.Explanation, meta, raw bool) error {
	switch {
	case x.Stored == "":
		return notFound("%s: %s", x.Name, x.Why[0])
	case raw:
		_, err := io.WriteString(a.out, x.Stored)
		return err
	case meta:
		return a.header(x)
	case !hasValue(x):
		return notFound("%s is %s: %s", x.Name, x.State, x.Why[0])
	}
	data, err := a.payload(x)
	if err != nil {
		return err
	}
	if x.State != larder.StateFresh {
		a.say("%s is %s: %s", x.Name, x.State, x.Why[0])
	}
	text, document := shown(x, data)
	if !a.flags.json {
		_, err := fmt.Fprintln(a.out, text)
		return err
	}
	return a.document(struct {
		Name  string          `json:"name"`
		State string          `json:"state"`
		TTL   int64           `json:"ttl_ms"`
		Value json.RawMessage `json:"value"`
	}{x.Name, string(x.State), milliseconds(x.TTL), document})
}

func hasValue(x *larder.Explanation) bool {
	switch x.State {
	case larder.StateFresh, larder.StateStale, larder.StateExpired, larder.StateOutdated, larder.StateUnfit, larder.StateForeign:
		return true
	}
	return false
}

// milliseconds of a TTL; -1: without end.
func milliseconds(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return d.Milliseconds()
}

func (a *app) ttlCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ttl NAME…", Short: "print how long entries live and stay fresh", Args: cobra.MinimumNArgs(1),
		Long: "For each name: what Redis lets it live, how long it stays fresh unless it is invalidated, and its state. Exit\n" +
			"code 3 if one of them is not there.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error {
				var missing error
				var rows [][]string
				for _, name := range args {
					x, err := i.Explain(cmd.Context(), name)
					if err != nil {
						return err
					}
					if x.Stored == "" {
						missing = notFound("%s: %s", name, x.Why[0])
					}
					if a.flags.json {
						if err := a.document(ttlOf(&x)); err != nil {
							return err
						}
						continue
					}
					rows = append(rows, []string{name, lifeText(&x), freshText(&x), a.paint(string(x.State))})
				}
				if err := a.table(rows); err != nil {
					return err
				}
				return missing
			})
		},
	}
}

type ttlDocument struct {
	Name  string `json:"name"`
	State string `json:"state"`
	TTL   int64  `json:"ttl_ms"`   // -1: without end, -2: not there
	Fresh int64  `json:"fresh_ms"` // 0: not any more
}

func ttlOf(x *larder.Explanation) ttlDocument {
	d := ttlDocument{Name: x.Name, State: string(x.State), TTL: milliseconds(x.TTL), Fresh: milliseconds(max(0, x.Soft.Sub(x.Now)))}
	if x.Stored == "" {
		d.TTL = -2
	}
	return d
}

func lifeText(x *larder.Explanation) string {
	switch {
	case x.Stored == "":
		return "-"
	case x.TTL < 0:
		return "no end"
	}
	return short(x.TTL)
}

func freshText(x *larder.Explanation) string {
	if x.Soft.IsZero() || x.State != larder.StateFresh {
		return "-"
	}
	return short(x.Soft.Sub(x.Now))
}
