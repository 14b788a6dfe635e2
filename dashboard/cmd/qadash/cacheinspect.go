package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/dashboard"
	"github.com/larder-go/larder/redistier"
)

// inspect returns the connection by which administrators look into Redis, made
// when first needed.
func (v *cacheView) inspect(ctx context.Context) (*redistier.Inspector, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.inspector != nil {
		return v.inspector, nil
	}
	i, err := redistier.Inspect(ctx, v.redis, v.config.Namespace)
	if err != nil {
		return nil, err
	}
	v.inspector = i
	return i, nil
}

// Server implements dashboard.CacheInspector.
func (v *cacheView) Server(ctx context.Context) (dashboard.CacheServer, error) {
	i, err := v.inspect(ctx)
	if err != nil {
		return dashboard.CacheServer{}, err
	}
	all, err := i.Servers(ctx)
	if err != nil || len(all) == 0 {
		return dashboard.CacheServer{}, cmp.Or(err, larder.ErrUnavailable)
	}
	s := dashboard.CacheServer{Version: all[0].Version, UptimeS: int64(all[0].Uptime.Seconds()), Policy: all[0].Policy,
		RoundTripUS: all[0].RoundTrip.Microseconds(), Masters: len(all)}
	for _, m := range all {
		s.UsedBytes += m.UsedBytes
		s.MaxBytes += m.MaxBytes
		s.Keys += m.Keys
		s.Evicted += m.Evicted
	}
	return s, nil
}

// A page of the key browser.
const (
	keysShown  = 50
	scanPages  = 20   // SCANs before a page is shown half empty
	scanCount  = 1000 // keys read by one
	groupsMost = 40
)

// Keys implements dashboard.CacheInspector.
func (v *cacheView) Keys(ctx context.Context, prefix, cursor string) (dashboard.CacheKeys, error) {
	page := dashboard.CacheKeys{Prefix: prefix, Next: cursor}
	i, err := v.inspect(ctx)
	if err != nil {
		return page, err
	}
	groups := map[string]int{}
	for range scanPages {
		part, err := i.Scan(ctx, literal.Replace(prefix)+"*", page.Next, 100)
		if err != nil {
			return page, err
		}
		part.Names = slices.DeleteFunc(part.Names, func(name string) bool { return strings.HasPrefix(name, boardName+":") })
		for _, name := range part.Names {
			rest := strings.TrimPrefix(name, prefix)
			if n := strings.IndexByte(rest, ':'); n >= 0 {
				groups[prefix+rest[:n+1]]++
			}
		}
		page.Names, page.Next = append(page.Names, part.Names...), part.Next
		if page.Next == "" || len(page.Names) >= keysShown {
			break
		}
	}
	slices.Sort(page.Names)
	page.Names, page.Groups = slices.Compact(page.Names), grouped(groups)
	return page, nil
}

// hotShown is how many of the hottest keys are told.
const hotShown = 20

// Hot implements dashboard.CacheInspector.
func (v *cacheView) Hot(ctx context.Context) ([]dashboard.CacheHotKey, error) {
	keys, err := v.cache.HotKeys(ctx)
	if err != nil {
		return nil, err
	}
	list := []dashboard.CacheHotKey{}
	for _, k := range keys {
		if len(list) < hotShown && !strings.HasPrefix(k.Name, boardName+":") {
			list = append(list, dashboard.CacheHotKey{Name: k.Name, Reads: k.Count})
		}
	}
	return list, nil
}

// grouped sorts prefixes by their size and drops the smallest of too many.
func grouped(counts map[string]int) []dashboard.CacheGroup {
	var list []dashboard.CacheGroup
	for prefix, n := range counts {
		list = append(list, dashboard.CacheGroup{Prefix: prefix, Entries: n})
	}
	slices.SortFunc(list, func(a, b dashboard.CacheGroup) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Prefix, b.Prefix))
	})
	return list[:min(len(list), groupsMost)]
}

// Entry implements dashboard.CacheInspector.
func (v *cacheView) Entry(ctx context.Context, name string, reveal bool) (dashboard.CacheEntry, error) {
	x, err := v.cache.Explain(ctx, name)
	if err != nil {
		return dashboard.CacheEntry{}, err
	}
	e := dashboard.CacheEntry{Name: name, State: string(x.State), Why: x.Why, FreshForMS: -1, LeftMS: -1, Bytes: len(x.Stored), Sealed: x.Sealed,
		Negative: x.Negative, ID: x.ID, Compression: compressions[x.Compression], Revealed: reveal}
	if !x.Hard.IsZero() {
		e.FreshForMS, e.LeftMS = x.Soft.Sub(x.Now).Milliseconds(), x.Hard.Sub(x.Now).Milliseconds()
	}
	for _, t := range x.Tags {
		text := t.Kind + " " + t.Name
		if !t.Current {
			text += " (changed)"
		}
		e.Tags = append(e.Tags, strings.TrimSpace(text))
	}
	for _, m := range x.Memory {
		e.Memory = append(e.Memory, m.Why)
	}
	if reveal {
		e.Value = v.shown(x)
	}
	return e, nil
}

var compressions = map[uint8]string{0: "none", 1: "s2", 2: "zstd"}

// shownBytes is how much of a value is shown.
const shownBytes = 64 << 10

// shown is the stored text, decrypted and inflated, or why there is none to read.
func (v *cacheView) shown(x larder.Explanation) string {
	text := x.Payload
	switch {
	case x.State == larder.StateMemory:
		return "The value is in the memory of the instances only; Redis has its generation."
	case x.Negative:
		return "The database has no such row."
	case x.Sealed && v.keys == nil:
		return fmt.Sprintf("encrypted, %d bytes; this instance has no CACHE_KEY_FILE", len(x.Payload))
	case x.ID != "":
		data, err := larder.OpenPayload(x.Key, x.Stored, v.keys)
		if err != nil {
			return fmt.Sprintf("%d bytes that cannot be opened: they are damaged, or sealed under another key", len(x.Payload))
		}
		text = string(data)
	}
	if !utf8.ValidString(text) {
		return fmt.Sprintf("%d bytes that are no text", len(text))
	}
	if len(text) > shownBytes {
		return strings.ToValidUTF8(text[:shownBytes], "") + fmt.Sprintf("\n… of %d bytes", len(text))
	}
	return text
}

// Preview implements dashboard.CacheInspector. It reads at most scanPages pages
// of the key space.
func (v *cacheView) Preview(ctx context.Context, order dashboard.CacheOrder) (dashboard.CachePreview, error) {
	p := dashboard.CachePreview{Order: order}
	if err := order.Check(); err != nil {
		return p, err
	}
	i, err := v.inspect(ctx)
	if err != nil {
		return p, err
	}
	if order.By == "tag" {
		generation, err := i.Generation(ctx, order.Name)
		if err != nil {
			return p, err
		}
		if generation == "" {
			p.Complete, p.Note = true, "The tag has no generation: no valid entry carries it."
			return p, nil
		}
	}
	began := time.Now()
	counts := map[string]int{}
	for pages, cursor := 0, ""; pages < scanPages; pages++ {
		part, err := i.Scan(ctx, patternOf(order), cursor, scanCount)
		if err != nil {
			return p, err
		}
		if err := v.countPage(ctx, i, &p, part.Names, counts); err != nil {
			return p, err
		}
		if cursor = part.Next; cursor == "" {
			p.Complete = true
			break
		}
	}
	p.TookMS, p.Keyspaces = time.Since(began).Milliseconds(), grouped(counts)
	return p, nil
}

// tagSample is how many entries a preview asks for their tags.
const tagSample = 100

// countPage adds a page of names to a preview. Of orders by tag it looks at the
// first entries and says so.
func (v *cacheView) countPage(ctx context.Context, i *redistier.Inspector, p *dashboard.CachePreview, names []string, counts map[string]int) error {
	for _, name := range names {
		if p.Order.By == "tag" {
			if p.Scanned == tagSample {
				p.Note = fmt.Sprintf("Only the first %d entries found were asked for their tags.", tagSample)
				return nil
			}
			p.Scanned++
			x, err := i.Explain(ctx, name)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(x.Tags, func(t larder.TagState) bool { return t.Name == p.Order.Name }) {
				continue
			}
		} else {
			p.Scanned++
		}
		p.Entries++
		keyspace, _, _ := strings.Cut(name, ":")
		counts[keyspace]++
	}
	return nil
}

// Doctor implements dashboard.CacheInspector.
func (v *cacheView) Doctor(ctx context.Context) ([]dashboard.CacheNote, error) {
	findings, err := redistier.Doctor(ctx, v.redis, v.config.Namespace)
	if len(findings) == 0 {
		return nil, err
	}
	levels := map[redistier.Level]string{redistier.LevelFailed: "failed", redistier.LevelWarning: "warn", redistier.LevelSkipped: "skipped"}
	var notes []dashboard.CacheNote
	for _, f := range findings {
		text := f.Text
		if f.Advice != "" {
			text += "; " + f.Advice
		}
		notes = append(notes, dashboard.CacheNote{Level: cmp.Or(levels[f.Level], "passed"), Title: f.Check, Text: text})
	}
	slices.SortStableFunc(notes, func(a, b dashboard.CacheNote) int { return cmp.Compare(rank(a), rank(b)) })
	return notes, nil
}

// Instances implements dashboard.CacheInspector.
func (v *cacheView) Instances(ctx context.Context) ([]dashboard.CacheOverview, error) {
	others, err := v.board.others(ctx)
	slices.SortFunc(others, func(a, b dashboard.CacheOverview) int { return cmp.Compare(a.Instance, b.Instance) })
	return append([]dashboard.CacheOverview{v.Overview()}, others...), err
}

// watchEvery is how many hits and loads there are to one that is told.
const watchEvery = 10

// Watch implements dashboard.CacheInspector.
func (v *cacheView) Watch(ctx context.Context) <-chan dashboard.CacheEvent {
	w := v.cache.Watch(watchEvery)
	out := make(chan dashboard.CacheEvent)
	stop := context.AfterFunc(ctx, w.Stop)
	go func() {
		defer close(out)
		defer stop()
		for e := range w.Events {
			if e.Keyspace == boardName {
				continue
			}
			told := dashboard.CacheEvent{At: e.At, Kind: string(e.Kind), Keyspace: e.Keyspace, Name: e.Name, Detail: e.Detail,
				TookMS: float64(e.Took.Microseconds()) / 1e3, Dropped: w.Dropped()}
			select {
			case out <- told:
			case <-ctx.Done():
			}
		}
	}()
	return out
}
