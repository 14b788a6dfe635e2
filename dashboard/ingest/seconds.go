package ingest

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// maxMillis bounds a duration to a year; what is longer is a mistake of its producer.
const maxMillis = dashboard.MaxDurationMS

// millis reads a time attribute in seconds: "0.25", "1,234.5", "1.234,5", "0,25".
// A single comma parts thousands if exactly three digits follow a group that does
// not begin with zero. What is no such number is 0.
func millis(s string) int64 {
	s = strings.TrimSpace(s)
	comma, dot := strings.LastIndexByte(s, ','), strings.LastIndexByte(s, '.')
	switch {
	case comma < 0:
	case dot > comma, dot < 0 && thousands(s):
		s = strings.ReplaceAll(s, ",", "")
	default:
		s = strings.ReplaceAll(strings.ReplaceAll(s, ".", ""), ",", ".")
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || v <= 0 {
		return 0
	}
	return int64(math.Round(math.Min(v*1000, maxMillis)))
}

// thousands reports whether the commas of a number without a dot part thousands.
func thousands(s string) bool {
	groups := strings.Split(s, ",")
	if groups[0] == "" || len(groups[0]) > 3 || groups[0][0] == '0' {
		return false
	}
	for _, g := range groups[1:] {
		if len(g) != 3 {
			return false
		}
	}
	return true
}

var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999-0700", "2006-01-02 15:04:05 -0700"}

// instant reads a time stamp attribute; without a zone it is UTC. What is none is nil.
func instant(s string) *time.Time {
	s = strings.TrimSpace(s)
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil && dashboard.Plausible(t) {
			return new(t.UTC().Truncate(time.Millisecond))
		}
	}
	return nil
}
