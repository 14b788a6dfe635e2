package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// mute is a cache whose Redis is connected and answers nothing.
type mute struct{ watched }

var errMute = errors.New("no answer")

func (*mute) Server(context.Context) (dashboard.CacheServer, error) {
	return dashboard.CacheServer{}, errMute
}

func (*mute) Keys(context.Context, string, string) (dashboard.CacheKeys, error) {
	return dashboard.CacheKeys{}, errMute
}
func (*mute) Hot(context.Context) ([]dashboard.CacheHotKey, error) { return nil, errMute }

func (*mute) Entry(context.Context, string, bool) (dashboard.CacheEntry, error) {
	return dashboard.CacheEntry{}, errMute
}

func (*mute) Preview(context.Context, dashboard.CacheOrder) (dashboard.CachePreview, error) {
	return dashboard.CachePreview{}, errMute
}
func (*mute) Doctor(context.Context) ([]dashboard.CacheNote, error)        { return nil, errMute }
func (*mute) Instances(context.Context) ([]dashboard.CacheOverview, error) { return nil, errMute }
func (*mute) Watch(context.Context) <-chan dashboard.CacheEvent            { return nil }

// The page asks Redis for several things each time it is looked at; a night of
// that would fill the log.
func TestTheCachePageDoesNotFloodTheLog(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h, err := New(Options{Store: newStore(t), Cache: &mute{}, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for want := 1; want <= 2; want++ {
		for _, path := range []string{"/cache", "/cache?doctor=1", "/cache?key=suite:1"} {
			if w := get(h, path); w.Code != 200 {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		if n := strings.Count(out.String(), "Redis did not answer"); n != want {
			t.Errorf("%d lines, want %d: %s", n, want, out.String())
		}
		now = now.Add(time.Minute)
	}
}
