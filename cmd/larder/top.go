package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/redistier"
)

func (a *app) topCommand() *cobra.Command {
	var every time.Duration
	var count, rows int
	c := &cobra.Command{
		Use: "top", Short: "show what goes on: servers, and the entries that change most", Args: cobra.NoArgs,
		Long: "Every interval: commands, reads, evictions and memory of each server, and the entries that were written or\n" +
			"invalidated most often meanwhile, which are those that a cache helps least; then those that all programs together read\n" +
			"most in this minute and the one before. On a terminal the screen is redrawn.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case every < 100*time.Millisecond:
				return usage("--interval %v is below 100ms", every)
			case rows < 0:
				return usage("--rows %d is below 0", rows)
			}
			return a.inspect(cmd.Context(), func(i *redistier.Inspector) error { return a.top(cmd.Context(), i, looks{every, count, rows}) })
		},
	}
	c.Flags().DurationVar(&every, "interval", time.Second, "time between two looks")
	c.Flags().IntVar(&count, "count", 0, "end after so many; 0: never")
	c.Flags().IntVar(&rows, "rows", 10, "how many entries to show")
	return c
}

// tally counts the changes of entries since it was last taken.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(c redistier.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	name := string(c.Kind) + " " + c.Name
	if c.Kind == redistier.ChangeEntry {
		name = c.Name
	}
	t.counts[name]++
}

func (t *tally) take() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := t.counts
	t.counts = map[string]int{}
	return counts
}

// looks say how often top looks, and how much it shows.
type looks struct {
	every       time.Duration
	count, rows int // count 0: without end
}

func (a *app) top(ctx context.Context, i *redistier.Inspector, o looks) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	changes := &tally{counts: map[string]int{}}
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() {
		if err := i.Watch(ctx, changes.add); err != nil {
			cancel(&exitError{exitUnreachable, err})
		}
	})
	err := a.look(ctx, i, changes, o)
	if err == nil || ctx.Err() == nil {
		return err
	}
	if lost, ok := errors.AsType[*exitError](context.Cause(ctx)); ok {
		return lost
	}
	return nil // whoever ends top means no error, whatever was under way
}

// look shows what goes on until it has done so as often as it should, or ctx ends.
func (a *app) look(ctx context.Context, i *redistier.Inspector, changes *tally, o looks) error {
	before, err := i.Servers(ctx)
	if err != nil {
		return err
	}
	seen := time.Now()
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		now, err := i.Servers(ctx)
		if err != nil {
			return err
		}
		took := time.Since(seen) // longer than the interval where answers take long
		seen = seen.Add(took)
		hot, err := i.HotKeys(ctx)
		switch {
		case errors.Is(err, larder.ErrUnavailable): // the servers have just answered
			a.say("what is read most is not known: heartbeats are late")
		case err != nil:
			return err
		}
		if err := a.screen(before, now, took, changes.take(), hot[:min(o.rows, len(hot))], o.rows); err != nil || n == o.count {
			return err
		}
		before = now
	}
}

// rates is one line of the JSON form.
type rates struct {
	At      time.Time      `json:"at"`
	Servers []serverRates  `json:"servers"`
	Changes map[string]int `json:"changes"`
	Hot     []hotEntry     `json:"hot"`
}

type hotEntry struct {
	Name  string `json:"name"`
	Reads uint64 `json:"reads"`
}

type serverRates struct {
	Address   string  `json:"address"`
	Commands  float64 `json:"commands_per_second"`
	Hits      float64 `json:"hits_per_second"`
	Misses    float64 `json:"misses_per_second"`
	Evictions float64 `json:"evictions_per_second"`
	Used      int64   `json:"used_bytes"`
	Clients   int64   `json:"clients"`
}

func (a *app) screen(before, now []redistier.Server, took time.Duration, changes map[string]int, hot []larder.KeyCount, rows int) error {
	r := rates{At: time.Now().UTC(), Changes: map[string]int{}, Hot: []hotEntry{}}
	for _, k := range hot {
		r.Hot = append(r.Hot, hotEntry{k.Name, k.Count})
	}
	old := map[string]redistier.Server{}
	for _, s := range before {
		old[s.Address] = s
	}
	for _, s := range now {
		b := old[s.Address]
		per := func(now, before int64) float64 { return float64(max(0, now-before)) / took.Seconds() }
		r.Servers = append(r.Servers, serverRates{s.Address, per(s.Commands, b.Commands), per(s.Hits, b.Hits), per(s.Misses, b.Misses), per(s.Evicted, b.Evicted), s.UsedBytes, s.Clients})
	}
	names := byCount(changes)
	names = names[:min(rows, len(names))]
	for _, name := range names {
		r.Changes[name] = changes[name]
	}
	if a.flags.json {
		return a.document(r)
	}
	if a.draws && a.colors {
		draw(a.out, "\x1b[H\x1b[2J")
	}
	lines := [][]string{{"SERVER", "COMMANDS/S", "HITS/S", "MISSES/S", "EVICTED/S", "MEMORY", "CLIENTS"}}
	for _, s := range r.Servers {
		lines = append(lines, []string{s.Address, fmt.Sprintf("%.0f", s.Commands), fmt.Sprintf("%.0f", s.Hits), fmt.Sprintf("%.0f", s.Misses), fmt.Sprintf("%.0f", s.Evictions), bytesText(s.Used), fmt.Sprint(s.Clients)})
	}
	lines = append(lines, []string{""}, []string{"CHANGED", "TIMES"})
	for _, name := range names {
		lines = append(lines, []string{name, fmt.Sprint(changes[name])})
	}
	lines = append(lines, []string{""}, []string{"READ", "ABOUT"})
	for _, k := range r.Hot {
		lines = append(lines, []string{k.Name, fmt.Sprint(k.Reads)})
	}
	return a.table(append(lines, []string{""}))
}
