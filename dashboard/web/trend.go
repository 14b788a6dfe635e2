package web

import (
	"fmt"
	"slices"
	"time"

	"github.com/larder-go/larder/dashboard"
)

// trendPanel is the chart of executions per day with its figures.
type trendPanel struct {
	Plot                  plot
	Label                 string
	Passed, Failed, Error int64
	Days                  []trendRow // newest first
}

type trendRow struct {
	Day                   string
	Passed, Failed, Error int64
}

func newTrend(days []dashboard.TrendDay) trendPanel {
	var p trendPanel
	var columns []column
	var worst dashboard.TrendDay
	for _, d := range days {
		p.Passed, p.Failed, p.Error = p.Passed+d.Passed, p.Failed+d.Failed, p.Error+d.Error
		if d.Failed+d.Error > worst.Failed+worst.Error {
			worst = d
		}
		columns = append(columns, column{Label: day(d.Date), Title: dayTitle(d), Values: []float64{float64(d.Passed), float64(d.Failed), float64(d.Error)}})
		p.Days = append(p.Days, trendRow{day(d.Date), d.Passed, d.Failed, d.Error})
	}
	slices.Reverse(p.Days)
	p.Plot = newColumns(columns, []string{"passed", "failed", "error"})
	p.Label = fmt.Sprintf("Finished executions per day: %d passed, %d failed, %d error", p.Passed, p.Failed, p.Error)
	if worst.Date != "" {
		p.Label += fmt.Sprintf("; the worst day is %s with %d failed and %d error", day(worst.Date), worst.Failed, worst.Error)
	}
	return p
}

func dayTitle(d dashboard.TrendDay) string {
	if d.Total == 0 {
		return day(d.Date) + ": nothing finished"
	}
	title := fmt.Sprintf("%s: %s passed, %s failed, %s error", day(d.Date), count(d.Passed), count(d.Failed), count(d.Error))
	if d.Stopped > 0 {
		title += fmt.Sprintf(", %s stopped", count(d.Stopped))
	}
	return title
}

func day(date string) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return t.Format("2 Jan")
}
