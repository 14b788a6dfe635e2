package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use: "explain NAME", Short: "say what is known of an entry, and why it is fresh, stale or outdated", Args: cobra.ExactArgs(1),
		Long: "Decodes the header: state and reasons, deadlines, codec and compression, sizes, and everything the entry depends on\n" +
			"with the generation it carries and the one Redis has. Exit code 3 if Redis has nothing.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error {
				x, err := i.Explain(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if err := a.header(&x); err != nil {
					return err
				}
				if x.State == larder.StateAbsent {
					return &exitError{code: exitNotFound}
				}
				return nil
			})
		},
	}
}

// header prints an explanation without the value.
func (a *app) header(x *larder.Explanation) error {
	if a.flags.json {
		return a.document(describe(x))
	}
	rows := [][]string{{"entry", x.Name}, {"key", x.Key}, {"state", a.paint(string(x.State))}}
	for _, why := range x.Why {
		rows = append(rows, []string{"why", why})
	}
	if x.Stored != "" {
		rows = append(rows, []string{"lives", lifeText(x)}, []string{"stored", bytesText(int64(len(x.Stored)))})
	}
	rows = append(rows, valueRows(x)...)
	for _, h := range x.Holders {
		rows = append(rows, []string{"held by", h.Token + " until " + clockText(h.Until)})
	}
	for _, t := range x.Tags {
		rows = append(rows, []string{t.Kind, tagText(&t)})
	}
	return a.table(rows)
}

// valueRows are those of a value's header.
func valueRows(x *larder.Explanation) [][]string {
	if x.ID == "" {
		return nil
	}
	payload := fmt.Sprintf("%s, %s, compression %s", bytesText(int64(len(x.Payload))), codecName(x), compressionNames[x.Compression&3])
	if x.Sealed {
		payload += ", encrypted"
	}
	if x.Negative {
		payload = "none: the source has no such entry"
	}
	rows := [][]string{{"value", payload}, {"fresh until", clockText(x.Soft)}, {"gone at", clockText(x.Hard)}, {"written by", x.ID}}
	if !x.Written.IsZero() {
		rows = append(rows, []string{"stored at", clockText(x.Written)})
	}
	if x.LoadTime > 0 {
		rows = append(rows, []string{"loaded in", short(x.LoadTime)})
	}
	if x.Version != 0 {
		rows = append(rows, []string{"version", fmt.Sprint(x.Version)})
	}
	if x.Schema != 0 {
		rows = append(rows, []string{"schema", fmt.Sprintf("%08x", x.Schema)})
	}
	return rows
}

func clockText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") }

func tagText(t *larder.TagState) string {
	name := t.Name
	if name == "" {
		name = "(none)"
	}
	switch {
	case t.Held:
		return name + "  held off"
	case t.Current:
		return name + "  " + t.Carried + "  current"
	case t.Carried == "":
		return name + "  now " + t.Present
	case t.Present == "":
		return name + "  " + t.Carried + "  now none"
	}
	return name + "  " + t.Carried + "  now " + t.Present
}

// explanation is the JSON form of [larder.Explanation]; times are RFC 3339 by
// the server's clock.
type explanation struct {
	Name        string         `json:"name"`
	Key         string         `json:"key"`
	State       string         `json:"state"`
	Why         []string       `json:"why"`
	TTL         int64          `json:"ttl_ms"`
	Stored      int            `json:"stored_bytes"`
	Payload     int            `json:"payload_bytes"`
	Negative    bool           `json:"negative,omitempty"`
	Codec       string         `json:"codec,omitempty"`
	Compression string         `json:"compression,omitempty"`
	Encrypted   bool           `json:"encrypted,omitempty"`
	Written     *time.Time     `json:"stored_at,omitempty"`
	LoadTime    int64          `json:"load_ms,omitempty"`
	Fresh       *time.Time     `json:"fresh_until,omitempty"`
	Gone        *time.Time     `json:"gone_at,omitempty"`
	ID          string         `json:"id,omitempty"`
	Version     uint64         `json:"version,omitempty"`
	Schema      string         `json:"schema,omitempty"`
	Lease       string         `json:"lease,omitempty"`
	Tags        []explainedTag `json:"tags,omitempty"`
}

type explainedTag struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Carried string `json:"carried,omitempty"`
	Present string `json:"present,omitempty"`
	Current bool   `json:"current"`
}

func describe(x *larder.Explanation) explanation {
	d := explanation{Name: x.Name, Key: x.Key, State: string(x.State), Why: x.Why, TTL: milliseconds(x.TTL), Stored: len(x.Stored),
		Payload: len(x.Payload), Negative: x.Negative, Encrypted: x.Sealed, ID: x.ID, Version: x.Version, Lease: x.Lease}
	if x.Stored == "" {
		d.TTL = -2
	}
	if x.ID != "" {
		d.Codec, d.Compression = codecName(x), compressionNames[x.Compression&3]
		soft, hard := x.Soft.UTC(), x.Hard.UTC()
		d.Fresh, d.Gone, d.LoadTime = &soft, &hard, x.LoadTime.Milliseconds()
		if written := x.Written.UTC(); !x.Written.IsZero() {
			d.Written = &written
		}
	}
	if x.Schema != 0 {
		d.Schema = fmt.Sprintf("%08x", x.Schema)
	}
	for _, t := range x.Tags {
		d.Tags = append(d.Tags, explainedTag{t.Kind, t.Name, t.Carried, t.Present, t.Current})
	}
	return d
}

// keyspaceOf is the first word of a name, or the first words.
func keyspaceOf(name string, words int) string {
	parts := strings.SplitN(name, ":", words+1)
	if len(parts) <= words {
		return strings.Join(parts[:max(1, len(parts)-1)], ":")
	}
	return strings.Join(parts[:words], ":")
}
