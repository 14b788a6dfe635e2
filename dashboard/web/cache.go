package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// cacheData is the content of the cache page.
type cacheData struct {
	Off       bool
	Headline  notice
	Overview  dashboard.CacheOverview
	Share     meter
	Tiers     []tierShare
	Tiles     []tile
	Charts    []chart
	Keyspaces []keyspaceRow
	Notice    notice
	Order     *orderData // a question to confirm
	All       bool       // figures are of all instances
	Instances int
	Doctor    []dashboard.CacheNote
	DoctorAsk bool // it was not asked yet
	Hot       []hotRow
	Keys      *keysData
	Watching  bool
	Inspects  bool // Redis can be looked into
	Now       time.Time
	Zone      *time.Location
}

type tierShare struct{ Class, Name, Share, Long string }

// chart is a chart of the last 15 minutes.
type chart struct {
	ID, Title string
	Plot      plot
	Bands     []bar // while Redis was away
	Areas     []pathRow
	Lines     []pathRow
	Legend    []legendRow
	Label     string
}

type legendRow struct{ Class, Name, Figure string }

type keyspaceRow struct {
	Name, Rate            string
	Meter                 meter
	Memory, Redis, Loaded string
	LoadP99, Size         string
}

// orderData is an order with what it will do.
type orderData struct {
	dashboard.CacheOrder
	Title, Text, Work string
	Confirm           string
	Preview           *dashboard.CachePreview
}

func (s *web) cachePage(_ http.ResponseWriter, r *http.Request) (*view, error) {
	d := cacheData{}
	if q := r.URL.Query(); q.Get("by") != "" {
		order := dashboard.CacheOrder{By: q.Get("by"), Name: q.Get("name")}
		if err := order.Check(); err != nil {
			d.Notice = notice{Class: "failed", Text: "Nothing was forgotten. " + capital(Printable(err.Error())) + "."}
		} else {
			d.Order = newOrder(order)
			s.preview(r, d.Order)
		}
	}
	if done := r.URL.Query().Get("forgotten"); done != "" {
		d.Notice = notice{Class: "passed", Text: "Forgotten: " + Printable(done) + ". No instance serves what was cached of it; each key is loaded again by its next read."}
	}
	return s.cacheWith(r, http.StatusOK, d)
}

func (s *web) cacheWith(r *http.Request, status int, d cacheData) (*view, error) {
	d.Now, d.Zone = s.Now(), zoneOf(r)
	if d.Off = s.Cache == nil; !d.Off {
		o := s.Cache.Overview()
		var server *dashboard.CacheServer
		if inspector, ok := s.Cache.(dashboard.CacheInspector); ok {
			o, server = s.inspectCache(r, inspector, o, &d)
		}
		d.fill(o, server)
	}
	return &view{Name: "cache", Title: "Cache", Path: "/cache", Status: status, Data: d}, nil
}

func newOrder(o dashboard.CacheOrder) *orderData {
	d := &orderData{CacheOrder: o, Confirm: o.String()}
	switch o.By {
	case "tag":
		d.Title, d.Work = "Invalidate tag "+o.Name+"?", "one DEL of the tag’s generation, however many entries carry it"
		d.Text = "No entry that carries this tag is valid afterwards, on any instance."
	case "key":
		d.Title, d.Work = "Invalidate "+o.Name+"?", "one DEL of the entry, and one of the generation that stands for it where values stay in memory"
		d.Text = "The entry is not valid afterwards, on any instance."
	case "pattern", "prefix":
		d.Title, d.Work = "Delete "+o.Name+"?", "a SCAN of the key space in pages, UNLINK in batches"
		d.Text = "Every entry whose key matches is removed, on any instance."
	default:
		d.Title, d.Work = "Clear the namespace?", "one DEL of the namespace’s generation; nothing else in this Redis is touched"
		d.Text = "No entry of this installation is valid afterwards. The database answers until the cache is warm again."
	}
	return d
}

// forget carries out an order whose name was typed.
func (s *web) forget(w http.ResponseWriter, r *http.Request) (*view, error) {
	order := dashboard.CacheOrder{By: r.PostFormValue("by"), Name: r.PostFormValue("name")}
	if s.Cache == nil {
		return s.cacheWith(r, http.StatusNotFound, cacheData{})
	}
	if err := order.Check(); err != nil {
		return s.cacheWith(r, http.StatusUnprocessableEntity, cacheData{Notice: notice{Class: "failed", Text: capital(Printable(err.Error())) + "."}})
	}
	if r.PostFormValue("confirm") != order.String() {
		return s.cacheWith(r, http.StatusUnprocessableEntity, cacheData{Order: newOrder(order), Notice: notice{Class: "failed", Text: "Nothing was forgotten: the text typed is not " + Printable(order.String()) + "."}})
	}
	err := s.Cache.Forget(r.Context(), order)
	s.audit(r, "cache.invalidate", order.String(), order.By)
	if errors.Is(err, dashboard.ErrInvalid) {
		return nil, err
	}
	if err != nil {
		s.Log.WarnContext(r.Context(), "invalidation not confirmed", "by", order.By, "error", err)
		return s.cacheWith(r, http.StatusServiceUnavailable, cacheData{Notice: notice{Class: "failed", Text: "Redis has not confirmed it. It is retried; until then this server reads what it concerns from the database."}})
	}
	http.Redirect(w, r, "/cache?forgotten="+url.QueryEscape(order.String()), http.StatusSeeOther)
	return nil, nil
}

func (d *cacheData) fill(o dashboard.CacheOverview, server *dashboard.CacheServer) {
	d.Overview = o
	d.Headline = cacheHeadline(o)
	d.Share, d.Tiers = tierShares(o)
	d.Tiles = cacheTiles(o, server)
	d.Charts = cacheCharts(o, d.Zone)
	for _, k := range o.Keyspaces {
		d.Keyspaces = append(d.Keyspaces, newKeyspaceRow(k))
	}
}

func cacheHeadline(o dashboard.CacheOverview) notice {
	switch {
	case o.Redis == "connected" && o.Pending > 0:
		return notice{Class: "warn", Text: plural(int64(o.Pending), "invalidation waits", "invalidations wait") + " for Redis"}
	case o.Redis == "connected" && o.CoherentMS >= 0:
		return notice{Class: "passed", Text: fmt.Sprintf("healthy: memory proved current %d ms ago", o.CoherentMS)}
	case o.Redis == "connected":
		return notice{Class: "running", Text: "connected, the first heartbeat is under way"}
	case o.Redis == "failing":
		return notice{Class: "failed", Text: "Redis fails: reads are loaded from the database"}
	}
	return notice{Class: "failed", Text: "Redis is away: reads are loaded from the database"}
}

func part(n, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(n) / float64(all)
}

func tierShares(o dashboard.CacheOverview) (meter, []tierShare) {
	a, b := o.Recent, o.Hour
	var out []tierShare
	var parts []share
	for _, t := range []struct {
		class, name  string
		recent, long uint64
	}{{"m1", "memory", a.Memory, b.Memory}, {"m2", "Redis", a.Redis, b.Redis}, {"m3", "loaded from the database", a.Loaded, b.Loaded}} {
		out = append(out, tierShare{t.class, t.name, percent(part(t.recent, a.Reads())), percentFigure(part(t.long, b.Reads()))})
		parts = append(parts, share{t.class, 100 * part(t.recent, a.Reads())})
	}
	label := fmt.Sprintf("%s memory, %s Redis, %s loaded", out[0].Share, out[1].Share, out[2].Share)
	return newMeter(100, label, parts...), out
}

func perSecond(n uint64, seconds float64) string {
	if seconds <= 0 {
		return "0"
	}
	r := float64(n) / seconds
	switch {
	case r >= 100:
		return count(int64(math.Round(r)))
	case r >= 10 || r == 0:
		return strconv.FormatFloat(math.Round(r*10)/10, 'f', -1, 64)
	}
	return strconv.FormatFloat(r, 'f', 2, 64)
}

// readsPerLoad says how rarely a read had to ask the database.
func readsPerLoad(a dashboard.CacheSpan) string {
	if a.Loads == 0 {
		return "none was needed"
	}
	switch n := float64(a.Reads()) / float64(a.Loads); {
	case n < 1.05:
		return "one for every read"
	case n < 9.95:
		return "1 in " + strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) + " reads"
	default:
		return "1 in " + count(int64(math.Round(n))) + " reads"
	}
}

func cacheTiles(o dashboard.CacheOverview, server *dashboard.CacheServer) []tile {
	a := o.Recent
	stale := percentFigure(part(a.Stale, a.Reads()))
	return append([]tile{
		{Name: "Reads", Figure: perSecond(a.Reads(), a.Seconds), Unit: "/s", Lines: []string{"1 h: " + perSecond(o.Hour.Reads(), o.Hour.Seconds) + " /s"}},
		{Name: "Loads", Figure: perSecond(a.Loads, a.Seconds), Unit: "/s", Lines: []string{readsPerLoad(a)}},
		{Name: "Loads avoided", Figure: count(int64(o.Hour.Avoided())), Unit: "in 1 h", Lines: []string{percent(part(o.Hour.Avoided(), o.Hour.Reads())) + " of the reads"}},
		{Name: "Served stale", Figure: stale, Unit: "%", Lines: []string{count(int64(a.Stale)) + " in 5 m"}},
		{Name: "Redis p50, p99", Figure: msFigure(a.RedisP50) + ", " + msFigure(a.RedisP99), Unit: "ms", Lines: []string{perSecond(a.Calls, a.Seconds) + " calls /s"}},
		breakerTile(o),
		coherenceTile(o),
		{Name: "Memory tier", Figure: mebi(o.MemoryBytes), Unit: "of " + mebi(uint64(max(o.MemoryLimit, 0))) + " MiB", Meters: []meter{newMeter(float64(o.MemoryLimit), "memory used", share{"m1", float64(o.MemoryBytes)})}},
		{Name: "Entries", Figure: count(o.MemoryEntries), Lines: []string{count(int64(o.MemoryEvictions)) + " left for room"}},
		{Name: "Invalidations", Figure: perSecond(a.Invalidations, a.Seconds), Unit: "/s", Lines: []string{count(o.Pending) + " pending, " + perSecond(a.Pushes, a.Seconds) + " pushes /s"}},
	}, serverTiles(o, server)...)
}

// msFigure is a figure without its unit.
func msFigure(ms float64) string {
	switch {
	case ms == 0:
		return "–"
	case ms < 10:
		return strconv.FormatFloat(ms, 'f', 2, 64)
	}
	return count(int64(math.Round(ms)))
}

func breakerTile(o dashboard.CacheOverview) tile {
	t := tile{Name: "Breaker", Figure: "closed", Lines: []string{"not opened in 15 m"}}
	if !o.BreakerOpened.IsZero() {
		t.Lines = []string{"open at " + o.BreakerOpened.Format("15:04:05")}
	}
	if o.Redis == "failing" {
		t.Figure, t.Lines = "open", []string{"calls are held back"}
	}
	return t
}

func coherenceTile(o dashboard.CacheOverview) tile {
	if o.CoherentMS < 0 {
		return tile{Name: "Coherence", Figure: "none", Lines: []string{"memory does not answer"}}
	}
	mode := "push"
	switch o.Mode {
	case "ttl":
		mode = "short life"
	case "validated":
		mode = "every read asks"
	}
	line := fmt.Sprintf("as of %d ms ago, at most %s", o.CoherentMS, latency(time.Duration(o.MaxStalenessMS)*time.Millisecond))
	return tile{Name: "Coherence", Figure: mode, Unit: "mode", Lines: []string{line}}
}

// serverTiles are what Redis says of itself; without an answer, its state.
func serverTiles(o dashboard.CacheOverview, s *dashboard.CacheServer) []tile {
	if s == nil {
		state := o.Redis
		if state == "disconnected" {
			state = "away" // the longer word has no room in a tile
		}
		return []tile{{Name: "Redis memory", Figure: "–", Lines: []string{"not asked or no answer"}}, {Name: "Redis", Figure: state, Lines: []string{o.Address}}}
	}
	memory := tile{Name: "Redis memory", Figure: mebi(uint64(s.UsedBytes)), Unit: "MiB, no limit"}
	if s.MaxBytes > 0 {
		memory.Unit = "of " + mebi(uint64(s.MaxBytes)) + " MiB"
		memory.Meters = []meter{newMeter(float64(s.MaxBytes), "Redis memory used", share{"m1", float64(s.UsedBytes)})}
	}
	return []tile{memory, {Name: "Redis", Figure: s.Version, Lines: []string{"up " + roughly(time.Duration(s.UptimeS)*time.Second) + ", " + count(s.Keys) + " keys"}}}
}

func mebi(n uint64) string {
	return strconv.FormatFloat(math.Round(float64(n)/(1<<20)*10)/10, 'f', -1, 64)
}

func newKeyspaceRow(k dashboard.CacheKeyspace) keyspaceRow {
	all := k.Reads()
	one := func(n uint64) string { return percentFigure(part(n, all)) }
	row := keyspaceRow{Name: k.Name, Rate: perSecond(all, k.Seconds), Memory: "–", Redis: "–", Loaded: "–", LoadP99: "–", Size: "–"}
	if all > 0 {
		row.Memory, row.Redis, row.Loaded = one(k.Memory), one(k.Redis), one(k.Loaded)
	}
	if k.LoadP99 > 0 {
		row.LoadP99 = latency(time.Duration(k.LoadP99 * 1e6))
	}
	if k.MeanBytes > 0 {
		row.Size = bytesize(k.MeanBytes)
	}
	row.Meter = newMeter(100, fmt.Sprintf("%s %% memory, %s %% Redis, %s %% loaded", row.Memory, row.Redis, row.Loaded),
		share{"m1", 100 * part(k.Memory, all)}, share{"m2", 100 * part(k.Redis, all)}, share{"m3", 100 * part(k.Loaded, all)})
	return row
}

// cacheCharts draws the last 15 minutes. Time runs to the right edge; what is
// older than the process is left empty.
func cacheCharts(o dashboard.CacheOverview, zone *time.Location) []chart {
	rate := func(f func(dashboard.CacheSample) uint64) []float64 {
		out := make([]float64, len(o.Samples))
		for i, s := range o.Samples {
			if s.Seconds > 0 {
				out[i] = float64(f(s)) / s.Seconds
			}
		}
		return out
	}
	memory := rate(func(s dashboard.CacheSample) uint64 { return s.Reads() })
	redis := rate(func(s dashboard.CacheSample) uint64 { return s.Redis + s.Loaded })
	loaded := rate(func(s dashboard.CacheSample) uint64 { return s.Loaded })
	loads := rate(func(s dashboard.CacheSample) uint64 { return s.Loads })
	carried := rate(func(s dashboard.CacheSample) uint64 { return s.Invalidations })
	pending := make([]float64, len(o.Samples))
	for i, s := range o.Samples {
		pending[i] = float64(s.Pending)
	}
	reads := newChart("c1", "Reads per second", o, zone, memory)
	reads.Areas = []pathRow{{"m1", reads.area(memory, o)}, {"m2", reads.area(redis, o)}, {"m3", reads.area(loaded, o)}}
	reads.Legend = []legendRow{{"m1", "memory", ""}, {"m2", "Redis", ""}, {"m3", "loaded", ""}, {"failed", "Redis away", ""}}
	loading := newChart("c2", "Loads per second", o, zone, loads)
	loading.Lines = []pathRow{{"m3", loading.line(loads, o)}}
	loading.Legend = []legendRow{{"m3", "loads", perSecond(o.Recent.Loads, o.Recent.Seconds)}}
	half, most := make([]float64, len(o.Samples)), make([]float64, len(o.Samples))
	for i, s := range o.Samples {
		half[i], most[i] = s.RedisP50, s.RedisP99
	}
	calls := newChart("c3", "Redis calls, ms", o, zone, most)
	calls.Lines = []pathRow{{"m1", calls.line(half, o)}, {"m3", calls.line(most, o)}}
	calls.Legend = []legendRow{{"m1", "p50", msFigure(o.Recent.RedisP50) + " ms"}, {"m3", "p99", msFigure(o.Recent.RedisP99) + " ms"}}
	forgetting := newChart("c4", "Invalidations per second", o, zone, carried, pending)
	forgetting.Lines = []pathRow{{"m2", forgetting.line(carried, o)}, {"failed", forgetting.line(pending, o)}}
	forgetting.Legend = []legendRow{{"m2", "carried out", perSecond(o.Recent.Invalidations, o.Recent.Seconds)}, {"failed", "pending", count(o.Pending)}}
	return []chart{reads.chart, loading.chart, calls.chart, forgetting.chart}
}

// steps is how many samples fill a chart.
const steps = 180

type drawing struct {
	chart
	top float64
}

func newChart(id, title string, o dashboard.CacheOverview, zone *time.Location, series ...[]float64) drawing {
	top := 0.0
	for _, values := range series {
		if _, high := extremes(values); len(values) > 0 {
			top = max(top, high)
		}
	}
	a := newAxes(top)
	d := drawing{chart: chart{ID: id, Title: title, Plot: a.plot, Label: title + ", last 15 minutes"}, top: a.top}
	end := time.Now()
	if n := len(o.Samples); n > 0 {
		end = o.Samples[n-1].At
	}
	for i := range 6 {
		d.Plot.Labels = append(d.Plot.Labels, label{X: point(1.5+float64(i)*19.3) + "%", Text: end.Add(time.Duration(i-5) * 3 * time.Minute).In(zone).Format("15:04")})
	}
	for i, s := range o.Samples {
		if !s.Connected {
			d.Bands = append(d.Bands, bar{X: point(d.x(i, len(o.Samples))), Width: point(800.0 / steps)})
		}
	}
	return d
}

func (d drawing) x(i, n int) float64     { return 800 * float64(steps-n+i) / (steps - 1) }
func (d drawing) y(value float64) string { return point(200 - 200*value/d.top) }

func (d drawing) line(values []float64, _ dashboard.CacheOverview) string {
	var b strings.Builder
	for i, v := range values {
		pen := "L"
		if i == 0 {
			pen = "M"
		}
		b.WriteString(pen + point(d.x(i, len(values))) + " " + d.y(v))
	}
	return b.String()
}

func (d drawing) area(values []float64, o dashboard.CacheOverview) string {
	if len(values) < 2 {
		return ""
	}
	return d.line(values, o) + "L" + point(d.x(len(values)-1, len(values))) + " 200L" + point(d.x(0, len(values))) + " 200Z"
}
