package web

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// inspectTime bounds what the cache page asks Redis for.
const inspectTime = 2 * time.Second

// keysData is the key browser.
type keysData struct {
	dashboard.CacheKeys
	Entry  *entryData
	Fault  string
	Cursor string // of this page; empty: the first
}

// hotRow is one of the hottest keys; its value is shown by the key browser, when
// asked for.
type hotRow struct {
	Name, Link string
	Reads      int64
	Meter      meter
}

func hotRows(keys []dashboard.CacheHotKey) (rows []hotRow) {
	for _, k := range keys {
		rows = append(rows, hotRow{Name: k.Name, Reads: int64(k.Reads), Link: "/cache?" + url.Values{"key": {k.Name}}.Encode() + "#entries",
			Meter: newMeter(float64(keys[0].Reads), count(int64(k.Reads))+" reads", share{"m1", float64(k.Reads)})})
	}
	return rows
}

type entryData struct {
	dashboard.CacheEntry
	Class          string // of the state
	Fresh, Size    string
	Hidden         string // a value of which nothing but its length is told
	InvalidateLink string
}

// inspectCache asks Redis what the request wants to know, and returns the
// overview to show. What Redis does not answer is left out.
func (s *web) inspectCache(r *http.Request, i dashboard.CacheInspector, o dashboard.CacheOverview, d *cacheData) (dashboard.CacheOverview, *dashboard.CacheServer) {
	q := r.URL.Query()
	d.Watching = q.Get("watch") != ""
	if o.Redis != "connected" {
		d.Instances = 1
		return o, nil
	}
	d.Inspects = true
	ctx, cancel := context.WithTimeout(r.Context(), inspectTime)
	defer cancel()
	all, err := i.Instances(ctx)
	s.unanswered(r, err)
	if d.Instances = max(len(all), 1); q.Get("instance") == "all" && len(all) > 0 {
		d.All = true
		o.Notes, o = nil, dashboard.MergeCaches(all)
	}
	if d.DoctorAsk = q.Get("doctor") == ""; !d.DoctorAsk {
		d.Doctor, err = i.Doctor(ctx)
		s.unanswered(r, err)
	}
	hot, err := i.Hot(ctx)
	s.unanswered(r, err)
	d.Hot, d.Keys = hotRows(hot), s.keys(ctx, r, i)
	server, err := i.Server(ctx)
	if err != nil {
		s.unanswered(r, err)
		return o, nil
	}
	return o, &server
}

// unanswered logs what Redis did not answer, at most once a minute: each view of the
// page asks several things, and shows the rest.
func (s *web) unanswered(r *http.Request, err error) {
	if err == nil || r.Context().Err() != nil {
		return
	}
	if s.silent.Due(s.Now()) {
		s.Log.WarnContext(r.Context(), "cache page: Redis did not answer", "error", err)
	}
}

func (s *web) keys(ctx context.Context, r *http.Request, i dashboard.CacheInspector) *keysData {
	q := r.URL.Query()
	d := &keysData{Cursor: q.Get("cursor")}
	var err error
	if d.CacheKeys, err = i.Keys(ctx, q.Get("prefix"), d.Cursor); err != nil {
		d.Fault = "The listing has to begin again, or Redis does not answer."
		s.unanswered(r, err)
	}
	if name := q.Get("key"); name != "" {
		e, err := i.Entry(ctx, name, false)
		if err != nil {
			s.unanswered(r, err)
			return d
		}
		d.Entry = newEntry(e)
	}
	return d
}

func newEntry(e dashboard.CacheEntry) *entryData {
	d := &entryData{CacheEntry: e, Size: bytesize(int64(e.Bytes)), Fresh: "–"}
	switch {
	case e.FreshForMS > 0:
		d.Fresh = duration(time.Duration(e.FreshForMS) * time.Millisecond)
	case e.LeftMS > 0:
		d.Fresh = "past its TTL, in grace"
	}
	d.Class = map[string]string{"fresh": "passed", "stale": "warn", "unfit": "warn", "outdated": "skipped", "absent": "skipped", "corrupt": "failed"}[e.State]
	d.InvalidateLink = "/cache?" + url.Values{"by": {"key"}, "name": {e.Name}}.Encode()
	return d
}

// preview adds to an order what it would do, if Redis tells.
func (s *web) preview(r *http.Request, o *orderData) {
	i, ok := s.Cache.(dashboard.CacheInspector)
	if !ok || s.Cache.Overview().Redis != "connected" {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), inspectTime)
	defer cancel()
	p, err := i.Preview(ctx, o.CacheOrder)
	if err != nil {
		s.unanswered(r, err)
		return
	}
	o.Preview = &p
}

// reveal shows the value of an entry and writes that down.
func (s *web) reveal(_ http.ResponseWriter, r *http.Request) (*view, error) {
	i, ok := s.Cache.(dashboard.CacheInspector)
	name := r.PostFormValue("key")
	if !ok || name == "" {
		return nil, dashboard.ErrNotFound
	}
	s.audit(r, "cache.reveal", name, "")
	ctx, cancel := context.WithTimeout(r.Context(), inspectTime)
	defer cancel()
	e, err := i.Entry(ctx, name, true)
	if err != nil {
		s.unanswered(r, err)
		return s.cacheWith(r, http.StatusServiceUnavailable, cacheData{Notice: notice{Class: "failed", Text: "Redis does not answer."}})
	}
	v, err := s.cacheWith(r, http.StatusOK, cacheData{})
	if err != nil {
		return nil, err
	}
	d := v.Data.(cacheData)
	if d.Keys != nil {
		d.Keys.Entry = newEntry(e)
	}
	v.Data = d
	return v, nil
}
