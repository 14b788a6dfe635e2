package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder/redistier"
)

func (a *app) statsCommand() *cobra.Command {
	var sample, words int
	c := &cobra.Command{
		Use: "stats", Short: "print what Redis knows of the namespace and of itself", Args: cobra.NoArgs,
		Long: "Servers with their memory, evictions, hits and clients; the processes that may serve from memory; entries by\n" +
			"keyspace, from a part of the names. Hits in the memory of programs are theirs to count: see their metrics.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if sample < 0 || words < 1 {
				return usage("--sample %d is below 0, or --words %d below 1", sample, words)
			}
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error { return a.stats(cmd.Context(), i, sample, words) })
		},
	}
	c.Flags().IntVar(&sample, "sample", 10_000, "how many names to read at most")
	c.Flags().IntVar(&words, "words", 1, "how many words of a name are its keyspace, as in dashboard:trends")
	return c
}

// statistics is the JSON form.
type statistics struct {
	Namespace string         `json:"namespace"`
	Staleness int64          `json:"max_staleness_ms"` // 0: no program has agreed on one yet
	Members   []memberDoc    `json:"members"`
	Servers   []serverDoc    `json:"servers"`
	Names     int            `json:"names"` // that were counted
	All       bool           `json:"all_were_counted"`
	Keyspaces map[string]int `json:"keyspaces"`
}

type memberDoc struct {
	ID    string `json:"id"`
	Beats int64  `json:"heartbeats"`
	Alive bool   `json:"alive"` // it sent a heartbeat while we watched
}

type serverDoc struct {
	Address    string  `json:"address"`
	Version    string  `json:"version"`
	Uptime     float64 `json:"uptime_seconds"`
	Keys       int64   `json:"keys"`
	Used       int64   `json:"used_bytes"`
	Max        int64   `json:"max_bytes"`
	Policy     string  `json:"policy"`
	Evicted    int64   `json:"evicted_keys"`
	Expired    int64   `json:"expired_keys"`
	Hits       int64   `json:"hits"`
	Misses     int64   `json:"misses"`
	PerSecond  int64   `json:"commands_per_second"`
	Clients    int64   `json:"clients"`
	Tracking   int64   `json:"tracking_clients"`
	Tracked    int64   `json:"tracked_keys"`
	RoundTrip  float64 `json:"round_trip_ms"`
	ClockDrift float64 `json:"clock_offset_ms"`
}

func (a *app) stats(ctx context.Context, i *redistier.Inspector, sample, words int) error {
	s := statistics{Namespace: a.namespace(), Staleness: i.MaxStaleness().Milliseconds(), Keyspaces: map[string]int{}, Members: []memberDoc{}}
	servers, err := i.Servers(ctx)
	if err != nil {
		return err
	}
	for _, server := range servers {
		s.Servers = append(s.Servers, serverDocOf(&server))
	}
	if s.Members, err = a.members(ctx, i); err != nil {
		return err
	}
	names, all, err := a.sample(ctx, i, "*", sample)
	if err != nil {
		return err
	}
	s.Names, s.All = len(names), all
	for _, name := range names {
		s.Keyspaces[keyspaceOf(name, words)]++
	}
	if a.flags.json {
		return a.document(s)
	}
	return a.printStats(&s)
}

// members joins what the registries of several masters say of one process.
func (a *app) members(ctx context.Context, i *redistier.Inspector) ([]memberDoc, error) {
	list, err := i.Members(ctx, i.MaxStaleness()) // four heartbeats
	if err != nil {
		return nil, err
	}
	byID := map[string]memberDoc{}
	for _, m := range list {
		d := byID[m.ID]
		byID[m.ID] = memberDoc{ID: m.ID, Beats: max(d.Beats, m.Beats), Alive: d.Alive || m.Replies}
	}
	out := make([]memberDoc, 0, len(byID))
	for _, d := range byID {
		out = append(out, d)
	}
	slices.SortFunc(out, func(x, y memberDoc) int { return cmp.Compare(x.ID, y.ID) })
	return out, nil
}

func serverDocOf(s *redistier.Server) serverDoc {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return serverDoc{Address: s.Address, Version: s.Version, Uptime: s.Uptime.Seconds(), Keys: s.Keys, Used: s.UsedBytes, Max: s.MaxBytes,
		Policy: s.Policy, Evicted: s.Evicted, Expired: s.Expired, Hits: s.Hits, Misses: s.Misses, PerSecond: s.CommandsPerSec,
		Clients: s.Clients, Tracking: s.TrackingClients, Tracked: s.TrackedKeys, RoundTrip: ms(s.RoundTrip), ClockDrift: ms(s.Offset)}
}

func (a *app) printStats(s *statistics) error {
	staleness := "no program has used the namespace yet"
	if s.Staleness > 0 {
		staleness = short(time.Duration(s.Staleness) * time.Millisecond)
	}
	alive := 0
	for _, m := range s.Members {
		if m.Alive {
			alive++
		}
	}
	rows := [][]string{{"namespace", fmt.Sprintf("%q", s.Namespace)}, {"MaxStaleness", staleness},
		{"processes", fmt.Sprintf("%d registered, %d with a heartbeat while we watched", len(s.Members), alive)}}
	for _, v := range s.Servers {
		limit := "no limit"
		if v.Max > 0 {
			limit = "of " + bytesText(v.Max)
		}
		rows = append(rows,
			[]string{"server", fmt.Sprintf("%s, Redis %s, up %s, round trip %s", v.Address, v.Version, short(time.Duration(v.Uptime)*time.Second), short(time.Duration(v.RoundTrip*1e6)))},
			[]string{"  memory", fmt.Sprintf("%s %s, %s, %d keys, %d evicted, %d expired", bytesText(v.Used), limit, v.Policy, v.Keys, v.Evicted, v.Expired)},
			[]string{"  reads", fmt.Sprintf("%d hits, %d misses since its start, %d commands/s", v.Hits, v.Misses, v.PerSecond)},
			[]string{"  clients", fmt.Sprintf("%d, %d of them told of changes, %d keys tracked", v.Clients, v.Tracking, v.Tracked)})
	}
	scope := "all counted"
	if !s.All {
		scope = fmt.Sprintf("of the first %d names", s.Names)
	}
	rows = append(rows, []string{"entries", fmt.Sprintf("%d (%s)", s.Names, scope)})
	for _, name := range byCount(s.Keyspaces) {
		rows = append(rows, []string{"  " + name, fmt.Sprint(s.Keyspaces[name])})
	}
	return a.table(rows)
}

// byCount returns the names with the highest counts first.
func byCount(counts map[string]int) []string {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(counts[y], counts[x]), cmp.Compare(x, y)) })
	return names
}
