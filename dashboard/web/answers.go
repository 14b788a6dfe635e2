package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// answersPanel says which tier answered the reads of the page.
type answersPanel struct {
	Meter meter
	Tiers []tierRow
	Reads []readRow
	Took  string
}

type tierRow struct {
	Class, Name string
	Count       int
}

type readRow struct{ Read, Tier, Took string }

// tierNames are the tiers as the pages call them.
var tierNames = map[dashboard.Tier]struct{ class, name string }{
	dashboard.TierMemory: {"m1", "memory"}, dashboard.TierRedis: {"m2", "Redis"}, dashboard.TierDatabase: {"m3", "database"},
}

func newAnswers(answers []dashboard.Answer, took time.Duration) answersPanel {
	p := answersPanel{Took: latency(took)}
	counts := map[dashboard.Tier]int{}
	for _, a := range answers {
		counts[a.Tier]++
		p.Reads = append(p.Reads, readRow{strings.TrimPrefix(a.Read, "dashboard:"), tierNames[a.Tier].name, latency(a.Took)})
	}
	var parts []share
	for _, t := range dashboard.Tiers {
		p.Tiers = append(p.Tiers, tierRow{tierNames[t].class, tierNames[t].name, counts[t]})
		parts = append(parts, share{tierNames[t].class, float64(counts[t])})
	}
	label := fmt.Sprintf("%d reads from memory, %d from Redis, %d from the database", counts[dashboard.TierMemory], counts[dashboard.TierRedis], counts[dashboard.TierDatabase])
	p.Meter = newMeter(float64(len(answers)), label, parts...)
	return p
}
